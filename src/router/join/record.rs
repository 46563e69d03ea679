//! The form in which everything is stored: JSON, with events as the base64 of their records.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::event::{Event, record};
use crate::fault::{Fault, FaultKind};
use crate::flow::{Position, Topic};

/// What is known of a subscriber beside its events. By names, because places change when a Trigger is edited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    /// How many owners there were; each start is a new one.
    pub generation: u64,
    /// The condition, as it was written.
    pub condition: String,
    /// The inputs, as they were written, by name.
    pub inputs: BTreeMap<String, String>,
    /// When each negated input last accepted an event, in microseconds.
    pub marks: BTreeMap<String, i64>,
    /// Up to where the events of each topic are decided on.
    pub applied: BTreeMap<String, (u64, u64)>,
    pub next_hold: u64,
    pub next_out: u64,
}

/// A held event.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Kept {
    pub at: i64,
    pub topic: String,
    pub place: (u64, u64),
    pub event: String,
}

/// A match that waits.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Held {
    pub events: BTreeMap<String, Kept>,
    pub last: String,
    pub deadline: i64,
    pub heard: Vec<String>,
}

/// A match in the outbox.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Out {
    pub event: String,
    /// Where the event that came last stood.
    pub topic: String,
    pub place: (u64, u64),
    /// It is to be given up: too many wait already.
    pub overflow: bool,
}

/// An event and where it stood.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Item {
    pub event: Event,
    pub topic: Topic,
    pub position: Position,
}

impl Item {
    pub fn keep(&self, at: Timestamp) -> Kept {
        Kept {
            at: at.as_microsecond(),
            topic: self.topic.as_str().to_owned(),
            place: (self.position.major, self.position.minor),
            event: encode(&self.event),
        }
    }
}

impl Kept {
    pub fn open(&self) -> Result<(Timestamp, Item), Fault> {
        let topic = Topic::new(&self.topic).map_err(|error| damaged(&error))?;
        let item = Item { event: decode(&self.event)?, topic, position: position(self.place) };
        Ok((time(self.at)?, item))
    }
}

pub(super) fn position((major, minor): (u64, u64)) -> Position {
    Position { major, minor }
}

pub(super) fn time(micros: i64) -> Result<Timestamp, Fault> {
    Timestamp::from_microsecond(micros).map_err(|error| damaged(&error))
}

pub(super) fn encode(event: &Event) -> String {
    data_encoding::BASE64.encode(event.record())
}

pub(super) fn decode(text: &str) -> Result<Event, Fault> {
    let bytes = data_encoding::BASE64.decode(text.as_bytes()).map_err(|error| damaged(&error))?;
    record::read(Bytes::from(bytes)).map_err(|error| damaged(&error))
}

pub(super) fn write(value: &impl Serialize) -> Result<Bytes, Fault> {
    serde_json::to_vec(value).map(Bytes::from).map_err(|error| damaged(&error))
}

pub(super) fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Fault> {
    serde_json::from_slice(bytes).map_err(|error| damaged(&error))
}

pub(super) fn damaged(error: &dyn std::fmt::Display) -> Fault {
    Fault::new(FaultKind::Malformed, "read the state of a join", error.to_string())
}

/// The store did not say what it had written.
pub(super) fn unanswered() -> Fault {
    Fault::new(FaultKind::Internal, "write the state of a join", "the store told no revision")
}
