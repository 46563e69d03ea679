//! Delivery that keeps an event at its place until it is done.

use super::attempt::Attempt;
use super::gate::PATIENCE;
use super::hold::Hold;
use super::schedule::{self, Next};
use super::{Delivery, Destination, History};
use crate::event::Event;
use crate::fault::{Fault, FaultKind};
use crate::router::decision::Decision;

impl Delivery {
    /// As [`Delivery::deliver`], but nothing is parked: whatever holds the event back or fails is waited for here, however long that
    /// takes. For events that others wait behind.
    ///
    /// # Errors
    /// When it is neither delivered nor with the dead letters: there is a stop, or the dead letters cannot be written.
    pub async fn deliver_in_order(&self, to: &Destination, event: &Event, history: History) -> Result<(), Fault> {
        let mut history = history.staying();
        loop {
            let pause = match self.attempt(to, event, &history).await {
                Attempt::Accepted => return Ok(()),
                Attempt::Busy => PATIENCE,
                Attempt::Held(Hold::Rate(pause) | Hold::Breaker(pause)) => {
                    to.metrics.held.inc();
                    history.holds(pause);
                    pause
                }
                Attempt::Failed(fault) => {
                    to.metrics.failed.inc();
                    if to.policy.at_most_once {
                        to.metrics.dropped.inc();
                        self.tell(event, || Decision::Dropped { subscriber: &to.id, fault: &fault });
                        return Ok(());
                    }
                    let now = self.clock.now();
                    let first = history.failed(now);
                    match schedule::next(&to.policy, history.attempts, first, now, &fault, fastrand::f64()) {
                        Next::GiveUp(reason) => return self.give_up(to, event, &history, reason, &fault).await,
                        Next::Pause(pause) => {
                            let (attempt, address) = (history.attempts, to.sink.address());
                            let fault = &fault;
                            self.tell(event, || Decision::Retrying {
                                subscriber: &to.id,
                                address,
                                fault,
                                attempt,
                                pause,
                            });
                            to.metrics.retried.inc();
                            pause
                        }
                    }
                }
            };
            if !self.rest(pause).await {
                return Err(Fault::new(FaultKind::Closed, "deliver", "the router stops"));
            }
        }
    }
}
