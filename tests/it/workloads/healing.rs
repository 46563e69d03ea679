use std::time::Duration;

use super::rig::{Rig, Supervised, workloads};
use crate::support::eventually;

#[tokio::test(flavor = "multi_thread")]
async fn killing_daprd_loses_nothing() {
    let rig = Rig::new().await;
    let _components = rig.components.start().await;
    let daprd = Supervised::start(&rig.daprd).await;
    let (_intake, router) = workloads(&rig).await;
    let kills = async {
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_millis(300)).await;
            daprd.kill().await;
        }
    };
    tokio::join!(rig.post_all(0..300), kills);
    // All may have arrived before the last kill: only a restart that is over proves that the streams came back.
    eventually("daprd is started after each kill", || async { daprd.starts() > 3 }).await;
    rig.post_all(300..320).await;
    rig.all_arrive(0..320).await;
    assert!(router.log().contains("the stream ended: opening it again"), "{}", router.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_was_started_again_alone_is_initialised_again() {
    let rig = Rig::new().await;
    let components = rig.components.start().await;
    let daprd = Supervised::start(&rig.daprd).await;
    let (intake, router) = workloads(&rig).await;
    rig.post_all(0..20).await;
    rig.all_arrive(0..20).await;
    components.kill().await;
    let _components = rig.components.start().await;
    // No stream breaks, and daprd says nothing: only the silence tells.
    eventually("daprd is started again", || async { daprd.starts() > 1 }).await;
    rig.post_all(20..40).await;
    rig.all_arrive(0..40).await;
    let told = "a component was started again and daprd has not initialised it";
    assert!(intake.log().contains(told) || router.log().contains(told), "{}\n{}", intake.log(), router.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn workloads_may_be_started_before_everything_else_and_killed() {
    let rig = Rig::new().await;
    let (intake, router) = (rig.intake.spawn(), rig.router.spawn());
    let _components = rig.components.start().await;
    let _daprd = Supervised::start(&rig.daprd).await;
    rig.post_all(0..50).await;
    router.kill().await;
    intake.kill().await;
    let (_intake, _router) = workloads(&rig).await;
    rig.post_all(50..100).await;
    rig.all_arrive(0..100).await;
}
