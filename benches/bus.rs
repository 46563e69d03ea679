//! How fast the embedded bus takes events durably, beside the database alone.
//!
//! The database writes batches of the very sizes that the bus's group commits had (all events of
//! one commit share their append time), with the same sync. The goal is half its speed or more.

#![allow(clippy::print_stdout, reason = "a bench prints its results")]
#![allow(clippy::cast_precision_loss, reason = "rates need no 53 bits")]

mod harness;

use std::sync::Arc;
use std::time::Duration;

use fjall::{CompressionType, Database, KeyspaceCreateOptions, PersistMode};
use harness::{Effort, Run, median, report};
use penstock::buses::embedded::Embedded;
use penstock::buses::embedded::config::Config;
use penstock::event::{Data, Draft, Event};
use penstock::flow::{Bus, Deduplicate, Group, Outgoing, Start, Subscription, Topic};
use penstock::task::{self, Clock, Shutdown};

/// The size of the data, so that an event is about 1 KiB.
const DATA_BYTES: usize = 950;

fn main() {
    let effort = Effort::from_arguments();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    for publishers in [1, 16, 256] {
        let (mut bus, mut unique, mut raw, mut ideal, mut consumed) = (vec![], vec![], vec![], vec![], vec![]);
        let mut sizes = Vec::new();
        for _ in 0..effort.pick(3, 1) {
            let (published, read, groups) = runtime.block_on(publish(publishers, effort, Deduplicate::Never));
            bus.push(published);
            consumed.push(read);
            unique.push(runtime.block_on(publish(publishers, effort, Deduplicate::Event)).0);
            raw.push(batches(&groups));
            ideal.push(batches(&vec![publishers; effort.pick(20_000, 50).min(published.events) / publishers + 1]));
            sizes = groups;
        }
        let mean = sizes.iter().sum::<usize>() as f64 / sizes.len() as f64;
        println!("\n{publishers} concurrent publishers, {mean:.1} events a commit");
        let base = ("the database", median(&raw));
        report("database, batches of the same sizes", base.1, None);
        report("database, one event of each publisher a batch", median(&ideal), None);
        report("bus", median(&bus), Some(base));
        report("bus, deduplicating", median(&unique), Some(base));
        report("bus, reading it all back from disk", median(&consumed), None);
    }
}

fn event(publisher: usize, number: usize, body: &str) -> Event {
    let id = format!("{publisher}-{number}");
    Draft::new(id, "/bench", "com.example.bench").data(Data::Text(body)).build().expect("a valid event")
}

/// Publishes one by one from many tasks, then reads everything back; answers both runs and how
/// many events each commit had.
async fn publish(publishers: usize, effort: Effort, deduplicate: Deduplicate) -> (Run, Run, Vec<usize>) {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let bus = Embedded::open(directory.path(), Config::default(), Clock::system()).await.expect("a bus");
    let bus = Arc::new(bus);
    let topic = Topic::new("bench").expect("a name");
    let each = effort.pick(3000 * publishers.min(16), 32 * publishers) / publishers;
    let mut tasks = task::Group::new(&Shutdown::new());
    let elapsed = task::stopwatch();
    for publisher in 0..publishers {
        let (bus, topic) = (bus.clone(), topic.clone());
        tasks.spawn(async move {
            let body = "x".repeat(DATA_BYTES);
            for number in 0..each {
                let outgoing = Outgoing { event: event(publisher, number, &body), delay: None, deduplicate };
                bus.publish(&topic, vec![outgoing]).await.remove(0)?;
            }
            Ok(())
        });
    }
    tasks.join().await.expect("everything is published");
    let published = Run { events: each * publishers, took: elapsed() };
    let (read, groups) = consume(&bus, &topic, published.events).await;
    bus.close().await.expect("the bus closes");
    (published, read, groups)
}

async fn consume(bus: &Embedded, topic: &Topic, count: usize) -> (Run, Vec<usize>) {
    let group = Group::new("bench").expect("a name");
    let subscription = Subscription { topic: topic.clone(), group, start: Start::Earliest, max_in_flight: 1024 };
    let mut subscriber = bus.subscribe(subscription).await.expect("a subscriber");
    let mut groups: Vec<usize> = Vec::new();
    let mut last = None;
    let mut events = 0;
    let elapsed = task::stopwatch();
    while events < count {
        for received in subscriber.next().await.expect("events") {
            events += 1;
            if last.replace(received.appended) == Some(received.appended) {
                *groups.last_mut().expect("a group") += 1;
            } else {
                groups.push(1);
            }
            received.receipt.ack();
        }
    }
    (Run { events, took: elapsed() }, groups)
}

/// Writes batches of these sizes to the database alone, as the bus sets it up.
fn batches(sizes: &[usize]) -> Run {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let database = Database::builder(directory.path())
        .journal_compression(CompressionType::None)
        .worker_threads(1)
        .open()
        .expect("a database");
    let options = || KeyspaceCreateOptions::default().max_memtable_size(4 << 20);
    let log = database.keyspace("log", options).expect("a keyspace");
    let value = vec![b'x'; event(0, 0, &"x".repeat(DATA_BYTES)).record().len() + 8];
    let mut offset = 0_u64;
    let elapsed = task::stopwatch();
    for size in sizes {
        let mut batch = database.batch().durability(Some(PersistMode::SyncData));
        for _ in 0..*size {
            batch.insert(&log, [&[0; 4], &offset.to_be_bytes()[..]].concat(), value.clone());
            offset += 1;
        }
        batch.commit().expect("the batch is written");
    }
    Run { events: sizes.iter().sum(), took: elapsed().max(Duration::from_nanos(1)) }
}
