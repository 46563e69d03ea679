use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;

use super::group::{Group, Pick};
use super::layout::TopicRecord;
use super::settled::Settled;
use super::*;
use crate::event::{Draft, Event};
use crate::fault::Retry;
use crate::flow::{Deduplicate, Start, Verdict};

fn event(id: &str) -> Event {
    Draft::new(id, "/tests", "test.event").build().unwrap()
}

fn outgoing(id: &str, deduplicate: Deduplicate) -> Outgoing {
    Outgoing { event: event(id), delay: None, deduplicate }
}

fn topic() -> flow::Topic {
    flow::Topic::new("t").unwrap()
}

fn subscription(group: &str) -> Subscription {
    let group = flow::Group::new(group).unwrap();
    Subscription { topic: topic(), group, start: Start::Earliest, max_in_flight: 10_000 }
}

async fn publish(bus: &Embedded, ids: std::ops::Range<usize>) {
    let batch = ids.map(|id| outgoing(&id.to_string(), Deduplicate::Never)).collect();
    assert!(bus.publish(&topic(), batch).await.iter().all(Result::is_ok));
}

async fn all(bus: &Embedded, group: &str) -> Vec<String> {
    let mut subscriber = bus.subscribe(subscription(group)).await.unwrap();
    let lag = bus.lag(&topic(), &flow::Group::new(group).unwrap()).await.unwrap();
    let mut ids = Vec::new();
    let mut held = Vec::new();
    while (ids.len() as u64) < lag {
        let received = subscriber.next().await.unwrap();
        ids.extend(received.iter().map(|received| received.event.as_ref().unwrap().id().to_owned()));
        held.extend(received);
    }
    ids
}

fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

// Settled.

proptest! {
    #[test]
    fn a_settled_set_is_the_set_of_what_was_added(
        low in 0u64..10, offsets in proptest::collection::vec(0u64..60, 0..80), raise in 0u64..60,
    ) {
        let mut settled = Settled::below(low);
        let mut model: BTreeSet<u64> = (0..low).collect();
        for offset in offsets {
            prop_assert_eq!(settled.add(offset), model.insert(offset));
        }
        let compare = |settled: &Settled, model: &BTreeSet<u64>| {
            for offset in 0..70 {
                assert_eq!(settled.contains(offset), model.contains(&offset), "{offset} in {settled:?}");
                let next = (offset..100).find(|next| !model.contains(next) && *next >= settled.low());
                assert_eq!(Some(settled.next_unsettled(offset)), next);
            }
            assert_eq!(settled.low() + settled.count_above(), model.len() as u64);
            assert_eq!(Settled::decode(&settled.encode()).as_ref(), Some(settled));
        };
        compare(&settled, &model);
        let lost = (0..raise).filter(|offset| model.insert(*offset)).count();
        prop_assert_eq!(settled.raise(raise), lost as u64);
        compare(&settled, &model);
    }

    #[test]
    fn stored_bytes_that_are_damaged_are_refused_and_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        if let Some(settled) = Settled::decode(&bytes) {
            prop_assert_eq!(settled.encode(), bytes.clone());
        }
        if let Some(record) = TopicRecord::decode(&bytes) {
            prop_assert_eq!(&record.encode()[..], &bytes[..28]);
        }
    }
}

// Group.

fn group() -> Group {
    Group::new(0, flow::Group::new("g").unwrap(), Settled::below(0))
}

fn offsets(group: &Group, member: u64, max: usize, next: u64, now: u64) -> Vec<(u64, u32)> {
    let picks = group.pick(member, max, 100, next, Duration::from_millis(now)).picks;
    picks.into_iter().map(|Pick { offset, attempt }| (offset, attempt)).collect()
}

fn nack(after: Option<u64>) -> Verdict {
    let fault = Fault::new(FaultKind::Unavailable, "deliver", "gone");
    Verdict::Nack(match after {
        Some(millis) => fault.with_retry(Retry::After(Duration::from_millis(millis))),
        None => fault,
    })
}

