use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;

use super::*;
use crate::event::{Data, Draft};
use crate::flow::{Capability, Outlet, Settle, Subscriber, Subscription, Verdict, outlet};
use crate::task;

/// Publishes into memory, slowly, and counts how many batches are on their way at once.
struct TestBus {
    published: Mutex<Vec<(String, Event, Deduplicate)>>,
    /// What publishing to this topic answers.
    broken: Mutex<BTreeMap<String, Fault>>,
    takes: Duration,
    flying: AtomicUsize,
    peak: AtomicUsize,
    batches: AtomicUsize,
}

#[async_trait]
impl Bus for TestBus {
    fn capability(&self) -> Capability {
        Capability {
            delayed: true,
            deduplicated: true,
            durable: false,
            ordering: crate::flow::Ordering::Topic,
            max_event_bytes: 64 << 10,
        }
    }

    async fn publish(&self, topic: &Topic, batch: Vec<Outgoing>) -> Vec<Result<Published, Fault>> {
        self.batches.fetch_add(1, Ordering::SeqCst);
        self.peak.fetch_max(self.flying.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        task::sleep(self.takes).await;
        self.flying.fetch_sub(1, Ordering::SeqCst);
        let publish = |Outgoing { event, deduplicate, .. }: Outgoing| {
            if let Some(fault) = self.broken.lock().unwrap().get(topic.as_str()) {
                return Err(fault.clone());
            }
            let mut published = self.published.lock().unwrap();
            if published.iter().any(|(_, known, _)| known.id() == event.id()) {
                return Ok(Published::Duplicate);
            }
            published.push((topic.as_str().to_owned(), event, deduplicate));
            Ok(Published::At(Position::default()))
        };
        batch.into_iter().map(publish).collect()
    }

    async fn subscribe(&self, _subscription: Subscription) -> Result<Box<dyn Subscriber>, Fault> {
        Err(Fault::new(FaultKind::Unsupported, "subscribe", "not in this test"))
    }

    async fn lag(&self, _topic: &Topic, _group: &crate::flow::Group) -> Result<u64, Fault> {
        Ok(0)
    }

    fn ailment(&self) -> Option<Fault> {
        None
    }

    async fn close(&self) -> Result<(), Fault> {
        Ok(())
    }
}

/// What the origin of the events learns.
#[derive(Default)]
struct Origin(Mutex<Vec<(u64, String)>>);

impl Settle for Origin {
    fn settle(&self, token: u64, verdict: Verdict) {
        let word = match verdict {
            Verdict::Ack => "ack".to_owned(),
            Verdict::Nack(fault) => format!("nack {}", fault.kind()),
            Verdict::Dropped => "dropped".to_owned(),
        };
        self.0.lock().unwrap().push((token, word));
    }
}

impl Origin {
    fn words(&self) -> Vec<(u64, String)> {
        let mut words = self.0.lock().unwrap().clone();
        words.sort();
        words
    }
}

struct Bench {
    bus: Arc<TestBus>,
    origin: Arc<Origin>,
    metrics: telemetry::Metrics,
    outlet: Outlet,
    intake: Intake,
    shutdown: Shutdown,
}

fn bench() -> Bench {
    bench_with(&[])
}

fn bench_with(overrides: &[(&str, &str)]) -> Bench {
    let bus = Arc::new(TestBus {
        published: Mutex::default(),
        broken: Mutex::default(),
        takes: Duration::from_millis(10),
        flying: AtomicUsize::new(0),
        peak: AtomicUsize::new(0),
        batches: AtomicUsize::new(0),
    });
    let metrics = telemetry::Metrics::new();
    let overrides = overrides.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let settings = Settings {
        bus: bus.clone(),
        topic: Topic::new("shop").unwrap(),
        dead_letters: Topic::new("shop-dlq").unwrap(),
        origin: "/namespaces/default/eventsources/shop/orders".to_owned(),
        overrides: Overrides::new(&overrides).unwrap(),
        clock: Clock::manual(Timestamp::UNIX_EPOCH),
        metrics: metrics.intake("default", "shop", "orders"),
    };
    let (outlet, events) = outlet(2000);
    let intake = Intake::new(events, settings);
    Bench { bus, origin: Arc::new(Origin::default()), metrics, outlet, intake, shutdown: Shutdown::new() }
}

fn event(id: u64) -> Event {
    Draft::new(id.to_string(), "/shop", "order").with("subject", "orders/1").build().unwrap()
}

impl Bench {
    fn hand_out(&self, token: u64, event: Result<Event, Poison>) {
        let receipt = Receipt::new(self.origin.clone(), token);
        let position = Position { major: token, minor: 0 };
        let received = Received { event, position, appended: Timestamp::UNIX_EPOCH, attempt: 1, receipt };
        self.outlet.try_send(received).unwrap();
    }

