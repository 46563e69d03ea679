//! What was read and is not acknowledged, and what its receipts said.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::message::{self, Entry, Terms};
use crate::fault::Retry;
use crate::flow::{Handout, Position, Receipt, Received, Settle, Verdict};

/// Entries that were read and are not acknowledged, at most.
const WINDOW: usize = 256;
struct Held {
    entry: Entry,
    attempt: u32,
}

#[derive(Default)]
struct State {
    held: BTreeMap<Position, Held>,
    receipts: BTreeMap<u64, Position>,
    next_receipt: u64,
    kept: Vec<Position>,
    again: Vec<(Position, Duration)>,
}

/// Where receipts leave word.
#[derive(Default)]
pub(super) struct Desk {
    state: Mutex<State>,
    /// There is word.
    pub told: Notify,
    /// There is room.
    pub freed: Notify,
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many more entries may be read.
    pub(super) fn room(&self) -> usize {
        WINDOW.saturating_sub(self.lock().held.len())
    }

    /// Takes an entry in; false when it is here already. `attempt` is 1 for one that was never read.
    pub(super) fn take(&self, entry: Entry, attempt: u32) -> bool {
        let mut state = self.lock();
        if state.held.contains_key(&entry.position) {
            return false;
        }
        state.held.insert(entry.position, Held { entry, attempt });
        true
    }

    /// Makes an event of an entry that is held, with a receipt of its own.
    pub(super) fn hand_out(self: &Arc<Self>, position: Position, terms: &Terms) -> Option<Received> {
        let mut state = self.lock();
        let (entry, attempt) = state.held.get(&position).map(|held| (held.entry.clone(), held.attempt))?;
        let number = state.next_receipt;
        state.next_receipt += 1;
        state.receipts.insert(number, position);
        drop(state);
        Some(Received {
            event: message::read(&entry, terms),
            position,
            appended: message::time(position),
            attempt,
            receipt: Receipt::new(self.clone(), number),
        })
    }

    /// What the bus has, so far.
    pub(super) fn kept(&self) -> Vec<Position> {
        std::mem::take(&mut self.lock().kept)
    }

    /// Takes back what could not be told.
    pub(super) fn keep(&self, positions: Vec<Position>) {
        self.lock().kept.extend(positions);
    }

    /// What the bus did not take, and when it is to be handed out again.
    pub(super) fn again(&self) -> Vec<(Position, Duration)> {
        std::mem::take(&mut self.lock().again)
    }

    pub(super) fn held(&self) -> Vec<Position> {
        self.lock().held.keys().copied().collect()
    }

    /// Whether no receipt is out.
    pub(super) fn is_settled(&self) -> bool {
        self.lock().receipts.is_empty()
    }
}

impl Settle for Desk {
    fn settle(&self, token: u64, verdict: Verdict) {
        let mut state = self.lock();
        let Some(position) = state.receipts.remove(&token) else { return };
        let attempt = state.held.get(&position).map_or(1, |held| held.attempt);
        let pause = match verdict {
            Verdict::Ack => None,
            Verdict::Dropped => Some(Handout::AGAIN.pause(attempt)),
            Verdict::Nack(fault) => Some(match fault.retry() {
                Retry::After(pause) => pause.min(Handout::AGAIN.cap),
                // Refused for good, too: those after it would not fare better.
                Retry::Backoff | Retry::Never => Handout::AGAIN.pause(attempt),
            }),
        };
        if let Some(pause) = pause {
            if let Some(held) = state.held.get_mut(&position) {
                held.attempt += 1;
            }
            state.again.push((position, pause));
        } else {
            state.held.remove(&position);
            state.kept.push(position);
        }
        drop(state);
        self.told.notify_one();
        self.freed.notify_one();
    }
}
