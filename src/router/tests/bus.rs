//! A bus in memory, on the clock that tests can pause.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::event::Event;
use crate::fault::{Fault, FaultKind, Retry};
use crate::flow::{
    Bus, Capability, Deduplicate, Group, Ordering, Outgoing, Poison, Position, Published, Receipt, Received, Settle,
    Subscriber, Subscription, Topic, Verdict,
};

struct Item {
    content: Result<Event, Poison>,
    due: Instant,
    out: bool,
    attempt: u32,
    topic: Topic,
}

#[derive(Default)]
struct State {
    items: std::collections::BTreeMap<u64, Item>,
    next: u64,
    seen: HashSet<(Topic, String, String, u32)>,
    /// What publishing to these topics answers.
    broken: HashMap<Topic, Fault>,
    published: Vec<(Topic, Event)>,
    returned: usize,
}

struct Inner {
    state: Mutex<State>,
    changed: Notify,
    capability: Capability,
}

/// Cloning shares it.
#[derive(Clone)]
pub struct MemoryBus(Arc<Inner>);

impl MemoryBus {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut Capability)) -> Self {
        let mut capability = Capability {
            delayed: true,
            deduplicated: true,
            durable: false,
            ordering: Ordering::Topic,
            max_event_bytes: 1 << 20,
        };
        change(&mut capability);
        Self(Arc::new(Inner { state: Mutex::default(), changed: Notify::new(), capability }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }

    /// From now on, publishing to the topic fails; `None` mends it.
    pub fn fail(&self, topic: &str, fault: Option<Fault>) {
        let topic = Topic::new(topic).unwrap();
        let mut state = self.state();
        match fault {
            Some(fault) => state.broken.insert(topic, fault),
            None => state.broken.remove(&topic),
        };
    }

    /// Everything that was ever published to the topic.
    pub fn published(&self, topic: &str) -> Vec<Event> {
        let state = self.state();
        state.published.iter().filter(|(to, _)| to.as_str() == topic).map(|(_, event)| event.clone()).collect()
    }

    /// How many events of the topic are not acknowledged yet.
    pub fn left(&self, topic: &str) -> usize {
        self.state().items.values().filter(|item| item.topic.as_str() == topic).count()
    }

    /// How many receipts were answered with anything but an acknowledgement.
    pub fn returned(&self) -> usize {
        self.state().returned
    }

    pub fn put(&self, topic: &str, event: Event) {
        self.append(&Topic::new(topic).unwrap(), Ok(event), Duration::ZERO);
    }

    pub fn put_poison(&self, topic: &str, bytes: &'static [u8]) {
        let fault = Fault::new(FaultKind::Malformed, "read an event", "no event");
        self.append(
            &Topic::new(topic).unwrap(),
            Err(Poison { bytes: Bytes::from_static(bytes), fault }),
            Duration::ZERO,
        );
    }

    fn append(&self, topic: &Topic, content: Result<Event, Poison>, delay: Duration) -> u64 {
        let mut state = self.state();
        let token = state.next;
        state.next += 1;
        let due = Instant::now() + delay;
        state.items.insert(token, Item { content, due, out: false, attempt: 0, topic: topic.clone() });
        self.0.changed.notify_waiters();
        token
    }

    /// Waits until `done` holds.
    pub async fn until(&self, what: &str, done: impl Fn(&Self) -> bool) {
        let waiting = async {
            while !done(self) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        // Far beyond any deadline of a test; the clock is paused, so it costs nothing.
        let limit = Duration::from_secs(100_000);
        assert!(tokio::time::timeout(limit, waiting).await.is_ok(), "never happened: {what}");
    }

    fn publish_one(&self, topic: &Topic, outgoing: Outgoing) -> Result<Published, Fault> {
        let Outgoing { event, delay, deduplicate } = outgoing;
        if let Some(fault) = self.state().broken.get(topic) {
            return Err(fault.clone());
        }
        if event.record().len() > self.0.capability.max_event_bytes {
            return Err(Fault::new(FaultKind::TooLarge, "publish", "too large"));
        }
        let attempt = match deduplicate {
            Deduplicate::Never => None,
            Deduplicate::Event => Some(0),
            Deduplicate::Attempt(attempt) => Some(attempt),
        };
        if let Some(attempt) = attempt {
            let key = (topic.clone(), event.source().to_owned(), event.id().to_owned(), attempt);
            if !self.state().seen.insert(key) {
                return Ok(Published::Duplicate);
            }
        }
        assert!(delay.is_none() || self.0.capability.delayed, "this bus cannot delay");
        self.state().published.push((topic.clone(), event.clone()));
        let major = self.append(topic, Ok(event), delay.unwrap_or_default());
        Ok(delay.map_or(Published::At(Position { major, minor: 0 }), |_| Published::Delayed))
    }
}

impl Settle for Inner {
    fn settle(&self, token: u64, verdict: Verdict) {
        let mut state = self.state.lock().unwrap();
        let pause = match verdict {
            Verdict::Ack => {
                state.items.remove(&token);
                return;
            }
            Verdict::Nack(fault) => match fault.retry() {
                Retry::After(pause) => pause,
                _ => Duration::from_millis(100),
            },
            Verdict::Dropped => Duration::ZERO,
        };
        state.returned += 1;
        if let Some(item) = state.items.get_mut(&token) {
            item.out = false;
            item.due = Instant::now() + pause;
        }
        self.changed.notify_waiters();
    }
}

#[async_trait]
impl Bus for MemoryBus {
    fn capability(&self) -> Capability {
        self.0.capability
    }

    async fn publish(&self, topic: &Topic, batch: Vec<Outgoing>) -> Vec<Result<Published, Fault>> {
        batch.into_iter().map(|outgoing| self.publish_one(topic, outgoing)).collect()
    }

    async fn subscribe(&self, subscription: Subscription) -> Result<Box<dyn Subscriber>, Fault> {
        Ok(Box::new(Member { bus: self.clone(), subscription }))
    }

    async fn lag(&self, topic: &Topic, _group: &Group) -> Result<u64, Fault> {
        Ok(self.left(topic.as_str()) as u64)
    }

    fn ailment(&self) -> Option<Fault> {
        None
    }

    async fn close(&self) -> Result<(), Fault> {
        Ok(())
    }
}

struct Member {
    bus: MemoryBus,
    subscription: Subscription,
}

impl Member {
    /// What is due, or when something will be.
    fn take(&self) -> Result<Vec<Received>, Option<Instant>> {
        let now = Instant::now();
        let mut taken = Vec::new();
        let mut wake = None;
        for (token, item) in &mut self.bus.state().items {
            if item.topic != self.subscription.topic || item.out {
                continue;
            }
            if item.due > now {
                wake = Some(wake.map_or(item.due, |wake: Instant| wake.min(item.due)));
            } else if taken.len() < self.subscription.max_in_flight {
                item.out = true;
                item.attempt += 1;
                taken.push(Received {
                    event: item.content.clone(),
                    position: Position { major: *token, minor: 0 },
                    appended: Timestamp::UNIX_EPOCH,
                    attempt: item.attempt,
                    receipt: Receipt::new(self.bus.0.clone(), *token),
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
            let changed = self.bus.0.changed.notified();
            let mut changed = std::pin::pin!(changed);
            changed.as_mut().enable();
            match self.take() {
                Ok(taken) => return Ok(taken),
                Err(None) => changed.await,
                Err(Some(wake)) => drop(tokio::time::timeout_at(wake, changed).await),
            }
        }
    }
}
