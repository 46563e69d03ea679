//! Joins on real buses, with crashes between any two writes to their stores: the matches of the pure fold, all and no
//! others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
#[cfg(feature = "kafka")]
use penstock::api::event_bus::KafkaBus;
use penstock::api::event_bus::{JetstreamBus, RedisBus};
use penstock::api::secret::Unresolved;
use penstock::api::{FieldPath, Problems};
use penstock::buses::embedded::{Embedded, config::Config};
#[cfg(feature = "kafka")]
use penstock::buses::kafka;
use penstock::buses::{jetstream, redis};
use penstock::event::{Data, Draft, Event};
use penstock::fault::{Fault, FaultKind};
use penstock::flow::{
    self, Accepted, Bus, Deduplicate, Group, Outgoing, Position, Revision, Sink, Start, Store, Stored, Subscription,
    Topic, Write, letter,
};
use penstock::router::condition::{Key, Match, State, Step};
use penstock::router::decision::Unobserved;
use penstock::router::pipeline::{Joined, Plan, Router, Settings};
use penstock::router::route::{BusDefaults, Policy, Target, Trigger};
use penstock::task::{self, Clock, Shutdown};
use penstock::telemetry::Metrics;

use super::{topic, until};
#[cfg(feature = "kafka")]
use crate::support::KafkaServer;
use crate::support::{NatsServer, RedisServer};

