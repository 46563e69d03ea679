//! Decisions about events in words: a line each, and the parts of a filter below it.

use crate::event::Event;
use crate::router::decision::Decision;
use crate::router::filter::Values;

/// What was decided on `event`, as a sentence about it without its subject.
pub fn of(event: &Event, decision: &Decision<'_>, values: Values) -> String {
    match *decision {
        Decision::Received { topic } => format!("comes on topic {topic}"),
        Decision::Filtered { trigger, input, filter, undecided } => {
            let verdict = if undecided { "cannot be told, which counts as no" } else { "does not accept it" };
            let why = filter.explain(event, values).replace('\n', "\n  ");
            format!("input {input} of {trigger} {verdict}\n  {why}")
        }
        Decision::Untransformed { trigger, input, cause } => {
            format!("input {input} of {trigger} cannot change its data ({cause}), which counts as no")
        }
        Decision::Joined { subscriber, step } => format!("{step} for {subscriber}"),
        Decision::Unmatched { .. } => "is wanted by no trigger".to_owned(),
        Decision::Delivered { subscriber, address, code, attempt, took } => {
            let code = code.map_or_else(String::new, |code| format!(" with {code}"));
            let ms = took.as_millis();
            format!("is delivered to {subscriber} at {address}{code}, attempt {attempt}, after {ms} ms")
        }
        Decision::Retrying { subscriber, address, fault, attempt, pause } => {
            let fault = fault.chain();
            format!("is not taken by {subscriber} at {address}, attempt {attempt}, again in {pause:.1?}: {fault}")
        }
        Decision::Parked { subscriber, fault, attempts, due } => {
            format!("is parked for {subscriber} after {attempts} attempts, for {due:.1?}: {}", fault.chain())
        }
        Decision::Replayed { subscriber, attempts } => {
            format!("comes back to {subscriber} after {attempts} attempts")
        }
        Decision::Dead { subscriber, reason, fault, attempts, to } => {
            let (reason, fault) = (reason.as_str(), fault.chain());
            format!("becomes a dead letter of {subscriber} ({reason}, {attempts} attempts) at {to}: {fault}")
        }
        Decision::Dropped { subscriber, fault } => {
            format!("is dropped, as atMostOnce of {subscriber} asks: {}", fault.chain())
        }
        Decision::Returned { fault } => {
            format!("is kept on the bus, to be handed out again: {}", fault.chain())
        }
    }
}
