//! The members of one group in this process: they share one member of Kafka's group, and what it reads.
//!
//! What is to come again waits here, and its offset is held back; so a group that refuses very much
//! reads nothing new for a while.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::watch;

use super::cluster::lock;
use crate::dial::kafka::{Message, Reader, Token};
use crate::fault::{Fault, Retry};
use crate::flow::{Receipt, Settle, Verdict};
use crate::task::{self, Backoff};

/// The pauses of an event whose fault names none: short, because delivery paces its own attempts.
const REDELIVERY: Backoff =
    Backoff { base: Duration::from_millis(200), factor: 2.0, jitter: 0.2, cap: Duration::from_secs(30) };
/// Events that wait to come again, at most, before nothing new is read.
const MAX_WAITING: usize = 4096;

/// An event that was read and is not settled.
pub(super) struct Held {
    token: Token,
    pub message: Message,
    pub attempt: u32,
}

#[derive(Default)]
struct State {
    /// How many are handed out to each member.
    members: HashMap<u64, usize>,
    /// Members that are there or will be: the pool is over when there is none.
    entered: usize,
    /// To come again at once, in order.
    again: BTreeMap<(i32, i64), Held>,
    /// To come again at a moment, counted from the pool's beginning.
    waiting: BTreeMap<(Duration, u64), Held>,
    /// Handed out, by receipt, with whom it was handed to.
    out: HashMap<u64, (u64, Held)>,
    numbers: u64,
}

impl State {
    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }
}

pub(super) struct Pool {
    reader: Reader,
    state: Mutex<State>,
    /// Changes when something may be taken that the reader does not tell of.
    stirred: watch::Sender<u64>,
    elapsed: Box<dyn Fn() -> Duration + Send + Sync>,
}

impl Pool {
    /// With its first member.
    pub(super) fn new(reader: Reader) -> Self {
        let state = State { entered: 1, ..State::default() };
        let elapsed = Box::new(task::stopwatch());
        Self { reader, state: Mutex::new(state), stirred: watch::Sender::new(0), elapsed }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn stir(&self) {
        self.stirred.send_modify(|count| *count += 1);
    }

    /// Lets one more member in, unless the last one has left.
    pub(super) fn enter(&self) -> bool {
        let mut state = self.state();
        let alive = state.entered > 0;
        state.entered += usize::from(alive);
        alive
    }

    /// The number of a member that was let in.
    pub(super) fn member(&self) -> u64 {
        let mut state = self.state();
        let number = state.number();
        state.members.insert(number, 0);
        number
    }

    /// A member leaves; what it holds goes to the others.
    pub(super) fn leave(&self, member: u64) {
        let mut guard = self.state();
        let state = &mut *guard;
        state.members.remove(&member);
        state.entered -= 1;
        let held: Vec<u64> =
            state.out.iter().filter(|(_, (holder, _))| *holder == member).map(|(one, _)| *one).collect();
        for receipt in held {
            if let Some((_, held)) = state.out.remove(&receipt) {
                put_back(&mut state.again, held);
            }
        }
        let last = state.entered == 0;
        drop(guard);
        if last {
            self.reader.leave();
        }
        self.stir();
    }

    /// Commits what is settled and leaves Kafka's group.
    pub(super) async fn close(&self, limit: Duration) -> bool {
        self.reader.close(limit).await
    }

    pub(super) fn watches(&self) -> [watch::Receiver<u64>; 2] {
        [self.reader.filled(), self.stirred.subscribe()]
    }

    /// How long it is until something comes again.
    pub(super) fn due(&self) -> Option<Duration> {
        let state = self.state();
        let (due, _) = state.waiting.keys().next()?;
        Some(due.saturating_sub((self.elapsed)()))
    }

    /// Takes what there is, as much as the member may still hold. The receipts' numbers, and whether it
    /// was taken is never undone.
    ///
    /// # Errors
    /// When Kafka's group can be read no more.
    pub(super) fn take(self: &Arc<Self>, member: u64, max: usize) -> Result<Vec<(Receipt, Message, u32)>, Fault> {
        let mut guard = self.state();
        let state = &mut *guard;
        let now = (self.elapsed)();
        while let Some(entry) = state.waiting.first_entry().filter(|entry| entry.key().0 <= now) {
            put_back_same(&mut state.again, entry.remove());
        }
        let mut room = max.saturating_sub(state.members.get(&member).copied().unwrap_or(max));
        let mut found = Vec::new();
        while room > 0 {
            let held = if let Some((_, held)) = state.again.pop_first() {
                // The new owner of its partition has it.
                if !self.reader.is_current(held.token) {
                    continue;
                }
                held
            } else if state.waiting.len() >= MAX_WAITING {
                break;
            } else {
                match self.reader.next() {
                    Ok(Some((token, message))) => Held { token, message, attempt: 1 },
                    Err(fault) if found.is_empty() => return Err(fault),
                    Ok(None) | Err(_) => break,
                }
            };
            room -= 1;
            let receipt = state.number();
            found.push((Receipt::new(self.clone(), receipt), held.message.clone(), held.attempt));
            state.out.insert(receipt, (member, held));
        }
        if let Some(count) = state.members.get_mut(&member) {
            *count += found.len();
        }
        Ok(found)
    }
}

/// It comes again: another attempt.
fn put_back(again: &mut BTreeMap<(i32, i64), Held>, held: Held) {
    put_back_same(again, Held { attempt: held.attempt.saturating_add(1), ..held });
}

fn put_back_same(again: &mut BTreeMap<(i32, i64), Held>, held: Held) {
    again.insert((held.token.partition, held.token.offset), held);
}

impl Settle for Pool {
    fn settle(&self, receipt: u64, verdict: Verdict) {
        let mut guard = self.state();
        let state = &mut *guard;
        let Some((member, held)) = state.out.remove(&receipt) else { return };
        if let Some(count) = state.members.get_mut(&member) {
            *count = count.saturating_sub(1);
        }
        let pause = match verdict {
            Verdict::Ack => {
                self.reader.settle(held.token);
                None
            }
            Verdict::Dropped => Some(Duration::ZERO),
            Verdict::Nack(fault) => Some(match fault.retry() {
                Retry::After(pause) => pause,
                Retry::Backoff | Retry::Never => REDELIVERY.pause(held.attempt),
            }),
        };
        if let Some(pause) = pause.filter(|_| self.reader.is_current(held.token)) {
            if pause.is_zero() {
                put_back(&mut state.again, held);
            } else {
                let key = ((self.elapsed)() + pause, state.number());
                state.waiting.insert(key, Held { attempt: held.attempt.saturating_add(1), ..held });
            }
        }
        drop(guard);
        self.stir();
    }
}
