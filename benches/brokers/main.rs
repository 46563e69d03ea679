//! The buses on brokers, beside the bare client of the same broker: events of 1 KiB published in frames and read
//! back, and how long it takes to go on after an outage of ten seconds.
//!
//! The goals are half the client's speed, and two seconds. The client sends the data alone, as many messages at once as a
//! frame has events, with the same promise (stored, on disk where the broker is so set); and reads in a group, acknowledging
//! everything. What is compared is measured in turns, in one run. Without `--bench` there is a tiny load and no outage.

#![allow(clippy::print_stdout, reason = "a bench prints its results")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a bench that cannot go on ends by panicking")]
#![allow(clippy::disallowed_methods, reason = "the load is no part of the product")]
#![allow(clippy::cast_precision_loss, reason = "rates need no 53 bits")]

#[path = "../harness/mod.rs"]
mod harness;
mod jetstream;
#[cfg(feature = "kafka")]
mod kafka;
mod redis;
#[allow(dead_code, unused_imports, reason = "the tests need more of it")]
#[path = "../../tests/it/support/mod.rs"]
mod support;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use harness::{Effort, Run, median, report};
use penstock::api::secret::Unresolved;
use penstock::api::{FieldPath, Problems, Secrets};
use penstock::event::{Data, Draft};
use penstock::flow::{Bus, Deduplicate, Group, Outgoing, Start, Subscriber, Subscription, Topic};
use penstock::task;

/// The size of the data, so that an event is about 1 KiB.
const DATA_BYTES: usize = 950;
/// Events of a frame: 64 KiB.
const FRAME: usize = 64;
/// Frames that are on their way at once.
const PUBLISHERS: usize = 4;
const OUTAGE: Duration = Duration::from_secs(10);

/// A real server, a bus on it, and its bare client.
#[async_trait]
trait Broker: Send + Sync {
    fn name(&self) -> &'static str;

    async fn bus(&self) -> Arc<dyn Bus>;

    /// Makes what the client sends to, named so.
    async fn prepare(&self, name: &str);

    /// Connects a client that sends frames of this data.
    async fn sender(&self, name: &str, data: String) -> Box<dyn Sender>;

    /// Reads and acknowledges so many messages in a new group.
    async fn read(&self, name: &str, count: usize);

    fn kill(&mut self);

    /// Until it listens again.
    fn run(&mut self);
}

#[async_trait]
trait Sender: Send {
    /// Sends one frame and waits until it is stored.
    async fn send(&mut self);
}

fn main() {
    let effort = Effort::from_arguments();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        measure(jetstream::Broker::start(), effort).await;
        measure(redis::Broker::start(), effort).await;
        #[cfg(feature = "kafka")]
        measure(kafka::Broker::start(), effort).await;
    });
}

async fn measure(mut broker: impl Broker, effort: Effort) {
    let frames = effort.pick(250, 1);
    let [mut sent, mut read, mut published, mut received] = [vec![], vec![], vec![], vec![]];
    for round in 0..effort.pick(3, 1) {
        let name = format!("bare-{round}");
        broker.prepare(&name).await;
        let mut senders = Vec::new();
        for _ in 0..PUBLISHERS {
            senders.push(broker.sender(&name, "x".repeat(DATA_BYTES)).await);
        }
        let sending = senders.into_iter().map(|mut sender| async move {
            for _ in 0..frames {
                sender.send().await;
            }
        });
        sent.push(timed(frames, futures_util::future::join_all(sending)).await);
        read.push(timed(frames, broker.read(&name, PUBLISHERS * frames * FRAME)).await);
        let (bus, topic) = (broker.bus().await, Topic::new(&format!("bus-{round}")).unwrap());
        let mut subscriber = subscribe(&*bus, &topic).await;
        let publishing = (0..PUBLISHERS).map(|publisher| publish(&*bus, &topic, publisher, frames));
        published.push(timed(frames, futures_util::future::join_all(publishing)).await);
        received.push(timed(frames, receive(&mut *subscriber, PUBLISHERS * frames * FRAME)).await);
        drop(subscriber);
        bus.close().await.unwrap();
    }
    println!("\n{}, events of 1 KiB, frames of {FRAME}, {PUBLISHERS} at once", broker.name());
    for (what, bare, bus) in [("published", &sent, &published), ("read", &read, &received)] {
        let base = median(bare);
        report(&format!("bare client, {what}"), base, None);
        report(&format!("bus, {what}"), median(bus), Some(("the bare client", base)));
    }
    if effort == Effort::Measure {
        recover(&mut broker).await;
    }
}

async fn timed<T>(frames: usize, work: impl Future<Output = T>) -> Run {
    let elapsed = task::stopwatch();
    work.await;
    Run { events: PUBLISHERS * frames * FRAME, took: elapsed() }
}

fn outgoing(id: String, data: &str) -> Outgoing {
    let event = Draft::new(id, "/bench", "com.example.bench").data(Data::Text(data)).build().unwrap();
    Outgoing { event, delay: None, deduplicate: Deduplicate::Never }
}

async fn publish(bus: &dyn Bus, topic: &Topic, publisher: usize, frames: usize) {
    let data = "x".repeat(DATA_BYTES);
    for frame in 0..frames {
        let batch = (0..FRAME).map(|number| outgoing(format!("{publisher}-{frame}-{number}"), &data)).collect();
        bus.publish(topic, batch).await.into_iter().for_each(|answer| _ = answer.unwrap());
    }
}

async fn subscribe(bus: &dyn Bus, topic: &Topic) -> Box<dyn Subscriber> {
    let group = Group::new("bench").unwrap();
    let subscription = Subscription { topic: topic.clone(), group, start: Start::Earliest, max_in_flight: 1024 };
    bus.subscribe(subscription).await.unwrap()
}

async fn receive(subscriber: &mut dyn Subscriber, count: usize) {
    let mut received = 0;
    while received < count {
        for one in subscriber.next().await.unwrap() {
            received += 1;
            one.receipt.ack();
        }
    }
}

/// How long it takes from when the server listens again until an event is confirmed, and until it is received.
async fn recover(broker: &mut impl Broker) {
    let (bus, topic) = (broker.bus().await, Topic::new("outage").unwrap());
    let mut subscriber = subscribe(&*bus, &topic).await;
    bus.publish(&topic, vec![outgoing("before".to_owned(), "{}")]).await.remove(0).unwrap();
    receive(&mut *subscriber, 1).await;
    broker.kill();
    task::sleep(OUTAGE).await;
    broker.run();
    let elapsed = task::stopwatch();
    while bus.publish(&topic, vec![outgoing("after".to_owned(), "{}")]).await.remove(0).is_err() {
        task::sleep(Duration::from_millis(10)).await;
    }
    let confirmed = elapsed();
    loop {
        let mut came = false;
        for one in subscriber.next().await.unwrap() {
            came |= one.event.as_ref().is_ok_and(|event| event.id() == "after");
            one.receipt.ack();
        }
        if came {
            break;
        }
    }
    println!(
        "after an outage of {OUTAGE:?}: confirmed {confirmed:.1?} after it is back, received after {:.1?}",
        elapsed()
    );
    bus.close().await.unwrap();
}

/// Settings as they are in YAML.
fn parse<R, C>(raw: &R, parse: impl Fn(&R, &FieldPath, &dyn Secrets, &mut Problems) -> C) -> C {
    let mut problems = Problems::new();
    let config = parse(raw, &FieldPath::root(), &Unresolved, &mut problems);
    assert!(problems.is_empty(), "{problems}");
    config
}