    /// Takes everything in, and answers with what is on the topics.
    async fn pump(self) -> (Vec<(String, Event, Deduplicate)>, Vec<(u64, String)>, telemetry::Metrics) {
        let Self { bus, origin, metrics, outlet, intake, shutdown } = self;
        drop(outlet);
        intake.run(shutdown).await.unwrap();
        let published = bus.published.lock().unwrap().clone();
        (published, origin.words(), metrics)
    }
}

fn ack(token: u64) -> (u64, String) {
    (token, "ack".to_owned())
}

#[tokio::test(start_paused = true)]
async fn events_are_acknowledged_once_they_are_on_the_bus() {
    let bench = bench();
    for token in 1..=3 {
        bench.hand_out(token, Ok(event(token)));
    }
    let (published, words, metrics) = bench.pump().await;
    assert_eq!(published.len(), 3);
    assert!(published.iter().all(|(topic, _, deduplicate)| topic == "shop" && *deduplicate == Deduplicate::Event));
    assert_eq!(words, [ack(1), ack(2), ack(3)]);
    assert!(metrics.encode().contains("outcome=\"accepted\"} 3"));
}

#[tokio::test(start_paused = true)]
async fn what_the_bus_has_already_is_acknowledged_and_counted_apart() {
    let bench = bench();
    bench.hand_out(1, Ok(event(7)));
    bench.hand_out(2, Ok(event(7)));
    let (published, words, metrics) = bench.pump().await;
    assert_eq!((published.len(), words), (1, vec![ack(1), ack(2)]));
    assert!(metrics.encode().contains("outcome=\"duplicate\"} 1"));
}

#[tokio::test(start_paused = true)]
async fn what_the_bus_refuses_is_handed_back_with_its_fault() {
    let bench = bench();
    let full = Fault::new(FaultKind::Full, "publish", "the disk is full");
    bench.bus.broken.lock().unwrap().insert("shop".to_owned(), full);
    bench.hand_out(1, Ok(event(1)));
    let (published, words, metrics) = bench.pump().await;
    assert!(published.is_empty());
    assert_eq!(words, [(1, "nack full".to_owned())]);
    assert!(metrics.encode().contains("outcome=\"refused\"} 1"));
}

fn poison() -> Poison {
    let fault = Fault::new(FaultKind::Malformed, "read an event", "no JSON");
    Poison { bytes: Bytes::from_static(b"\xFF{"), fault }
}

#[tokio::test(start_paused = true)]
async fn poison_goes_to_the_dead_letters_and_costs_only_itself() {
    let bench = bench();
    bench.hand_out(1, Err(poison()));
    bench.hand_out(2, Ok(event(2)));
    let (published, words, _) = bench.pump().await;
    assert_eq!(words, [ack(1), ack(2)]);
    let (_, letter, _) = published.iter().find(|(topic, ..)| topic == "shop-dlq").unwrap();
    assert_eq!((letter.ty(), letter.source()), (letter::POISON_TYPE, "/namespaces/default/eventsources/shop/orders"));
    assert_eq!(letter.data(), Some(Data::Binary(b"\xFF{")));
    assert_eq!(letter.attribute(letter::FAULT).unwrap().text(), "failed to read an event: no JSON");
}

#[tokio::test(start_paused = true)]
async fn poison_that_cannot_be_kept_is_handed_back() {
    let bench = bench();
    let down = Fault::new(FaultKind::Unavailable, "publish", "down");
    bench.bus.broken.lock().unwrap().insert("shop-dlq".to_owned(), down);
    bench.hand_out(1, Err(poison()));
    let (_, words, _) = bench.pump().await;
    assert_eq!(words, [(1, "nack unavailable".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_leaves_no_room_for_parking_goes_to_the_dead_letters_cut() {
    let bench = bench();
    let data = "x".repeat(60 << 10);
    bench.hand_out(1, Ok(event(1).draft().data(Data::Text(&data)).build().unwrap()));
    let (published, words, _) = bench.pump().await;
    assert_eq!(words, [ack(1)]);
    let (topic, letter, _) = &published[0];
    assert_eq!(topic, "shop-dlq");
    assert_eq!(letter.attribute(letter::CUT).unwrap().text(), data.len().to_string());
    assert!(letter.record().len() <= (64 << 10) - letter::HEADROOM);
    assert_eq!(letter.subject(), Some("orders/1"));
}

#[tokio::test(start_paused = true)]
async fn several_batches_are_on_their_way_at_once_but_not_many() {
    let bench = bench();
    let (bus, origin, outlet) = (bench.bus.clone(), bench.origin.clone(), bench.outlet.clone());
    for token in 0..2000 {
        bench.hand_out(token, Ok(event(token)));
    }
    drop(outlet);
    let (published, words, _) = bench.pump().await;
    assert_eq!((published.len(), words.len(), origin.words().len()), (2000, 2000, 2000));
    assert_eq!(bus.peak.load(Ordering::SeqCst), MAX_FLYING);
    assert_eq!(bus.batches.load(Ordering::SeqCst), 2000_usize.div_ceil(MAX_BATCH));
}

#[tokio::test(start_paused = true)]
async fn on_shutdown_what_was_handed_out_is_still_published_and_nothing_more_is_taken() {
    let bench = bench();
    for token in 0..1000 {
        bench.hand_out(token, Ok(event(token)));
    }
    let (outlet, shutdown) = (bench.outlet.clone(), bench.shutdown.clone());
    shutdown.request();
    let Bench { intake, bus, origin, .. } = bench;
    intake.run(shutdown).await.unwrap();
    assert_eq!(bus.published.lock().unwrap().len(), 1000);
    assert!(origin.words().iter().all(|(_, word)| word == "ack"));
    let receipt = Receipt::new(origin, 1000);
    let (position, appended) = (Position::default(), Timestamp::UNIX_EPOCH);
    let late = Received { event: Ok(event(1000)), position, appended, attempt: 1, receipt };
    assert_eq!(outlet.send(late).await.unwrap_err().kind(), FaultKind::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_pump_that_is_dropped_hands_everything_back() {
    let bench = bench();
    bench.hand_out(1, Ok(event(1)));
    let Bench { intake, origin, shutdown, .. } = bench;
    assert!(task::within(Duration::from_millis(1), intake.run(shutdown)).await.is_none());
    assert_eq!(origin.words(), [(1, "dropped".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn attributes_are_set_and_an_event_that_has_them_is_left_alone() {
    let bench = bench_with(&[("type", "com.shop.order"), ("subject", "orders"), ("tenant", "acme")]);
    bench.hand_out(1, Ok(event(1)));
    let (published, ..) = bench.pump().await;
    let event = &published[0].1;
    assert_eq!((event.id(), event.ty(), event.subject()), ("1", "com.shop.order", Some("orders")));
    assert_eq!(event.attribute("tenant").unwrap().text(), "acme");

    let attributes = BTreeMap::from([("tenant".to_owned(), "acme".to_owned())]);
    let same = Overrides::new(&attributes).unwrap().apply(event.clone());
    assert_eq!(same.record().as_ptr(), event.record().as_ptr(), "nothing is copied");
}

#[test]
fn attributes_that_could_never_be_set_are_refused() {
    let check = |name: &str, value: &str| {
        let attributes = BTreeMap::from([(name.to_owned(), value.to_owned())]);
        assert!(Overrides::new(&attributes).is_err(), "{name}={value}");
    };
    check("id", "1");
    check("specversion", "1.0");
    check("Not-A-Name", "x");
    check("type", "");
    check("time", "yesterday");
}
