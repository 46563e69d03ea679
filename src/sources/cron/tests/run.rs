//! Schedules at work: virtual time, a store in memory.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::json;
use tokio::sync::mpsc;

use super::parse;
use crate::event::Data;
use crate::fault::{Fault, FaultKind, Retry};
use crate::flow::{Position, Received, Revision, Source as _, Store, Stored, Write, outlet};
use crate::sources::cron::{DEFAULT_TYPE, Entry, Source};
use crate::task::{Clock, Group, Shutdown, sleep, within};

const KEY: &str = "cron/shop/timer/tick";
const START: &str = "2024-05-01T10:00:00.5Z";

/// A store in memory that can be told to fail.
#[derive(Default)]
struct Memory {
    values: Mutex<BTreeMap<Bytes, Bytes>>,
    down: AtomicBool,
}

impl Memory {
    fn answer(&self) -> Result<(), Fault> {
        if self.down.load(Ordering::SeqCst) {
            return Err(Fault::new(FaultKind::Unavailable, "reach the store", "it is down"));
        }
        Ok(())
    }

    fn mark(&self) -> Option<String> {
        self.values.lock().unwrap().get(KEY.as_bytes()).map(|value| String::from_utf8(value.to_vec()).unwrap())
    }

    fn set_mark(&self, value: &str) {
        self.values.lock().unwrap().insert(KEY.into(), Bytes::copy_from_slice(value.as_bytes()));
    }
}

#[async_trait]
impl Store for Memory {
    async fn get(&self, key: &[u8]) -> Result<Option<Stored>, Fault> {
        self.answer()?;
        let values = self.values.lock().unwrap();
        Ok(values.get_key_value(key).map(|(key, value)| Stored {
            key: key.clone(),
            value: value.clone(),
            revision: Revision(1),
        }))
    }

    async fn scan(&self, _: &[u8], _: usize) -> Result<Vec<Stored>, Fault> {
        Ok(Vec::new())
    }

    async fn write(&self, batch: Vec<Write>) -> Result<Vec<Revision>, Fault> {
        self.answer()?;
        let mut values = self.values.lock().unwrap();
        Ok(batch
            .into_iter()
            .map(|write| {
                values.insert(write.key, write.value.unwrap());
                Revision(1)
            })
            .collect())
    }
}

/// Virtual time: the wall clock follows the runtime's paused one, and can be set apart from it.
struct Time {
    clock: Clock,
    _hand: Group,
}