/// A store that dies after so many writes: the next one is never answered, written or not.
struct Mortal {
    inner: Arc<dyn Store>,
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
        let mut ids = vec![event.id().to_owned()];
        if event.ty() == "events.openfunction.io.batch" {
            let members: Vec<serde_json::Value> = serde_json::from_slice(&event.data_bytes().unwrap()).unwrap();
            assert!((1..=3).contains(&members.len()), "{members:?}");
            ids = members.iter().map(|member| member["id"].as_str().unwrap().to_owned()).collect();
        }
        for id in ids {
            *self.0.lock().unwrap().entry(id).or_default() += 1;
        }
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

/// With one subscriber of this name; times are in these units, the settings in three of them, twenty and so on.
fn named(name: &str, case: Case, unit: Duration) -> Trigger {
    let span = |units: u32| format!("{}ms", (unit * units).as_millis());
    let input = |name: &str| serde_json::json!({"name": name, "eventSourceName": "shop", "eventName": name});
    let mut subscriber = serde_json::json!({
        "name": name, "condition": case.condition, "hold": span(case.hold), "negationWindow": span(3),
        "window": span(20), "sink": {"uri": "http://shelf/"}
    });
    if case.keys {
        let by = serde_json::json!({"a": "subject", "b": "data.key", "c": "subject"});
        subscriber["correlate"] = serde_json::json!({"by": by, "maxKeys": 2});
    }
    if case.batch {
        subscriber["batch"] = serde_json::json!({"count": 3, "within": span(7)});
    }
    let spec = serde_json::json!({
        "eventSources": [input("a"), input("b"), input("c")],
        "subscribers": [subscriber],
    });
    let mut problems = Problems::default();
    let spec = serde_json::from_value(spec).unwrap();
    let trigger = Trigger::parse("default", "t", &spec, &BusDefaults::named("default"), &mut problems);
    assert!(problems.is_empty(), "{problems:?}");
    trigger
}

/// What a subscriber says.
#[derive(Clone, Copy, Debug)]
struct Case {
    condition: &'static str,
    hold: u32,
    /// Whether events are joined by one of three keys, two of which are remembered.
    keys: bool,
    batch: bool,
}

const fn case(condition: &'static str, hold: u32) -> Case {
    Case { condition, hold, keys: false, batch: false }
}

/// An event as the bus took it in: when, where, on which topic, its id and its key.
type Published = (Timestamp, Position, usize, String, String);

const NAMES: [&str; 3] = ["a", "b", "c"];

fn topics() -> [Topic; 3] {
    NAMES.map(|name| topic(&format!("default-shop-{name}")))
}

/// The ids that the pure fold delivers for a stream. Of a batch, those of its matches.
fn expected(trigger: &Trigger, mut stream: Vec<Published>, keys: bool) -> BTreeSet<String> {
    let rules = &trigger.subscribers[0].join.as_ref().unwrap().rules;
    let (mut state, mut ids) = (State::default(), BTreeSet::new());
    let mut fire = |found: Match<Published>| {
        let events = found.events.iter();
        let parts = events.map(|(input, event)| {
            let (_, position, ..) = &event.item;
            format!("{0}=default-shop-{0}/{position}", NAMES[*input])
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
        let (at, input) = (event.0, event.2);
        while let Some(found) = rules.due(&mut state, at) {
            fire(found);
        }
        let key = Key::from(if keys { event.4.as_str() } else { "" });
        if rules.wants(input)
            && let (Step::Fired(found), _) = rules.observe(&mut state, &key, at, &[(input, event)])
        {
            fire(found);
        }
    }
    while let Some(found) = rules.due(&mut state, Timestamp::MAX) {
        fire(found);
    }
    ids
}

/// A bus and the store that it is as well.
#[derive(Clone)]
struct Place {
    bus: Arc<dyn Bus>,
    store: Arc<dyn Store>,
}

/// Where buses of one kind live.
#[async_trait]
trait World: Send + Sync {
    async fn open(&self) -> Place;

    /// What a unit of the settings lasts.
    fn unit(&self) -> Duration {
        UNIT
    }

    fn clock(&self) -> Clock {
        Clock::system()
    }

    /// Lets time pass.
    async fn pass(&self, time: Duration) {
        task::sleep(time).await;
    }
}

struct OnDisk {
    disk: tempfile::TempDir,
    clock: Clock,
}

impl OnDisk {
    fn new() -> Self {
        let clock = Clock::manual(Timestamp::from_second(1_000_000).unwrap());
        Self { disk: tempfile::tempdir().unwrap(), clock }
    }
}

#[async_trait]
impl World for OnDisk {
    async fn open(&self) -> Place {
        let bus = Embedded::open(self.disk.path(), Config::default(), self.clock.clone()).await.unwrap();
        let bus = Arc::new(bus);
        Place { bus: bus.clone(), store: bus }
    }

    fn unit(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn clock(&self) -> Clock {
        self.clock.clone()
    }

    async fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }
}

/// The time of servers cannot be set: a unit is short.
const UNIT: Duration = Duration::from_millis(40);

struct OnNats(NatsServer);

#[async_trait]
impl World for OnNats {
    async fn open(&self) -> Place {
        let raw = JetstreamBus { url: self.0.url(), ..JetstreamBus::default() };
        let mut problems = Problems::new();
        let config = jetstream::config::Config::parse(&raw, &FieldPath::root(), &Unresolved, &mut problems);
        assert!(problems.is_empty(), "{problems}");
        let bus = jetstream::Jetstream::open(config.of_bus("default", "test"), Clock::system()).await.unwrap();
        let bus = Arc::new(bus);
        Place { bus: bus.clone(), store: bus }
    }
}

struct OnRedis(RedisServer);

#[async_trait]
impl World for OnRedis {
    async fn open(&self) -> Place {
        let raw = RedisBus { address: Some(self.0.address()), ..RedisBus::default() };
        let mut problems = Problems::new();
        let config = redis::config::Config::parse(&raw, &FieldPath::root(), &Unresolved, &mut problems);
        assert!(problems.is_empty(), "{problems}");
        let bus = Arc::new(redis::Redis::open(config.of_bus("default", "test")).await.unwrap());
        Place { bus: bus.clone(), store: bus }
    }
}

/// So many partitions, each with an order of its own.
#[cfg(feature = "kafka")]
struct OnKafka(Arc<KafkaServer>, i32);

#[cfg(feature = "kafka")]
#[async_trait]
impl World for OnKafka {
    async fn open(&self) -> Place {
        let raw = KafkaBus { brokers: self.0.address(), partitions: Some(self.1), ..KafkaBus::default() };
        let mut problems = Problems::new();
        let config = kafka::config::Config::parse(&raw, &FieldPath::root(), &Unresolved, &mut problems);
        assert!(problems.is_empty(), "{problems}");
        let bus = Arc::new(kafka::Kafka::open(config.of_bus("default", "test"), Clock::system()).await.unwrap());
        Place { bus: bus.clone(), store: bus }
    }
}

/// Publishes an event on one of the topics.
async fn publish(bus: &dyn Bus, name: usize, id: &str, key: &str) {
    let data = format!("{{\"key\":\"{key}\"}}");
    let event = Draft::new(id, "/shop", "order").with("subject", key).data(Data::Text(&data)).build().unwrap();
    let outgoing = Outgoing { event, delay: None, deduplicate: Deduplicate::Never };
    let answer = bus.publish(&topics()[name], vec![outgoing]).await.pop().unwrap().unwrap();
    assert!(matches!(answer, flow::Published::At(_)), "{answer:?}");
}

/// The parts of the topics, each with the place of its topic.
async fn parts(bus: &dyn Bus) -> Vec<(usize, Topic)> {
    let mut parts = Vec::new();
    for (name, topic) in topics().iter().enumerate() {
        parts.extend((0..bus.parts(topic).await.unwrap()).map(|number| (name, topic.part(number))));
    }
    parts
}

/// Everything that is on the topics.
async fn published(bus: &dyn Bus) -> Vec<Published> {
    let mut stream = Vec::new();
    for (name, topic) in parts(bus).await {
        let Some(end) = bus.end(&topic).await.unwrap().position else { continue };
        let mut reader = bus.read(&topic, None).await.unwrap();
        let mut last = None;
        while last < Some(end) {
            for read in reader.next().await.unwrap() {
                let event = read.event.unwrap();
                let text = |name| event.attribute(name).unwrap().text().into_owned();
                let appended = Timestamp::from_microsecond(read.appended.as_microsecond()).unwrap();
                stream.push((appended, read.position, name, event.id().to_owned(), text("subject")));
                last = Some(read.position);
            }
        }
    }
    stream
}

/// A router of the group `router` for this Trigger.
async fn join(
    trigger: Trigger,
    sink: Arc<dyn Sink>,
    bus: &Arc<dyn Bus>,
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

/// Whether everything on the topics is decided on, and delivered.
async fn is_done(Place { bus, store }: &Place) -> bool {
    let Some(head) = store.get(b"join/router/head/default/t/0").await.unwrap() else { return false };
    let head: serde_json::Value = serde_json::from_slice(&head.value).unwrap();
    for (_, topic) in parts(&**bus).await {
        let Some(end) = bus.end(&topic).await.unwrap().position else { continue };
        // Of those that the condition names.
        let Some(applied) = head["applied"].get(topic.as_str()) else { continue };
        let applied = applied[0].as_u64().zip(applied[1].as_u64());
        if applied.is_none_or(|(major, minor)| Position { major, minor } < end) {
            return false;
        }
    }
    let waiting = async |part: &str| store.scan(format!("join/router/{part}/").as_bytes(), 1).await.unwrap().len();
    waiting("out").await + waiting("hold").await + waiting("gather").await == 0
}

/// Publishes a random stream, routes it with a crash after every few writes, and checks what was delivered.
async fn play(world: &dyn World, case: Case, seed: u64, crash_every: Option<usize>) {
    const EVENTS: usize = 60;
    let (unit, clock) = (world.unit(), world.clock());
    let trigger = named("0", case, unit);
    let shelf = Arc::new(Shelf::default());
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut sent, mut life) = (0, 0_usize);
    loop {
        let place = world.open().await;
        // What is published in this life of the router.
        let more = if life == 0 { EVENTS / 2 } else { EVENTS.saturating_sub(sent) };
        for _ in 0..more {
            world.pass(unit.mul_f64(random.f64() * 2.5)).await;
            // With more of what is negated, nothing would be left to deliver.
            let name = [0, 2, 0, 2, 1][random.usize(..5)];
            publish(&*place.bus, name, &format!("e{sent}"), ["k", "l", "m"][random.usize(..3)]).await;
            sent += 1;
        }
        if more > 0 {
            // After all holds and batches.
            world.pass(unit * 30).await;
        }
        let mortal = Mortal {
            inner: place.store.clone(),
            // Two are enough to take over, so that not every life is in vain.
            left: AtomicUsize::new(crash_every.map_or(usize::MAX, |every| 2 + life % every)),
            written: life.is_multiple_of(2),
        };
        let mortal = Arc::new(mortal);
        let running = join(trigger.clone(), shelf.clone(), &place.bus, mortal.clone(), &clock);
        let died = || crash_every.is_some() && mortal.left.load(Ordering::SeqCst) == 0;
        let mut finished = false;
        tokio::select! {
            ended = async { running.await.run().await } => panic!("it ended by itself: {ended:?}"),
            () = until("all is decided on, or it died", async || {
                finished = is_done(&place).await;
                finished || died()
            }) => {}
        }
        life += 1;
        if finished && sent == EVENTS {
            let taken = shelf.0.lock().unwrap().keys().cloned().collect::<BTreeSet<String>>();
            assert!(!taken.is_empty(), "{case:?}: nothing was delivered");
            let stream = published(&*place.bus).await;
            assert_eq!(stream.len(), EVENTS);
            assert_eq!(taken, expected(&trigger, stream, case.keys), "{case:?}, seed {seed}, crash {crash_every:?}");
            place.bus.close().await.unwrap();
            break;
        }
        place.bus.close().await.unwrap();
    }
    assert!(crash_every.is_none() || life > 5, "it died too seldom to prove anything: {life}");
}

const CASES: [Case; 6] = [
    case("a && b", 0),
    case("a && !b", 0),
    case("(a || c) && !b", 4),
    case("a && c && !b", 4),
    Case { keys: true, ..case("(a || c) && !b", 4) },
    Case { keys: true, batch: true, ..case("a && b || c && b", 0) },
];

#[tokio::test(flavor = "multi_thread")]
async fn crashes_between_any_two_writes_change_nothing() {
    for (seed, case) in (0..).zip(CASES) {
        play(&OnDisk::new(), case, seed, None).await;
        play(&OnDisk::new(), case, seed, Some(3)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn crashes_between_any_two_writes_change_nothing_on_jetstream() {
    for (seed, case) in (0..).zip(CASES) {
        play(&OnNats(NatsServer::start("")), case, seed, Some(3)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn crashes_between_any_two_writes_change_nothing_on_redis() {
    for (seed, case) in (0..).zip(CASES) {
        play(&OnRedis(RedisServer::start(&[])), case, seed, Some(3)).await;
    }
}

#[cfg(feature = "kafka")]
#[tokio::test(flavor = "multi_thread")]
async fn crashes_between_any_two_writes_change_nothing_on_kafka() {
    // Each life fences off the one before, which takes brokers a second or so: one case, and longer lives.
    play(&OnKafka(Arc::new(KafkaServer::start()), 2), CASES[0], 0, Some(8)).await;
}

#[cfg(feature = "kafka")]
#[tokio::test(flavor = "multi_thread")]
async fn what_comes_in_partitions_that_were_added_is_joined_after_a_restart() {
    let world = OnKafka(KafkaServer::shared(), 1);
    let Place { bus, store } = world.open().await;
    let (shelf, trigger) = (Arc::new(Shelf::default()), named("0", case("a && b", 0), Duration::from_secs(60)));
    let router = async || join(trigger.clone(), shelf.clone(), &bus, store.clone(), &world.clock()).await.run().await;
    publish(&*bus, 0, "a", "k").await;
    tokio::select! {
        ended = router() => panic!("it ended by itself: {ended:?}"),
        () = until("one waits", async || !store.scan(b"join/router/held/", 1).await.unwrap().is_empty()) => {}
    }
    world.0.add_partitions("default-shop-b", 2).await;
    world.0.transact("default-shop-b", 1, &["b"], true).await;
    tokio::select! {
        ended = router() => panic!("it ended by itself: {ended:?}"),
        () = until("both are delivered", async || !shelf.0.lock().unwrap().is_empty()) => {}
    }
    let taken = shelf.0.lock().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(taken, ["a=default-shop-a/0-0,b=default-shop-b/1-0"]);
    bus.close().await.unwrap();
}

#[cfg(feature = "kafka")]
#[tokio::test(flavor = "multi_thread")]
async fn what_comes_in_a_topic_that_was_made_anew_is_joined_after_a_restart() {
    let world = OnKafka(Arc::new(KafkaServer::start()), 1);
    let (shelf, trigger) = (Arc::new(Shelf::default()), named("0", case("a && b", 0), Duration::from_secs(60)));
    let fill = async |ids: &[(usize, &str)], count: usize| {
        let Place { bus, store } = world.open().await;
        for (name, id) in ids {
            publish(&*bus, *name, id, "k").await;
        }
        let joined = join(trigger.clone(), shelf.clone(), &bus, store.clone(), &world.clock()).await;
        tokio::select! {
            ended = joined.run() => panic!("it ended by itself: {ended:?}"),
            () = until("all are delivered", async || shelf.0.lock().unwrap().len() >= count) => {}
        }
        bus.close().await.unwrap();
    };
    fill(&[(0, "a"), (1, "b"), (0, "a"), (1, "b")], 2).await;
    world.0.delete_topic("default-shop-b").await;
    fill(&[(1, "b"), (0, "a")], 3).await;
    assert!(shelf.0.lock().unwrap().contains_key("a=default-shop-a/0-2,b=default-shop-b/0-0"), "{:?}", shelf.0);
}

/// A batch is stateful without a join: matches of one event, in batches of three and what is left over.
#[tokio::test(flavor = "multi_thread")]
async fn events_that_fire_alone_are_gathered_in_batches() {
    play(&OnDisk::new(), Case { batch: true, ..case("a || c", 0) }, 5, Some(3)).await;
}

/// The dead letters of a topic that were not read this way before: id, reason and subscriber.
async fn letters(bus: &dyn Bus, name: &str) -> Vec<(String, String, String)> {
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
    // Two matches wait for their batch, when there is one.
    for batch in [false, true] {
        let world = OnDisk::new();
        let case = Case { batch, ..case("a && b", 0) };
        let Place { bus, store } = world.open().await;
        // The last one waits for another.
        for number in 0..=2 * PAIRS + if batch { 4 } else { 0 } {
            world.pass(Duration::from_millis(10)).await;
            publish(&*bus, number % 2, &format!("e{number}"), "k").await;
        }
        world.pass(Duration::from_millis(10)).await;
        let wanted = if batch { PAIRS / 3 } else { PAIRS };
        let old = named("old", case, world.unit());
        let running = join(old.clone(), Arc::new(Hanging), &bus, store.clone(), &world.clock()).await.run();
        tokio::select! {
            ended = running => panic!("it ended by itself: {ended:?}"),
            () = until("all matches wait to be delivered, and one event for another", async || {
                let count = async |key: &str| store.scan(key.as_bytes(), 100).await.unwrap().len();
                count("join/router/out/default/t/old/").await == wanted
                    && count("join/router/held/default/t/old/").await == 1
            }) => {}
        }
        let stream = published(&*bus).await;
        bus.close().await.unwrap();
        drop((bus, store));

        let mut life = 0;
        let Place { bus, store } = loop {
            let place = world.open().await;
            let (left, written) = (AtomicUsize::new(3 + life % 3), life % 2 == 0);
            let mortal = Arc::new(Mortal { inner: place.store.clone(), left, written });
            let shelf = Arc::new(Shelf::default());
            let new = named("new", case, world.unit());
            let clock = world.clock();
            let running = join(new, shelf, &place.bus, mortal.clone(), &clock);
            let gone = async || place.store.get(b"join/router/head/default/t/old").await.unwrap().is_none();
            tokio::select! {
                ended = async { running.await.run().await } => panic!("it ended by itself: {ended:?}"),
                () = until("the old one is buried, or it died", async || {
                    mortal.left.load(Ordering::SeqCst) == 0 || gone().await
                }) => {}
            }
            life += 1;
            if gone().await {
                break place;
            }
            place.bus.close().await.unwrap();
        };
        assert!(life > 3, "it died too seldom to prove anything: {life}");
        let left: Vec<_> = store.scan(b"join/router/", 100).await.unwrap();
        let left = left.iter().filter(|stored| String::from_utf8_lossy(&stored.key).contains("/old"));
        assert_eq!(left.count(), 0, "something stays in the store");
        let mut found = letters(&*bus, "a").await;
        found.extend(letters(&*bus, "b").await);
        assert!(found.iter().all(|(_, reason, from)| reason == "unsubscribed" && from == "old"), "{found:?}");
        let ids: BTreeSet<String> = found.into_iter().map(|(id, ..)| id).collect();
        assert_eq!(ids, expected(&old, stream, false));
        bus.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_starts_later_takes_over_and_who_was_there_before_stops() {
    let world = OnDisk::new();
    let Place { bus, store } = world.open().await;
    let shelf = Arc::new(Shelf::default());
    let trigger = named("0", case("a && b", 0), world.unit());
    let router = async || join(trigger.clone(), shelf.clone(), &bus, store.clone(), &world.clock()).await.run();
    let generation = async || {
        let head = store.get(b"join/router/head/default/t/0").await.unwrap();
        let head = head.map(|head| serde_json::from_slice::<serde_json::Value>(&head.value).unwrap());
        head.and_then(|head| head["generation"].as_u64()).unwrap_or_default()
    };
    let (mut before, mut after) = (task::Group::new(&Shutdown::new()), task::Group::new(&Shutdown::new()));
    before.spawn(router().await);
    until("the first one owns it", async || generation().await > 0).await;
    publish(&*bus, 0, "a", "k").await;
    world.pass(Duration::from_millis(10)).await;
    until("it holds the event", async || !store.scan(b"join/router/held/", 1).await.unwrap().is_empty()).await;
    let first = generation().await;
    after.spawn(router().await);
    until("the second one owns it", async || generation().await > first).await;
    publish(&*bus, 1, "b", "k").await;
    world.pass(Duration::from_millis(10)).await;
    let ended = before.next().await.unwrap();
    assert_eq!(ended.unwrap_err().kind(), FaultKind::Conflict);
    until("they are delivered", async || !shelf.0.lock().unwrap().is_empty()).await;
    drop(after);
    let taken = shelf.0.lock().unwrap().keys().cloned().collect::<BTreeSet<String>>();
    assert_eq!(taken, expected(&trigger, published(&*bus).await, false));
    bus.close().await.unwrap();
}
