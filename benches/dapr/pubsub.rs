//! Publish and consume on one bus: many events in a message, many calls at once, one by one.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use penstock::flow::{Bus as _, Group, Start, Subscription, Topic};
use penstock::frame::Ask;
use penstock::sidecar::{Address, Bus, Connection, Frames, Settings, Sidecar};
use penstock::task::Clock;
use tokio::task::JoinSet;

use super::harness::{Effort, Run, median, report};
use super::pod::Pod;
use super::streams::{self, Subscribed};
use super::support::Daprd;
use super::{events, usage};

/// Events of a batch: together they fill one frame.
const BATCH: usize = 200;

/// Entries of a bulk publish: without support in the component, daprd makes of each call as many calls at
/// once.
const BULK: usize = 100;

/// One contender in one setting, and what came of its rounds.
struct Row {
    name: String,
    runs: Vec<Run>,
    /// Processor time of daprd, and of the broker's side: microseconds an event.
    costs: Vec<(f64, f64)>,
}

impl Row {
    fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), runs: Vec::new(), costs: Vec::new() }
    }

    fn rate(&self) -> f64 {
        median(&self.runs)
    }

    fn report(&self, against: Option<(&str, f64)>) {
        report(&self.name, self.rate(), against);
        let mean = |of: fn(&(f64, f64)) -> f64| self.costs.iter().map(of).sum::<f64>() / self.costs.len() as f64;
        println!("    daprd {:.1} µs an event, Penstock {:.1}", mean(|cost| cost.0), mean(|cost| cost.1));
    }
}

pub async fn measure(effort: Effort) {
    let full = effort == Effort::Measure;
    let pod = Pod::start(full).await;
    println!("\nRSS idle: component {:.1} MB", usage::rss_mb(pod.penstock.pid()));
    let ours = bus(&pod.daprd, Settings::new(Frames::On)).await;
    let mut frames_out = [1, 4].map(|calls| Row::new(format!("publish by frames, {calls} at once")));
    let mut bulk_out = [1, 4, 16].map(|calls| Row::new(format!("built-in, bulk of {BULK}, {calls} at once")));
    let mut frames_in = [1, 4].map(|streams| Row::new(format!("consume by frames, {streams} streams")));
    let mut built_in = [1, 4].map(|topics| Row::new(format!("built-in, parallel, {topics} streams")));
    let mut singles = [1, 4].map(|streams| Row::new(format!("one by one, {streams} streams")));
    let mut nothing = [1, 4].map(|streams| Row::new(format!("does nothing, {streams} streams")));
    for round in 0..effort.pick(3, 1) {
        let many = effort.pick(100_000, 400);
        for (calls, row) in [1, 4].into_iter().zip(&mut frames_out) {
            let topic = format!("frames-{round}-{calls}");
            timed(&pod, row, publish(&ours, &topic, (calls, BATCH), many)).await;
        }
        let topic = format!("frames-{round}-4");
        for (streams, row) in [1, 4].into_iter().zip(&mut frames_in) {
            timed(&pod, row, consume(&ours, &topic, streams, many)).await;
        }
        let few = effort.pick(10_000, 50);
        for (streams, row) in [1, 4].into_iter().zip(&mut singles) {
            let group = Ask { frames: None, in_flight: 8, group: Some(format!("single-{streams}")), ..Ask::frames() };
            let topics = vec![topic.clone(); streams];
            let subscribed = Subscribed { component: "bus", topics, metadata: group.metadata() };
            timed(&pod, row, streams::take(&pod.daprd, &subscribed, few)).await;
        }
        for (streams, row) in [1, 4].into_iter().zip(&mut nothing) {
            let topics = vec!["any".to_owned(); streams];
            let subscribed = Subscribed { component: "idle", topics, metadata: BTreeMap::new() };
            timed(&pod, row, streams::take(&pod.daprd, &subscribed, few)).await;
        }
        if full {
            for (calls, row) in [1, 4, 16].into_iter().zip(&mut bulk_out) {
                timed(&pod, row, bulk(&pod.daprd, &format!("builtin.{round}.b{calls}"), calls, 20_000)).await;
            }
            // Several streams of one topic would each get every event, so several are as many topics.
            for part in 0..4 {
                bulk(&pod.daprd, &format!("builtin.{round}.t{part}"), 4, 5000).await;
            }
            let topics =
                [vec![format!("builtin.{round}.b16")], (0..4).map(|n| format!("builtin.{round}.t{n}")).collect()];
            for (topics, row) in topics.into_iter().zip(&mut built_in) {
                let subscribed = Subscribed { component: "builtin", topics, metadata: BTreeMap::new() };
                timed(&pod, row, streams::take(&pod.daprd, &subscribed, 20_000)).await;
            }
        }
    }
    println!("\nPublish, 1 KiB events of JSON, JetStream on disk");
    compare(&bulk_out, &frames_out, "the best bulk publish");
    println!("\nConsume");
    compare(&built_in, &frames_in, "the best built-in");
    println!("\nConsume one event per message");
    for (ours, base) in singles.iter().zip(&nothing) {
        base.report(None);
        ours.report(Some(("nothing", base.rate())));
    }
    frames(&pod, effort).await;
    println!("\nRSS after it: component {:.1} MB", usage::rss_mb(pod.penstock.pid()));
}

