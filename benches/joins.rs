//! What joining events costs, on the embedded bus and its store: events a second, and what one takes up that is held.
//!
//! Two inputs are joined by a key, `a && b`, with every state on disk before a match is delivered. One runtime with as many
//! threads as there are cores does all of it, the publishing, too.

#![allow(clippy::print_stdout, reason = "a bench prints its results")]

mod harness;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use harness::{Effort, Run, median, report, resident};
use penstock::api::Problems;
use penstock::buses::embedded::Embedded;
use penstock::buses::embedded::config::Config;
use penstock::event::{Data, Draft, Event};
use penstock::fault::Fault;
use penstock::flow::{Accepted, Bus, Deduplicate, Group, Outgoing, Position, Sink, Topic};
use penstock::router::decision::Unobserved;
use penstock::router::pipeline::{Plan, Router, Settings};
use penstock::router::route::{BusDefaults, Target, Trigger};
use penstock::task::{self, Clock, Shutdown};
use penstock::telemetry::Metrics;

/// The size of the data, so that an event is about 1 KiB.
const DATA_BYTES: usize = 950;

/// Events that are published at once.
const BATCH: usize = 256;

/// The topics of the two inputs.
const TOPICS: [&str; 2] = ["default-shop-a", "default-shop-b"];

fn main() {
    let effort = Effort::from_arguments();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let (pairs, held) = (effort.pick(20_000, 20), effort.pick(50_000, 50));
    let runs: Vec<(Run, Run)> = (0..effort.pick(3, 1)).map(|_| runtime.block_on(join(pairs))).collect();
    let (published, joined): (Vec<Run>, Vec<Run>) = runs.into_iter().unzip();
    let base = median(&published);
    report("published to the embedded bus", base, None);
    report("read, held, joined by a key and delivered", median(&joined), Some(("publishing", base)));
    let bytes = runtime.block_on(hold(held));
    println!("memory of a held event of 1 KiB, of {held:<8} {bytes:>12} bytes");
}

/// `a && b` by the subject.
fn trigger() -> Trigger {
    let input = |name: &str| serde_json::json!({"name": name, "eventSourceName": "shop", "eventName": name});
    let spec = serde_json::json!({
        "eventSources": [input("a"), input("b")],
        "subscribers": [{
            "name": "s", "condition": "a && b", "sink": {"uri": "http://sink/"},
            "correlate": {"by": {"a": "subject", "b": "subject"}, "maxKeys": 1_000_000},
        }],
    });
    let spec = serde_json::from_value(spec).expect("a spec");
    let mut problems = Problems::default();
    let trigger = Trigger::parse("default", "t", &spec, &BusDefaults::named("default"), &mut problems);
    assert!(problems.is_empty(), "{problems:?}");
    trigger
}

/// Counts what is delivered.
#[derive(Default)]
struct Counter {
    delivered: AtomicUsize,
    wanted: usize,
    done: tokio::sync::Notify,
}

#[async_trait]
impl Sink for Counter {
    fn address(&self) -> &'static str {
        "http://sink/"
    }

    async fn deliver(&self, _event: &Event) -> Result<Accepted, Fault> {
        if self.delivered.fetch_add(1, Ordering::Relaxed) + 1 == self.wanted {
            self.done.notify_one();
        }
        Ok(Accepted::default())
    }
}

async fn publish(bus: &Embedded, topic: &str, count: usize) -> Position {
    let (topic, body) = (Topic::new(topic).expect("a name"), "x".repeat(DATA_BYTES));
    for first in (0..count).step_by(BATCH) {
        let outgoing = |key: usize| {
            let draft = Draft::new(format!("{topic}-{key}"), "/bench", "com.example.bench");
            let event = draft.with("subject", format!("order-{key}")).data(Data::Text(&body)).build();
            Outgoing { event: event.expect("an event"), delay: None, deduplicate: Deduplicate::Never }
        };
        let batch = (first..count.min(first + BATCH)).map(outgoing).collect();
        for answer in bus.publish(&topic, batch).await {
            answer.expect("it is published");
        }
    }
    bus.end(&topic).await.expect("an end").position.expect("something was published")
}

/// A router of the Trigger at work, while something is waited for; how long that took.
async fn while_routing(
    bus: &Arc<Embedded>,
    sink: &Arc<Counter>,
    metrics: &Arc<Metrics>,
    wait: impl Future<Output = ()>,
) -> Duration {
    let sinks = |_: &Target, _: &_| -> Result<Arc<dyn Sink>, Fault> { Ok(sink.clone()) };
    let metrics = metrics.clone();
    let plan = Plan::new(vec![trigger()], &sinks, &metrics).expect("a plan");
    let (observer, shutdown) = (Arc::new(Unobserved), Shutdown::new());
    let settings = Settings::new(Group::new("bench").expect("a name"));
    let router = Router::new(plan, settings, bus.clone(), metrics, observer, Clock::system(), &shutdown);
    let joined = router.expect("a router").with_store(bus.clone()).join().await.expect("it joins");
    let elapsed = task::stopwatch();
    let waiting = async {
        wait.await;
        let took = elapsed();
        shutdown.request();
        took
    };
    let (outcome, took) = tokio::join!(joined.run(), waiting);
    outcome.expect("it routes");
    took
}

async fn open(folder: &tempfile::TempDir) -> Arc<Embedded> {
    Arc::new(Embedded::open(folder.path(), Config::default(), Clock::system()).await.expect("a bus"))
}

/// Publishes so many events to each topic, then joins them; answers both runs.
async fn join(pairs: usize) -> (Run, Run) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let bus = open(&folder).await;
    let elapsed = task::stopwatch();
    for topic in TOPICS {
        publish(&bus, topic, pairs).await;
    }
    let published = Run { events: 2 * pairs, took: elapsed() };
    let sink = Arc::new(Counter { wanted: pairs, ..Counter::default() });
    let took = while_routing(&bus, &sink, &Arc::new(Metrics::new()), sink.done.notified()).await;
    bus.close().await.expect("the bus closes");
    (published, Run { events: 2 * pairs, took })
}

/// Holds so many events whose partners never come; the memory that each takes up.
async fn hold(count: usize) -> usize {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let bus = open(&folder).await;
    publish(&bus, TOPICS[0], count).await;
    bus.close().await.expect("the bus closes");
    // Begun anew, so that what the bus keeps in memory of what was published just now is not counted.
    let bus = open(&folder).await;
    let (before, mut after) = (resident(), 0);
    let (metrics, sink) = (Arc::new(Metrics::new()), Arc::new(Counter::default()));
    let counted = metrics.subscriber("default/t", "s");
    let held = async {
        while counted.waiting.get() < count as u64 {
            task::sleep(Duration::from_millis(20)).await;
        }
        // While it is held: afterwards nothing is.
        after = resident();
    };
    while_routing(&bus, &sink, &metrics, held).await;
    bus.close().await.expect("the bus closes");
    after.saturating_sub(before) / count
}