#[test]
fn members_hold_at_most_what_they_asked_for_and_never_the_same_event() {
    let group = group();
    let (one, two) = (group.join(), group.join());
    assert_eq!(offsets(&group, one, 3, 10, 0), [(0, 1), (1, 1), (2, 1)]);
    assert_eq!(offsets(&group, one, 3, 10, 0), []);
    assert_eq!(offsets(&group, two, 2, 10, 0), [(3, 1), (4, 1)]);
    group.settle(one, 1, &Verdict::Ack, Duration::ZERO);
    assert_eq!(offsets(&group, one, 3, 6, 0), [(5, 1)]);
    assert_eq!(group.lag(6), 5);
}

#[test]
fn refused_events_come_back_after_their_pause_and_before_new_ones() {
    let group = group();
    let member = group.join();
    assert_eq!(offsets(&group, member, 10, 3, 0).len(), 3);
    group.settle(member, 1, &nack(Some(500)), Duration::ZERO);
    group.settle(member, 2, &nack(None), Duration::ZERO);
    group.settle(member, 0, &Verdict::Dropped, Duration::ZERO);
    assert_eq!(offsets(&group, member, 1, 5, 0), [(0, 2)]);
    assert_eq!(offsets(&group, member, 2, 5, 99), [(3, 1)], "the backoff starts at 100 ms");
    let picks = group.pick(member, 100, 100, 4, Duration::from_millis(130));
    assert_eq!(picks.picks, [Pick { offset: 2, attempt: 2 }]);
    assert_eq!(picks.next_due, Some(Duration::from_millis(500)));
    assert_eq!(offsets(&group, member, 100, 5, 500), [(1, 2), (4, 1)]);
}

#[test]
fn a_stale_receipt_may_acknowledge_but_not_refuse_what_another_member_holds() {
    let group = group();
    let (old, new) = (group.join(), group.join());
    assert_eq!(offsets(&group, old, 10, 2, 0).len(), 2);
    group.leave(old);
    assert_eq!(offsets(&group, new, 10, 2, 0), [(0, 2), (1, 2)]);
    group.settle(old, 0, &Verdict::Dropped, Duration::ZERO);
    assert_eq!(offsets(&group, new, 10, 2, 0), [], "it would be handed out twice");
    assert!(group.settle(old, 1, &Verdict::Ack, Duration::ZERO));
    group.settle(new, 1, &Verdict::Dropped, Duration::ZERO);
    assert_eq!(offsets(&group, new, 10, 2, 0), [], "it is settled");
    group.settle(new, 0, &Verdict::Ack, Duration::ZERO);
    assert_eq!(group.lag(2), 0);
    assert_eq!(group.position(), Settled::below(2));
}

#[test]
fn a_released_pick_comes_back_as_the_same_attempt() {
    let group = group();
    let member = group.join();
    let picks = group.pick(member, 2, 100, 5, Duration::ZERO).picks;
    for pick in picks.into_iter().rev() {
        group.release(member, pick);
    }
    assert_eq!(offsets(&group, member, 3, 5, 0), [(0, 1), (1, 1), (2, 1)]);
}

// Deduplication, retention and the marker: the bus with a clock that is moved by hand.

#[tokio::test]
async fn an_event_is_new_again_once_the_window_has_passed() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Clock::manual(Timestamp::from_second(1_800_000_000).unwrap());
    let mut bus = Embedded::open(directory.path(), Config::default(), clock.clone()).await.unwrap();
    let mut answers = Vec::new();
    // 5 minutes are the default; generations change on the way, and so does the process.
    for (index, seconds) in [0, 299, 2, 200, 98, 2, 1000, 1, 299, 299].into_iter().enumerate() {
        clock.advance(Duration::from_secs(seconds));
        if index % 3 == 2 {
            bus.close().await.unwrap();
            bus = Embedded::open(directory.path(), Config::default(), clock.clone()).await.unwrap();
        }
        let answer = bus.publish(&topic(), vec![outgoing("1", Deduplicate::Event)]).await.remove(0).unwrap();
        answers.push(answer == Published::Duplicate);
        let filler = format!("filler-{index}");
        bus.publish(&topic(), vec![outgoing(&filler, Deduplicate::Event)]).await.remove(0).unwrap();
    }
    // Taken at 0, 301, 601, 1601 and 1901 seconds.
    assert_eq!(answers, [false, true, false, true, true, false, false, true, false, true]);
    let generations = bus.shared.slot.with("test", |disk| Ok(disk.keyspace_names())).unwrap();
    let generations = generations.iter().filter(|name| name.starts_with("dedup-")).count();
    assert!(generations <= 2, "{generations} generations are kept");
}

