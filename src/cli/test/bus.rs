//! A bus and a store in memory, for one router in virtual time.

use std::collections::{BTreeMap, HashMap};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::Notify;

use crate::event::Event;
use crate::fault::{Fault, FaultKind, Retry};
use crate::flow::{
    self, Capability, Deduplicate, End, Expect, Group, Ordering, Outgoing, Position, Published, Read, Reader, Receipt,
    Received, Revision, Settle, Stored, Subscriber, Subscription, Topic, Verdict, Write,
};
use crate::task::{self, Clock};

/// As large as that of the embedded bus.
const MAX_EVENT: usize = 4 << 20;

/// The pause before an event is handed out again whose receipt does not ask for one.
const AGAIN: Duration = Duration::from_secs(1);

struct Item {
    event: Event,
    appended: Timestamp,
    due: Timestamp,
    out: bool,
    /// The group has settled it; readers may still come.
    done: bool,
    attempt: u32,
}

#[derive(Default)]
struct State {
    /// By topic and place.
    items: BTreeMap<(Topic, u64), Item>,
    next: u64,
    /// When the newest event was taken in: no two have the same time, as on a disk.
    newest: Timestamp,
    seen: HashMap<(Topic, String, String, u32), Timestamp>,
}

struct Inner {
    state: Mutex<State>,
    changed: Notify,
    clock: Clock,
    dedup_window: Duration,
}

/// Cloning shares it.
#[derive(Clone)]
pub(super) struct Bus(Arc<Inner>);

impl Bus {
    pub fn new(clock: Clock, dedup_window: Duration) -> Self {
        Self(Arc::new(Inner { state: Mutex::default(), changed: Notify::new(), clock, dedup_window }))
    }

