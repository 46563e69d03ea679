//! The embedded bus and the ways in which a machine fails: killed processes, torn journals, full
//! disks.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use penstock::buses::embedded::Embedded;
use penstock::buses::embedded::config::Config;
use penstock::event::{Data, Draft};
use penstock::fault::FaultKind;
use penstock::flow::{Bus, Deduplicate, Group, Outgoing, Topic};
use penstock::task::{self, Clock, Shutdown};
use tokio::io::{AsyncBufReadExt, BufReader};

use super::embedded::open;
use super::{PATIENCE, ack_all, event, ids, numbers, outgoing, publish, subscribe, take, topic};
use crate::support::Disk;

/// Where the child finds its bus; set by the parent alone.
const CHILD_DIRECTORY: &str = "PENSTOCK_TEST_CHILD_DIRECTORY";
const CHILD_ROUND: &str = "PENSTOCK_TEST_CHILD_ROUND";
const CONFIRMED: &str = "confirmed ";
const ROUNDS: usize = 24;

/// Not a test but the process that is killed: it publishes for ever and prints what was confirmed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started, and killed, by its parent"]
#[expect(clippy::disallowed_methods, reason = "the parent can hand over a directory in no other way")]
async fn child() {
    let directory = std::env::var(CHILD_DIRECTORY).unwrap();
    let round = std::env::var(CHILD_ROUND).unwrap();
    let bus = open(Path::new(&directory), Config::default()).await;
    let mut publishers = task::Group::new(&Shutdown::new());
    for publisher in 0..8 {
        let (bus, round) = (bus.clone(), round.clone());
        publishers.spawn(async move {
            for batch in 0.. {
                let ids: Vec<String> = (0..3).map(|number| format!("{round}-{publisher}-{batch}-{number}")).collect();
                let topic = topic(["kill-a", "kill-b"][batch % 2]);
                let body = "x".repeat(700 * publisher);
                let events = ids.iter().map(|id| Draft::new(id, "s", "t").data(Data::Text(&body)).build().unwrap());
                let answers = bus.publish(&topic, events.map(outgoing).collect()).await;
                for (id, answer) in ids.iter().zip(answers) {
                    answer.unwrap();
                    println!("{CONFIRMED}{id}");
                }
            }
            Ok(())
        });
    }
    publishers.join().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_loses_nothing_that_was_confirmed() {
    let directory = tempfile::tempdir().unwrap();
    let mut all = BTreeSet::new();
    for round in 0..ROUNDS {
        let confirmed = killed_after(directory.path(), round, 1 + fastrand::usize(..150)).await;
        let bus = open(directory.path(), Config::default()).await;
        let mut missing: BTreeSet<String> = confirmed.iter().cloned().collect();
        for topic in ["kill-a", "kill-b"] {
            missing = missing_after(&*bus, &super::topic(topic), "each-round", missing).await;
        }
        assert!(missing.is_empty(), "round {round} lost {missing:?}");
        all.extend(confirmed);
        bus.close().await.unwrap();
    }
    // Nothing was lost, or came twice, through all restarts.
    let bus = open(directory.path(), Config::default()).await;
    let mut seen = BTreeSet::new();
    for topic in ["kill-a", "kill-b"].map(topic) {
        let mut subscriber = subscribe(&*bus, &topic, "all", 100_000).await;
        let count = bus.lag(&topic, &Group::new("all").unwrap()).await.unwrap();
        for id in ids(&take(&mut *subscriber, usize::try_from(count).unwrap()).await) {
            assert!(seen.insert(id.clone()), "{id} is on the topic twice");
        }
    }
    assert!(all.is_subset(&seen));
}

/// Runs the child until it confirmed `count` events, kills it, answers all it had confirmed.
async fn killed_after(directory: &Path, round: usize, count: usize) -> Vec<String> {
    let mut child = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "conformance::crash::child", "--ignored", "--nocapture"])
        .env(CHILD_DIRECTORY, directory)
        .env(CHILD_ROUND, round.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut confirmed = Vec::new();
    while let Some(line) = task::within(PATIENCE, lines.next_line()).await.expect("the child confirms").unwrap() {
        // The test harness prints its own words in front of the first line.
        if let Some((_, id)) = line.split_once(CONFIRMED) {
            confirmed.push(id.to_owned());
        }
        if confirmed.len() == count {
            child.start_kill().unwrap();
        }
    }
    child.wait().await.unwrap();
    assert!(confirmed.len() >= count, "the child ended by itself after {}", confirmed.len());
    confirmed
}

