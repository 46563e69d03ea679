//! What is to be looked at: each object once, one worker at a time, failed ones later and later.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::task::{self, Backoff};
use crate::telemetry::Operator as Counts;

/// An object that is reconciled.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    pub kind: Subject,
    /// Empty for a `ClusterEventBus`.
    pub namespace: String,
    pub name: String,
}

/// The kinds that are reconciled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// An `EventBus`, or a `ClusterEventBus` when there is no namespace.
    Bus,
    EventSource,
    Trigger,
    /// The shared router of a bus in a namespace; its name is the bus's.
    Router,
}

impl Subject {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bus => "EventBus",
            Self::EventSource => "EventSource",
            Self::Trigger => "Trigger",
            Self::Router => "Router",
        }
    }
}

impl Key {
    pub fn new(kind: Subject, namespace: &str, name: &str) -> Self {
        Self { kind, namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

/// Between two tries of an object that could not be brought about.
const PAUSE: Backoff =
    Backoff { base: Duration::from_millis(200), factor: 2.0, jitter: 0.2, cap: Duration::from_secs(60) };

/// The queue.
pub struct Queue {
    state: Mutex<State>,
    changed: Notify,
    elapsed: Box<dyn Fn() -> Duration + Send + Sync>,
    counts: Counts,
}

#[derive(Default)]
struct State {
    /// When each is due.
    due: BTreeMap<Key, Duration>,
    running: BTreeSet<Key>,
    /// In a row.
    failures: BTreeMap<Key, u32>,
}

impl State {
    /// An object that is looked at now is looked at once more when that is over.
    fn add(&mut self, key: Key, at: Duration) {
        let due = self.due.entry(key).or_insert(at);
        *due = (*due).min(at);
    }

    /// Takes what is due; otherwise when the next one will be.
    fn take(&mut self, now: Duration) -> Result<Key, Option<Duration>> {
        let free = self.due.iter().filter(|(key, _)| !self.running.contains(*key));
        let Some((key, at)) = free.min_by_key(|(_, at)| **at).map(|(key, at)| (key.clone(), *at)) else {
            return Err(None);
        };
        if at > now {
            return Err(Some(at.saturating_sub(now)));
        }
        self.due.remove(&key);
        self.running.insert(key.clone());
        Ok(key)
    }

    /// How many wait or are looked at.
    fn len(&self) -> usize {
        self.due.len() + self.running.len()
    }

    fn done(&mut self, key: &Key, well: bool, now: Duration) {
        self.running.remove(key);
        if well {
            self.failures.remove(key);
            return;
        }
        let failures = self.failures.entry(key.clone()).or_insert(0);
        *failures += 1;
        let pause = PAUSE.pause(*failures);
        self.add(key.clone(), now + pause);
    }
}

impl Queue {
    pub fn new(counts: Counts) -> Self {
        Self { state: Mutex::default(), changed: Notify::new(), elapsed: Box::new(task::stopwatch()), counts }
    }

    /// Has these looked at, as soon as there is a worker.
    pub fn add(&self, keys: impl IntoIterator<Item = Key>) {
        let now = (self.elapsed)();
        let mut state = self.state();
        for key in keys {
            state.add(key, now);
        }
        self.counts.waiting(state.len());
        drop(state);
        self.changed.notify_waiters();
    }

    /// The next one; whoever takes it says when it is [done](Queue::done). Cancel-safe.
    pub async fn next(&self) -> Key {
        loop {
            let changed = self.changed.notified();
            let mut changed = std::pin::pin!(changed);
            // What is added from here on is not missed.
            changed.as_mut().enable();
            let pause = match self.state().take((self.elapsed)()) {
                Ok(key) => return key,
                Err(pause) => pause,
            };
            match pause {
                Some(pause) => drop(task::within(pause, changed).await),
                None => changed.await,
            }
        }
    }

    /// Says that a look is over; one that did not go well is taken again, later and later.
    pub fn done(&self, key: &Key, well: bool) {
        let now = (self.elapsed)();
        let mut state = self.state();
        state.done(key, well, now);
        self.counts.waiting(state.len());
        drop(state);
        self.changed.notify_waiters();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key::new(Subject::Trigger, "default", name)
    }

    const AT: fn(u64) -> Duration = Duration::from_secs;

    #[test]
    fn one_is_looked_at_once_at_a_time_and_again_when_it_changed_meanwhile() {
        let mut state = State::default();
        state.add(key("a"), AT(1));
        state.add(key("a"), AT(1));
        assert_eq!(state.take(AT(0)), Err(Some(AT(1))));
        assert_eq!(state.take(AT(1)), Ok(key("a")));
        state.add(key("a"), AT(1));
        assert_eq!(state.take(AT(2)), Err(None), "it is being looked at");
        state.done(&key("a"), true, AT(2));
        assert_eq!(state.take(AT(2)), Ok(key("a")));
        state.done(&key("a"), true, AT(2));
        assert_eq!(state.take(AT(9)), Err(None));
    }

    #[test]
    fn what_fails_waits_longer_each_time_but_not_when_it_changes() {
        let mut state = State::default();
        state.add(key("a"), AT(0));
        state.take(AT(0)).unwrap();
        state.done(&key("a"), false, AT(0));
        let first = state.take(AT(0)).unwrap_err().unwrap();
        assert_eq!(state.take(AT(1)), Ok(key("a")));
        state.done(&key("a"), false, AT(1));
        assert!(state.take(AT(1)).unwrap_err().unwrap() > first);
        state.add(key("a"), AT(1));
        assert_eq!(state.take(AT(1)), Ok(key("a")));
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiting_worker_is_woken() {
        let queue = Queue::new(Counts::default());
        let (taken, ()) = tokio::join!(queue.next(), async { queue.add([key("a")]) });
        assert_eq!(taken, key("a"));
        queue.done(&taken, false);
        assert_eq!(queue.next().await, key("a"), "after the pause");
        assert_eq!(queue.state().len(), 1);
    }
}
