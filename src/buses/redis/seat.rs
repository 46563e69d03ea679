//! What a member holds, and the words about it that the server is not told yet.
//!
//! Receipts are settled in `Drop`, which cannot wait: they leave a word here, and the member's task
//! sends it. What waits is bounded by what the member holds.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::Notify;

use super::message::Entry;
use super::server::lock;
use crate::fault::{Fault, Retry};
use crate::flow::{Position, Settle, Verdict};
use crate::task::Backoff;

/// The pauses of an event whose fault names none: short, because delivery paces its own attempts.
const REDELIVERY: Backoff =
    Backoff { base: Duration::from_millis(200), factor: 2.0, jitter: 0.2, cap: Duration::from_secs(30) };

/// What became of one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub position: Position,
    /// When it is to come again; never, when it is done with.
    pub again: Option<Duration>,
}

#[derive(Default)]
struct Hand {
    /// What was handed out or is ready to be, and which attempt it is.
    held: BTreeMap<Position, u32>,
    /// Receipts that are out.
    receipts: BTreeMap<u64, Position>,
    next_receipt: u64,
    ready: VecDeque<Entry>,
    /// Of what is ready.
    ready_bytes: usize,
    words: VecDeque<Word>,
    failed: Option<Fault>,
}

/// One member, as its receipts know it.
#[derive(Default)]
pub(super) struct Seat {
    hand: Mutex<Hand>,
    /// There is a word to send, or room.
    pub freed: Notify,
    /// Something is ready, or it is over.
    pub filled: Notify,
}

impl Seat {
    /// Takes entries in. One that is held already came again because the server waited too long for
    /// a sign: what is in work stays in work.
    pub(super) fn take(&self, entries: Vec<Entry>) {
        let mut hand = lock(&self.hand);
        for entry in entries {
            if hand.held.insert(entry.position, entry.attempt).is_none() {
                hand.ready_bytes += entry.size();
                hand.ready.push_back(entry);
            }
        }
        drop(hand);
        self.filled.notify_one();
    }

    /// How many more may be held when `max` may be, with at most `ahead` that are ready; none while as many bytes are
    /// ready as these.
    pub(super) fn room(&self, max: usize, ahead: usize, bytes: usize) -> usize {
        let hand = lock(&self.hand);
        if hand.ready_bytes >= bytes {
            return 0;
        }
        max.saturating_sub(hand.held.len()).min(ahead.saturating_sub(hand.ready.len()))
    }

    /// Takes what is ready, each with the number of its receipt.
    pub(super) fn ready(&self) -> Vec<(u64, Entry)> {
        let mut hand = lock(&self.hand);
        let ready = std::mem::take(&mut hand.ready);
        hand.ready_bytes = 0;
        let numbered = ready.into_iter().map(|entry| {
            let number = hand.next_receipt;
            hand.next_receipt += 1;
            hand.receipts.insert(number, entry.position);
            (number, entry)
        });
        numbered.collect()
    }

    /// What is held.
    pub(super) fn held(&self) -> Vec<Position> {
        lock(&self.hand).held.keys().copied().collect()
    }

    /// Takes words, at most `max`.
    pub(super) fn words(&self, max: usize) -> Vec<Word> {
        let mut hand = lock(&self.hand);
        let count = hand.words.len().min(max);
        hand.words.drain(..count).collect()
    }

    /// Takes back words that could not be sent.
    pub(super) fn unsay(&self, words: Vec<Word>) {
        let mut hand = lock(&self.hand);
        for word in words.into_iter().rev() {
            hand.words.push_front(word);
        }
    }

    /// Lets go of everything: receipts that are still out say nothing that counts.
    pub(super) fn release(&self) {
        let mut hand = lock(&self.hand);
        hand.held.clear();
        hand.receipts.clear();
        hand.ready.clear();
        hand.ready_bytes = 0;
        drop(hand);
        self.filled.notify_one();
    }

    pub(super) fn fail(&self, fault: Fault) {
        lock(&self.hand).failed = Some(fault);
        self.filled.notify_one();
    }

    pub(super) fn failed(&self) -> Option<Fault> {
        lock(&self.hand).failed.clone()
    }
}

impl Settle for Seat {
    fn settle(&self, token: u64, verdict: Verdict) {
        let mut hand = lock(&self.hand);
        let Some(position) = hand.receipts.remove(&token) else { return };
        let attempt = hand.held.remove(&position).unwrap_or(1);
        let again = match verdict {
            Verdict::Ack => None,
            Verdict::Dropped => Some(Duration::ZERO),
            Verdict::Nack(fault) => Some(match fault.retry() {
                Retry::After(pause) => pause,
                Retry::Backoff | Retry::Never => REDELIVERY.pause(attempt),
            }),
        };
        hand.words.push_back(Word { position, again });
        drop(hand);
        self.freed.notify_one();
    }
}
