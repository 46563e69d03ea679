use rustix::process::Signal;

use super::children::{self, Child};
use super::flow::Flow;
use crate::support::{Client, eventually};

/// The children, all of which have become what they are.
fn all(parent: u32) -> Vec<Child> {
    ["daprd", "component", "intake", "router"].map(|word| children::find(parent, word).unwrap()).to_vec()
}

async fn all_are_gone(children: &[Child]) {
    eventually("no child is left", || async { !children.iter().any(Child::lives) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_leaves_no_process_and_loses_nothing() {
    let flow = Flow::start().await;
    let children = all(flow.process.pid());
    assert_eq!(children::of(flow.process.pid()).len(), 4);
    let ids: Vec<usize> = (0..50).collect();
    for id in &ids {
        flow.post_surely(&Client::new(), *id).await;
    }
    let (flow, log) = flow.again().await;
    assert!(!log.contains("cut off"), "{log}");
    // Not some time later: they were waited for.
    assert_eq!(children.iter().filter(|child| child.lives()).count(), 0, "{log}");
    flow.all_arrive(&ids).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supervisor_that_is_killed_takes_its_children_with_it() {
    let flow = Flow::start().await;
    let children = all(flow.process.pid());
    flow.process.kill().await;
    all_are_gone(&children).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_signal_aborts_and_leaves_no_process() {
    let flow = Flow::start().await;
    let children = all(flow.process.pid());
    flow.process.signal(Signal::INT);
    flow.process.signal(Signal::TERM);
    let code = flow.process.ended().await;
    // The stop may be over before the second one is seen.
    assert!(matches!(code, Some(0 | 130)), "{code:?}");
    all_are_gone(&children).await;
}
