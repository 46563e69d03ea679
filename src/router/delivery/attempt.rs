//! One attempt.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;

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
}

impl Delivery {
    pub(super) async fn attempt(&self, to: &Destination, event: &Event, history: &History) -> Attempt {
        let Some(_entered) = to.gate.enter().await else { return Attempt::Busy };
        let took = task::stopwatch();
        let answer = send(&*to.sink, event, to.policy.timeout).await;
        let took = took();
        to.metrics.took(took);
        to.gate.note(is_answered(&answer));
        match judge(&to.policy.success, answer) {
            Ok(code) => {
                to.metrics.delivered.inc();
                let (address, attempt) = (to.sink.address(), history.attempts.saturating_add(1));
                self.tell(event, || Decision::Delivered { subscriber: &to.id, address, code, attempt, took });
                Attempt::Accepted
            }
            Err(fault) => Attempt::Failed(fault),
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