/// Reads what the group has not seen; answers what of `expected` was not among it.
async fn missing_after(bus: &dyn Bus, topic: &Topic, group: &str, mut expected: BTreeSet<String>) -> BTreeSet<String> {
    let mut subscriber = subscribe(bus, topic, group, 100_000).await;
    let count = bus.lag(topic, &Group::new(group).unwrap()).await.unwrap();
    let received = take(&mut *subscriber, usize::try_from(count).unwrap()).await;
    for id in ids(&received) {
        expected.remove(&id);
    }
    ack_all(received);
    expected
}

/// A copy as a crash would leave it: the process that wrote the original is still running.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_crash_what_was_acknowledged_a_while_ago_stays_settled() {
    let directory = tempfile::tempdir().unwrap();
    let topic = topic("crash");
    let group = Group::new("g").unwrap();
    let bus = open(directory.path(), Config::default()).await;
    let mut subscriber = subscribe(&*bus, &topic, "g", 100).await;
    publish(&*bus, &topic, numbers(0..10)).await;
    let mut received = take(&mut *subscriber, 10).await;
    received.remove(8).receipt.ack();
    ack_all(received.drain(..6).collect());
    // Positions are written a moment later, without anything else being published.
    let flushed = async {
        loop {
            let crashed = tempfile::tempdir().unwrap();
            copy(directory.path(), crashed.path());
            let bus = open(crashed.path(), Config::default()).await;
            if bus.lag(&topic, &group).await.unwrap() == 3 {
                return (crashed, bus);
            }
        }
    };
    let (_crashed, copy) = task::within(PATIENCE, flushed).await.expect("positions are flushed");
    let mut again = subscribe(&*copy, &topic, "g", 100).await;
    assert_eq!(ids(&take(&mut *again, 3).await), ["6", "7", "9"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_torn_journal_loses_only_its_torn_end() {
    let directory = tempfile::tempdir().unwrap();
    let topic = topic("torn");
    let bus = open(directory.path(), Config::default()).await;
    let mut ends = Vec::new();
    for number in 0..30 {
        publish(&*bus, &topic, [number.to_string()]).await;
        ends.push(used(&journal(directory.path())));
    }
    let whole = *ends.last().unwrap();
    for back in [1, 4, 5, 13, 20, 60, 150, 300] {
        let at = whole - back;
        // What lies in front of the damage must be there; the batch that was hit must not.
        let intact = ends.iter().filter(|end| **end <= at).count();
        torn(directory.path(), intact, |bytes| bytes.truncate(at)).await;
        torn(directory.path(), intact, |bytes| bytes[at..].fill(0)).await;
    }
    let last = ends[28];
    // Holes and flipped bits in the last batch, its end marker intact: the checksum tells.
    torn(directory.path(), 29, |bytes| bytes[last + 50..last + 60].fill(0)).await;
    torn(directory.path(), 29, |bytes| bytes[last + 70] ^= 0x10).await;
    torn(directory.path(), 29, |bytes| bytes[last] = 9).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_in_front_of_acknowledged_events_is_refused_and_nothing_is_cut() {
    let directory = tempfile::tempdir().unwrap();
    let topic = topic("damaged");
    let bus = open(directory.path(), Config::default()).await;
    let mut ends = Vec::new();
    for number in 0..10 {
        publish(&*bus, &topic, [number.to_string()]).await;
        ends.push(used(&journal(directory.path())));
    }
    // A broken marker, and a flipped bit that only the checksum tells.
    for (offset, xor) in [(0, 0x08), (70, 0x10)] {
        let crashed = tempfile::tempdir().unwrap();
        copy(directory.path(), crashed.path());
        let journal = journal(crashed.path());
        let mut bytes = fs::read(&journal).unwrap();
        bytes[ends[4] + offset] ^= xor;
        fs::write(&journal, &bytes).unwrap();
        let opened = Embedded::open(crashed.path(), Config::default(), Clock::system());
        assert_eq!(opened.await.err().unwrap().kind(), FaultKind::Malformed);
        let after = fs::read(&journal).unwrap();
        assert_eq!(used_bytes(&after), used_bytes(&bytes));
        assert_eq!(after[..used_bytes(&after)], bytes[..used_bytes(&bytes)]);
    }
}

/// Damages a copy of the bus, opens it, and expects exactly the first `intact` events.
async fn torn(original: &Path, intact: usize, damage: impl FnOnce(&mut Vec<u8>)) {
    let crashed = tempfile::tempdir().unwrap();
    copy(original, crashed.path());
    let journal = journal(crashed.path());
    let mut bytes = fs::read(&journal).unwrap();
    damage(&mut bytes);
    fs::write(&journal, bytes).unwrap();
    for extra in 0..2 {
        let bus = open(crashed.path(), Config::default()).await;
        let group = format!("after-{extra}");
        let mut subscriber = subscribe(&*bus, &topic("torn"), &group, 1000).await;
        let mut expected = numbers(0..intact);
        expected.extend(numbers(0..extra));
        assert_eq!(ids(&take(&mut *subscriber, expected.len()).await), expected);
        // The journal goes on where it was cut.
        publish(&*bus, &topic("torn"), numbers(extra..extra + 1)).await;
        bus.close().await.unwrap();
    }
}

fn journal(directory: &Path) -> PathBuf {
    let files = fs::read_dir(directory.join("db")).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|file| file.extension().is_some_and(|extension| extension == "jnl")).max().unwrap()
}

fn used(journal: &Path) -> usize {
    used_bytes(&fs::read(journal).unwrap())
}

fn used_bytes(bytes: &[u8]) -> usize {
    // The journal is preallocated: zeros from its end to that size.
    let zeros = [0; 4096];
    let mut end = bytes.len();
    while end >= zeros.len() && bytes[end - zeros.len()..end] == zeros {
        end -= zeros.len();
    }
    bytes[..end].iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_events_and_takes_them_again_once_there_is_room() {
    // The journal fills the first disk; the second is full when a table is written in the background.
    fill_and_grow("6m").await;
    fill_and_grow("30m").await;
}

async fn fill_and_grow(size: &str) {
    let disk = Disk::new(size);
    let topic = topic("full");
    let bus = open(disk.path(), Config::default()).await;
    let body = "x".repeat(64 << 10);
    let large = |id: &str| Outgoing {
        event: Draft::new(id, "s", "t").data(Data::Text(&body)).build().unwrap(),
        delay: None,
        deduplicate: Deduplicate::Event,
    };
    let mut reader = subscribe(&*bus, &topic, "reader", 10).await;
    // Each recovery cuts off what could not be finished, which may make room for one more.
    let mut tried = Vec::new();
    let mut refused = 0;
    while refused < 3 {
        let id = tried.len().to_string();
        match bus.publish(&topic, vec![large(&id)]).await.remove(0) {
            Ok(_) => refused = 0,
            Err(fault) => {
                // A failure in the background is known only as such.
                assert!(matches!(fault.kind(), FaultKind::Full | FaultKind::Unavailable), "{fault:?}");
                assert!(fault.is_retryable(), "{fault:?}");
                refused += 1;
            }
        }
        tried.push(id);
        assert!(tried.len() < 2000, "the disk never stays full");
    }
    assert!(bus.ailment().is_some());
    // Meanwhile what is there can be read.
    assert_eq!(take(&mut *reader, 10).await[9].event.as_ref().unwrap().id(), "9");

    disk.grow("256m");
    let recovered = async {
        loop {
            match bus.publish(&topic, vec![outgoing(event("after"))]).await.remove(0) {
                Ok(_) => return,
                Err(fault) => assert!(fault.is_retryable(), "{fault:?}"),
            }
            tokio::task::yield_now().await;
        }
    };
    task::within(PATIENCE, recovered).await.expect("the bus recovers");
    assert!(bus.ailment().is_none());
    // Whether a refused event was kept all the same is unknown: tried again, each is there once.
    for answer in bus.publish(&topic, tried.iter().map(|id| large(id)).collect()).await {
        answer.unwrap();
    }
    let before = all_ids(&*bus, &topic, "before").await;
    let distinct: BTreeSet<&String> = before.iter().collect();
    assert_eq!((before.len(), distinct.len()), (tried.len() + 1, tried.len() + 1));
    assert!(tried.iter().all(|id| distinct.contains(id)));
    bus.close().await.unwrap();
    drop(bus);
    let bus = open(disk.path(), Config::default()).await;
    assert_eq!(all_ids(&*bus, &topic, "after").await, before);
    bus.close().await.unwrap();
}

async fn all_ids(bus: &dyn Bus, topic: &Topic, group: &str) -> Vec<String> {
    let mut subscriber = subscribe(bus, topic, group, 100_000).await;
    let count = bus.lag(topic, &Group::new(group).unwrap()).await.unwrap();
    ids(&take(&mut *subscriber, usize::try_from(count).unwrap()).await)
}
