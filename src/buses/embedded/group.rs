//! A consumer group: what it has settled, what is out with its members, what comes next.
//!
//! Time is handed in (as time since the bus was opened), so that everything here is decided by
//! its arguments.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::settled::Settled;
use crate::fault::Retry;
use crate::flow::{self, Verdict};
use crate::task::Backoff;

/// While this many events wait to be handed out again, nothing new is: it bounds the memory (and
/// the stored position) of a group whose members refuse everything.
const WAITING_MAX: usize = 65_536;

/// The pause before an event is handed out again when the fault names none.
const REDELIVERY: Backoff =
    Backoff { base: Duration::from_millis(100), factor: 2.0, jitter: 0.2, cap: Duration::from_secs(30) };

/// One offset that was taken for a member, and the how-manieth time that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pick {
    pub(super) offset: u64,
    pub(super) attempt: u32,
}

/// What [`Group::pick`] found.
#[derive(Debug, Default)]
pub(super) struct Picks {
    /// In the order in which they are handed out.
    pub(super) picks: Vec<Pick>,
    /// When the next event that waits for its pause is due.
    pub(super) next_due: Option<Duration>,
}

struct Out {
    member: u64,
    attempt: u32,
}

/// What a member holds.
#[derive(Default)]
struct Held {
    count: usize,
    /// It was handed as much as it may hold, so it waits for room.
    full: bool,
}

struct State {
    settled: Settled,
    /// Everything from here on was never handed out (since the bus was opened).
    cursor: u64,
    out: HashMap<u64, Out>,
    /// To be handed out again now, with the next attempt's number.
    ready: BTreeMap<u64, u32>,
    /// To be handed out again at a time, with the next attempt's number.
    later: BTreeMap<(Duration, u64), u32>,
    members: HashMap<u64, Held>,
    next_member: u64,
}

pub(super) struct Group {
    pub(super) topic: u32,
    name: flow::Group,
    state: Mutex<State>,
    wake: Notify,
    /// Copies of the state that others read without its lock.
    cursor: AtomicU64,
    members: AtomicUsize,
    /// The position changed since it was last written.
    moved: AtomicBool,
}

impl Group {
    pub(super) fn new(topic: u32, name: flow::Group, settled: Settled) -> Self {
        let cursor = settled.low();
        let state = State {
            settled,
            cursor,
            out: HashMap::new(),
            ready: BTreeMap::new(),
            later: BTreeMap::new(),
            members: HashMap::new(),
            next_member: 0,
        };
        Self {
            topic,
            name,
            state: Mutex::new(state),
            wake: Notify::new(),
            cursor: AtomicU64::new(cursor),
            members: AtomicUsize::new(0),
            moved: AtomicBool::new(false),
        }
    }

    pub(super) fn name(&self) -> &flow::Group {
        &self.name
    }

    /// The first offset that no member was handed yet.
    pub(super) fn cursor(&self) -> u64 {
        self.cursor.load(Ordering::Acquire)
    }

    pub(super) fn has_members(&self) -> bool {
        self.members.load(Ordering::Acquire) > 0
    }

    pub(super) fn wake(&self) {
        self.wake.notify_waiters();
    }