/// Frames of several sizes, packed and plain, one at a time.
async fn frames(pod: &Pod, effort: Effort) {
    let mut rows = Vec::new();
    for kib in [64, 256, 1024] {
        for packed in [false, true] {
            let settings = Settings { frame_bytes: kib << 10, packed, ..Settings::new(Frames::On) };
            let name = format!("{kib} KiB, {}", if packed { "packed" } else { "plain" });
            let [out, taken] = ["publish", "consume"].map(|what| Row::new(format!("{what}, {name}")));
            rows.push((bus(&pod.daprd, settings).await, out, taken));
        }
    }
    for round in 0..effort.pick(3, 1) {
        let count = effort.pick(60_000, 200);
        for (index, (bus, out, taken)) in rows.iter_mut().enumerate() {
            let topic = format!("sizes-{round}-{index}");
            timed(pod, out, publish(bus, &topic, (1, 4 * BATCH), count)).await;
            timed(pod, taken, consume(bus, &topic, 1, count)).await;
        }
    }
    println!("\nFrames, one call or one stream at a time");
    for row in rows.iter().map(|(_, out, _)| out).chain(rows.iter().map(|(_, _, taken)| taken)) {
        row.report(None);
    }
}

/// Prints all rows, ours as multiples of the best of theirs.
fn compare(theirs: &[Row], ours: &[Row], name: &str) {
    let measured = theirs.iter().filter(|row| !row.runs.is_empty());
    let best = measured.clone().map(Row::rate).max_by(f64::total_cmp);
    for row in measured {
        row.report(None);
    }
    for row in ours {
        row.report(best.map(|best| (name, best)));
    }
}

/// One round of a row.
async fn timed(pod: &Pod, row: &mut Row, round: impl Future<Output = Run>) {
    let used = || (usage::cpu_seconds(pod.process.pid()), usage::cpu_seconds(pod.penstock.pid()));
    let before = used();
    let run = round.await;
    let after = used();
    let micros = |seconds: f64| seconds / run.events as f64 * 1e6;
    row.costs.push((micros(after.0 - before.0), micros(after.1 - before.1)));
    row.runs.push(run);
}

/// Penstock's own end of the bus.
async fn bus(daprd: &Daprd, settings: Settings) -> Arc<Bus> {
    let address = Address::Tcp(format!("127.0.0.1:{}", daprd.grpc_port()));
    let connection = Connection::new(Sidecar { address, token: None }).unwrap();
    connection.ready().await.unwrap();
    Arc::new(Bus::new(connection, "bus", settings, Clock::system()))
}

/// Publishes `count` events, a batch of `size` after the other in each of the `calls`.
async fn publish(bus: &Arc<Bus>, topic: &str, (calls, size): (usize, usize), count: usize) -> Run {
    let run = topic.to_owned();
    let topic = Topic::new(topic).unwrap();
    let bus = bus.clone();
    in_parts(calls, count, size, move |numbers| {
        let (bus, topic, run) = (bus.clone(), topic.clone(), run.clone());
        async move {
            for published in bus.publish(&topic, events::batch(&run, numbers)).await {
                published.unwrap();
            }
        }
    })
    .await
}

/// The same through daprd's bulk publish and its own component.
async fn bulk(daprd: &Daprd, topic: &str, calls: usize, count: usize) -> Run {
    let (client, topic) = (daprd.client().await, topic.to_owned());
    in_parts(calls, count, BULK, move |numbers| {
        let (mut client, topic) = (client.clone(), topic.clone());
        async move {
            let request = events::bulk("builtin", &topic, &topic, numbers);
            let answer = client.bulk_publish_event(request).await.unwrap().into_inner();
            assert!(answer.failed_entries.is_empty(), "{:?}", answer.failed_entries);
        }
    })
    .await
}

/// Publishes parts of at most `size` one after the other in each of `calls` tasks.
async fn in_parts<F: Future<Output = ()> + Send + 'static>(
    calls: usize,
    count: usize,
    size: usize,
    publish: impl Fn(Range<usize>) -> F + Clone + Send + 'static,
) -> Run {
    let start = Instant::now();
    let next = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..calls {
        let (next, publish) = (next.clone(), publish.clone());
        tasks.spawn(async move {
            loop {
                let first = next.fetch_add(size, Ordering::Relaxed);
                if first >= count {
                    return;
                }
                publish(first..count.min(first + size)).await;
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    Run { events: count, took: start.elapsed() }
}

/// Takes `count` events by frames, over so many streams of the topic.
async fn consume(bus: &Arc<Bus>, topic: &str, streams: usize, count: usize) -> Run {
    let start = Instant::now();
    let taken = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..streams {
        let subscription = Subscription {
            topic: Topic::new(topic).unwrap(),
            group: Group::new(&format!("bench-{streams}")).unwrap(),
            start: Start::Earliest,
            max_in_flight: 4096,
        };
        let (bus, taken) = (bus.clone(), taken.clone());
        tasks.spawn(async move {
            let mut member = bus.subscribe(subscription).await.unwrap();
            loop {
                for received in member.next().await.unwrap() {
                    received.receipt.ack();
                    taken.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
    }
    streams::reach(&taken, count, start).await;
    Run { events: count, took: start.elapsed() }
}
