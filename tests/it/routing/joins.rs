//! Joins on the real store, with crashes between any two of its writes: the matches of the pure fold, all and no others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use penstock::api::Problems;
use penstock::buses::embedded::{Embedded, config::Config};
use penstock::event::{Draft, Event};
use penstock::fault::Fault;
use penstock::flow::{
    self, Accepted, Bus, Deduplicate, Group, Outgoing, Position, Revision, Sink, Start, Store, Stored, Subscription,
    Write, letter,
};
use penstock::router::condition::{Match, State, Step};
use penstock::router::decision::Unobserved;
use penstock::router::pipeline::{Joined, Plan, Router, Settings};
use penstock::router::route::{BusDefaults, Policy, Target, Trigger};
use penstock::task::{Clock, Shutdown};
use penstock::telemetry::Metrics;

use super::{topic, until};

/// The embedded store, which dies after so many writes: the next one is never answered, written or not.
struct Mortal {
    inner: Arc<Embedded>,
    left: AtomicUsize,
    /// Whether the last one is still written.
    written: bool,
}

#[async_trait]
impl Store for Mortal {
    async fn get(&self, key: &[u8]) -> Result<Option<Stored>, Fault> {
        self.inner.get(key).await
    }

    async fn scan(&self, prefix: &[u8], limit: usize) -> Result<Vec<Stored>, Fault> {
        self.inner.scan(prefix, limit).await
    }

    async fn write(&self, batch: Vec<Write>) -> Result<Vec<Revision>, Fault> {
        let left = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if left.is_err() {
            if self.written {
                drop(self.inner.write(batch).await);
            }
            return std::future::pending().await;
        }
        self.inner.write(batch).await
    }
}

/// Remembers what it took, each once.
#[derive(Default)]
struct Shelf(Mutex<BTreeMap<String, usize>>);

#[async_trait]
impl Sink for Shelf {
    fn address(&self) -> &'static str {
        "http://shelf/"
    }

    async fn deliver(&self, event: &Event) -> Result<Accepted, Fault> {
        *self.0.lock().unwrap().entry(event.id().to_owned()).or_default() += 1;
        Ok(Accepted::default())
    }
}

/// Never answers.
struct Hanging;

#[async_trait]
impl Sink for Hanging {
    fn address(&self) -> &'static str {
        "http://hanging/"
    }

    async fn deliver(&self, _event: &Event) -> Result<Accepted, Fault> {
        std::future::pending().await
    }
}

fn trigger(condition: &str, hold: &str) -> Trigger {
    named("0", condition, hold)
}

/// With one subscriber of this name.
fn named(name: &str, condition: &str, hold: &str) -> Trigger {
    let input = |name: &str| serde_json::json!({"name": name, "eventSourceName": "shop", "eventName": name});
    let spec = serde_json::json!({
        "eventSources": [input("a"), input("b"), input("c")],
        "subscribers": [{
            "name": name, "condition": condition, "hold": hold, "negationWindow": "3s", "window": "20s",
            "sink": {"uri": "http://shelf/"}
        }],
    });
    let mut problems = Problems::default();
    let spec = serde_json::from_value(spec).unwrap();
    let trigger = Trigger::parse("default", "t", &spec, &BusDefaults::named("default"), &mut problems);
    assert!(problems.is_empty(), "{problems:?}");
    trigger
}

/// An event as the bus took it in: when, on which topic, and where.
type Published = (Timestamp, usize, Position, String);

/// The ids that the pure fold delivers for a stream.
fn expected(trigger: &Trigger, mut stream: Vec<Published>) -> BTreeSet<String> {
    let rules = &trigger.subscribers[0].join.as_ref().unwrap().rules;
    let (mut state, mut ids) = (State::default(), BTreeSet::new());
    let mut fire = |found: Match<Published>| {
        let events = found.events.iter();
        let parts = events.map(|(input, event)| {
            let (_, _, position, _) = &event.item;
            format!("{0}=default-shop-{0}/{position}", ["a", "b", "c"][*input])
        });
        let id = if found.events.len() == 1 {
            found.events[&found.last].item.3.clone()
        } else {
            parts.collect::<Vec<_>>().join(",")
        };
        ids.insert(id);
    };
    stream.sort();
    for event in stream {
        let (at, input) = (event.0, event.1);
        rules.due(&mut state, at).into_iter().for_each(&mut fire);
        if rules.wants(input)
            && let Step::Fired(found) = rules.observe(&mut state, &[input], at, &event)
        {
            fire(found);
        }
    }
    ids
}

