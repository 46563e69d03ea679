//! How a subscriber joins several events: what its condition is used with.

use std::collections::BTreeMap;
use std::time::Duration;

use super::subscriber::Scope;
use crate::api::problem::alternatives;
use crate::api::trigger::{BatchSpec, ConditionsReset, CorrelateSpec, SubscriberSpec};
use crate::api::{FieldPath, Problems, value};
use crate::router::condition::{Batch, Condition, Form, MAX_BATCH, NEGATION_WINDOW, Reset, Rules};
use crate::router::filter::KeyPath;

/// For so many keys events are held when nothing else is said.
const MAX_KEYS: usize = 100_000;

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
    /// Where each input that the condition names has the key by which its events are joined.
    pub correlate: Option<BTreeMap<usize, KeyPath>>,
    /// How matches are delivered together.
    pub batch: Option<Batch>,
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
        matches!(self.rules.condition.form(), Form::Stateless(_)) && self.batch.is_none()
    }

    /// Reads everything that says how `condition` is used; `None` when it neither joins events nor gathers matches, and
    /// nothing is to keep its order.
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
        let batch = spec.batch.as_ref().and_then(|batch| parse_batch(batch, &path.field("batch"), problems));
        let negates = matches!(condition.form(), Form::Stateful { negated, .. } if !negated.is_empty());
        let joins = matches!(condition.form(), Form::Stateful { .. });
        for (field, given, counts, needed) in [
            ("correlate", spec.correlate.is_some(), joins, "&& or !"),
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
        let correlate = spec.correlate.as_ref();
        let correlate = correlate.map(|raw| parse_correlate(raw, condition, scope, &path.field("correlate"), problems));
        let (correlate, max_keys) =
            correlate.filter(|_| joins).map_or((None, usize::MAX), |(by, most)| (Some(by), most));
        let hold = hold.filter(|_| negates).unwrap_or(Duration::ZERO);
        let negation_window = negation_window.unwrap_or(NEGATION_WINDOW);
        let mut text = spec.condition.clone().unwrap_or_else(|| scope.names.join(" && "));
        if let Some(by) = spec.correlate.as_ref().filter(|_| joins).map(|correlate| &correlate.by) {
            // What was joined by another key does not count.
            let by: Vec<String> = by.iter().map(|(name, key)| format!("{name}={key}")).collect();
            text = format!("{text} by {}", by.join(","));
        }
        (joins || ordered || batch.is_some()).then(|| Self {
            rules: Rules { condition: condition.clone(), window, negation_window, hold, resets, max_keys },
            payload: payload.unwrap_or(Payload::All),
            ordered,
            correlate,
            batch,
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

/// The keys of the inputs, and for how many keys events are held.
fn parse_correlate(
    spec: &CorrelateSpec,
    condition: &Condition,
    scope: &Scope<'_>,
    path: &FieldPath,
    problems: &mut Problems,
) -> (BTreeMap<usize, KeyPath>, usize) {
    let at = path.field("by");
    let mut by = BTreeMap::new();
    for (name, key) in &spec.by {
        let path = at.field(name);
        let key = KeyPath::parse(key, &path, problems);
        match scope.names.iter().position(|known| known == name) {
            Some(input) => by.extend(key.map(|key| (input, key))),
            None => {
                problems.push_help(&path, format!("no input is named {name:?}"), alternatives(name, scope.names));
            }
        }
    }
    if let Form::Stateful { positive, negated } = condition.form() {
        for input in positive.union(negated) {
            let name = scope.names[*input];
            if !spec.by.contains_key(name) {
                let help = format!("such as {{{name}: subject}} or {{{name}: data.id}}");
                problems.push_help(&at, format!("does not say where {name:?} has its key"), help);
            }
        }
    } else if spec.by.is_empty() {
        problems.push(&at, "must name the key of each input");
    }
    if spec.max_keys == Some(0) {
        problems.push(&path.field("maxKeys"), "must be at least 1");
    }
    let most = spec.max_keys.and_then(|most| usize::try_from(most).ok());
    (by, most.unwrap_or(MAX_KEYS))
}

fn parse_batch(spec: &BatchSpec, path: &FieldPath, problems: &mut Problems) -> Option<Batch> {
    if spec.count.is_none() && spec.within.is_none() {
        problems.push(path, "needs \"count\" or \"within\"");
        return None;
    }
    let count = spec.count.unwrap_or(MAX_BATCH);
    if !(1..=MAX_BATCH).contains(&count) {
        problems.push(&path.field("count"), format!("must be 1 to {MAX_BATCH}"));
        return None;
    }
    let within = spec.within.as_ref();
    let within = within.and_then(|within| value::positive_span(within, &path.field("within"), problems));
    Some(Batch { count, within })
}
