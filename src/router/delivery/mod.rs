//! One event to one destination: attempts, pauses, parking, dead letters.
//!
//! [`Delivery::deliver`] answers `Ok` when the event is safe: the sink has it, it is parked
//! durably, or it is with the dead letters. Only then may its receipt be acknowledged. `Err` says
//! that nothing holds it: the bus must hand it out again.
//!
//! An event in here holds up its topic, so it never stays for long: beside the attempts themselves
//! it may wait a second for a busy sink, one for the rate limit and one for retries in place, then it is parked
//! on the group's retry topic. A sink that answers nothing is only probed. On a bus that cannot delay events ([`Capability::delayed`]) it is
//! handed back to the bus instead, which hands it out again to all its subscribers, so that those
//! who had it get it twice.
//!
//! [`Capability::delayed`]: crate::flow::Capability

mod attempt;
mod breaker;
mod dead_letter;
mod destination;
mod gate;
mod hold;
mod in_order;
mod pace;
mod parking;
mod reply;
mod schedule;

pub use destination::Destination;
pub use parking::{Grave, History, Parked, readmit, unpark};

pub(in crate::router) use dead_letter::generated as dead_letter_topic_of;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use crate::event::Event;
use crate::fault::{Fault, FaultKind, Retry};
use crate::flow::letter::Reason;
use crate::flow::{Bus, Deduplicate, Outgoing, Published, Topic};
use crate::router::decision::{Decision, Observer};
use crate::task::{self, Clock, Shutdown};

use attempt::Attempt;
use schedule::Next;

/// How long an event may stay for retries in place, counted from the beginning of its first
/// attempt. Long enough to ride out a restarting connection, short enough for its topic.
const IN_PLACE: Duration = Duration::from_secs(1);

/// What all deliveries of a router share.
pub struct Delivery {
    pub bus: Arc<dyn Bus>,
    /// Where parked events wait, one topic a group.
    pub retry_topic: Topic,
    pub clock: Clock,
    pub observer: Arc<dyn Observer>,
    /// Once requested, nothing is retried in place any more.
    pub shutdown: Shutdown,
}

impl Delivery {
    /// Delivers `event`, as far as `history` says that it is not done with. Cancelling leaves it
    /// delivered or not; its receipt must then not be acknowledged.
    ///
    /// # Errors
    /// When neither the sink nor the bus nor the dead letters took it. The fault's retry class
    /// says when to hand it out again.
    pub async fn deliver(&self, to: &Destination, event: &Event, mut history: History) -> Result<(), Fault> {
        let spent = task::stopwatch();
        loop {
            match self.attempt(to, event, &history).await {
                Attempt::Accepted => return Ok(()),
                // The unhappy ways are boxed, so that the many events in flight stay small.
                Attempt::Held(hold) => return Box::pin(self.hold(to, event, history, hold)).await,
                Attempt::Busy => return Box::pin(self.defer(to, event, history)).await,
                Attempt::Failed(fault) => {
                    let next = Box::pin(self.failed(to, event, &mut history, fault, spent())).await;
                    if let ControlFlow::Break(result) = next {
                        return result;
                    }
                }
            }
        }
    }

    /// After a failed attempt: another one in place (`Continue`), or the end of this visit.
    async fn failed(
        &self,
        to: &Destination,
        event: &Event,
        history: &mut History,
        fault: Fault,
        spent: Duration,
    ) -> ControlFlow<Result<(), Fault>> {
        to.metrics.failed.inc();
        if to.policy.at_most_once {
            to.metrics.dropped.inc();
            self.tell(event, || Decision::Dropped { subscriber: &to.id, fault: &fault });
            return ControlFlow::Break(Ok(()));
        }
        let now = self.clock.now();
        let first = history.failed(now);
        match schedule::next(&to.policy, history.attempts, first, now, &fault, fastrand::f64()) {
            Next::GiveUp(reason) => ControlFlow::Break(self.give_up(to, event, history, reason, &fault).await),
            Next::Pause(pause)
                if spent + pause <= IN_PLACE && self.retry_in_place(to, event, history, &fault, pause).await =>
            {
                ControlFlow::Continue(())
            }
            Next::Pause(pause) => ControlFlow::Break(self.park(to, event, history, &fault, pause).await),
        }
    }

    /// Waits for the next attempt; false when that must not happen here.
    async fn retry_in_place(
        &self,
        to: &Destination,
        event: &Event,
        history: &History,
        fault: &Fault,
        pause: Duration,
    ) -> bool {
        let Some(_resting) = to.gate.rest() else { return false };
        if self.shutdown.is_requested() {
            return false;
        }
        let (attempt, address) = (history.attempts, to.sink.address());
        self.tell(event, || Decision::Retrying { subscriber: &to.id, address, fault, attempt, pause });
        if self.rest(pause).await {
            to.metrics.retried.inc();
            return true;
        }
        false
    }

    /// The sink is at its limit: the event is put aside without an attempt, which costs it none.
    async fn defer(&self, to: &Destination, event: &Event, mut history: History) -> Result<(), Fault> {
        let fault = Fault::new(FaultKind::Throttled, "deliver", "as many attempts as allowed are being made already")
            .with_context("address", to.sink.address());
        let now = self.clock.now();
        match schedule::deferral(&to.policy, history.deferred(now), now, fastrand::f64()) {
            Next::GiveUp(reason) => self.give_up(to, event, &history, reason, &fault).await,
            Next::Pause(pause) => self.park(to, event, &mut history, &fault, pause).await,
        }
    }

    /// Puts the event aside for at least `due`.
    async fn park(
        &self,
        to: &Destination,
        event: &Event,
        history: &mut History,
        fault: &Fault,
        due: Duration,
    ) -> Result<(), Fault> {
        let capability = self.bus.capability();
        if !capability.delayed {
            return Err(fault.clone().with_retry(Retry::After(due)));
        }
        let parked = history.park(event, &to.key, fault)?;
        match self.publish_parked(parked, history, due).await {
            Ok(_) => {
                to.metrics.parked.inc();
                let attempts = history.attempts;
                self.tell(event, || Decision::Parked { subscriber: &to.id, fault, attempts, due });
                Ok(())
            }
            // It can never be parked, so it is given up rather than handed out for ever.
            Err(refused) if refused.kind() == FaultKind::TooLarge => {
                self.give_up(to, event, history, Reason::Poison, &refused).await
            }
            Err(refused) => Err(refused.with_retry(Retry::After(due))),
        }
    }

    async fn publish_parked(&self, event: Event, history: &History, due: Duration) -> Result<Published, Fault> {
        let deduplicate = Deduplicate::Attempt(history.parks);
        self.publish(&self.retry_topic, Outgoing { event, delay: Some(due), deduplicate }).await
    }

    async fn publish(&self, topic: &Topic, outgoing: Outgoing) -> Result<Published, Fault> {
        let answer = self.bus.publish(topic, vec![outgoing]).await.pop();
        answer
            .unwrap_or_else(|| Err(Fault::new(FaultKind::Internal, "publish", "the bus gave no answer for the event")))
    }

    /// Waits, unless it is time to stop: then false, at once.
    async fn rest(&self, pause: Duration) -> bool {
        tokio::select! {
            () = self.shutdown.requested() => false,
            () = task::sleep(pause) => true,
        }
    }

    pub(in crate::router) fn tell<'a>(&self, event: &Event, decision: impl FnOnce() -> Decision<'a>) {
        if self.observer.enabled() {
            self.observer.decided(event, &decision());
        }
    }
}

#[cfg(test)]
mod tests;