#[tokio::test]
async fn events_older_than_the_retention_are_deleted_and_unread_ones_counted() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Clock::manual(Timestamp::from_second(1_800_000_000).unwrap());
    let config = Config { retention_age: Duration::from_secs(3600), ..Config::default() };
    let bus = Embedded::open(directory.path(), config.clone(), clock.clone()).await.unwrap();
    let mut behind = bus.subscribe(subscription("behind")).await.unwrap();
    publish(&bus, 0..1500).await;
    let held = behind.next().await.unwrap();
    let acknowledged = held.len() as u64;
    for received in held {
        received.receipt.ack();
    }
    clock.advance(Duration::from_secs(1800));
    publish(&bus, 1500..1510).await;
    assert_eq!(bus.retain().await.unwrap(), 0);
    clock.advance(Duration::from_secs(1801));
    assert_eq!(bus.retain().await.unwrap(), 1500);
    assert_eq!(bus.lost(), 1500 - acknowledged);
    assert_eq!(all(&bus, "new").await, numbers(1500..1510));
    let next = behind.next().await.unwrap();
    assert_eq!(next[0].event.as_ref().unwrap().id(), "1500");
    drop((next, behind));
    bus.close().await.unwrap();

    let bus = Embedded::open(directory.path(), config, clock.clone()).await.unwrap();
    assert_eq!(all(&bus, "behind").await, numbers(1500..1510));
    clock.advance(Duration::from_secs(7200));
    assert_eq!(bus.retain().await.unwrap(), 10);
    assert_eq!(bus.lag(&topic(), &flow::Group::new("behind").unwrap()).await.unwrap(), 0);
    let record = bus.shared.topic(&topic()).unwrap().record();
    assert_eq!((record.first, record.next, record.bytes), (1510, 1510, 0));
}

#[tokio::test]
async fn the_oldest_events_are_deleted_while_a_topic_is_too_large() {
    let directory = tempfile::tempdir().unwrap();
    let each = event("0000").record().len() as u64 + layout::LOG_OVERHEAD;
    let config = Config { retention_bytes: 10 * each, ..Config::default() };
    let bus = Embedded::open(directory.path(), config, Clock::system()).await.unwrap();
    let ids: Vec<String> = (0..3000).map(|number| format!("{number:04}")).collect();
    let batch = ids.iter().map(|id| outgoing(id, Deduplicate::Never)).collect();
    assert!(bus.publish(&topic(), batch).await.iter().all(Result::is_ok));
    assert_eq!(bus.retain().await.unwrap(), 2990);
    assert_eq!(all(&bus, "g").await, ids[2990..]);
}

#[tokio::test]
async fn the_space_of_deleted_events_comes_back() {
    let directory = tempfile::tempdir().unwrap();
    let config = Config { retention_bytes: 1 << 20, ..Config::default() };
    let bus = Embedded::open(directory.path(), config, Clock::system()).await.unwrap();
    let body = "x".repeat(64 << 10);
    let publish = async |events: usize| {
        let event = Draft::new("1", "s", "t").data(crate::event::Data::Text(&body)).build().unwrap();
        let outgoing = Outgoing { event, delay: None, deduplicate: Deduplicate::Never };
        assert!(bus.publish(&topic(), vec![outgoing; events]).await.iter().all(Result::is_ok));
    };
    let tables = || bus.shared.slot.with("test", |disk| Ok(disk.log.disk_space())).unwrap();
    for _ in 0..32 {
        publish(32).await;
    }
    let shrunk = async {
        // The newest tables hold what is kept, and what was kept a moment ago.
        let mut largest = 0;
        while largest < 16 << 20 || tables() > largest / 2 {
            largest = largest.max(tables());
            publish(16).await;
            bus.retain().await.unwrap();
        }
    };
    task::within(Duration::from_secs(60), shrunk).await.expect("tables are dropped");
    let kept = bus.shared.topic(&topic()).unwrap().record();
    assert_eq!(all(&bus, "g").await.len() as u64, kept.next - kept.first);
}

