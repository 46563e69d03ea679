//! One attempt.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;

use super::hold::{self, Hold};
use super::{Delivery, Destination, History};
use crate::event::Event;
use crate::fault::{Fault, FaultKind, Retry};
use crate::flow::{Accepted, Sink};
use crate::router::decision::Decision;
use crate::router::route::StatusCodes;
use crate::task;

/// What came of an attempt.
pub(super) enum Attempt {
    Accepted,
    Failed(Fault),
    /// It was not made: the sink is at its limit.
    Busy,
    /// It was not made, for that reason.
    Held(Hold),
}

impl Delivery {
    pub(super) async fn attempt(&self, to: &Destination, event: &Event, history: &History) -> Attempt {
        let built;
        let outgoing = match &to.body {
            None => event,
            Some(body) => match body.build(event, history.input()) {
                Ok(event) => {
                    built = event;
                    &built
                }
                // The same for every attempt.
                Err(why) => return Attempt::Failed(Fault::new(FaultKind::Malformed, "build the body", why)),
            },
        };
        let probe = match self.turn(to, history).await {
            Ok(probe) => probe,
            Err(hold) => return Attempt::Held(hold),
        };
        let Some(_entered) = to.gate.enter().await else { return Attempt::Busy };
        let took = task::stopwatch();
        let mut answer = send(&*to.sink, outgoing, to.policy.timeout).await;
        let took = took();
        to.metrics.took(took);
        to.gate.note(is_answered(&answer));
        let reply = answer.as_mut().ok().and_then(|accepted| accepted.reply.take());
        match judge(&to.policy.success, answer) {
            Ok(code) => {
                hold::note(to, None);
                if let Some(reply) = reply.filter(|_| to.policy.reply)
                    && let Err(fault) = Box::pin(self.reply(to, event, &reply, history)).await
                {
                    return Attempt::Failed(fault);
                }
                to.metrics.delivered.inc();
                let (address, attempt) = (to.sink.address(), history.attempts.saturating_add(1));
                self.tell(event, || Decision::Delivered { subscriber: &to.id, address, code, attempt, took });
                Attempt::Accepted
            }
            Err(fault) => {
                hold::note(to, Some(&fault));
                // The event only found out about the sink. Who asked for one attempt has had it, though.
                match to.breaker.as_ref().filter(|_| probe.is_some() && !to.policy.at_most_once) {
                    Some(breaker) if fault.is_retryable() => {
                        to.metrics.failed.inc();
                        Attempt::Held(Hold::Breaker(breaker.open_for()))
                    }
                    _ => Attempt::Failed(fault),
                }
            }
        }
    }
}

/// Hands the event to the sink. A sink that hangs or panics has failed like any other.
pub(super) async fn send(sink: &dyn Sink, event: &Event, limit: Duration) -> Result<Accepted, Fault> {
    let fault = |kind, text: String| Fault::new(kind, "deliver", text).with_context("address", sink.address());
    // Nothing of ours is shared with the sink that its panic could leave half changed.
    let answer = AssertUnwindSafe(async { sink.deliver(event).await }).catch_unwind();
    match task::within(limit, answer).await {
        Some(Ok(answer)) => answer,
        Some(Err(_)) => Err(fault(FaultKind::Internal, "the sink panicked".to_owned())),
        None => Err(fault(FaultKind::Timeout, format!("no answer within {limit:?}"))),
    }
}

/// Whether the sink said anything at all in time.
pub(super) fn is_answered(answer: &Result<Accepted, Fault>) -> bool {
    !matches!(answer, Err(fault) if fault.kind() == FaultKind::Timeout)
}

/// Applies the subscriber's own idea of success to the status code, if it has one.
fn judge(success: &StatusCodes, answer: Result<Accepted, Fault>) -> Result<Option<u16>, Fault> {
    let code = match &answer {
        Ok(accepted) => accepted.code,
        Err(fault) => fault.code(),
    };
    match (success, code, answer) {
        (StatusCodes::Only(codes), Some(code), _) if codes.contains(&code) => Ok(Some(code)),
        // Argo: a code that is not on the list is a failure worth a retry.
        (StatusCodes::Only(_), Some(code), Ok(_)) => {
            let fault =
                Fault::new(FaultKind::Rejected, "deliver", format!("status {code} is not one that was allowed"));
            Err(fault.with_code(code).with_retry(Retry::Backoff))
        }
        (_, code, Ok(_)) => Ok(code),
        (_, _, Err(fault)) => Err(fault),
    }
}
