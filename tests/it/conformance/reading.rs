//! Readers, which keep their place in a topic themselves.

use std::time::Duration;

use penstock::fault::FaultKind;
use penstock::flow::{Bus, Position, Published, Read, Reader, Topic};
use penstock::task;

use super::{Backend, PATIENCE, ack_all, numbers, publish, skipped, subscribe, take, topic};

/// Whether the bus can be read so.
async fn readable(bus: &dyn Bus) -> bool {
    let end = bus.end(&topic("unknown")).await;
    let unsupported = end.as_ref().is_err_and(|fault| fault.kind() == FaultKind::Unsupported);
    if unsupported {
        skipped("this bus hands out events to groups only");
    } else {
        assert_eq!(end.unwrap().position, None);
    }
    !unsupported
}

async fn open(bus: &dyn Bus, topic: &Topic, after: Option<Position>) -> Box<dyn Reader> {
    bus.read(topic, after).await.unwrap()
}

/// Reads exactly `count` events.
async fn read(reader: &mut dyn Reader, count: usize) -> Vec<Read> {
    let mut read = Vec::new();
    while read.len() < count {
        let next = task::within(PATIENCE, reader.next()).await;
        let next = next.unwrap_or_else(|| panic!("{} of {count} events came", read.len())).unwrap();
        assert!(!next.is_empty(), "the bus was closed after {} of {count} events", read.len());
        read.extend(next);
    }
    assert_eq!(read.len(), count);
    read
}

fn ids(read: &[Read]) -> Vec<String> {
    read.iter().map(|read| read.event.as_ref().unwrap().id().to_owned()).collect()
}

pub async fn readers_read_all_in_order_from_where_they_want_and_take_nothing_from_groups(backend: &dyn Backend) {
    let topic = topic("read");
    let bus = backend.open().await;
    if !readable(&*bus).await {
        return;
    }
    // A reader of a topic that does not exist yet waits for it.
    let mut early = open(&*bus, &topic, None).await;
    let mut member = subscribe(&*bus, &topic, "g", 1000).await;
    let published = publish(&*bus, &topic, numbers(0..50)).await;
    let first = read(&mut *early, 50).await;
    assert_eq!(ids(&first), numbers(0..50));
    assert!(first.iter().zip(&published).all(|(read, published)| Published::At(read.position) == *published));
    assert!(first.is_sorted_by_key(|read| read.position) && first.is_sorted_by_key(|read| read.appended));
    publish(&*bus, &topic, numbers(50..60)).await;
    assert_eq!(ids(&read(&mut *early, 10).await), numbers(50..60));
    let received = take(&mut *member, 60).await;
    assert!(received.iter().zip(&first).all(|(received, read)| received.appended == read.appended));
    ack_all(received);
    bus.close().await.unwrap();
    assert!(early.next().await.unwrap().is_empty(), "it ends with the bus");

    let bus = backend.open().await;
    let mut late = open(&*bus, &topic, Some(first[19].position)).await;
    assert_eq!(ids(&read(&mut *late, 40).await), numbers(20..60));
    let mut other = open(&*bus, &topic, None).await;
    assert_eq!(ids(&read(&mut *other, 60).await), numbers(0..60));
}

pub async fn what_is_behind_a_position_is_counted(backend: &dyn Backend) {
    let (topic, other) = (topic("behind"), topic("beside"));
    let bus = backend.open().await;
    if !readable(&*bus).await {
        return;
    }
    assert_eq!(bus.behind(&topic, None).await.unwrap(), 0, "nobody published to it yet");
    let mut reader = open(&*bus, &topic, None).await;
    for range in [0..30, 30..60] {
        publish(&*bus, &topic, numbers(range)).await;
        publish(&*bus, &other, numbers(0..10)).await;
    }
    let read = read(&mut *reader, 60).await;
    assert_eq!(bus.behind(&topic, None).await.unwrap(), 60);
    for place in [0, 19, 29, 58, 59] {
        let behind = bus.behind(&topic, Some(read[place].position)).await.unwrap();
        assert_eq!(behind, 59 - place as u64, "behind event {place}");
    }
}

pub async fn cancelling_a_reader_passes_over_nothing(backend: &dyn Backend) {
    let topic = topic("cancelled-reader");
    let bus = backend.open().await;
    if !readable(&*bus).await {
        return;
    }
    let mut reader = open(&*bus, &topic, None).await;
    let mut seen = Vec::new();
    let reading = async {
        while seen.len() < 300 {
            // Mostly too short to get anything.
            let limit = Duration::from_micros(fastrand::u64(1..3000));
            if let Some(read) = task::within(limit, reader.next()).await {
                seen.extend(ids(&read.unwrap()));
            }
        }
    };
    let publishing = async {
        for number in 0..300 {
            publish(&*bus, &topic, numbers(number..number + 1)).await;
        }
    };
    let both = async { tokio::join!(reading, publishing) };
    assert!(task::within(PATIENCE, both).await.is_some(), "events were passed over");
    assert_eq!(seen, numbers(0..300));
}

pub async fn the_end_says_where_a_topic_ends_and_how_old_what_follows_is_at_least(backend: &dyn Backend) {
    let (topic, other) = (topic("end"), topic("other"));
    let bus = backend.open().await;
    if !readable(&*bus).await {
        return;
    }
    let mut reader = open(&*bus, &topic, None).await;
    let mut least = None;
    for number in 0..20 {
        publish(&*bus, &topic, numbers(number..number + 1)).await;
        publish(&*bus, &other, numbers(number..number + 1)).await;
        let read = read(&mut *reader, 1).await.remove(0);
        assert!(least.is_none_or(|least| least <= read.appended), "it is older than the end said");
        // The time goes on by itself until it is past what was read.
        let passed = async {
            loop {
                let end = bus.end(&topic).await.unwrap();
                assert_eq!(end.position, Some(read.position));
                if end.time > read.appended {
                    break end.time;
                }
                task::sleep(Duration::from_millis(1)).await;
            }
        };
        least = Some(task::within(PATIENCE, passed).await.expect("the end passes the newest event"));
    }
    assert!(bus.end(&other).await.unwrap().position.is_some());
}
