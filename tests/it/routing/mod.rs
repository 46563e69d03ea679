//! From an outlet to a sink over the embedded bus: intake, bus, router and delivery together.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod chaos;
mod joins;
mod restart;
mod sink;

use std::sync::Arc;
use std::time::Duration;

use penstock::api::Problems;
use penstock::buses::embedded::Embedded;
use penstock::buses::embedded::config::Config;
use penstock::event::{Draft, Event};
use penstock::fault::Fault;
use penstock::flow::{
    Bus, Group, Outlet, Position, Receipt, Received, Settle, Sink, Start, Subscription, Topic, Verdict, outlet,
};
use penstock::intake::{self, Intake, Overrides};
use penstock::router::decision::Unobserved;
use penstock::router::pipeline::{Joined, Plan, Router, Settings};
use penstock::router::route::{BusDefaults, Target, Trigger};
use penstock::task::{self, Clock, Shutdown};
use penstock::telemetry::Metrics;
use sink::TestSink;
use tempfile::TempDir;

/// The topic of the one `EventSource`.
const TOPIC: &str = "default-shop-orders";

/// A subscriber is parked on its first failure for this long: longer than it may stay in place.
const PARKED: &str = "PT1.1S";

/// One machine: its disk, and the sinks around it. Survives restarts.
struct Machine {
    disk: TempDir,
    sinks: Vec<TestSink>,
}

impl Machine {
    fn new(sinks: impl IntoIterator<Item = TestSink>) -> Self {
        Self { disk: tempfile::tempdir().unwrap(), sinks: sinks.into_iter().collect() }
    }

    async fn bus(&self) -> Arc<Embedded> {
        Arc::new(Embedded::open(self.disk.path(), Config::default(), Clock::system()).await.unwrap())
    }

    /// A router for a Trigger that sends every order to each of these addresses.
    async fn join(&self, bus: &Arc<Embedded>, addresses: &[&str], shutdown: &Shutdown) -> Joined {
        let metrics = Arc::new(Metrics::new());
        let sinks = |target: &Target, _: &_| -> Result<Arc<dyn Sink>, Fault> {
            let address = target.to_string();
            let sink = self.sinks.iter().find(|sink| sink.address() == address).expect("a sink of that address");
            Ok(Arc::new(sink.clone()))
        };
        let plan = Plan::new(vec![trigger(addresses)], &sinks, &metrics).unwrap();
        let settings = Settings { grace: Duration::from_secs(5), ..Settings::new(Group::new("router").unwrap()) };
        let router = Router::new(plan, settings, bus.clone(), metrics, Arc::new(Unobserved), Clock::system(), shutdown);
        router.unwrap().join().await.unwrap()
    }
}

/// A Trigger with one named subscriber per address.
fn trigger(addresses: &[&str]) -> Trigger {
    let subscribers: Vec<_> = addresses
        .iter()
        .enumerate()
        .map(|(number, address)| {
            serde_json::json!({
                "name": format!("s{number}"),
                "sink": {"uri": address},
                "delivery": {"retry": 3, "backoffPolicy": "linear", "backoffDelay": PARKED},
            })
        })
        .collect();
    let spec = serde_json::json!({
        "eventSources": [{"name": "orders", "eventSourceName": "shop", "eventName": "orders"}],
        "subscribers": subscribers,
    });
    let mut problems = Problems::default();
    let spec = serde_json::from_value(spec).unwrap();
    let trigger = Trigger::parse("default", "t", &spec, &BusDefaults::named("default"), &mut problems);
    assert!(problems.is_empty(), "{problems:?}");
    trigger
}

fn topic(name: &str) -> Topic {
    Topic::new(name).unwrap()
}

fn event(id: usize) -> Event {
    Draft::new(id.to_string(), "/shop", "order").with("subject", "orders").build().unwrap()
}

/// An intake, running, and the outlet into it.
fn pump(bus: &Arc<Embedded>, tasks: &mut task::Group) -> Outlet {
    let (outlet, events) = outlet(64);
    let settings = intake::Settings {
        bus: bus.clone(),
        topic: topic(TOPIC),
        dead_letters: topic(&format!("{TOPIC}-dlq")),
        origin: "/shop".to_owned(),
        overrides: Overrides::default(),
        clock: Clock::system(),
        metrics: Metrics::new().intake("default", "shop", "orders"),
    };
    tasks.spawn(Intake::new(events, settings).run(Shutdown::new()));
    outlet
}

/// Waits for the outcome of the events that it hands out.
struct Origin(tokio::sync::mpsc::Sender<(u64, bool)>);

impl Settle for Origin {
    fn settle(&self, token: u64, verdict: Verdict) {
        // Room for every event of a test.
        self.0.try_send((token, matches!(verdict, Verdict::Ack))).unwrap();
    }
}

/// Hands these events to the intake, and again until each is acknowledged.
async fn take_in(outlet: &Outlet, ids: std::ops::Range<usize>) {
    let (sender, mut outcomes) = tokio::sync::mpsc::channel(10_000);
    let origin = Arc::new(Origin(sender));
    let hand_out = async |id: usize| {
        let receipt = Receipt::new(origin.clone(), id as u64);
        let (position, appended) = (Position::default(), Clock::system().now());
        outlet.send(Received { event: Ok(event(id)), position, appended, attempt: 1, receipt }).await.unwrap();
    };
    let mut open = ids.len();
    for id in ids {
        hand_out(id).await;
    }
    while open > 0 {
        match outcomes.recv().await.unwrap() {
            (_, true) => open -= 1,
            (id, false) => hand_out(usize::try_from(id).unwrap()).await,
        }
    }
}

/// The ids of everything on a topic that was not read this way before.
async fn ids_on(bus: &Embedded, name: &str) -> Vec<usize> {
    let group = Group::new("reader").unwrap();
    let subscription =
        Subscription { topic: topic(name), group: group.clone(), start: Start::Earliest, max_in_flight: 10_000 };
    let mut member = bus.subscribe(subscription).await.unwrap();
    let mut ids = Vec::new();
    while bus.lag(&topic(name), &group).await.unwrap() > 0 {
        for received in member.next().await.unwrap() {
            ids.push(received.event.unwrap().id().parse().unwrap());
            received.receipt.ack();
        }
    }
    ids
}

/// Waits until the condition holds; a minute is far more than any of these needs.
async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !done().await {
            task::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(task::within(Duration::from_secs(60), waiting).await.is_some(), "never happened: {what}");
}
