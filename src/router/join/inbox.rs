//! Where events wait to be decided on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use smallvec::SmallVec;
use tokio::sync::Notify;

use crate::event::Event;
use crate::flow::Position;

/// One event that a subscriber wants.
pub struct Observed {
    /// When the bus took it in.
    pub at: Timestamp,
    /// An index into the topics of the subscriber, and where it stands there.
    pub topic: usize,
    pub position: Position,
    /// The inputs that accepted it, ascending, and what each of them saw.
    pub accepted: SmallVec<[(usize, Event); 1]>,
    /// Makes room for others when it is dropped, here and by whoever else has the event.
    pub room: Arc<dyn Send + Sync>,
}

/// What orders events: the bus's time over all topics, then the place.
pub(super) type Order = (Timestamp, Position, usize);

/// Bounded by what was read ahead of the decisions: who puts an event here holds room for it.
#[derive(Default)]
pub struct Inbox {
    waiting: Mutex<BTreeMap<Order, Observed>>,
    arrived: Notify,
}

impl Inbox {
    pub fn put(&self, observed: Observed) {
        self.put_back(observed);
        self.arrived.notify_one();
    }

    /// Resolves when something was put in since the last time.
    pub(super) async fn arrived(&self) {
        self.arrived.notified().await;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Takes out the first, if it may be decided on.
    pub(super) fn take(&self, may: impl FnOnce(&Order) -> bool) -> Option<Observed> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let first = waiting.first_entry().filter(|first| may(first.key()))?;
        Some(first.remove())
    }

    /// Puts back what was taken and not decided on.
    pub(super) fn put_back(&self, observed: Observed) {
        let order = (observed.at, observed.position, observed.topic);
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(order, observed);
    }

    /// Whether an event of the topic waits that stands at this position or before it.
    pub(super) fn has(&self, topic: usize, upto: Position) -> bool {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.keys().any(|(_, position, of)| *of == topic && *position <= upto)
    }
}
