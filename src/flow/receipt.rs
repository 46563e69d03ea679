//! What runs back: the outcome of an event that was handed out.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;

use crate::event::Event;
use crate::fault::Fault;

/// The outcome of one event, as its origin learns it.
#[derive(Debug)]
pub enum Verdict {
    /// The event is durable elsewhere, delivered, dead-lettered or filtered out: forget it.
    Ack,
    /// It is not: hand it out again, after the pause that the fault asks for.
    Nack(Fault),
    /// The receipt was dropped without a word (shutdown, a cancelled task): hand it out again.
    Dropped,
}

/// The origin's side of receipts.
pub trait Settle: Send + Sync {
    /// Learns the outcome of the event that was handed out under `token`, once. Must not block:
    /// it is called from `Drop`.
    fn settle(&self, token: u64, verdict: Verdict);
}

/// The promise to tell an event's origin what became of it. Dropping it is a negative
/// acknowledgement, so no early return can lose an event.
#[must_use = "dropping a receipt hands the event out again"]
pub struct Receipt {
    origin: Option<Arc<dyn Settle>>,
    token: u64,
}

impl Receipt {
    pub fn new(origin: Arc<dyn Settle>, token: u64) -> Self {
        Self { origin: Some(origin), token }
    }

    /// Of an event that was read apart from all groups: nobody waits for what becomes of it.
    pub fn of_nobody() -> Self {
        Self { origin: None, token: 0 }
    }

    /// The event is durable elsewhere or done with.
    pub fn ack(mut self) {
        self.settle(Verdict::Ack);
    }

    /// The event could not be kept: it must be handed out again.
    pub fn nack(mut self, fault: Fault) {
        self.settle(Verdict::Nack(fault));
    }

    fn settle(&mut self, verdict: Verdict) {
        if let Some(origin) = self.origin.take() {
            origin.settle(self.token, verdict);
        }
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        self.settle(Verdict::Dropped);
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receipt").field("token", &self.token).finish_non_exhaustive()
    }
}

/// Where an event stands in its topic. Ordered within one topic; what the two numbers mean is the
/// bus's own (offset and 0; partition and offset; milliseconds and sequence of a Redis stream).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    pub major: u64,
    pub minor: u64,
}

impl Position {
    /// Reads a position as it is displayed; `None` when it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once('-')?;
        Some(Self { major: major.parse().ok()?, minor: minor.parse().ok()? })
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.major, self.minor)
    }
}

/// Bytes that were handed out but are no event: they cost only themselves.
#[derive(Clone, Debug)]
pub struct Poison {
    pub bytes: Bytes,
    pub fault: Fault,
}

/// One event as it was handed out by a source or a bus.
#[derive(Debug)]
pub struct Received {
    /// The event, or what could not be read as one.
    pub event: Result<Event, Poison>,
    pub position: Position,
    /// When the origin took it in: the time that ages are measured by.
    pub appended: Timestamp,
    /// 1 for the first time it is handed out, as far as the origin remembers.
    pub attempt: u32,
    pub receipt: Receipt,
}
