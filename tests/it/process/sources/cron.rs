//! Schedules in a process that is stopped, killed and started again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::UNIX_EPOCH;

use super::{source, trigger};
use crate::support::{Receiver, Run, eventually, sink};

/// Seconds since the Unix epoch.
fn now() -> i64 {
    i64::try_from(UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap()
}

/// A flow that ticks at every multiple of `seconds`.
fn write_flow(folder: &Path, seconds: i64, settings: &str, receiver: &Receiver) {
    let yaml = source("cron")
        + &format!("    tick: {{schedule: \"@every {seconds}s\", {settings}}}\n")
        + &trigger("ticks", &["tick"], &[sink(&receiver.uri("/"))]);
    std::fs::write(folder.join("flow.yaml"), yaml).unwrap();
}

/// The ticks so far by their time, and how often each came. Checks that the id of a tick follows
/// from its time.
fn ticks(receiver: &Receiver) -> BTreeMap<i64, usize> {
    let mut times = BTreeMap::new();
    for seen in receiver.seen() {
        let time: jiff::Timestamp = seen.header("ce-time").parse().unwrap();
        assert_eq!(time.subsec_nanosecond(), 0, "{seen:?}");
        assert_eq!(seen.header("ce-id"), format!("default/clients/tick/{time}"));
        assert_eq!(seen.header("ce-source"), "/default/clients/tick");
        *times.entry(time.as_second()).or_default() += 1;
    }
    times
}

/// Waits until a tick at or after `second` has arrived.
async fn ticked(receiver: &Receiver, second: i64) {
    eventually("a tick arrives", || async {
        ticks(receiver).last_key_value().is_some_and(|(last, _)| *last >= second)
    })
    .await;
}

/// Checks that there is a tick for every second between the first and the last.
fn assert_without_gap(ticks: &BTreeMap<i64, usize>) {
    let (first, last) = (*ticks.keys().next().unwrap(), *ticks.keys().last().unwrap());
    let missing: BTreeSet<i64> = (first..=last).filter(|second| !ticks.contains_key(second)).collect();
    assert_eq!(missing, BTreeSet::new(), "of {first} to {last}");
}

#[tokio::test]
async fn a_schedule_of_every_second_ticks_once_at_each() {
    let (folder, receiver) = (tempfile::tempdir().unwrap(), Receiver::start().await);
    write_flow(folder.path(), 1, "data: {job: nightly, n: [1, 2]}, attributes: {type: com.example.tick}", &receiver);
    let started = now();
    let process = Run::new(folder.path()).start().await;
    eventually("three ticks arrive", || async { receiver.count() >= 3 }).await;
    assert_eq!(process.stop().await, Some(0));
    let ticks = ticks(&receiver);
    assert!(ticks.len() >= 3 && ticks.values().all(|times| *times == 1), "{ticks:?}");
    assert_without_gap(&ticks);
    assert!(*ticks.keys().next().unwrap() >= started, "a first start has missed nothing: {ticks:?}");
    for seen in receiver.seen() {
        assert_eq!((seen.header("ce-type"), seen.header("content-type")), ("com.example.tick", "application/json"));
        assert_eq!(seen.body, "{\"job\":\"nightly\",\"n\":[1,2]}");
    }
}

#[tokio::test]
async fn after_a_crash_every_missed_tick_is_made_up_for_where_all_are_wanted() {
    let (folder, receiver) = (tempfile::tempdir().unwrap(), Receiver::start().await);
    write_flow(folder.path(), 1, "catchUp: all", &receiver);
    let run = Run::new(folder.path());
    let process = run.start().await;
    ticked(&receiver, 0).await;
    process.kill().await;
    let killed = now();
    eventually("two ticks are missed", || async { now() >= killed + 3 }).await;
    let process = run.start().await;
    ticked(&receiver, now()).await;
    // Older ticks may still be on their way: a stop finishes them.
    assert_eq!(process.stop().await, Some(0));
    let ticks = ticks(&receiver);
    assert_without_gap(&ticks);
    assert!(ticks.contains_key(&(killed + 1)) && ticks.contains_key(&(killed + 2)), "{ticks:?}");
}

#[tokio::test]
async fn after_a_stop_no_missed_tick_is_made_up_for_where_none_is_wanted() {
    let (folder, receiver) = (tempfile::tempdir().unwrap(), Receiver::start().await);
    write_flow(folder.path(), 2, "catchUp: none", &receiver);
    let run = Run::new(folder.path());
    let process = run.start().await;
    ticked(&receiver, 0).await;
    assert_eq!(process.stop().await, Some(0));
    let stopped = now();
    // Ticks are at even seconds. In the middle between two, the last one is missed for certain.
    eventually("a tick is missed", || async { now() > stopped + 1 && now() % 2 == 1 }).await;
    let restarted = now();
    let process = run.start().await;
    ticked(&receiver, restarted).await;
    assert_eq!(process.stop().await, Some(0));
    // Everything before the stop was acknowledged, so nothing comes twice either.
    let ticks = ticks(&receiver);
    assert!(ticks.values().all(|times| *times == 1), "{ticks:?}");
    let missed: Vec<_> = ticks.keys().filter(|second| (stopped + 1..restarted).contains(*second)).collect();
    assert!(missed.is_empty(), "{missed:?} of {ticks:?}");
    assert!(ticks.keys().next().unwrap() <= &stopped && ticks.keys().last().unwrap() >= &restarted, "{ticks:?}");
}
