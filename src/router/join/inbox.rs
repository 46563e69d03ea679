//! Where events wait to be decided on.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use smallvec::SmallVec;
use tokio::sync::{Notify, oneshot};

use crate::event::Event;
use crate::flow::Position;

/// One event that a subscriber wants.
#[derive(Debug)]
pub struct Observed {
    /// When the bus took it in.
    pub at: Timestamp,
    /// An index into the topics of the subscriber, and where it stands there.
    pub topic: usize,
    pub position: Position,
    /// The inputs that accepted it, ascending.
    pub inputs: SmallVec<[usize; 2]>,
    pub event: Event,
    /// Told when what came of it is durable.
    pub done: oneshot::Sender<()>,
}

/// What orders events: the bus's time over all topics, then the place.
pub(super) type Order = (Timestamp, usize, Position);

/// Bounded by what the members of the consumer group may have in flight: each of these events waits here with its
/// receipt open.
#[derive(Debug, Default)]
pub struct Inbox {
    waiting: Mutex<BTreeMap<Order, Observed>>,
    arrived: Notify,
}

impl Inbox {
    pub fn put(&self, observed: Observed) {
        let order = (observed.at, observed.topic, observed.position);
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(order, observed);
        self.arrived.notify_one();
    }

    /// Resolves when something was put in since the last time.
    pub(super) async fn arrived(&self) {
        self.arrived.notified().await;
    }

    /// The time of the newest.
    pub(super) fn newest(&self) -> Option<Timestamp> {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.last_key_value().map(|((at, ..), _)| *at)
    }

    /// Takes out, in order, what came before `limit` or at it; at most `most`.
    pub(super) fn take(&self, limit: Timestamp, most: usize) -> Vec<Observed> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = Vec::new();
        while taken.len() < most
            && let Some(first) = waiting.first_entry()
            && first.key().0 <= limit
        {
            taken.push(first.remove());
        }
        taken
    }
}
