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
async fn a_stop_finishes_what_was_confirmed_and_leaves_no_process() {
    let flow = Flow::start().await;
    let children = all(flow.process.pid());
    assert_eq!(children::of(flow.process.pid()).len(), 4);
    for id in 0..50 {
        flow.post_surely(&Client::new(), id).await;
    }
    let Flow { process, receiver, folder, .. } = flow;
    process.signal(Signal::TERM);
    let (code, log) = process.log_when_ended().await;
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains("cut off"), "{log}");
    // Already when it has ended, and not some time later.
    assert_eq!(children.iter().filter(|child| child.lives()).count(), 0, "{log}");
    assert!(receiver.count() >= 50, "{} arrived before the stop was over: {log}", receiver.count());
    drop(folder);
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
    // A receiver that never answers would do as well: what matters is that it still stops.
    flow.process.signal(Signal::INT);
    flow.process.signal(Signal::TERM);
    let code = flow.process.ended().await;
    // The stop may be over before the second one is seen.
    assert!(matches!(code, Some(0 | 130)), "{code:?}");
    all_are_gone(&children).await;
}
