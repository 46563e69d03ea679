//! What was expected beside what happened.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value as Json};

use super::cases::{Case, Wanted};
use super::play::Played;
use super::sinks::Left;
use crate::event::Event;
use crate::event::codec::json;
use crate::router::join::Holding;

/// Something that happened, as it is compared.
#[derive(Debug)]
struct Seen {
    subscriber: String,
    /// Since the start of the case.
    at: Option<Duration>,
    facts: Vec<(&'static str, Json)>,
    event: Json,
}

/// Every difference, in words; none when the case is as it should be.
pub(super) fn differences(case: &Case, played: &Played) -> Vec<String> {
    let mut out = Vec::new();
    let left = |left: &Left, facts| Seen {
        subscriber: left.subscriber.clone(),
        at: Some(since(left.at, case.start)),
        facts,
        event: members(&left.event),
    };
    let delivered = played.delivered.iter().map(|found| {
        left(found, vec![("attempt", Json::from(found.attempts)), ("address", Json::from(found.address.as_str()))])
    });
    differ("delivery to", &case.deliveries, delivered.collect(), &mut out);
    let dead = played.dead.iter().map(|found| {
        let facts = vec![
            ("reason", Json::from(found.reason)),
            ("attempts", Json::from(found.attempts)),
            ("address", Json::from(found.address.as_str())),
        ];
        left(found, facts)
    });
    differ("dead letter of", &case.dead_letters, dead.collect(), &mut out);
    if let Some(wanted) = &case.held {
        let held = played.held.iter().map(|(subscriber, Holding { input, event, until, .. })| Seen {
            subscriber: subscriber.clone(),
            at: until.map(|until| since(until, case.start)),
            facts: vec![("input", Json::from(input.as_str()))],
            event: members(event),
        });
        differ("event held by", wanted, held.collect(), &mut out);
    }
    out
}

fn since(at: Timestamp, start: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(start)).unwrap_or_default()
}

fn members(event: &Event) -> Json {
    let mut bytes = Vec::new();
    json::write(event, &mut bytes);
    serde_json::from_slice(&bytes).unwrap_or_default()
}

/// Each that is wanted takes the first that is as it should be; what is left is compared with what is left of the same
/// subscriber, and what then has no counterpart is missing, or was not expected.
fn differ(what: &str, wanted: &[Wanted], seen: Vec<Seen>, out: &mut Vec<String>) {
    let mut seen: Vec<Option<Seen>> = seen.into_iter().map(Some).collect();
    let mut unmet = Vec::new();
    for (number, wanted) in wanted.iter().enumerate() {
        let is_met = |seen: &&mut Option<Seen>| seen.as_ref().is_some_and(|seen| unlike(wanted, seen).is_empty());
        match seen.iter_mut().find(is_met) {
            Some(met) => *met = None,
            None => unmet.push((number, wanted)),
        }
    }
    for (number, wanted) in unmet {
        let same = |seen: &&mut Option<Seen>| seen.as_ref().is_some_and(|seen| seen.subscriber == wanted.subscriber);
        let subscriber = &wanted.subscriber;
        match seen.iter_mut().find(same).and_then(Option::take) {
            Some(seen) => {
                let lines = unlike(wanted, &seen).concat();
                out.push(format!("{what} {subscriber} ([{number}] of those expected) is not as expected:{lines}"));
            }
            None => out.push(format!("{what} {subscriber} ([{number}] of those expected) is missing{}", text(wanted))),
        }
    }
    for seen in seen.into_iter().flatten() {
        let at = seen.at.map(|at| format!(" at {}", span_of(at))).unwrap_or_default();
        let facts: Vec<String> = seen.facts.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        let (subscriber, facts, event) = (&seen.subscriber, facts.join(", "), &seen.event);
        out.push(format!("{what} {subscriber}{at} was not expected\n  + {facts}\n  + event: {event}"));
    }
}

