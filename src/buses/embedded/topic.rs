//! A topic in memory: where it stands, its groups and readers, and the events that were appended last.
//!
//! The common case is a subscriber that keeps up: it finds the newest events here and never reads
//! the disk. What is kept is bounded per topic and over all topics, and is forgotten as soon as
//! every group with members, and every reader, has taken it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::group::Group;
use super::layout::{LOG_OVERHEAD, TopicRecord};
use crate::event::{Event, record};
use crate::fault::{Fault, FaultKind};
use crate::flow::{self, Poison};

/// What one topic may keep in memory: enough to bridge a few commits of a fast publisher.
const RECENT_TOPIC_BYTES: usize = 4 << 20;

/// What all topics together may keep in memory; with many busy topics each keeps less.
const RECENT_TOTAL_BYTES: usize = 16 << 20;

/// What an event costs in memory beside its record: its index and this entry.
const RECENT_OVERHEAD: usize = 256;

/// The bytes that all topics together keep in memory.
pub(super) type Budget = Arc<AtomicUsize>;

/// One event of the log, ready to be handed out.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) event: Result<Event, Poison>,
    pub(super) appended: i64,
}

impl Entry {
    /// Reads a record; bytes that are no event become poison.
    pub(super) fn read(appended: i64, bytes: Bytes) -> Self {
        let event = record::read(bytes.clone()).map_err(|error| {
            let fault = Fault::new(FaultKind::Malformed, "read an event", "the record on disk is damaged");
            Poison { bytes, fault: fault.with_source(error) }
        });
        Self { event, appended }
    }

    /// What cannot be read from the disk at all.
    pub(super) fn unreadable(fault: Fault) -> Self {
        Self { event: Err(Poison { bytes: Bytes::new(), fault }), appended: 0 }
    }

    pub(super) fn record(&self) -> &Bytes {
        match &self.event {
            Ok(event) => event.record(),
            Err(poison) => &poison.bytes,
        }
    }

    pub(super) fn appended_at(&self) -> Timestamp {
        Timestamp::from_microsecond(self.appended).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// What it costs in the log.
    pub(super) fn log_bytes(&self) -> u64 {
        self.record().len() as u64 + LOG_OVERHEAD
    }

    fn memory(&self) -> usize {
        self.record().len() + RECENT_OVERHEAD
    }
}

/// The events `[record.next - recent.len(), record.next)`.
struct State {
    record: TopicRecord,
    recent: VecDeque<Entry>,
    recent_bytes: usize,
}

pub(super) struct Topic {
    pub(super) id: u32,
    pub(super) name: flow::Topic,
    state: Mutex<State>,
    groups: RwLock<Vec<Arc<Group>>>,
    /// The next offset of each reader.
    readers: Mutex<Vec<Weak<AtomicU64>>>,
    /// Tells readers that something was appended.
    appended: Notify,
    budget: Budget,
}

impl Topic {
    pub(super) fn new(name: flow::Topic, record: TopicRecord, budget: Budget) -> Self {
        let state = State { record, recent: VecDeque::new(), recent_bytes: 0 };
        let (groups, readers, appended) = (RwLock::default(), Mutex::default(), Notify::new());
        Self { id: record.id, name, state: Mutex::new(state), groups, readers, appended, budget }
    }

    /// Counts a reader in; it counts as long as what is returned lives, and must be kept at the next offset that it reads.
    pub(super) fn reader(&self, next: u64) -> Arc<AtomicU64> {
        let cursor = Arc::new(AtomicU64::new(next));
        self.readers.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&cursor));
        cursor
    }

    /// The first offset that a reader has not read; none when there are no readers.
    fn unread(&self) -> Option<u64> {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        readers.retain(|reader| reader.strong_count() > 0);
        readers.iter().filter_map(Weak::upgrade).map(|reader| reader.load(Ordering::Relaxed)).min()
    }

    /// Resolves when something is appended after this future was enabled, or the bus is closed.
    pub(super) fn appended(&self) -> Notified<'_> {
        self.appended.notified()
    }

    /// Wakes everyone who waits for events.
    pub(super) fn wake(&self) {
        self.appended.notify_waiters();
        for group in self.groups() {
            group.wake();
        }
    }

    pub(super) fn record(&self) -> TopicRecord {
        self.lock().record
    }

    pub(super) fn group(&self, name: &flow::Group) -> Option<Arc<Group>> {
        self.groups().iter().find(|group| group.name() == name).cloned()
    }

    pub(super) fn groups(&self) -> Vec<Arc<Group>> {
        self.groups.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn add_group(&self, group: Arc<Group>) {
        self.groups.write().unwrap_or_else(PoisonError::into_inner).push(group);
    }

    /// Takes over what was committed, and wakes the groups.
    pub(super) fn committed(&self, record: TopicRecord, entries: Vec<Entry>) {
        let groups = self.groups();
        let wanted = groups.iter().any(|group| group.has_members()) || self.unread().is_some();
        let mut state = self.lock();
        let appended = !entries.is_empty();
        state.record = record;
        if wanted {
            for entry in entries {
                self.keep(&mut state, entry);
            }
        } else if appended {
            // What is kept must reach up to `next` without a gap.
            self.forget(&mut state, u64::MAX);
        }
        drop(state);
        if appended {
            self.wake();
        }
    }

    /// Takes over what the disk says after it was reopened.
    pub(super) fn reset(&self, record: TopicRecord) {
        let mut state = self.lock();
        state.record = record;
        self.forget(&mut state, u64::MAX);
        drop(state);
        self.wake();
    }

    /// The events at these offsets, as far as they are in memory.
    pub(super) fn recent(&self, offsets: impl Iterator<Item = u64>) -> Vec<Option<Entry>> {
        let state = self.lock();
        let first = state.record.next - state.recent.len() as u64;
        let find = |offset: u64| {
            let index = usize::try_from(offset.checked_sub(first)?).ok()?;
            state.recent.get(index).cloned()
        };
        offsets.map(find).collect()
    }

    /// Forgets what every group with members, and every reader, has taken.
    pub(super) fn trim(&self) {
        let needed = self.groups().iter().filter(|group| group.has_members()).map(|group| group.cursor()).min();
        let needed = needed.into_iter().chain(self.unread()).min();
        self.forget(&mut self.lock(), needed.unwrap_or(u64::MAX));
    }

    fn keep(&self, state: &mut State, entry: Entry) {
        let cost = entry.memory();
        state.recent.push_back(entry);
        state.recent_bytes += cost;
        let mut total = self.budget.fetch_add(cost, Ordering::Relaxed) + cost;
        while (state.recent_bytes > RECENT_TOPIC_BYTES || total > RECENT_TOTAL_BYTES) && !state.recent.is_empty() {
            total = self.pop(state);
        }
    }

    fn forget(&self, state: &mut State, below: u64) {
        while !state.recent.is_empty() && state.record.next - (state.recent.len() as u64) < below {
            self.pop(state);
        }
    }

    /// Drops the oldest kept event; answers what all topics keep then.
    fn pop(&self, state: &mut State) -> usize {
        let cost = state.recent.pop_front().map_or(0, |entry| entry.memory());
        state.recent_bytes -= cost;
        self.budget.fetch_sub(cost, Ordering::Relaxed).saturating_sub(cost)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every section leaves the state whole, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