    fn publish_one(&self, topic: &Topic, outgoing: Outgoing) -> Result<Published, Fault> {
        let Outgoing { event, delay, deduplicate } = outgoing;
        if event.record().len() > MAX_EVENT {
            return Err(Fault::new(FaultKind::TooLarge, "publish", format!("an event is at most {MAX_EVENT} bytes")));
        }
        let attempt = match deduplicate {
            Deduplicate::Never => None,
            Deduplicate::Event => Some(0),
            Deduplicate::Attempt(attempt) => Some(attempt.saturating_add(1)),
        };
        let now = self.0.clock.now();
        let mut state = self.0.state();
        if let Some(attempt) = attempt {
            let key = (topic.clone(), event.source().to_owned(), event.id().to_owned(), attempt);
            let known = state.seen.insert(key, now);
            if known.is_some_and(|known| elapsed(known, now) < self.0.dedup_window) {
                return Ok(Published::Duplicate);
            }
        }
        let next = state.newest + Duration::from_micros(1);
        let appended = now.max(next);
        state.newest = appended;
        let number = state.next;
        state.next += 1;
        let due = later(appended, delay.unwrap_or_default());
        state.items.insert((topic.clone(), number), Item { event, appended, due, out: false, done: false, attempt: 0 });
        drop(state);
        self.0.changed.notify_waiters();
        Ok(delay.map_or(Published::At(Position { major: number, minor: 0 }), |_| Published::Delayed))
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn elapsed(since: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(since)).unwrap_or_default()
}

fn later(time: Timestamp, by: Duration) -> Timestamp {
    time.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// Settles the events of one topic.
struct Origin {
    bus: Arc<Inner>,
    topic: Topic,
}

impl Settle for Origin {
    fn settle(&self, token: u64, verdict: Verdict) {
        let mut state = self.bus.state();
        let place = (self.topic.clone(), token);
        let pause = match verdict {
            Verdict::Ack => {
                if let Some(item) = state.items.get_mut(&place) {
                    item.done = true;
                }
                return;
            }
            Verdict::Nack(fault) => match fault.retry() {
                Retry::After(pause) => pause,
                Retry::Never | Retry::Backoff => AGAIN,
            },
            Verdict::Dropped => Duration::ZERO,
        };
        if let Some(item) = state.items.get_mut(&place) {
            item.out = false;
            item.due = later(self.bus.clock.now(), pause);
        }
        drop(state);
        self.bus.changed.notify_waiters();
    }
}

#[async_trait]
impl flow::Bus for Bus {
    fn capability(&self) -> Capability {
        let (delayed, deduplicated, durable, ordering) = (true, true, false, Ordering::Topic);
        Capability { delayed, deduplicated, durable, ordering, max_event_bytes: MAX_EVENT }
    }

    async fn publish(&self, topic: &Topic, batch: Vec<Outgoing>) -> Vec<Result<Published, Fault>> {
        batch.into_iter().map(|outgoing| self.publish_one(topic, outgoing)).collect()
    }

    async fn subscribe(&self, subscription: Subscription) -> Result<Box<dyn Subscriber>, Fault> {
        Ok(Box::new(Member { bus: self.clone(), subscription }))
    }

    async fn read(&self, topic: &Topic, after: Option<Position>) -> Result<Box<dyn Reader>, Fault> {
        let next = after.map_or(0, |after| after.major + 1);
        Ok(Box::new(Reading { bus: self.clone(), topic: topic.clone(), next }))
    }

    async fn end(&self, topic: &Topic) -> Result<End, Fault> {
        let state = self.0.state();
        let newest = state.items.range((topic.clone(), 0)..=(topic.clone(), u64::MAX)).next_back();
        let position = newest.map(|((_, number), _)| Position { major: *number, minor: 0 });
        Ok(End { position, time: self.0.clock.now().max(state.newest) })
    }

    /// There is one group.
    async fn lag(&self, topic: &Topic, _group: &Group) -> Result<u64, Fault> {
        let now = self.0.clock.now();
        let state = self.0.state();
        let of_topic = state.items.range((topic.clone(), 0)..=(topic.clone(), u64::MAX));
        let open = of_topic.filter(|(_, item)| !item.done && (item.attempt > 0 || item.due <= now));
        Ok(open.count() as u64)
    }

    fn ailment(&self) -> Option<Fault> {
        None
    }

    async fn close(&self) -> Result<(), Fault> {
        Ok(())
    }
}

struct Member {
    bus: Bus,
    subscription: Subscription,
}

impl Member {
    /// What is due, or when something will be.
    fn take(&self) -> Result<Vec<Received>, Option<Timestamp>> {
        let now = self.bus.0.clock.now();
        let topic = &self.subscription.topic;
        let origin = Arc::new(Origin { bus: self.bus.0.clone(), topic: topic.clone() });
        let (mut taken, mut wake) = (Vec::new(), None);
        let mut state = self.bus.0.state();
        let all = (topic.clone(), 0)..=(topic.clone(), u64::MAX);
        for ((_, number), item) in state.items.range_mut(all).filter(|(_, item)| !item.out) {
            // What was just appended may have a time that the clock comes to within microseconds.
            if item.due > now.max(item.appended) {
                wake = Some(wake.map_or(item.due, |wake: Timestamp| wake.min(item.due)));
            } else if taken.len() < self.subscription.max_in_flight {
                item.out = true;
                item.attempt += 1;
                taken.push(Received {
                    event: Ok(item.event.clone()),
                    position: Position { major: *number, minor: 0 },
                    appended: item.appended,
                    attempt: item.attempt,
                    receipt: Receipt::new(origin.clone(), *number),
                });
            }
        }
        if taken.is_empty() { Err(wake) } else { Ok(taken) }
    }
}

#[async_trait]
impl Subscriber for Member {
    async fn next(&mut self) -> Result<Vec<Received>, Fault> {
        loop {
            let mut changed = pin!(self.bus.0.changed.notified());
            changed.as_mut().enable();
            match self.take() {
                Ok(taken) => return Ok(taken),
                Err(None) => changed.await,
                Err(Some(wake)) => {
                    let pause = elapsed(self.bus.0.clock.now(), wake);
                    // Both ways lead to another look.
                    task::within(pause, changed).await.unwrap_or_default();
                }
            }
        }
    }
}

/// Reads in the order of publishing. Events with a delay are on topics that nobody reads so.
struct Reading {
    bus: Bus,
    topic: Topic,
    next: u64,
}

#[async_trait]
impl Reader for Reading {
    async fn next(&mut self) -> Result<Vec<Read>, Fault> {
        loop {
            let mut changed = pin!(self.bus.0.changed.notified());
            changed.as_mut().enable();
            let all = (self.topic.clone(), self.next)..=(self.topic.clone(), u64::MAX);
            let read = |((_, number), item): (&(Topic, u64), &Item)| Read {
                event: Ok(item.event.clone()),
                position: Position { major: *number, minor: 0 },
                appended: item.appended,
            };
            let found: Vec<Read> = self.bus.0.state().items.range(all).map(read).collect();
            if let Some(last) = found.last() {
                self.next = last.position.major + 1;
                return Ok(found);
            }
            changed.await;
        }
    }
}

/// Values with their revisions, and the latest revision.
#[derive(Default)]
struct Values {
    all: BTreeMap<Bytes, (Bytes, u64)>,
    latest: u64,
}

/// Keeps what the router remembers.
#[derive(Default)]
pub(super) struct Store(Mutex<Values>);

#[async_trait]
impl flow::Store for Store {
    async fn get(&self, key: &[u8]) -> Result<Option<Stored>, Fault> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(state.all.get_key_value(key).map(stored))
    }

    async fn scan(&self, prefix: &[u8], limit: usize) -> Result<Vec<Stored>, Fault> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let from = state.all.range(Bytes::copy_from_slice(prefix)..);
        Ok(from.take_while(|(key, _)| key.starts_with(prefix)).take(limit).map(stored).collect())
    }

    async fn write(&self, batch: Vec<Write>) -> Result<Vec<Revision>, Fault> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for Write { key, expect, .. } in &batch {
            let revision = state.all.get(key).map(|(_, revision)| *revision);
            let right = match expect {
                Expect::Anything => true,
                Expect::Absent => revision.is_none(),
                Expect::Revision(expected) => revision == Some(expected.0),
            };
            if !right {
                return Err(Fault::new(FaultKind::Conflict, "write", "the value is another one by now"));
            }
        }
        let mut revisions = Vec::with_capacity(batch.len());
        for Write { key, value, .. } in batch {
            state.latest += 1;
            let revision = state.latest;
            match value {
                Some(value) => drop(state.all.insert(key, (value, revision))),
                None => drop(state.all.remove(&key)),
            }
            revisions.push(Revision(revision));
        }
        Ok(revisions)
    }
}

fn stored((key, (value, revision)): (&Bytes, &(Bytes, u64))) -> Stored {
    Stored { key: key.clone(), value: value.clone(), revision: Revision(*revision) }
}
