//! What a parked event carries, and how it gets rid of it again.
//!
//! Everything travels as extension attributes that begin with `penstockpark`; they are removed
//! before the event is delivered. While it is parked an event also has another `id`: one event may
//! be parked for many subscribers at once, and each of these copies is an event of its own to a bus
//! that drops duplicates. The parked `id` is made of what the event is owed to whom for (topic,
//! position, destination), so a redelivery parks the same copy, and a replay another one.

use std::time::Duration;

use jiff::Timestamp;

use crate::event::{Draft, Event, InvalidEvent, Value};
use crate::fault::{Fault, FaultKind};
use crate::flow::letter::{Reason, safe};
use crate::flow::{Position, Topic};

const PREFIX: &str = "penstockpark";
/// The event's own id.
const ID: &str = "penstockparkid";
/// The key of its destination.
const KEY: &str = "penstockparkkey";
/// The topic it was first read from.
const TOPIC: &str = "penstockparktopic";
/// Failed attempts so far.
const TRIES: &str = "penstockparktries";
/// When it first failed, or was first put aside.
const FIRST: &str = "penstockparkfirst";
/// How often it was parked, this time included.
const COUNT: &str = "penstockparkcount";
/// How long it was held back since it first failed, in milliseconds.
const HELD: &str = "penstockparkheld";
/// The input that accepted it, where its body is built.
const INPUT: &str = "penstockparkinput";
/// The last fault, for people.
const FAULT: &str = "penstockparkfault";
/// Set when it is a dead letter that could not be written: the reason.
const DEAD: &str = "penstockparkdead";
/// The dead letter sinks that have it already, one bit each.
const DONE: &str = "penstockparkdone";

/// The longest text of a fault that travels.
const MAX_FAULT: usize = 256;

/// How much of a long id goes into the parked id; topic and position tell apart the rest.
const MAX_ID: usize = 200;

/// What an event has been through on its way to one destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// The topic it was first read from, and where it stood there.
    pub topic: Topic,
    pub position: Position,
    /// Failed attempts.
    pub attempts: u32,
    /// When it first failed, or was first put aside.
    pub first: Option<Timestamp>,
    /// How often it was parked.
    pub parks: u32,
    /// How long it was held back since then, which counts for no deadline.
    held: Duration,
    /// The name of the input that accepted it, where its body is built.
    input: Option<String>,
    /// Whether it is never put aside.
    stays: bool,
    /// Its id while it is parked, once it was.
    ticket: Option<String>,
}

impl History {
    /// Nothing has happened yet.
    pub fn new(topic: Topic, position: Position) -> Self {
        Self {
            topic,
            position,
            attempts: 0,
            first: None,
            parks: 0,
            held: Duration::ZERO,
            input: None,
            stays: false,
            ticket: None,
        }
    }

    /// As far as a bus knows that cannot park: it was handed out `times` times. Nobody knows when
    /// it first failed, so the number of its attempts bounds it, and not the deadline.
    #[must_use]
    pub fn handed_out(mut self, times: u32) -> Self {
        self.attempts = times.saturating_sub(1);
        self
    }

    /// The input that accepted it; nothing for an event that was made of several.
    #[must_use]
    pub fn of_input(mut self, name: &str) -> Self {
        self.input = Some(name.to_owned());
        self
    }

    /// Of an event that is waited for at its place.
    #[must_use]
    pub(super) fn staying(mut self) -> Self {
        self.stays = true;
        self
    }

    pub(super) fn stays(&self) -> bool {
        self.stays
    }

    pub(super) fn input(&self) -> Option<&str> {
        self.input.as_deref()
    }

    /// Notes a failed attempt; answers with the time from which its deadline counts.
    pub(super) fn failed(&mut self, now: Timestamp) -> Timestamp {
        self.attempts = self.attempts.saturating_add(1);
        self.deferred(now)
    }

    /// Notes that it is put aside without an attempt; answers as [`History::failed`].
    pub(super) fn deferred(&mut self, now: Timestamp) -> Timestamp {
        let first = *self.first.get_or_insert(now);
        first.checked_add(self.held).unwrap_or(now).min(now)
    }

    /// Notes that it is held back for that long.
    pub(super) fn holds(&mut self, due: Duration) {
        if self.first.is_some() {
            self.held = self.held.saturating_add(due);
        }
    }

    /// The copy of `event` that waits for the destination `key`.
    pub(super) fn park(&mut self, event: &Event, key: &str, fault: &Fault) -> Result<Event, Fault> {
        self.park_with(event, key, fault, None)
    }

    /// The copy of the dead letter `letter` that waits until the dead letters take it.
    pub(super) fn park_letter(
        &mut self,
        letter: &Event,
        key: &str,
        fault: &Fault,
        grave: Grave,
    ) -> Result<Event, Fault> {
        self.park_with(letter, key, fault, Some(grave))
    }