/// What is expected, for one that never came.
fn text(wanted: &Wanted) -> String {
    let at = wanted.at.map(|(from, to)| format!("\n  - at: {}", range(from, to))).unwrap_or_default();
    let facts: Vec<String> = wanted.facts.iter().map(|(name, value)| format!("\n  - {name}: {value}")).collect();
    let event = if wanted.event.is_empty() {
        String::new()
    } else {
        format!("\n  - event: {}", Json::Object(wanted.event.clone()))
    };
    format!("{at}{}{event}", facts.concat())
}

/// The parts that are not as wanted, as lines of a diff.
fn unlike(wanted: &Wanted, seen: &Seen) -> Vec<String> {
    let mut lines = Vec::new();
    if wanted.subscriber != seen.subscriber {
        lines.push(format!("\n  - subscriber: {}\n  + subscriber: {}", wanted.subscriber, seen.subscriber));
    }
    if let Some((from, to)) = wanted.at
        && !seen.at.is_some_and(|at| from <= at && at <= to)
    {
        let at = seen.at.map_or_else(|| "no time".to_owned(), span_of);
        lines.push(format!("\n  - at: {}\n  + at: {at}", range(from, to)));
    }
    for (name, value) in &wanted.facts {
        let found = seen.facts.iter().find(|(known, _)| known == name).map_or(&Json::Null, |(_, found)| found);
        differ_json(name, value, Some(found), &mut lines);
    }
    members_unlike("event", &wanted.event, &seen.event, &mut lines);
    lines
}

/// Only what is wanted counts; `null` wants that there is nothing.
fn members_unlike(path: &str, wanted: &Map<String, Json>, seen: &Json, lines: &mut Vec<String>) {
    for (name, value) in wanted {
        differ_json(&format!("{path}.{name}"), value, seen.get(name), lines);
    }
}

fn differ_json(path: &str, wanted: &Json, seen: Option<&Json>, lines: &mut Vec<String>) {
    match (wanted, seen) {
        (Json::Object(members), Some(seen @ Json::Object(_))) => members_unlike(path, members, seen, lines),
        (Json::Array(wanted), Some(Json::Array(seen))) if wanted.len() == seen.len() => {
            for (index, (wanted, seen)) in wanted.iter().zip(seen).enumerate() {
                differ_json(&format!("{path}[{index}]"), wanted, Some(seen), lines);
            }
        }
        (wanted, seen) if equal(wanted, seen.unwrap_or(&Json::Null)) => {}
        (wanted, Some(seen)) => lines.push(format!("\n  - {path}: {wanted}\n  + {path}: {seen}")),
        (wanted, None) => lines.push(format!("\n  - {path}: {wanted}\n  + {path} is missing")),
    }
}

/// Numbers are equal however they are written.
fn equal(one: &Json, other: &Json) -> bool {
    #[expect(clippy::float_cmp, reason = "the same number written twice is the same number")]
    let same_number = |one: f64, other: f64| one == other;
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => same_number(one, other),
        _ => one == other,
    }
}

fn range(from: Duration, to: Duration) -> String {
    let to = if to == Duration::MAX { String::new() } else { span_of(to) };
    format!("{}..{to}", span_of(from))
}

fn span_of(span: Duration) -> String {
    self::span(SignedDuration::try_from(span).unwrap_or(SignedDuration::MAX))
}

/// As people write it: `1h2m3.5s`.
pub(super) fn span(span: SignedDuration) -> String {
    let millis = span.as_millis().max(0);
    let (minutes, millis) = (millis / 60_000, millis % 60_000);
    let (hours, minutes) = (minutes / 60, minutes % 60);
    let mut out = String::new();
    for (number, unit) in [(hours, "h"), (minutes, "m")] {
        if number > 0 {
            // Writing to a String cannot fail.
            write!(out, "{number}{unit}").unwrap_or_default();
        }
    }
    let (seconds, millis) = (millis / 1000, millis % 1000);
    if millis > 0 {
        out.push_str(format!("{seconds}.{millis:03}").trim_end_matches('0'));
        out.push('s');
    } else if seconds > 0 || out.is_empty() {
        write!(out, "{seconds}s").unwrap_or_default();
    }
    out
}
