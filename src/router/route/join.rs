//! How a subscriber joins several events: what its condition is used with.

use std::time::Duration;

use super::subscriber::Scope;
use crate::api::trigger::{ConditionsReset, SubscriberSpec};
use crate::api::{FieldPath, Problems, value};
use crate::router::condition::{Condition, Form, NEGATION_WINDOW, Reset, Rules};

/// What is delivered of the events that were joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// One event with all of them, by the names of their inputs.
    All,
    /// The event that came last, as it is.
    Last,
}

/// How several events are joined.
#[derive(Clone, Debug)]
pub struct Join {
    pub rules: Rules,
    pub payload: Payload,
    /// Whether what is delivered keeps its order.
    pub ordered: bool,
    /// The condition in the words of the document: what is remembered counts only as long as they stay.
    pub text: String,
    /// The names of the Trigger's inputs, in their order.
    pub names: Vec<String>,
    /// The inputs as they were written: what is remembered of one counts only as long as it stays.
    pub written: Vec<String>,
}

impl Join {
    /// Whether each event is a match of its own.
    pub fn is_of_single_events(&self) -> bool {
        matches!(self.rules.condition.form(), Form::Stateless(_))
    }

    /// Reads everything that says how `condition` is used; `None` when it joins nothing, and nothing is to keep its order.
    pub(super) fn parse(
        spec: &SubscriberSpec,
        condition: &Condition,
        scope: &Scope<'_>,
        path: &FieldPath,
        problems: &mut Problems,
    ) -> Option<Self> {
        let span = |text: &Option<String>, field: &str, problems: &mut Problems| {
            text.as_ref().and_then(|text| value::positive_span(text, &path.field(field), problems))
        };
        let window = span(&spec.window, "window", problems);
        let negation_window = span(&spec.negation_window, "negationWindow", problems);
        let hold = spec.hold.as_ref().and_then(|hold| value::span(hold, &path.field("hold"), problems));
        let resets = resets(spec.conditions_reset.as_deref(), &path.field("conditionsReset"), problems);
        let words = [("all", Payload::All), ("last", Payload::Last)];
        let payload = spec.payload.as_ref();
        let payload = payload.and_then(|word| value::word(word, &words, &path.field("payload"), problems));
        let negates = matches!(condition.form(), Form::Stateful { negated, .. } if !negated.is_empty());
        let joins = matches!(condition.form(), Form::Stateful { .. });
        for (field, given, counts, needed) in [
            ("window", window.is_some(), joins, "&&"),
            ("conditionsReset", !resets.is_empty(), joins, "&&"),
            ("negationWindow", negation_window.is_some(), negates, "!"),
            ("hold", hold.is_some_and(|hold| !hold.is_zero()), negates, "!"),
        ] {
            if given && !counts {
                problems.warn(&path.field(field), format!("has no effect on a condition without {needed}"));
            }
        }
        let ordered = spec.ordered == Some(true);
        if ordered && !joins && scope.inputs.iter().any(|input| input.transform.is_some()) {
            problems.unsupported(&path.field("ordered"), "keeping the order of a Trigger with a transform");
        }
        if joins && scope.inputs.iter().any(|input| input.transform.is_some()) {
            problems.unsupported(&path.field("condition"), "joining events of a Trigger with a transform");
        }
        let hold = hold.filter(|_| negates).unwrap_or(Duration::ZERO);
        let negation_window = negation_window.unwrap_or(NEGATION_WINDOW);
        let text = spec.condition.clone().unwrap_or_else(|| scope.names.join(" && "));
        (joins || ordered).then(|| Self {
            rules: Rules { condition: condition.clone(), window, negation_window, hold, resets },
            payload: payload.unwrap_or(Payload::All),
            ordered,
            text,
            names: scope.names.iter().map(|name| (*name).to_owned()).collect(),
            written: scope.written.to_vec(),
        })
    }
}

fn resets(specs: Option<&[ConditionsReset]>, path: &FieldPath, problems: &mut Problems) -> Vec<Reset> {
    let mut resets = Vec::new();
    for (index, reset) in specs.unwrap_or_default().iter().enumerate() {
        let path = path.index(index).field("byTime");
        match &reset.by_time {
            Some(by_time) => resets.extend(Reset::parse(by_time, &path, problems)),
            None => problems.push(&path, "is missing"),
        }
    }
    resets
}