    fn park_with(&mut self, event: &Event, key: &str, fault: &Fault, grave: Option<Grave>) -> Result<Event, Fault> {
        self.parks = self.parks.saturating_add(1);
        let ticket = self.ticket.get_or_insert_with(|| {
            let id = safe(event.id(), MAX_ID);
            format!("{}/{}/{key}/{id}", self.topic, self.position)
        });
        // Whoever sent the event may have used our names: nothing of that may be taken for what we know.
        let foreign = event.attributes().map(|(name, _)| name).filter(|name| name.starts_with(PREFIX));
        let mut draft = foreign
            .fold(event.draft(), Draft::without)
            .with("id", ticket.as_str())
            .with(ID, event.id())
            .with(KEY, key)
            .with(TOPIC, self.topic.as_str())
            .with(TRIES, integer(self.attempts))
            .with(COUNT, integer(self.parks))
            .with(FAULT, safe(&fault.chain(), MAX_FAULT));
        if let Some(first) = self.first {
            draft = draft.with(FIRST, first.to_string());
        }
        if !self.held.is_zero() {
            draft = draft.with(HELD, self.held.as_millis().to_string());
        }
        if let Some(input) = &self.input {
            draft = draft.with(INPUT, input.as_str());
        }
        if let Some(Grave { reason, done }) = grave {
            draft = draft.with(DEAD, reason.as_str()).with(DONE, integer(done));
        }
        draft.build().map_err(|error| unbuildable(&error))
    }
}

/// The copy of `event` that goes back to the destination `key` as if nothing had happened to it, after it had become a dead
/// letter, which stood at `position` of `letters`. `topic` is the one that it first came on. A copy that is made of a
/// letter twice is the same event to the bus.
///
/// # Errors
/// Never for an event that was built or read by this process.
pub fn readmit(event: &Event, key: &str, topic: &Topic, letters: &Topic, position: Position) -> Result<Event, Fault> {
    let ticket = format!("{letters}/{position}/{key}/{}", safe(event.id(), MAX_ID));
    let mut history = History { ticket: Some(ticket), ..History::new(topic.clone(), position) };
    let fault = Fault::new(FaultKind::Internal, "deliver", "it is sent again after it was a dead letter");
    history.park(event, key, &fault)
}

/// Where a dead letter stands that could not be written everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grave {
    pub reason: Reason,
    /// The dead letter sinks that have it, one bit each.
    pub done: u32,
}

/// A parked event that came back.
#[derive(Clone, Debug, PartialEq)]
pub struct Parked {
    /// As it was before it was parked; a dead letter with everything that belongs to one.
    pub event: Event,
    /// The key of its destination.
    pub key: String,
    pub history: History,
    /// The last fault, for people.
    pub fault: String,
    /// Set when it is a dead letter.
    pub grave: Option<Grave>,
}

/// Reads a parked event.
///
/// # Errors
/// `Malformed` when it is none.
pub fn unpark(parked: &Event, position: Position) -> Result<Parked, Fault> {
    let text = |name: &'static str| {
        let value = parked.attribute(name).map(|value| value.into_text().into_owned());
        value.ok_or_else(|| malformed(&format!("the attribute {name} is missing")))
    };
    let number = |name| match parked.attribute(name) {
        Some(value) => value.text().parse::<u32>().map_err(|_| malformed("a count is no number")),
        None => Ok(0),
    };
    let held = match parked.attribute(HELD) {
        Some(value) => value.text().parse::<u64>().map_err(|_| malformed("a time is no number"))?,
        None => 0,
    };
    let first = parked.attribute(FIRST).map(|first| first.text().parse::<Timestamp>());
    let history = History {
        topic: Topic::new(&text(TOPIC)?).map_err(|error| malformed(&error.to_string()))?,
        position,
        attempts: number(TRIES)?,
        first: first.transpose().map_err(|error| malformed(&error.to_string()))?,
        parks: number(COUNT)?,
        held: Duration::from_millis(held),
        input: text(INPUT).ok(),
        stays: false,
        ticket: Some(parked.id().to_owned()),
    };
    let grave = match parked.attribute(DEAD) {
        Some(reason) => Some(Grave { reason: reason_of(&reason.text()), done: number(DONE)? }),
        None => None,
    };
    let ours: Vec<&str> = parked.attributes().map(|(name, _)| name).filter(|name| name.starts_with(PREFIX)).collect();
    let original = parked.draft().with("id", text(ID)?);
    let event =
        ours.iter().fold(original, |draft, name| draft.without(name)).build().map_err(|error| unbuildable(&error))?;
    Ok(Parked { event, key: text(KEY)?, history, fault: text(FAULT).unwrap_or_default(), grave })
}

fn reason_of(word: &str) -> Reason {
    let known =
        [Reason::Rejected, Reason::Attempts, Reason::Deadline, Reason::Unsubscribed, Reason::Overflow, Reason::Loop];
    known.into_iter().find(|reason| reason.as_str() == word).unwrap_or(Reason::Poison)
}

fn integer(number: u32) -> Value<'static> {
    // A mask may use the sign bit, so text is the safe way beyond an int32.
    i32::try_from(number).map_or_else(|_| number.to_string().into(), Value::Integer)
}

fn malformed(reason: &str) -> Fault {
    Fault::new(FaultKind::Malformed, "read a parked event", reason)
}

fn unbuildable(error: &InvalidEvent) -> Fault {
    Fault::new(FaultKind::Internal, "park an event", error.to_string())
}
