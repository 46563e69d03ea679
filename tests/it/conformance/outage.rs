//! What tests of servers and processes that go away have in common.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Duration;

use penstock::flow::{Bus, Deduplicate, Outgoing, Subscriber, Topic};
use penstock::task;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::{PATIENCE, ack_all, event, ids, numbers, outgoing, publish, subscribe, take, topic};

/// What a [child](hold) says of each event that it holds.
const HOLDS: &str = "holds ";

/// Publishes until it is confirmed; the refusals must all be retryable.
pub async fn publish_stubbornly(bus: &dyn Bus, topic: &Topic, id: &str) {
    loop {
        let outgoing = Outgoing { event: event(id), delay: None, deduplicate: Deduplicate::Event };
        match bus.publish(topic, vec![outgoing]).await.remove(0) {
            Ok(_) => return,
            Err(fault) => assert!(fault.is_retryable(), "{fault:?}"),
        }
        task::sleep(Duration::from_millis(50)).await;
    }
}

/// Receives, and acknowledges, until all these were seen. The stream that was there before the outage goes on; what was
/// acknowledged while the server was dying may come again.
pub async fn receive_until(
    subscriber: &mut dyn Subscriber,
    seen: &mut BTreeSet<String>,
    patience: Duration,
    wanted: impl Fn(&BTreeSet<String>) -> bool,
) {
    while !wanted(seen) {
        let next = task::within(patience, subscriber.next()).await.expect("events keep coming").unwrap();
        assert!(!next.is_empty(), "the stream stays open");
        seen.extend(ids(&next));
        ack_all(next);
    }
}

/// A server that is stopped, and not ended: publishing answers, and everything goes on afterwards.
pub async fn stand_still(bus: &dyn Bus, pause: impl FnOnce(), resume: impl FnOnce()) {
    let topic = topic("still");
    let mut subscriber = subscribe(bus, &topic, "g", 50).await;
    publish(bus, &topic, numbers(0..5)).await;
    let held = take(&mut *subscriber, 5).await;
    pause();
    let outgoing = numbers(5..8).iter().map(|id| outgoing(event(id))).collect();
    let answers = task::within(PATIENCE, bus.publish(&topic, outgoing)).await.expect("publishing answers");
    for answer in answers {
        let fault = answer.unwrap_err();
        assert!(fault.is_retryable(), "{fault:?}");
    }
    ack_all(held);
    resume();
    publish_stubbornly(bus, &topic, "after").await;
    receive_until(&mut *subscriber, &mut BTreeSet::new(), PATIENCE, |seen| seen.contains("after")).await;
    bus.close().await.unwrap();
}

/// The child's part: takes ten events, says so, and does nothing more.
pub async fn hold(bus: &dyn Bus, topic: &Topic) {
    let mut subscriber = subscribe(bus, topic, "g", 10).await;
    let held = take(&mut *subscriber, 10).await;
    for id in ids(&held) {
        println!("{HOLDS}{id}");
    }
    std::future::pending::<()>().await;
}

/// Starts the test of that path, which [holds](hold), as a process, and waits until it does; the ids.
pub async fn child_that_holds(test: &str, variable: &str, address: &str) -> (Child, Vec<String>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env(variable, address)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut held = Vec::new();
    while held.len() < 10 {
        let line = task::within(PATIENCE, lines.next_line()).await.expect("the child takes events").unwrap().unwrap();
        // The test harness prints its own words in front of the first line.
        held.extend(line.split_once(HOLDS).map(|(_, id)| id.to_owned()));
    }
    (child, held)
}
