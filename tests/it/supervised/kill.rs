use std::time::Duration;

use super::children::{self, Child};
use super::flow::Flow;
use crate::support::{Client, eventually};

/// The rounds of kills; each kills every child once. More would show the pauses, which grow with each kill.
const ROUNDS: usize = 2;

/// Kills the child of this name, as soon as there is one that was not killed before.
pub async fn kill(parent: u32, word: &str, killed: &mut Vec<Child>) {
    let fresh = || children::find(parent, word).filter(|child| !killed.contains(child));
    eventually(&format!("{word} runs"), || async { fresh().is_some() }).await;
    let child = fresh().unwrap();
    child.kill();
    killed.push(child);
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_child_is_killed_nothing_confirmed_is_lost_and_events_flow_again() {
    let flow = Flow::start().await;
    let parent = flow.process.pid();
    let stop = tokio::sync::Notify::new();
    let posting = async {
        let (client, mut confirmed) = (Client::new(), Vec::new());
        for id in 0.. {
            tokio::select! {
                () = stop.notified() => break,
                taken = flow.post(&client, id) => if taken { confirmed.push(id) },
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        confirmed
    };
    let killing = async {
        let mut killed = Vec::new();
        for _ in 0..ROUNDS {
            for word in ["daprd", "router", "intake", "component"] {
                // In no step with anything that goes on inside.
                tokio::time::sleep(Duration::from_millis(300)).await;
                kill(parent, word, &mut killed).await;
            }
        }
        stop.notify_one();
    };
    let (mut confirmed, ()) = tokio::join!(posting, killing);
    assert!(confirmed.len() > ROUNDS, "only {} events were confirmed between the kills", confirmed.len());
    flow.post_surely(&Client::new(), 1_000_000).await;
    confirmed.push(1_000_000);
    flow.all_arrive(&confirmed).await;
    let log = flow.process.log();
    for process in ["daprd", "router", "intake", "component"] {
        assert!(log.contains(&format!("a process ended: starting it again process=\"{process}\"")), "{log}");
    }
    assert!(log.contains("restarting daprd with the component process"), "{log}");
    let ready = flow.process.admin("/readyz");
    eventually("everybody runs again", || async {
        Client::new().get(&ready).await.is_ok_and(|answer| answer.code == 200)
    })
    .await;
    assert_eq!(flow.process.stop().await, Some(0));
}
