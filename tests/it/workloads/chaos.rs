use std::time::Duration;

use super::rig::{Rig, Supervised};
use crate::support::Penstock;

/// Kills of one run. `PENSTOCK_KILLS` asks for more.
const KILLS: usize = 24;

/// A workload that is started again when it was killed.
pub async fn again(slot: &mut Option<Penstock>, run: &crate::support::Run) {
    if let Some(running) = slot.take() {
        running.kill().await;
    }
    *slot = Some(run.spawn());
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_killed_no_order_that_was_taken_is_lost() {
    let rig = Rig::new().await;
    let kills = std::env::var("PENSTOCK_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS);
    let mut components = Some(rig.components.start().await);
    let daprd = Supervised::start(&rig.daprd).await;
    let (mut intake, mut router) = (Some(rig.intake.spawn()), Some(rig.router.spawn()));
    let stop = tokio::sync::Notify::new();
    let killing = async {
        for kill in 0..kills {
            // In no step with anything that goes on inside.
            tokio::time::sleep(Duration::from_millis(200 + u64::try_from(kill * 37 % 300).unwrap())).await;
            match kill % 5 {
                0 | 3 => daprd.kill().await,
                1 => again(&mut router, &rig.router).await,
                2 => again(&mut intake, &rig.intake).await,
                // With its daprd, as a pod is.
                _ => {
                    again(&mut components, &rig.components).await;
                    daprd.kill().await;
                }
            }
        }
        stop.notify_one();
    };
    let (taken, ()) = tokio::join!(rig.post_until(&stop), killing);
    rig.post_all(1_000_000..1_000_001).await;
    rig.all_arrive(1_000_000..1_000_001).await;
    rig.all_of_arrive(&taken).await;
    assert!(taken.len() > kills, "only {} orders were taken between the kills", taken.len());
}