    /// Resolves at the next [`Group::wake`] after this future was enabled.
    pub(super) fn woken(&self) -> Notified<'_> {
        self.wake.notified()
    }

    pub(super) fn join(&self) -> u64 {
        let mut state = self.lock();
        state.next_member += 1;
        let member = state.next_member;
        state.members.insert(member, Held::default());
        self.members.fetch_add(1, Ordering::AcqRel);
        member
    }

    /// What the member holds goes to the others.
    pub(super) fn leave(&self, member: u64) {
        let mut state = self.lock();
        state.members.remove(&member);
        self.members.fetch_sub(1, Ordering::AcqRel);
        let State { out, ready, .. } = &mut *state;
        out.retain(|offset, out| {
            let stays = out.member != member;
            if !stays {
                ready.insert(*offset, out.attempt + 1);
            }
            stays
        });
        drop(state);
        self.wake();
    }

    /// Takes up to `limit` offsets below `next` for a member that holds at most `max`.
    pub(super) fn pick(&self, member: u64, max: usize, limit: usize, next: u64, now: Duration) -> Picks {
        let mut state = self.lock();
        state.promote(now);
        let free = state.members.get(&member).map_or(0, |held| max.saturating_sub(held.count));
        let room = limit.min(free);
        let mut picks = Vec::new();
        while picks.len() < room {
            let Some((offset, attempt)) = state.ready.pop_first() else { break };
            picks.push(Pick { offset, attempt });
        }
        while picks.len() < room && state.ready.len() + state.later.len() < WAITING_MAX {
            let offset = state.settled.next_unsettled(state.cursor);
            state.cursor = offset.min(next).max(state.cursor);
            if offset >= next {
                break;
            }
            state.cursor = offset + 1;
            picks.push(Pick { offset, attempt: 1 });
        }
        for Pick { offset, attempt } in &picks {
            state.out.insert(*offset, Out { member, attempt: *attempt });
        }
        if let Some(held) = state.members.get_mut(&member) {
            held.count += picks.len();
            held.full = picks.len() == free;
        }
        self.cursor.store(state.cursor, Ordering::Release);
        Picks { picks, next_due: state.later.first_key_value().map(|((due, _), _)| *due) }
    }

    /// Takes a pick back that was never handed out.
    pub(super) fn release(&self, member: u64, pick: Pick) {
        let mut state = self.lock();
        if state.take(member, pick.offset).is_some() {
            state.ready.insert(pick.offset, pick.attempt);
        }
        drop(state);
        self.wake();
    }

    /// Learns an outcome; true when the position changed and nobody noted that yet.
    pub(super) fn settle(&self, member: u64, offset: u64, verdict: &Verdict, now: Duration) -> bool {
        let mut state = self.lock();
        let state = &mut *state;
        match verdict {
            Verdict::Ack => {
                // Even the word of a member that left, or was handed the event before, is true.
                if state.drop_everywhere(offset) {
                    self.wake();
                }
                let changed = state.settled.add(offset);
                changed && !self.moved.swap(true, Ordering::AcqRel)
            }
            Verdict::Nack(fault) => {
                if let Some(attempt) = state.take(member, offset) {
                    let pause = match fault.retry() {
                        Retry::After(pause) => pause,
                        Retry::Backoff | Retry::Never => REDELIVERY.pause(attempt),
                    };
                    state.later.insert((now + pause, offset), attempt + 1);
                }
                self.wake();
                false
            }
            Verdict::Dropped => {
                if let Some(attempt) = state.take(member, offset) {
                    state.ready.insert(offset, attempt + 1);
                }
                self.wake();
                false
            }
        }
    }

    /// Everything below `first` is gone from the log; answers how many events were not settled.
    pub(super) fn raise(&self, first: u64) -> (u64, bool) {
        let mut state = self.lock();
        let before = state.settled.low();
        let lost = state.settled.raise(first);
        state.cursor = state.cursor.max(first);
        self.cursor.store(state.cursor, Ordering::Release);
        state.ready.retain(|offset, _| *offset >= first);
        state.later.retain(|(_, offset), _| *offset >= first);
        let moved = state.settled.low() != before && !self.moved.swap(true, Ordering::AcqRel);
        (lost, moved)
    }

    /// How many events below `next` are not settled.
    pub(super) fn lag(&self, next: u64) -> u64 {
        let state = self.lock();
        next.saturating_sub(state.settled.low()).saturating_sub(state.settled.count_above())
    }

    /// The position as it is to be written; changes after this are noted anew.
    pub(super) fn position(&self) -> Settled {
        self.moved.store(false, Ordering::Release);
        self.lock().settled.clone()
    }

    /// The position could not be written: true when it must be noted again.
    pub(super) fn unwritten(&self) -> bool {
        !self.moved.swap(true, Ordering::AcqRel)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every section leaves the state whole, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Moves what is due from `later` to `ready`.
    fn promote(&mut self, now: Duration) {
        while let Some(entry) = self.later.first_entry() {
            let (due, offset) = *entry.key();
            if due > now {
                break;
            }
            let attempt = entry.remove();
            self.ready.insert(offset, attempt);
        }
    }

    /// Takes an offset back from the member that holds it; answers its attempt.
    fn take(&mut self, member: u64, offset: u64) -> Option<u32> {
        if self.out.get(&offset)?.member != member {
            return None;
        }
        let out = self.out.remove(&offset)?;
        self.release_slot(member);
        Some(out.attempt)
    }

    /// True when a member waited for the room that this makes.
    fn drop_everywhere(&mut self, offset: u64) -> bool {
        if let Some(out) = self.out.remove(&offset) {
            return self.release_slot(out.member);
        }
        self.ready.remove(&offset);
        self.later.retain(|(_, waiting), _| *waiting != offset);
        false
    }

    /// True when the member waited for room.
    fn release_slot(&mut self, member: u64) -> bool {
        let Some(held) = self.members.get_mut(&member) else { return false };
        held.count = held.count.saturating_sub(1);
        std::mem::take(&mut held.full)
    }
}
