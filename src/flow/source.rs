//! The source: listens to an origin and hands out what it hears as events.

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::Received;
use crate::fault::{Fault, FaultKind};
use crate::task::Shutdown;

/// The place that a source hands its events to. Bounded: a source waits when nobody takes them.
#[derive(Clone, Debug)]
pub struct Outlet {
    sender: mpsc::Sender<Received>,
    max_event_bytes: usize,
}

/// An outlet and the end that takes from it; `bound` events wait at most.
pub fn outlet(bound: usize) -> (Outlet, mpsc::Receiver<Received>) {
    let (sender, receiver) = mpsc::channel(bound);
    (Outlet { sender, max_event_bytes: usize::MAX }, receiver)
}

/// What a source listens to, as its settings `C` say, and where its events go.
#[derive(Clone, Debug)]
pub struct Entry<C> {
    pub config: C,
    pub outlet: Outlet,
    /// What tells it apart from all others, `namespace/source/event` or the name of a Component. What it keeps is named
    /// after it, here and at its broker, unless the settings name it.
    pub identity: String,
    /// The `source` of events that are no `CloudEvents` when they come.
    pub source: String,
    /// Their `type`.
    pub ty: String,
}

impl<C> Entry<C> {
    /// The settings, and the rest.
    pub fn split(self) -> (C, Entry<()>) {
        let Self { config, outlet, identity, source, ty } = self;
        (config, Entry { config: (), outlet, identity, source, ty })
    }

    /// The same with other settings.
    pub fn with<D>(self, config: D) -> Entry<D> {
        let Self { outlet, identity, source, ty, .. } = self;
        Entry { config, outlet, identity, source, ty }
    }
}

impl Outlet {
    /// The same outlet; its far end keeps events of at most `max_event_bytes` whole.
    #[must_use]
    pub fn limited(self, max_event_bytes: usize) -> Self {
        Self { max_event_bytes, ..self }
    }

    /// The largest event, in bytes of its record, that is kept whole. A source whose sender waits
    /// for an answer refuses a larger one; from any other source it becomes a dead letter.
    pub fn max_event_bytes(&self) -> usize {
        self.max_event_bytes
    }

    /// Waits for room, then hands the event over. Its receipt tells the outcome. Cancel-safe: the
    /// event's receipt is dropped when this is cancelled.
    ///
    /// # Errors
    /// `Closed` when nobody takes events any more; the receipt is dropped then.
    pub async fn send(&self, received: Received) -> Result<(), Fault> {
        self.sender.send(received).await.map_err(|_| Self::closed())
    }

    /// As [`Outlet::send`], without waiting.
    ///
    /// # Errors
    /// `Throttled` when the outlet is full, `Closed` when nobody takes events any more.
    pub fn try_send(&self, received: Received) -> Result<(), Fault> {
        self.sender.try_send(received).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                Fault::new(FaultKind::Throttled, "hand out an event", "too many events are waiting for the bus")
            }
            mpsc::error::TrySendError::Closed(_) => Self::closed(),
        })
    }

    fn closed() -> Fault {
        Fault::new(FaultKind::Closed, "hand out an event", "shutting down")
    }
}

/// Listens to one origin (an HTTP port, a schedule, a broker) until it is told to stop.
///
/// A source is given its outlets when it is built, one per event name, and acknowledges to its
/// origin only what the receipt says was kept.
#[async_trait]
pub trait Source: Send {
    /// Runs until `shutdown`: then takes nothing new, waits for the receipts that are out, returns.
    ///
    /// # Errors
    /// When it cannot go on: the port is taken, credentials are refused. Outages are waited out.
    async fn run(self: Box<Self>, shutdown: Shutdown) -> Result<(), Fault>;
}
