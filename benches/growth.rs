//! What the pipeline costs an event, and how that grows with the number of Triggers.
//!
//! The bus is memory and the sink takes everything at once, so what is measured is the router's own
//! work: matching, delivering, settling. One thread, so that the rate is that of one core.

#![allow(clippy::print_stdout, reason = "a bench prints its results")]

mod harness;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use harness::{Effort, Run, median, report, resident};
use jiff::Timestamp;
use penstock::api::Problems;
use penstock::event::{Data, Draft, Event};
use penstock::fault::Fault;
use penstock::flow::{
    self, Accepted, Bus, Capability, Group, Outgoing, Position, Published, Receipt, Received, Settle, Sink, Subscriber,
    Subscription, Topic, Verdict,
};
use penstock::router::decision::Unobserved;
use penstock::router::pipeline::{Plan, Router, Settings};
use penstock::router::route::{BusDefaults, Target, Trigger};
use penstock::task::{self, Clock, Shutdown};
use penstock::telemetry::Metrics;

/// The size of the data, so that an event is about 1 KiB.
const DATA_BYTES: usize = 950;

/// Events that the bus hands out at once, as the embedded bus does when it is behind.
const BATCH: usize = 256;

fn main() {
    let effort = Effort::from_arguments();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let events = effort.pick(400_000, 500);
    let mut base = None;
    for (name, triggers) in [("1 Trigger", 1), ("100 Triggers", 100), ("10,000 Triggers", 10_000)] {
        let events = events / if triggers > 1000 { 10 } else { 1 };
        let runs: Vec<Run> = (0..effort.pick(3, 1)).map(|_| runtime.block_on(route(triggers, events))).collect();
        let rate = median(&runs);
        report(name, rate, base.map(|rate| ("one Trigger", rate)));
        base.get_or_insert(rate);
    }
    memory(effort.pick(10_000, 100));
}

/// What a Trigger takes up in a router.
fn memory(triggers: usize) {
    let metrics = Arc::new(Metrics::new());
    let sink = Arc::new(Counter::default());
    let sinks = |_: &Target, _: &_| -> Result<Arc<dyn Sink>, Fault> { Ok(sink.clone()) };
    let before = resident();
    let plan = Plan::new((0..triggers).map(trigger).collect(), &sinks, &metrics).expect("a plan");
    let bytes = resident().saturating_sub(before) / triggers;
    println!("memory of a Trigger, of {triggers:<21} {bytes:>12} bytes");
    drop(plan);
}

/// A Trigger that wants the events of one type; of many Triggers, one fires.
fn trigger(number: usize) -> Trigger {
    let spec = serde_json::json!({
        "eventSources": [{
            "name": "orders", "eventSourceName": "shop", "eventName": "orders",
            "filters": [{"exact": {"type": format!("com.example.{number}")}}],
        }],
        "subscribers": [{"name": "s", "sink": {"uri": "http://sink/"}}],
    });
    let spec = serde_json::from_value(spec).expect("a spec");
    let defaults = BusDefaults::named("default");
    let mut problems = Problems::default();
    let trigger = Trigger::parse("default", &format!("t{number}"), &spec, &defaults, &mut problems);
    assert!(problems.is_empty(), "{problems:?}");
    trigger
}

async fn route(triggers: usize, events: usize) -> Run {
    let (bus, sink) = (Arc::new(Memory::new(events)), Arc::new(Counter::default()));
    let metrics = Arc::new(Metrics::new());
    let sinks = |_: &Target, _: &_| -> Result<Arc<dyn Sink>, Fault> { Ok(sink.clone()) };
    let plan = Plan::new((0..triggers).map(trigger).collect(), &sinks, &metrics).expect("a plan");
    let settings = Settings { parallelism: 1, ..Settings::new(Group::new("bench").expect("a name")) };
    let (observer, shutdown) = (Arc::new(Unobserved), Shutdown::new());
    let router = Router::new(plan, settings, bus.clone(), metrics, observer, Clock::system(), &shutdown);
    let joined = router.expect("a router").join().await.expect("it joins");
    let elapsed = task::stopwatch();
    let routing = joined.run();
    let stopping = async {
        bus.done.notified().await;
        shutdown.request();
        elapsed()
    };
    let (result, took) = tokio::join!(routing, stopping);
    result.expect("it routes");
    assert_eq!((sink.0.load(Ordering::Relaxed), bus.settled.load(Ordering::Relaxed)), (events, events));
    Run { events, took }
}

/// Takes everything.
#[derive(Default)]
struct Counter(AtomicUsize);

#[async_trait]
impl Sink for Counter {
    fn address(&self) -> &'static str {
        "http://sink/"
    }

    async fn deliver(&self, _event: &Event) -> Result<Accepted, Fault> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(Accepted::default())
    }
}

/// Hands out the same event again and again.
struct Memory {
    event: Event,
    total: usize,
    handed_out: Mutex<usize>,
    settled: Arc<AtomicUsize>,
    done: Arc<tokio::sync::Notify>,
}

impl Memory {
    fn new(total: usize) -> Self {
        let body = "x".repeat(DATA_BYTES);
        let event = Draft::new("1", "/bench", "com.example.0").data(Data::Text(&body)).build().expect("an event");
        let (settled, done) = (Arc::default(), Arc::default());
        Self { event, total, handed_out: Mutex::new(0), settled, done }
    }
}

struct Ledger {
    total: usize,
    settled: Arc<AtomicUsize>,
    done: Arc<tokio::sync::Notify>,
}

impl Settle for Ledger {
    fn settle(&self, _token: u64, verdict: Verdict) {
        assert!(matches!(verdict, Verdict::Ack), "everything is delivered");
        if self.settled.fetch_add(1, Ordering::Relaxed) + 1 == self.total {
            self.done.notify_one();
        }
    }
}

#[async_trait]
impl Bus for Memory {
    fn capability(&self) -> Capability {
        Capability {
            delayed: false,
            deduplicated: false,
            durable: false,
            ordering: flow::Ordering::None,
            max_event_bytes: 1 << 20,
        }
    }

    async fn publish(&self, _topic: &Topic, batch: Vec<Outgoing>) -> Vec<Result<Published, Fault>> {
        batch.iter().map(|_| Ok(Published::Duplicate)).collect()
    }

    async fn subscribe(&self, _subscription: Subscription) -> Result<Box<dyn Subscriber>, Fault> {
        let ledger = Ledger { total: self.total, settled: self.settled.clone(), done: self.done.clone() };
        let left = self.total - std::mem::replace(&mut *self.handed_out.lock().expect("no panic"), self.total);
        Ok(Box::new(Member { event: self.event.clone(), left, ledger: Arc::new(ledger) }))
    }

    async fn lag(&self, _topic: &Topic, _group: &Group) -> Result<u64, Fault> {
        Ok(0)
    }

    fn ailment(&self) -> Option<Fault> {
        None
    }

    async fn close(&self) -> Result<(), Fault> {
        Ok(())
    }
}

struct Member {
    event: Event,
    left: usize,
    ledger: Arc<Ledger>,
}

#[async_trait]
impl Subscriber for Member {
    async fn next(&mut self) -> Result<Vec<Received>, Fault> {
        if self.left == 0 {
            std::future::pending::<()>().await;
        }
        let count = self.left.min(BATCH);
        self.left -= count;
        let received = |_| Received {
            event: Ok(self.event.clone()),
            position: Position::default(),
            appended: Timestamp::UNIX_EPOCH,
            attempt: 1,
            receipt: Receipt::new(self.ledger.clone(), 0),
        };
        Ok((0..count).map(received).collect())
    }
}