/// Publishes and notes where the event came to stand.
async fn publish(bus: &Embedded, clock: &Clock, name: usize, id: String, stream: &mut Vec<Published>) {
    let event = Draft::new(id.as_str(), "/shop", "order").build().unwrap();
    let outgoing = Outgoing { event, delay: None, deduplicate: Deduplicate::Never };
    let topic = topic(&format!("default-shop-{}", ["a", "b", "c"][name]));
    let answer = bus.publish(&topic, vec![outgoing]).await.pop().unwrap().unwrap();
    assert!(matches!(answer, flow::Published::At(_)), "{answer:?}");
    if let flow::Published::At(position) = answer {
        stream.push((clock.now(), name, position, id));
    }
}

/// A router of the group `router` for this Trigger.
async fn join(
    trigger: Trigger,
    sink: Arc<dyn Sink>,
    bus: &Arc<Embedded>,
    store: Arc<dyn Store>,
    clock: &Clock,
) -> Joined {
    let metrics = Arc::new(Metrics::new());
    let sinks = |_: &Target, _: &Policy| -> Result<Arc<dyn Sink>, Fault> { Ok(sink.clone()) };
    let plan = Plan::new(vec![trigger], &sinks, &metrics).unwrap();
    // Little is in flight, so that one life takes several writes.
    let group = Group::new("router").unwrap();
    let settings = Settings { max_in_flight: 4, grace: Duration::ZERO, ..Settings::new(group) };
    let (stop, observer) = (Shutdown::new(), Arc::new(Unobserved));
    let router = Router::new(plan, settings, bus.clone(), metrics, observer, clock.clone(), &stop).unwrap();
    router.with_store(store).join().await.unwrap()
}

