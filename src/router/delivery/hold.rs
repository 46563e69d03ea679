//! What holds an attempt back before it is made: the rate limit and the circuit breaker. Held back costs an event neither
//! an attempt nor time of its deadline, and it is never given up for it.

use std::time::Duration;

use super::breaker::{Change, Entrance, Probe};
use super::gate::PATIENCE;
use super::{Delivery, Destination, History, schedule};
use crate::event::Event;
use crate::fault::{Fault, FaultKind};

/// Why an attempt is not made now.
#[derive(Clone, Copy, Debug)]
pub(super) enum Hold {
    /// The rate limit has room in so long.
    Rate(Duration),
    /// The circuit breaker is open for so long.
    Breaker(Duration),
}

impl Delivery {
    /// Waits for a turn at the sink, but not for long.
    pub(super) async fn turn<'d>(&self, to: &'d Destination, history: &History) -> Result<Option<Probe<'d>>, Hold> {
        let probe = match to.breaker.as_ref().map(|breaker| breaker.enter()) {
            None => None,
            Some(Entrance::Open(probe)) => probe,
            Some(Entrance::Barred(left)) => return Err(Hold::Breaker(left)),
        };
        let Some(pace) = &to.pace else { return Ok(probe) };
        let resting = to.gate.rest();
        let returns = history.parks > 0 || history.attempts > 0 || history.stays();
        match pace.turn(resting.is_some() && !self.shutdown.is_requested(), returns) {
            Some(wait) if wait.is_zero() || Box::pin(self.rest(wait)).await => Ok(probe),
            // The moment passes unused: there is a stop.
            Some(wait) => Err(Hold::Rate(wait)),
            None if history.stays() => Err(Hold::Rate(PATIENCE)),
            None => Err(Hold::Rate(if self.bus.capability().delayed { pace.book() } else { to.policy.base })),
        }
    }

    /// Puts the event aside, as if it had not been there.
    pub(super) async fn hold(
        &self,
        to: &Destination,
        event: &Event,
        mut history: History,
        hold: Hold,
    ) -> Result<(), Fault> {
        let (text, due) = match hold {
            Hold::Rate(due) => ("the rate limit leaves no room for it", due),
            Hold::Breaker(left) => (
                "the circuit breaker is open",
                schedule::until_closed(&to.policy, left, history.parks, fastrand::f64()),
            ),
        };
        let fault = Fault::new(FaultKind::Throttled, "deliver", text).with_context("address", to.sink.address());
        to.metrics.held.inc();
        history.holds(due);
        self.park(to, event, &mut history, &fault, due).await
    }
}

/// Notes for the circuit breaker how an attempt failed, or that it did not.
pub(super) fn note(to: &Destination, fault: Option<&Fault>) {
    let Some(breaker) = &to.breaker else { return };
    let (subscriber, address, open_for) = (to.id.as_str(), to.sink.address(), breaker.open_for());
    let works = fault.is_none_or(|fault| !fault.is_retryable());
    let fault = fault.map(Fault::chain);
    match breaker.note(works) {
        Some(Change::Opened) => {
            to.metrics.open_breakers.inc();
            tracing::warn!(subscriber, to = address, fault, ?open_for, "circuit breaker opened");
        }
        Some(Change::Reopened) => {
            tracing::warn!(subscriber, to = address, fault, ?open_for, "circuit breaker stays open");
        }
        Some(Change::Closed) => {
            to.metrics.open_breakers.dec();
            tracing::info!(subscriber, to = address, "circuit breaker closed");
        }
        None => {}
    }
}
