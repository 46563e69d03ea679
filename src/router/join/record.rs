//! The form in which everything is stored: JSON, and behind it, where there is one, an event as its record.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::event::{Event, record};
use crate::fault::{Fault, FaultKind};
use crate::flow::{Position, Topic};
use crate::router::condition::Gathered;

/// What stands between the JSON and the event; no JSON that is written here has one in it.
const BREAK: u8 = b'\n';

/// What is known of a subscriber beside its events. By names, because places change when a Trigger is edited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    /// How many owners there were; each start is a new one.
    pub generation: u64,
    /// The condition, as it was written.
    pub condition: String,
    /// The inputs, as they were written, by name.
    pub inputs: BTreeMap<String, String>,
    /// Up to where the events of each topic are decided on; none when that is nowhere yet.
    pub applied: BTreeMap<String, Option<Place>>,
    pub next_hold: u64,
    pub next_out: u64,
    /// The matches that wait for their batch.
    pub batch: Batch,
}

/// A position.
pub(super) type Place = (u64, u64);

/// See [`Gathered`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Batch {
    first: u64,
    next: u64,
    since: i64,
    bytes: u64,
}

impl Batch {
    pub fn keep(gathered: Gathered) -> Self {
        let Gathered { first, next, since, bytes } = gathered;
        Self { first, next, since: since.as_microsecond(), bytes }
    }

    pub fn open(self) -> Result<Gathered, Fault> {
        let Self { first, next, since, bytes } = self;
        Ok(Gathered { first, next, since: time(since)?, bytes })
    }
}

/// What stands before an event.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct About {
    /// The key by which it is joined.
    pub key: String,
    /// When the bus took it in; of a match, when it was decided on.
    pub at: i64,
    /// Where it stood; of a match, where the event stood that came last.
    pub topic: String,
    pub place: Place,
}

/// When a negated input last accepted an event.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Mark {
    pub key: String,
    pub at: i64,
}

/// A match that waits, without its events.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Held {
    pub key: String,
    pub last: String,
    pub deadline: i64,
    pub heard: Vec<String>,
}

/// What is in the outbox.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Out {
    pub about: About,
    pub what: What,
}

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum What {
    /// The event behind it is delivered.
    Event,
    /// The event behind it is given up: too many matches are on hold already.
    Overflow,
    /// The event behind it is given up: it is larger than the bus takes, and was cut.
    TooLarge,
    /// The matches with these numbers are delivered together.
    Batch { first: u64, next: u64 },
}

/// An event and where it stood.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Item {
    pub event: Event,
    pub topic: Topic,
    pub position: Position,
}

impl Item {
    pub fn about(&self, key: &str, at: Timestamp) -> About {
        About {
            key: key.to_owned(),
            at: at.as_microsecond(),
            topic: self.topic.to_string(),
            place: (self.position.major, self.position.minor),
        }
    }

    pub fn keep(&self, key: &str, at: Timestamp) -> Result<Bytes, Fault> {
        write_with(&self.about(key, at), self.event.record())
    }

    /// Its key, when the bus took it in, and the event.
    pub fn open(bytes: &Bytes) -> Result<(String, Timestamp, Self), Fault> {
        let (about, event) = read_with::<About>(bytes)?;
        let (topic, position) = about.stood()?;
        let item = Self { event: read_event(event)?, topic, position };
        Ok((about.key, time(about.at)?, item))
    }
}

impl About {
    pub fn stood(&self) -> Result<(Topic, Position), Fault> {
        let topic = Topic::new(&self.topic).map_err(|error| damaged(&error))?;
        Ok((topic, position(self.place)))
    }
}

pub(super) fn position((major, minor): Place) -> Position {
    Position { major, minor }
}

pub(super) fn place(position: Position) -> Place {
    (position.major, position.minor)
}

pub(super) fn time(micros: i64) -> Result<Timestamp, Fault> {
    Timestamp::from_microsecond(micros).map_err(|error| damaged(&error))
}

pub(super) fn read_event(bytes: Bytes) -> Result<Event, Fault> {
    record::read(bytes).map_err(|error| damaged(&error))
}

pub(super) fn write(value: &impl Serialize) -> Result<Bytes, Fault> {
    serde_json::to_vec(value).map(Bytes::from).map_err(|error| damaged(&error))
}

pub(super) fn write_with(value: &impl Serialize, event: &[u8]) -> Result<Bytes, Fault> {
    let mut bytes = serde_json::to_vec(value).map_err(|error| damaged(&error))?;
    bytes.push(BREAK);
    bytes.extend_from_slice(event);
    Ok(bytes.into())
}

pub(super) fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Fault> {
    serde_json::from_slice(bytes).map_err(|error| damaged(&error))
}

/// The value, and the bytes behind it.
pub(super) fn read_with<T: for<'a> Deserialize<'a>>(bytes: &Bytes) -> Result<(T, Bytes), Fault> {
    let end = bytes.iter().position(|byte| *byte == BREAK).unwrap_or(bytes.len());
    Ok((read(&bytes[..end])?, bytes.slice((end + 1).min(bytes.len())..)))
}

pub(super) fn damaged(error: &dyn std::fmt::Display) -> Fault {
    Fault::new(FaultKind::Malformed, "read the state of a join", error.to_string())
}

/// The store did not say what it had written.
pub(super) fn unanswered() -> Fault {
    Fault::new(FaultKind::Internal, "write the state of a join", "the store told no revision")
}