/// Publishes a random stream, routes it with a crash after every few writes, and checks what was delivered.
async fn play(condition: &str, hold: &str, seed: u64, crash_every: Option<usize>) {
    const EVENTS: usize = 60;
    let disk = tempfile::tempdir().unwrap();
    let clock = Clock::manual(Timestamp::from_second(1_000_000).unwrap());
    let shelf = Arc::new(Shelf::default());
    let mut random = fastrand::Rng::with_seed(seed);
    let group = Group::new("router").unwrap();
    let topics = ["a", "b", "c"].map(|name| topic(&format!("default-shop-{name}")));
    let (mut sent, mut stream) = (0, Vec::new());
    let mut life = 0_usize;
    loop {
        let bus = Arc::new(Embedded::open(disk.path(), Config::default(), clock.clone()).await.unwrap());
        // What is published in this life of the router.
        let more = if life == 0 { EVENTS / 2 } else { EVENTS.saturating_sub(sent) };
        for _ in 0..more {
            clock.advance(Duration::from_millis(random.u64(0..2500)));
            publish(&bus, &clock, random.usize(..3), format!("e{sent}"), &mut stream).await;
            sent += 1;
        }
        if life == 0 || more > 0 {
            // After all holds, something that nobody wants but the join: it tells that the time has come.
            clock.advance(Duration::from_secs(100));
            publish(&bus, &clock, 1, format!("end{life}"), &mut stream).await;
        }
        let mortal = Mortal {
            inner: bus.clone(),
            left: AtomicUsize::new(crash_every.map_or(usize::MAX, |every| 1 + life % every)),
            written: life.is_multiple_of(2),
        };
        let mortal = Arc::new(mortal);
        let running = join(trigger(condition, hold), shelf.clone(), &bus, mortal.clone(), &clock).await.run();
        let done = async || {
            let mut lag = 0;
            for topic in &topics {
                lag += bus.lag(topic, &group).await.unwrap();
            }
            lag == 0 && bus.scan(b"join/router/out/", 1).await.unwrap().is_empty()
        };
        let died = || crash_every.is_some() && mortal.left.load(Ordering::SeqCst) == 0;
        let mut finished = false;
        tokio::select! {
            ended = running => panic!("it ended by itself: {ended:?}"),
            () = until("all is decided on, or it died", async || {
                finished = done().await;
                finished || died()
            }) => {}
        }
        bus.close().await.unwrap();
        life += 1;
        if finished && sent == EVENTS {
            break;
        }
    }
    assert!(crash_every.is_none() || life > 5, "it died too seldom to prove anything: {life}");
    let taken: BTreeSet<String> = shelf.0.lock().unwrap().keys().cloned().collect();
    assert!(!taken.is_empty(), "{condition}: nothing was delivered");
    assert_eq!(taken, expected(&trigger(condition, hold), stream), "{condition}, seed {seed}, crash {crash_every:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn crashes_between_any_two_writes_change_nothing() {
    for (condition, hold) in [("a && b", "0s"), ("a && !b", "0s"), ("(a || c) && !b", "4s"), ("a && c && !b", "4s")] {
        for seed in 0..2 {
            play(condition, hold, seed, None).await;
            play(condition, hold, seed, Some(3)).await;
        }
    }
}

/// The dead letters of a topic that were not read this way before: id, reason and subscriber.
async fn letters(bus: &Embedded, name: &str) -> Vec<(String, String, String)> {
    let (topic, group) = (topic(&format!("default-shop-{name}-dlq")), Group::new("reader").unwrap());
    let subscription =
        Subscription { topic: topic.clone(), group: group.clone(), start: Start::Earliest, max_in_flight: 100 };
    let mut member = bus.subscribe(subscription).await.unwrap();
    let mut letters = Vec::new();
    while bus.lag(&topic, &group).await.unwrap() > 0 {
        for received in member.next().await.unwrap() {
            let event = received.event.unwrap();
            let text = |name| letter::text(&event, name).unwrap_or_default().into_owned();
            letters.push((event.id().to_owned(), text(letter::REASON), text(letter::SUBSCRIBER)));
            received.receipt.ack();
        }
    }
    letters
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_removed_subscriber_had_joined_becomes_dead_letters_wherever_it_crashes() {
    const PAIRS: usize = 6;
    let disk = tempfile::tempdir().unwrap();
    let clock = Clock::manual(Timestamp::from_second(1_000_000).unwrap());
    let open = async || Arc::new(Embedded::open(disk.path(), Config::default(), clock.clone()).await.unwrap());
    let bus = open().await;
    let mut stream = Vec::new();
    // The last one waits for another.
    for number in 0..=2 * PAIRS {
        clock.advance(Duration::from_millis(10));
        publish(&bus, &clock, number % 2, format!("e{number}"), &mut stream).await;
    }
    let running = join(named("old", "a && b", "0s"), Arc::new(Hanging), &bus, bus.clone(), &clock).await.run();
    tokio::select! {
        ended = running => panic!("it ended by itself: {ended:?}"),
        () = until("all pairs wait to be delivered, and one event for another", async || {
            let count = async |key: &str| bus.scan(key.as_bytes(), 100).await.unwrap().len();
            count("join/router/out/default/t/old/").await == PAIRS && count("join/router/held/default/t/old/").await == 1
        }) => {}
    }
    bus.close().await.unwrap();
    drop(bus);

    let mut life = 0;
    let buried = loop {
        let bus = open().await;
        let (left, written) = (AtomicUsize::new(2 + life % 3), life % 2 == 0);
        let mortal = Arc::new(Mortal { inner: bus.clone(), left, written });
        let shelf = Arc::new(Shelf::default());
        let running = join(named("new", "a && b", "0s"), shelf, &bus, mortal.clone(), &clock).await.run();
        let gone = async || bus.get(b"join/router/head/default/t/old").await.unwrap().is_none();
        tokio::select! {
            ended = running => panic!("it ended by itself: {ended:?}"),
            () = until("the old one is buried, or it died", async || {
                mortal.left.load(Ordering::SeqCst) == 0 || gone().await
            }) => {}
        }
        life += 1;
        if gone().await {
            break bus;
        }
        bus.close().await.unwrap();
    };
    assert!(life > 3, "it died too seldom to prove anything: {life}");
    let left: Vec<_> = buried.scan(b"join/router/", 100).await.unwrap();
    let left = left.iter().filter(|stored| String::from_utf8_lossy(&stored.key).contains("/old"));
    assert_eq!(left.count(), 0, "something stays in the store");
    let mut found = letters(&buried, "a").await;
    found.extend(letters(&buried, "b").await);
    assert!(found.iter().all(|(_, reason, from)| reason == "unsubscribed" && from == "old"), "{found:?}");
    let ids: BTreeSet<String> = found.into_iter().map(|(id, ..)| id).collect();
    assert_eq!(ids, expected(&named("old", "a && b", "0s"), stream));
    buried.close().await.unwrap();
}
