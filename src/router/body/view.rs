//! What parameters look at: one event, the events of a match by their inputs, or those of all matches of a batch.

use std::borrow::Cow;

use super::{BATCH_TYPE, Gathered, JOINED_TYPE};
use crate::event::codec::json::write;
use crate::event::{self, Event};
use crate::router::filter::{Payload, Subject, json};

const NO_JSON: &str = "the data is no JSON";

/// An event that a body is built of.
pub(super) enum View<'e> {
    /// What an input accepted, by its name.
    One(&'e Event, &'e str),
    /// Events by the names of their inputs.
    Match(Vec<(Cow<'e, str>, &'e str)>),
    /// The same, of each of several matches, in their order.
    Batch(Vec<(Cow<'e, str>, &'e str)>, Gathered),
}

impl<'e> View<'e> {
    /// An event that `input` accepted; without an input, one that holds several by their inputs.
    ///
    /// # Errors
    /// When a match of a batch does not say what its inputs are.
    pub fn new(event: &'e Event, input: Option<&'e str>, gathered: Option<Gathered>) -> Result<Self, String> {
        let text = || match Subject::new(event).payload() {
            Payload::Json(text) => text,
            Payload::Absent | Payload::Unusable(_) => "",
        };
        if let Some(gathered) = gathered.filter(|_| event.ty() == BATCH_TYPE) {
            let mut members = Vec::new();
            for element in json::elements(text()) {
                members.extend(joined(element).ok_or("the batch was gathered before it had parameters")?);
            }
            return Ok(Self::Batch(members, gathered));
        }
        Ok(match input {
            Some(input) => Self::One(event, input),
            None => Self::Match(members(text())),
        })
    }

    /// What a parameter sees of this input; nothing when no event of it is there.
    pub fn of(&self, wanted: &str) -> Option<Seen<'e>> {
        match self {
            Self::One(event, input) => (*input == wanted).then_some(Seen::Event(event)),
            Self::Match(members) => {
                members.iter().find(|(name, _)| name == wanted).map(|(_, event)| Seen::Member(event))
            }
            Self::Batch(members, gathered) => {
                let mut events = members.iter().filter(|(name, _)| name == wanted).map(|(_, event)| *event);
                match gathered {
                    Gathered::Last => events.next_back().map(Seen::Member),
                    Gathered::All => Some(events.collect::<Vec<_>>()).filter(|all| !all.is_empty()).map(Seen::Members),
                }
            }
        }
    }
}

/// The events of a match in the `CloudEvents` JSON format, by their inputs; nothing when it is none.
fn joined(event: &str) -> Option<Vec<(Cow<'_, str>, &str)>> {
    let member = |wanted: &str| json::members(event).find(|(name, _)| json::text(name) == wanted);
    let (_, ty) = member("type")?;
    let (_, data) = member("data").filter(|_| json::text(ty) == JOINED_TYPE)?;
    Some(members(data))
}

fn members(text: &str) -> Vec<(Cow<'_, str>, &str)> {
    json::members(text).map(|(name, event)| (json::text(name), event)).collect()
}

/// The event that a parameter looks at.
pub(super) enum Seen<'e> {
    Event(&'e Event),
    /// One of several, in the `CloudEvents` JSON format.
    Member(&'e str),
    /// All that a batch has of an input, likewise.
    Members(Vec<&'e str>),
}

impl<'e> Seen<'e> {
    /// The data as JSON.
    pub fn data(&self) -> Result<Cow<'e, str>, String> {
        match self {
            Self::Event(event) => match Subject::new(event).payload() {
                Payload::Json(text) => Ok(Cow::Borrowed(text)),
                Payload::Absent => Err("the event has no data".to_owned()),
                Payload::Unusable(_) => Err(NO_JSON.to_owned()),
            },
            Self::Member(event) => data(event)?.ok_or_else(|| "the event has no data".to_owned()),
            Self::Members(events) => {
                let all: Result<Vec<Cow<'_, str>>, String> =
                    events.iter().map(|event| Ok(data(event)?.unwrap_or(Cow::Borrowed("null")))).collect();
                Ok(Cow::Owned(list(&all?)))
            }
        }
    }

    /// The attributes, as a JSON object.
    pub fn context(&self) -> Cow<'e, str> {
        match self {
            Self::Event(event) => Cow::Owned(attributes(event)),
            Self::Member(event) => Cow::Borrowed(event),
            Self::Members(events) => Cow::Owned(list(events)),
        }
    }

    /// All of it, in the `CloudEvents` JSON format.
    pub fn whole(&self) -> Result<String, String> {
        match self {
            Self::Event(event) => {
                let mut bytes = Vec::new();
                write(event, &mut bytes);
                String::from_utf8(bytes).map_err(|error| error.to_string())
            }
            Self::Member(event) => Ok((*event).to_owned()),
            Self::Members(events) => Ok(list(events)),
        }
    }
}

/// The data of an event in the `CloudEvents` JSON format; none when it has none.
fn data(event: &str) -> Result<Option<Cow<'_, str>>, String> {
    let no_json = || NO_JSON.to_owned();
    let member = |wanted: &str| json::members(event).find(|(name, _)| json::text(name) == wanted);
    if let Some((_, raw)) = member("data") {
        return Ok(Some(Cow::Borrowed(raw)));
    }
    let Some((_, raw)) = member("data_base64") else { return Ok(None) };
    let bytes = data_encoding::BASE64.decode(json::text(raw).as_bytes()).map_err(|_| no_json())?;
    let text = String::from_utf8(bytes).map_err(|_| no_json())?;
    json::check(&text).map_err(|_| no_json())?;
    Ok(Some(Cow::Owned(text)))
}

/// JSON values as a JSON list.
fn list<S: AsRef<str>>(values: &[S]) -> String {
    let mut out = String::from("[");
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        out.push_str(value.as_ref());
    }
    out.push(']');
    out
}

fn attributes(event: &Event) -> String {
    let mut out = String::from("{\"specversion\":\"1.0\"");
    for (name, text) in [("id", event.id()), ("source", event.source()), ("type", event.ty())] {
        out.extend([",", &json::quote(name), ":", &json::quote(text)]);
    }
    for (name, value) in event.attributes() {
        let text = value.text();
        let raw = match value {
            event::Value::Boolean(_) | event::Value::Integer(_) => text.into_owned(),
            _ => json::quote(&text),
        };
        out.extend([",", &json::quote(name), ":", &raw]);
    }
    out.push('}');
    out
}
