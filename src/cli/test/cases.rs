//! Cases as they are written, and as they are played.

use std::collections::BTreeMap;
use std::time::Duration;

use http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value as Json};

use crate::api::duration;
use crate::api::problem::alternatives;
use crate::cli::explain::Origin;
use crate::cli::routes::Routes;
use crate::event::Event;
use crate::event::codec::json;

/// When a case begins that does not say: a Monday, at noon.
const START: &str = "2026-01-05T12:00:00Z";

/// How long a case goes on after its last event that does not say: an hour more than the longest time for which
/// delivery is tried by default.
const AFTER: Duration = Duration::from_secs(25 * 3600);

/// A moment in a case is right for this long: a match is believed to be over, and a failed attempt is
/// repeated in place, within a second.
const SLACK: Duration = Duration::from_secs(1);

/// The answers that are words.
const WORDS: [&str; 2] = ["refused", "timeout"];

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CaseSpec {
    name: String,
    start: Option<String>,
    events: Vec<EventSpec>,
    #[serde(default)]
    answers: BTreeMap<String, Json>,
    until: Option<String>,
    #[serde(default)]
    expect: ExpectSpec,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EventSpec {
    to: String,
    at: Option<String>,
    #[serde(default)]
    event: Map<String, Json>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ExpectSpec {
    #[serde(default)]
    deliveries: Vec<DeliverySpec>,
    #[serde(default)]
    dead_letters: Vec<DeadLetterSpec>,
    held: Option<Vec<HeldSpec>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeliverySpec {
    to: String,
    at: Option<String>,
    attempt: Option<u32>,
    address: Option<String>,
    #[serde(default)]
    event: Map<String, Json>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeadLetterSpec {
    of: String,
    at: Option<String>,
    reason: Option<String>,
    attempts: Option<u32>,
    address: Option<String>,
    #[serde(default)]
    event: Map<String, Json>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeldSpec {
    by: String,
    input: Option<String>,
    until: Option<String>,
    #[serde(default)]
    event: Map<String, Json>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StatusSpec {
    code: u16,
    retry_after: Option<u64>,
    #[serde(default)]
    body: String,
    reply: Option<Map<String, Json>>,
}

/// What a subscriber answers to one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Status {
        code: StatusCode,
        /// In seconds.
        retry_after: Option<u64>,
        body: String,
        /// An event, in the JSON format.
        reply: Option<Vec<u8>>,
    },
    /// Nobody listens.
    Refused,
    /// No answer ever.
    Timeout,
}

impl Default for Answer {
    fn default() -> Self {
        Self::Status { code: StatusCode::OK, retry_after: None, body: String::new(), reply: None }
    }
}

/// One case, ready to be played.
#[derive(Debug)]
pub(super) struct Case {
    pub name: String,
    pub start: Timestamp,
    /// By time; of those of one time in the order in which they were written.
    pub events: Vec<Given>,
    /// By the subscriber's id; who is not here takes everything.
    pub answers: BTreeMap<String, Vec<Answer>>,
    pub until: Duration,
    pub deliveries: Vec<Wanted>,
    pub dead_letters: Vec<Wanted>,
    /// Nothing when it does not matter.
    pub held: Option<Vec<Wanted>>,
}

/// An event that comes to the bus.
#[derive(Debug)]
pub(super) struct Given {
    pub at: Duration,
    /// An index into the buses of the routes.
    pub bus: usize,
    pub topic: String,
    pub event: Event,
}

/// What is expected of one delivery, dead letter or held event.
#[derive(Debug)]
pub(super) struct Wanted {
    /// The subscriber's id.
    pub subscriber: String,
    /// The first and the last moment that are right.
    pub at: Option<(Duration, Duration)>,
    /// What else is told of it, by name.
    pub facts: Vec<(&'static str, Json)>,
    /// The members of the event that count.
    pub event: Map<String, Json>,
}

impl Case {
    /// Reads a case for these routes.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(value: Json, routes: &Routes) -> Result<Self, String> {
        let spec: CaseSpec = serde_json::from_value(value).map_err(|error| error.to_string())?;
        let start = spec.start.as_deref().unwrap_or(START);
        let start: Timestamp = start.parse().map_err(|error| format!("start: {error}"))?;
        let mut events = Vec::with_capacity(spec.events.len());
        for (number, event) in spec.events.into_iter().enumerate() {
            let place = |error: String| format!("events[{number}]: {error}");
            events.push(given(number, event, start, routes).map_err(place)?);
        }
        events.sort_by_key(|given: &Given| given.at);
        let last = events.last().map(|given| given.at).unwrap_or_default();
        let until = spec.until.as_deref().map(|text| duration::parse(text).map_err(|error| format!("until: {error}")));
        let mut answers = BTreeMap::new();
        for (name, value) in spec.answers {
            let place = |error: String| format!("answers.{name}: {error}");
            answers.insert(subscriber(&name, routes).map_err(place)?, read_answers(value).map_err(place)?);
        }
        let ExpectSpec { deliveries, dead_letters, held } = spec.expect;
        let deliveries = numbered("deliveries", deliveries, |spec| {
            let facts = [("attempt", spec.attempt.map(Json::from)), ("address", spec.address.map(Json::from))];
            wanted(&spec.to, spec.at.as_deref(), facts, spec.event, routes)
        })?;
        let dead_letters = numbered("deadLetters", dead_letters, |spec| {
            let facts = [
                ("reason", spec.reason.map(Json::from)),
                ("attempts", spec.attempts.map(Json::from)),
                ("address", spec.address.map(Json::from)),
            ];
            wanted(&spec.of, spec.at.as_deref(), facts, spec.event, routes)
        })?;
        let held = held.map(|held| {
            numbered("held", held, |spec| {
                let facts = [("input", spec.input.map(Json::from))];
                wanted(&spec.by, spec.until.as_deref(), facts, spec.event, routes)
            })
        });
        Ok(Self {
            name: spec.name,
            start,
            events,
            answers,
            until: until.transpose()?.unwrap_or(last + AFTER),
            deliveries,
            dead_letters,
            held: held.transpose()?,
        })
    }
}

/// Reads each of a list, and says which one is wrong.
fn numbered<S>(list: &str, specs: Vec<S>, read: impl Fn(S) -> Result<Wanted, String>) -> Result<Vec<Wanted>, String> {
    let place = |number: usize, error: String| format!("expect.{list}[{number}]: {error}");
    specs.into_iter().enumerate().map(|(number, spec)| read(spec).map_err(|error| place(number, error))).collect()
}

fn given(number: usize, spec: EventSpec, start: Timestamp, routes: &Routes) -> Result<Given, String> {
    let Origin { namespace, source, event } = spec.to.parse().map_err(|error| format!("to: {error}"))?;
    let named = routes.feeds.iter().find(|feed| feed.source == source && feed.event == event);
    let namespace = namespace.or_else(|| named.map(|feed| feed.namespace.clone()));
    let namespace = namespace.unwrap_or_else(|| "default".to_owned());
    let (bus, topic) = routes.topic(&namespace, &source, &event).ok_or_else(|| {
        let known = routes.feeds.iter().map(|feed| format!("{}/{}", feed.source, feed.event)).collect::<Vec<_>>();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        format!("to: nobody listens to {:?} ({})", spec.to, alternatives(&spec.to, &known))
    })?;
    let at = spec.at.as_deref().map_or(Ok(Duration::ZERO), duration::parse).map_err(|error| format!("at: {error}"))?;
    let time = start.checked_add(at).map_err(|error| format!("at: {error}"))?;
    let defaults = [
        ("specversion", "1.0".to_owned()),
        ("id", (number + 1).to_string()),
        ("source", "/test".to_owned()),
        ("type", "test".to_owned()),
        ("time", time.to_string()),
    ];
    let mut members = spec.event;
    for (name, value) in defaults {
        members.entry(name).or_insert(Json::from(value));
    }
    let event = json::parse(Json::Object(members).to_string().as_bytes()).map_err(|error| format!("event: {error}"))?;
    let feed = routes.feeds.iter().find(|feed| feed.bus == bus && feed.topic == topic);
    let event = feed.map_or_else(|| event.clone(), |feed| feed.overrides.apply(event.clone()));
    Ok(Given { at, bus, topic, event })
}

fn wanted(
    name: &str,
    at: Option<&str>,
    facts: impl IntoIterator<Item = (&'static str, Option<Json>)>,
    event: Map<String, Json>,
    routes: &Routes,
) -> Result<Wanted, String> {
    let facts = facts.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    Ok(Wanted { subscriber: subscriber(name, routes)?, at: at.map(moment).transpose()?, facts, event })
}

/// The id of the subscriber that is meant by `ship`, `shop/ship` or `default/shop/ship`.
fn subscriber(name: &str, routes: &Routes) -> Result<String, String> {
    let ids: Vec<&str> =
        routes.triggers().flat_map(|trigger| &trigger.subscribers).map(|found| found.id.as_str()).collect();
    let meant = |id: &&&str| **id == name || id.strip_suffix(name).is_some_and(|rest| rest.ends_with('/'));
    let found: Vec<&&str> = ids.iter().filter(meant).collect();
    match found[..] {
        [id] => Ok((*id).to_owned()),
        [] => Err(format!("there is no subscriber {name:?} ({})", alternatives(name, &ids))),
        _ => Err(format!("{name:?} may be any of several subscribers: write TRIGGER/SUBSCRIBER")),
    }
}

/// `5m` is right for a second; `5m..6m`, `5m..` and `..6m` say it exactly.
fn moment(text: &str) -> Result<(Duration, Duration), String> {
    let read = |text: &str| duration::parse(text).map_err(|error| format!("at: {error}"));
    match text.split_once("..") {
        None => read(text).map(|at| (at, at + SLACK)),
        Some((from, to)) => {
            let from = if from.is_empty() { Duration::ZERO } else { read(from)? };
            let to = if to.is_empty() { Duration::MAX } else { read(to)? };
            Ok((from, to))
        }
    }
}

fn read_answers(value: Json) -> Result<Vec<Answer>, String> {
    match value {
        Json::Array(values) if values.is_empty() => Err("needs at least one answer".to_owned()),
        Json::Array(values) => values.into_iter().map(read_answer).collect(),
        value => Ok(vec![read_answer(value)?]),
    }
}

fn read_answer(value: Json) -> Result<Answer, String> {
    let spec = match value {
        Json::String(word) if word == WORDS[0] => return Ok(Answer::Refused),
        Json::String(word) if word == WORDS[1] => return Ok(Answer::Timeout),
        Json::String(word) => return Err(format!("unknown answer {word:?} ({})", alternatives(&word, &WORDS))),
        Json::Object(_) => serde_json::from_value(value).map_err(|error| error.to_string())?,
        value => {
            let code = serde_json::from_value(value).map_err(|_| "an answer is a status code, a word or an object")?;
            StatusSpec { code, retry_after: None, body: String::new(), reply: None }
        }
    };
    let StatusSpec { code, retry_after, body, reply } = spec;
    let code = StatusCode::from_u16(code).map_err(|_| format!("{code} is no status code"))?;
    let reply = reply.map(|mut members| {
        members.entry("specversion").or_insert(Json::from("1.0"));
        Json::Object(members).to_string().into_bytes()
    });
    if let Some(reply) = &reply {
        json::parse(reply).map_err(|error| format!("reply: {error}"))?;
    }
    Ok(Answer::Status { code, retry_after, body, reply })
}
