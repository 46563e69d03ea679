//! An event that its origin cannot be handed back for a while: kept in memory, and handed out until
//! it is kept.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::oneshot;

use super::{Outlet, Poison, Position, Receipt, Received, Settle, Verdict};
use crate::event::Event;
use crate::fault::{Fault, FaultKind, Retry};
use crate::task::{self, Backoff, Shutdown};

/// One event, and where it is handed out. For origins that keep a message until it is acknowledged,
/// and cannot be asked to bring it again later.
#[derive(Debug)]
pub struct Handout {
    outlet: Outlet,
    event: Result<Event, Poison>,
    position: Position,
    appended: Timestamp,
    attempt: u32,
    /// Whether it is handed out again even when it was refused for good.
    insists: bool,
    /// The outcome of the last time that it was handed out.
    out: Option<oneshot::Receiver<Verdict>>,
}

/// How it ended.
#[derive(Debug)]
pub enum Kept {
    /// The event is kept: the origin may forget it.
    Yes,
    /// It is refused for good, for this reason. Not with [`Handout::insisting`].
    Never(Fault),
    /// The stop was asked for, or nobody takes events any more: the origin must bring it again.
    Stopped,
}

impl Handout {
    /// The pauses before an event that was not kept is handed out again.
    pub const AGAIN: Backoff =
        Backoff { base: Duration::from_secs(1), factor: 2.0, jitter: 0.2, cap: Duration::from_secs(30) };

    /// `attempt` is 1 for a message that the origin has not brought before.
    pub fn new(
        outlet: Outlet,
        event: Result<Event, Poison>,
        position: Position,
        appended: Timestamp,
        attempt: u32,
    ) -> Self {
        Self { outlet, event, position, appended, attempt, insists: false, out: None }
    }

    /// The same, handed out again even when it was refused for good: for origins that have no other
    /// place for it.
    #[must_use]
    pub fn insisting(self) -> Self {
        Self { insists: true, ..self }
    }

    /// Waits for room in the outlet and hands the event out. Cancel-safe: an event that was not
    /// taken is not out.
    ///
    /// # Errors
    /// `Closed` when nobody takes events any more.
    pub async fn give(&mut self) -> Result<(), Fault> {
        let (outcome, verdict) = Outcome::new();
        let received = Received {
            event: self.event.clone(),
            position: self.position,
            appended: self.appended,
            attempt: self.attempt,
            receipt: Receipt::new(outcome, 0),
        };
        self.outlet.send(received).await?;
        self.out = Some(verdict);
        Ok(())
    }

    /// Waits until the event is kept; hands it out again, after the pauses of [`Self::AGAIN`], as
    /// long as another attempt can help. A receipt that is out is waited for even when `shutdown` is requested.
    pub async fn kept(mut self, shutdown: Shutdown) -> Kept {
        let mut failures = 0;
        loop {
            if self.out.is_none() {
                // Cancel-safe: what was not taken is not out.
                tokio::select! {
                    biased;
                    () = shutdown.requested() => return Kept::Stopped,
                    given = self.give() => if given.is_err() { return Kept::Stopped },
                }
            }
            let Some(out) = self.out.take() else { continue };
            let fault = match out.await {
                Ok(Verdict::Ack) => return Kept::Yes,
                Ok(Verdict::Nack(fault)) => fault,
                Ok(Verdict::Dropped) | Err(_) => {
                    Fault::new(FaultKind::Closed, "keep an event", "nobody answered for it")
                }
            };
            if !fault.is_retryable() && !self.insists {
                return Kept::Never(fault);
            }
            failures += 1;
            self.attempt = self.attempt.saturating_add(1);
            let pause = match fault.retry() {
                Retry::After(pause) => pause.min(Self::AGAIN.cap),
                Retry::Backoff | Retry::Never => Self::AGAIN.pause(failures),
            };
            if !shutdown.is_requested() {
                let id = self.event.as_ref().map(Event::id).unwrap_or_default();
                tracing::warn!(id, fault = fault.chain(), failures, "an event was not kept, and is handed out again");
            }
            tokio::select! {
                () = shutdown.requested() => return Kept::Stopped,
                () = task::sleep(pause) => {}
            }
        }
    }
}

/// Passes one receipt's verdict on.
struct Outcome(Mutex<Option<oneshot::Sender<Verdict>>>);

impl Outcome {
    fn new() -> (Arc<Self>, oneshot::Receiver<Verdict>) {
        let (sender, receiver) = oneshot::channel();
        (Arc::new(Self(Mutex::new(Some(sender)))), receiver)
    }
}

impl Settle for Outcome {
    fn settle(&self, _: u64, verdict: Verdict) {
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Whoever was aborted does not want to know.
        drop(sender.map(|sender| sender.send(verdict)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Draft;
    use crate::flow::outlet;

    fn handout(outlet: Outlet) -> Handout {
        let event = Draft::new("id", "/source", "type").build().unwrap();
        Handout::new(outlet, Ok(event), Position::default(), Timestamp::UNIX_EPOCH, 1)
    }

    #[tokio::test(start_paused = true)]
    async fn an_event_is_handed_out_until_it_is_kept() {
        let (outlet, mut events) = outlet(1);
        let kept = handout(outlet).kept(Shutdown::new());
        let taking = async {
            drop(events.recv().await.unwrap());
            let busy = Fault::new(FaultKind::Unavailable, "publish", "the bus is away");
            events.recv().await.unwrap().receipt.nack(busy);
            let last = events.recv().await.unwrap();
            assert_eq!((last.attempt, last.event.unwrap().id()), (3, "id"));
            last.receipt.ack();
        };
        let (kept, ()) = tokio::join!(kept, taking);
        assert!(matches!(kept, Kept::Yes), "{kept:?}");
    }

    #[tokio::test]
    async fn what_is_refused_for_good_is_told() {
        let (outlet, mut events) = outlet(1);
        let kept = handout(outlet).kept(Shutdown::new());
        let taking = async {
            let fault = Fault::new(FaultKind::Rejected, "publish", "no");
            events.recv().await.unwrap().receipt.nack(fault);
        };
        let (kept, ()) = tokio::join!(kept, taking);
        assert!(matches!(&kept, Kept::Never(fault) if fault.kind() == FaultKind::Rejected), "{kept:?}");
    }

    #[tokio::test]
    async fn a_stop_ends_the_attempts_but_waits_for_a_receipt_that_is_out() {
        let (outlet, mut events) = outlet(1);
        let shutdown = Shutdown::new();
        let mut first = handout(outlet.clone());
        first.give().await.unwrap();
        shutdown.request();
        let taking = async { events.recv().await.unwrap().receipt.ack() };
        let (kept, ()) = tokio::join!(first.kept(shutdown.clone()), taking);
        assert!(matches!(kept, Kept::Yes), "{kept:?}");
        let kept = handout(outlet).kept(shutdown).await;
        assert!(matches!(kept, Kept::Stopped), "{kept:?}");
    }
}