impl Time {
    fn new() -> Self {
        const STEP: Duration = Duration::from_millis(50);
        let clock = Clock::manual(START.parse().unwrap());
        let mut hand = Group::default();
        let moved = clock.clone();
        hand.spawn(async move {
            loop {
                sleep(STEP).await;
                moved.advance(STEP);
            }
        });
        Self { clock, _hand: hand }
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// One run of a source with one schedule, from start to stop.
struct Run {
    ticks: mpsc::Receiver<Received>,
    shutdown: Shutdown,
    source: Group,
}

impl Run {
    fn start(settings: serde_json::Value, time: &Time, store: &Arc<Memory>) -> Self {
        let (outlet, ticks) = outlet(1);
        let entry = Entry {
            config: parse(settings).unwrap(),
            outlet,
            identity: "shop/timer/tick".to_owned(),
            source: "/shop/timer/tick".to_owned(),
            ty: DEFAULT_TYPE.to_owned(),
        };
        let store: Arc<Memory> = Arc::clone(store);
        let source = Source::new(vec![entry], store, time.clock.clone());
        let shutdown = Shutdown::new();
        let mut group = Group::new(&shutdown);
        group.spawn(Box::new(source).run(group.shutdown().clone()));
        Self { ticks, shutdown, source: group }
    }

    async fn next(&mut self) -> Received {
        within(Duration::from_secs(3600), self.ticks.recv()).await.expect("a tick within the hour").unwrap()
    }

    /// Acknowledges the next tick and returns its time of day.
    async fn take(&mut self) -> String {
        let received = self.next().await;
        let time = received.event.unwrap().time().unwrap().to_owned();
        received.receipt.ack();
        time["2024-05-01T".len()..].to_owned()
    }

    async fn stop(self) -> Result<(), Fault> {
        self.shutdown.request();
        self.source.join().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_tick_is_an_event_that_follows_from_its_time() {
    let (time, store) = (Time::new(), Arc::default());
    let settings = json!({"schedule": "*/10 * * * * *", "data": {"a": 1}});
    let mut run = Run::start(settings, &time, &store);
    for second in ["10", "20"] {
        let received = run.next().await;
        let event = received.event.unwrap();
        let tick = format!("2024-05-01T10:00:{second}Z");
        assert_eq!(event.id(), format!("shop/timer/tick/{tick}"));
        assert_eq!((event.source(), event.ty()), ("/shop/timer/tick", "events.openfunction.io.cron"));
        assert_eq!((event.time(), event.subject()), (Some(tick.as_str()), None));
        assert_eq!(event.data_content_type(), Some("application/json"));
        assert_eq!(event.data(), Some(Data::Text("{\"a\":1}")));
        let tick: Timestamp = tick.parse().unwrap();
        assert_eq!((received.appended, received.attempt), (tick, 1));
        assert_eq!(received.position, Position { major: u64::try_from(tick.as_microsecond()).unwrap(), minor: 0 });
        let late = time.now().duration_since(tick).as_millis();
        assert!((0..200).contains(&late), "{late} ms");
        received.receipt.ack();
    }
    run.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_tick_that_is_not_kept_comes_again_with_the_same_id() {
    let (time, store) = (Time::new(), Arc::default());
    let mut run = Run::start(json!({"schedule": "@every 1m"}), &time, &store);
    let fault = |kind| Fault::new(kind, "publish", "no");
    let refusals = [
        (fault(FaultKind::Full), 1.0..1.5),
        (fault(FaultKind::Throttled).with_retry(Retry::After(Duration::from_secs(7))), 7.0..7.5),
        (fault(FaultKind::TooLarge), 16.0..19.5),
    ];
    let mut attempt = 1;
    for (fault, pause) in refusals {
        let received = run.next().await;
        assert_eq!(received.attempt, attempt);
        assert_eq!(received.event.unwrap().time(), Some("2024-05-01T10:01:00Z"));
        let before = time.now();
        received.receipt.nack(fault);
        let again = run.next().await;
        let waited = time.now().duration_since(before).as_secs_f64();
        assert!(pause.contains(&waited), "{waited} s, {pause:?}");
        // Dropped: that is a refusal too.
        drop(again);
        attempt += 2;
    }
    assert_eq!(run.take().await, "10:01:00Z");
    assert_eq!(run.take().await, "10:02:00Z");
    run.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn how_far_it_came_is_kept_only_after_the_acknowledgement() {
    let (time, store) = (Time::new(), Arc::default());
    let mut run = Run::start(json!({"schedule": "@every 10s", "timezone": "Asia/Tokyo"}), &time, &store);
    let received = run.next().await;
    assert_eq!(store.mark().unwrap(), "2024-05-01T10:00:00.5Z Asia/Tokyo @every 10s");
    received.receipt.ack();
    let _second = run.next().await;
    assert_eq!(store.mark().unwrap(), "2024-05-01T10:00:10Z Asia/Tokyo @every 10s");
}

#[tokio::test(start_paused = true)]
async fn ticks_missed_while_stopped_are_made_up_for_as_asked() {
    let check = async |mode: &str, expected: &[&str]| {
        let (time, store) = (Time::new(), Arc::default());
        let settings = json!({"schedule": "@every 10s", "catchUp": mode});
        let mut run = Run::start(settings.clone(), &time, &store);
        assert_eq!(run.take().await, "10:00:10Z");
        // Handed out, and not acknowledged before the stop.
        let refused = run.next().await;
        drop(run.ticks);
        run.shutdown.request();
        drop(refused);
        run.source.join().await.unwrap();
        sleep(Duration::from_secs(25)).await;
        let mut run = Run::start(settings, &time, &store);
        for expected in expected {
            assert_eq!(run.take().await, *expected, "{mode}");
        }
        run.stop().await.unwrap();
    };
    check("none", &["10:00:50Z", "10:01:00Z"]).await;
    check("last", &["10:00:40Z", "10:00:50Z"]).await;
    check("all", &["10:00:20Z", "10:00:30Z", "10:00:40Z", "10:00:50Z"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_before_the_first_tick_misses_it_too() {
    let (time, store) = (Time::new(), Arc::default());
    let settings = json!({"schedule": "@every 10s", "catchUp": "all"});
    let run = Run::start(settings.clone(), &time, &store);
    while store.mark().is_none() {
        sleep(Duration::from_millis(1)).await;
    }
    run.stop().await.unwrap();
    sleep(Duration::from_secs(15)).await;
    assert_eq!(Run::start(settings, &time, &store).take().await, "10:00:10Z");
}

#[tokio::test(start_paused = true)]
async fn another_schedule_or_a_mark_that_cannot_be_read_has_missed_nothing() {
    for mark in ["2024-05-01T09:00:00Z UTC @every 20s", "2024-05-01T09:00:00Z Asia/Tokyo @every 10s", "x", "\u{FFFD}"] {
        let (time, store) = (Time::new(), Arc::<Memory>::default());
        store.set_mark(mark);
        let mut run = Run::start(json!({"schedule": "@every 10s", "catchUp": "all"}), &time, &store);
        assert_eq!(run.take().await, "10:00:10Z", "{mark}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_tick_comes_twice_when_the_clock_was_set_back() {
    for schedule in ["@every 10s", "@every 5s"] {
        let (time, store) = (Time::new(), Arc::<Memory>::default());
        store.set_mark("2024-05-01T10:10:00Z UTC @every 10s");
        let mut run = Run::start(json!({"schedule": schedule, "catchUp": "all"}), &time, &store);
        let expected = if schedule == "@every 10s" { "10:10:10Z" } else { "10:10:05Z" };
        assert_eq!(run.take().await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_forward_misses_ticks_like_a_stop() {
    let check = async |mode: &str, expected: &[&str]| {
        let (time, store) = (Time::new(), Arc::default());
        let mut run = Run::start(json!({"schedule": "@every 1m", "catchUp": mode}), &time, &store);
        assert_eq!(run.take().await, "10:01:00Z");
        sleep(Duration::from_secs(1)).await;
        time.clock.advance(Duration::from_secs(200));
        for expected in expected {
            assert_eq!(run.take().await, *expected, "{mode}");
        }
        run.stop().await.unwrap();
    };
    // Noticed after the sleep for 10:02, at 10:05:20: the tick of 10:05 is only late.
    check("none", &["10:05:00Z", "10:06:00Z"]).await;
    check("last", &["10:04:00Z", "10:05:00Z", "10:06:00Z"]).await;
    check("all", &["10:02:00Z", "10:03:00Z", "10:04:00Z", "10:05:00Z", "10:06:00Z"]).await;
}

#[tokio::test(start_paused = true)]
async fn ticks_that_wait_for_a_slow_bus_are_late_and_not_missed() {
    let (time, store) = (Time::new(), Arc::default());
    let mut run = Run::start(json!({"schedule": "@every 10s"}), &time, &store);
    let first = run.next().await;
    sleep(Duration::from_secs(35)).await;
    first.receipt.ack();
    for expected in ["10:00:20Z", "10:00:30Z", "10:00:40Z", "10:00:50Z"] {
        assert_eq!(run.take().await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn it_waits_for_its_store_at_the_start_and_runs_without_it_later() {
    let (time, store) = (Time::new(), Arc::<Memory>::default());
    store.set_mark("2024-05-01T10:00:00Z UTC @every 10s");
    store.down.store(true, Ordering::SeqCst);
    let mut run = Run::start(json!({"schedule": "@every 10s", "catchUp": "all"}), &time, &store);
    sleep(Duration::from_secs(15)).await;
    assert!(run.ticks.try_recv().is_err());
    store.down.store(false, Ordering::SeqCst);
    assert_eq!(run.take().await, "10:00:10Z");
    let second = run.next().await;
    store.down.store(true, Ordering::SeqCst);
    second.receipt.ack();
    assert_eq!(run.take().await, "10:00:30Z");
    store.down.store(false, Ordering::SeqCst);
    assert_eq!(run.take().await, "10:00:40Z");
    run.stop().await.unwrap();
    assert_eq!(store.mark().unwrap(), "2024-05-01T10:00:40Z UTC @every 10s");
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_the_receipt_that_is_out() {
    let (time, store) = (Time::new(), Arc::default());
    let mut run = Run::start(json!({"schedule": "@every 10s"}), &time, &store);
    let received = run.next().await;
    run.shutdown.request();
    assert!(within(Duration::from_secs(60), run.source.next()).await.is_none(), "it did not wait");
    received.receipt.ack();
    run.source.join().await.unwrap();
    assert_eq!(store.mark().unwrap(), "2024-05-01T10:00:10Z UTC @every 10s");
    assert!(run.ticks.recv().await.is_none(), "it took something new");
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_every_wait_at_once() {
    // For the next tick, for the store, and for room in the outlet.
    for (schedule, down) in [("@yearly", false), ("@yearly", true), ("@every 1s", false)] {
        let (time, store) = (Time::new(), Arc::<Memory>::default());
        store.down.store(down, Ordering::SeqCst);
        let run = Run::start(json!({"schedule": schedule}), &time, &store);
        sleep(Duration::from_secs(3)).await;
        let before = time.now();
        let Run { ticks, shutdown, source } = run;
        shutdown.request();
        drop(ticks);
        source.join().await.unwrap();
        assert!(time.now().duration_since(before).as_millis() < 200, "{schedule}");
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_to_take_ticks_ends_the_source_with_a_fault() {
    let (time, store) = (Time::new(), Arc::default());
    let run = Run::start(json!({"schedule": "@every 1s"}), &time, &store);
    drop(run.ticks);
    assert_eq!(run.source.join().await.unwrap_err().kind(), FaultKind::Closed);
}
