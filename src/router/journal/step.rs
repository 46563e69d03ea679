//! One decision about an event, as something to keep and to show.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::event::Event;
use crate::router::decision::Decision;
use crate::router::filter::Values;

/// A [`Decision`] that owns what it tells. Displayed, it is a sentence about the event without its subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "step", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Step {
    Received { topic: String },
    Filtered { trigger: String, input: String, undecided: bool, why: String },
    Untransformed { trigger: String, input: String, cause: String },
    Joined { subscriber: String, what: String },
    Unmatched,
    Delivered { subscriber: String, address: String, code: Option<u16>, attempt: u32, millis: u64 },
    Retrying { subscriber: String, address: String, attempt: u32, pause_millis: u64, fault: String },
    Parked { subscriber: String, attempts: u32, due_millis: u64, fault: String },
    Replayed { subscriber: String, attempts: u32 },
    Dead { subscriber: String, reason: String, attempts: u32, address: String, fault: String },
    Dropped { subscriber: String, fault: String },
    Returned { fault: String },
}

impl Step {
    /// What was decided on `event`.
    pub fn of(event: &Event, decision: &Decision<'_>, values: Values) -> Self {
        match *decision {
            Decision::Received { topic } => Self::Received { topic: topic.to_string() },
            Decision::Filtered { trigger, input, filter, undecided } => Self::Filtered {
                trigger: trigger.to_owned(),
                input: input.to_owned(),
                undecided,
                why: filter.explain(event, values),
            },
            Decision::Untransformed { trigger, input, cause } => {
                Self::Untransformed { trigger: trigger.to_owned(), input: input.to_owned(), cause: cause.to_owned() }
            }
            Decision::Joined { subscriber, step } => {
                Self::Joined { subscriber: subscriber.to_owned(), what: step.to_owned() }
            }
            Decision::Unmatched { .. } => Self::Unmatched,
            Decision::Delivered { subscriber, address, code, attempt, took } => Self::Delivered {
                subscriber: subscriber.to_owned(),
                address: address.to_owned(),
                code,
                attempt,
                millis: millis(took),
            },
            Decision::Retrying { subscriber, address, fault, attempt, pause } => Self::Retrying {
                subscriber: subscriber.to_owned(),
                address: address.to_owned(),
                attempt,
                pause_millis: millis(pause),
                fault: fault.chain(),
            },
            Decision::Parked { subscriber, fault, attempts, due } => Self::Parked {
                subscriber: subscriber.to_owned(),
                attempts,
                due_millis: millis(due),
                fault: fault.chain(),
            },
            Decision::Replayed { subscriber, attempts } => {
                Self::Replayed { subscriber: subscriber.to_owned(), attempts }
            }
            Decision::Dead { subscriber, reason, fault, attempts, to } => Self::Dead {
                subscriber: subscriber.to_owned(),
                reason: reason.as_str().to_owned(),
                attempts,
                address: to.to_owned(),
                fault: fault.chain(),
            },
            Decision::Dropped { subscriber, fault } => {
                Self::Dropped { subscriber: subscriber.to_owned(), fault: fault.chain() }
            }
            Decision::Returned { fault } => Self::Returned { fault: fault.chain() },
        }
    }
}

pub(super) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Received { topic } => write!(f, "comes on topic {topic}"),
            Self::Filtered { trigger, input, undecided, why } => {
                let verdict = if *undecided { "cannot be told, which counts as no" } else { "does not accept it" };
                write!(f, "input {input} of {trigger} {verdict}\n  {}", why.replace('\n', "\n  "))
            }
            Self::Untransformed { trigger, input, cause } => {
                write!(f, "input {input} of {trigger} cannot change its data ({cause}), which counts as no")
            }
            Self::Joined { subscriber, what } => write!(f, "{what} for {subscriber}"),
            Self::Unmatched => f.write_str("is wanted by no trigger"),
            Self::Delivered { subscriber, address, code, attempt, millis } => {
                write!(f, "is delivered to {subscriber} at {address}")?;
                if let Some(code) = code {
                    write!(f, " with {code}")?;
                }
                write!(f, ", attempt {attempt}, after {millis} ms")
            }
            Self::Retrying { subscriber, address, attempt, pause_millis, fault } => {
                write!(
                    f,
                    "is not taken by {subscriber} at {address}, attempt {attempt}, again in {pause_millis} ms: {fault}"
                )
            }
            Self::Parked { subscriber, attempts, due_millis, fault } => {
                write!(f, "is parked for {subscriber} after {attempts} attempts, for {due_millis} ms: {fault}")
            }
            Self::Replayed { subscriber, attempts } => {
                write!(f, "comes back to {subscriber} after {attempts} attempts")
            }
            Self::Dead { subscriber, reason, attempts, address, fault } => {
                write!(f, "becomes a dead letter of {subscriber} ({reason}, {attempts} attempts) at {address}: {fault}")
            }
            Self::Dropped { subscriber, fault } => {
                write!(f, "is dropped, as atMostOnce of {subscriber} asks: {fault}")
            }
            Self::Returned { fault } => write!(f, "is kept on the bus, to be handed out again: {fault}"),
        }
    }
}