#[tokio::test]
async fn a_directory_of_another_format_is_refused_by_name() {
    let check = async |file: Option<&str>, expected: &str| {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("db")).unwrap();
        if let Some(text) = file {
            std::fs::write(directory.path().join("FORMAT"), text).unwrap();
        }
        let fault = Embedded::open(directory.path(), Config::default(), Clock::system()).await.err().unwrap();
        assert_eq!(fault.kind(), FaultKind::Rejected);
        let named = format!("failed to open the bus: {expected} (directory {})", directory.path().display());
        assert_eq!(fault.to_string(), named);
    };
    check(Some("penstock embedded bus, format 7\n"), "it has format 7, this version reads format 1").await;
    check(Some("something else"), "its FORMAT file is not one of a bus").await;
    check(None, "it holds a database but no FORMAT file, so its format is unknown").await;
}

#[tokio::test]
async fn a_database_whose_creation_was_cut_off_is_made_again() {
    let directory = tempfile::tempdir().unwrap();
    drop(marker::claim(directory.path()).unwrap());
    std::fs::create_dir(directory.path().join("db")).unwrap();
    std::fs::write(directory.path().join("db/0.jnl"), [0; 100]).unwrap();
    let bus = Embedded::open(directory.path(), Config::default(), Clock::system()).await.unwrap();
    publish(&bus, 0..3).await;
    assert_eq!(all(&bus, "g").await, numbers(0..3));
}

// The journal.

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Writes one journal, looks at it as the bus does before it opens, and answers what is left of it
/// and what was logged.
fn mended(journal: &[u8]) -> (Result<Vec<u8>, FaultKind>, String) {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("version"), "").unwrap();
    let file = directory.path().join("0.jnl");
    std::fs::write(&file, journal).unwrap();
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let result = tracing::subscriber::with_default(subscriber, || journal::mend(directory.path()));
    let log = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    (result.map(|()| std::fs::read(file).unwrap()).map_err(|fault| fault.kind()), log)
}

/// One batch with one item, as the database writes it.
fn batch(value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![1, 1, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0];
    bytes.extend([3, 0, 0, 0, 0, 0, 0, 0, 1, 0]);
    let len = u32::try_from(value.len()).unwrap().to_le_bytes();
    bytes.extend([len, len].concat());
    bytes.push(b'k');
    bytes.extend(value);
    bytes.extend([3, 9, 9, 9, 9, 9, 9, 9, 9, b'F', b'J', b'L', 3]);
    bytes
}

#[test]
fn a_whole_journal_is_left_alone() {
    let batches = [batch(b"one"), batch(b""), batch(&vec![0; 100_000])].concat();
    let preallocated = [batches.clone(), vec![0; 300_000]].concat();
    for journal in [Vec::new(), vec![0; 1000], batches, preallocated] {
        assert_eq!(mended(&journal), (Ok(journal), String::new()));
    }
}

#[test]
fn a_torn_tail_is_cut_and_reported() {
    let good = [batch(b"one"), batch(b"two")].concat();
    let last = batch(&vec![7; 70_000]);
    let holes = [&last[..40], &vec![0; 60_000], &last[60_040..]].concat();
    let no_start = [&[0; 13], &last[13..]].concat();
    for torn in [&last[..1], &last[..20], &last[..last.len() - 1], &no_start, b"\x01\x01"] {
        for zeros in [0, 100_000] {
            let journal = [&good, torn, &vec![0; zeros]].concat();
            let (left, log) = mended(&journal);
            assert_eq!(left.unwrap().len(), good.len());
            let used = torn.iter().rposition(|byte| *byte != 0).unwrap() + 1;
            assert!(log.contains("WARN") && log.contains(&format!("bytes={used}")), "{log}");
        }
    }
    // Holes inside a value are the checksum's business.
    let journal = [good, holes].concat();
    assert_eq!(mended(&journal).0.unwrap(), journal);
}

#[test]
fn damage_in_front_of_whole_batches_is_refused() {
    for at in [0, 13] {
        let mut damaged = batch(b"two");
        damaged[at] = 99;
        let journal = [batch(b"one"), damaged, batch(b"three"), batch(b"four")].concat();
        assert_eq!(mended(&journal), (Err(FaultKind::Malformed), String::new()));
    }
}
