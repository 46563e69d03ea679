//! Dead letters: events that were given up, and why.
//!
//! A letter is the event itself with extension attributes. Knative's three
//! (`knativeerrordest`, `knativeerrorcode`, `knativeerrordata`: Knative Eventing, "Handling
//! delivery failure") let Knative's tools read it; ours say the rest. All values are safe as HTTP
//! header values. Bytes that never were an event, and events that are too large, are made into
//! letters too, so that nothing is dropped without a trace.

use std::borrow::Cow;

use jiff::Timestamp;

use super::{Poison, Position, Topic};
use crate::event::{Data, Draft, Event, InvalidEvent, Value};
use crate::fault::{Fault, FaultKind};

/// Why an event was given up: [`Reason::as_str`].
pub const REASON: &str = "penstockreason";
/// The last fault, for people.
pub const FAULT: &str = "penstockfault";
/// How many attempts were made.
pub const ATTEMPTS: &str = "penstockattempts";
/// When the first attempt failed (RFC 3339).
pub const FIRST: &str = "penstockfirst";
/// When it was given up (RFC 3339).
pub const LAST: &str = "penstocklast";
/// The Trigger, as `namespace/name`.
pub const TRIGGER: &str = "penstocktrigger";
/// The subscriber's name within the Trigger.
pub const SUBSCRIBER: &str = "penstocksubscriber";
/// The topic that the event was read from, or was meant for.
pub const TOPIC: &str = "penstocktopic";
/// How many bytes of data there were, when they were cut.
pub const CUT: &str = "penstockcut";

/// How often the event was sent again after it had become a dead letter. It stays with the event, so that one
/// that is given up each time is not sent round for ever.
pub const REPLAYS: &str = "penstockreplays";

/// What a letter has beside its event.
const ADDED: [&str; 12] = [
    "knativeerrordest",
    "knativeerrorcode",
    "knativeerrordata",
    REASON,
    FAULT,
    ATTEMPTS,
    FIRST,
    LAST,
    TRIGGER,
    SUBSCRIBER,
    TOPIC,
    CUT,
];

/// Room that parking and dead letters need beyond the event itself. What is larger than the bus's
/// limit less this is not taken in, because it could not be put aside later.
pub const HEADROOM: usize = 8 * 1024;

/// The longest text of a fault that is kept.
const MAX_FAULT: usize = 512;

/// The longest address that is kept.
const MAX_ADDRESS: usize = 1024;

/// Knative's limit for `knativeerrordata` is 1024 characters of base64: these are as many bytes.
const MAX_ERROR_DATA: usize = 768;

/// The longest attribute that a cut letter keeps, and how many.
const MAX_CUT_VALUE: usize = 256;
const MAX_CUT_ATTRIBUTES: usize = 16;

/// What the key and the length of a record's data field take at most.
const DATA_FIELD: usize = 8;

/// What Knative's dispatchers write when there was no answer at all.
const NO_ANSWER: i32 = 500;

/// The `type` of a letter made of bytes that were no event.
pub const POISON_TYPE: &str = "events.openfunction.io.poison";

/// Why an event was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The sink refused it for good.
    Rejected,
    /// All attempts were made.
    Attempts,
    /// The deadline passed.
    Deadline,
    /// Its subscriber does not exist any more.
    Unsubscribed,
    /// It had to be held with others, and too many were held already.
    Overflow,
    /// It is an answer that would go round for ever.
    Loop,
    /// It could not be read, or is too large.
    Poison,
}

impl Reason {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Attempts => "attempts",
            Self::Deadline => "deadline",
            Self::Unsubscribed => "unsubscribed",
            Self::Overflow => "overflow",
            Self::Loop => "loop",
            Self::Poison => "poison",
        }
    }
}

/// What is known about an event that is given up.
#[derive(Clone, Copy, Debug)]
pub struct Obituary<'a> {
    pub reason: Reason,
    pub fault: &'a Fault,
    /// Where it was to be delivered to; empty when to nowhere.
    pub address: &'a str,
    pub attempts: u32,
    pub first: Timestamp,
    pub last: Timestamp,
    pub trigger: &'a str,
    pub subscriber: &'a str,
    pub topic: &'a str,
}

impl Obituary<'_> {
    /// The event with everything that is known about its end.
    ///
    /// # Errors
    /// Never for an event that was built or read by this process.
    pub fn letter(&self, event: &Event) -> Result<Event, Fault> {
        let data = self.fault.body().map_or_else(|| self.fault.chain(), str::to_owned);
        let code = self.fault.code().map_or(NO_ANSWER, i32::from);
        let mut draft = event.draft();
        for (name, text) in [
            ("knativeerrordest", safe(self.address, MAX_ADDRESS)),
            (REASON, self.reason.as_str().to_owned()),
            (FAULT, safe(&self.fault.chain(), MAX_FAULT)),
            (TRIGGER, self.trigger.to_owned()),
            (SUBSCRIBER, self.subscriber.to_owned()),
            (TOPIC, self.topic.to_owned()),
        ] {
            if !text.is_empty() {
                draft = draft.with(name, text);
            }
        }
        draft
            .with("knativeerrorcode", code)
            .with("knativeerrordata", data_encoding::BASE64.encode(safe(&data, MAX_ERROR_DATA).as_bytes()))
            .with(ATTEMPTS, i32::try_from(self.attempts).unwrap_or(i32::MAX))
            .with(FIRST, self.first.to_string())
            .with(LAST, self.last.to_string())
            .build()
            .map_err(|error| unbuildable(&error))
    }
}

/// A letter of bytes that are no event. `topic` is where they were found, or were meant for;
/// `origin` becomes the `source`. The same bytes at the same position always give the same `id`.
///
/// # Errors
/// Never for a sensible origin.
pub fn poison(
    poison: &Poison,
    origin: &str,
    topic: &Topic,
    position: Position,
    now: Timestamp,
) -> Result<Event, Fault> {
    let digest = ring::digest::digest(&ring::digest::SHA256, &poison.bytes);
    let id = format!("{position}-{}", data_encoding::HEXLOWER.encode(&digest.as_ref()[..8]));
    Draft::new(id, origin, POISON_TYPE)
        .with("time", now.to_string())
        .with(REASON, Reason::Poison.as_str())
        .with(FAULT, safe(&poison.fault.chain(), MAX_FAULT))
        .with(TOPIC, topic.as_str())
        .data(Data::detect(&poison.bytes))
        .build()
        .map_err(|error| unbuildable(&error))
}

/// A letter of an event that is not fit to be routed: too large to be kept as it is, or not what
/// its topic should hold.
///
/// # Errors
/// Never for an event that was built or read by this process.
pub fn unfit(event: &Event, fault: &Fault, topic: &Topic, limit: usize) -> Result<Event, Fault> {
    let letter = event
        .draft()
        .with(REASON, Reason::Poison.as_str())
        .with(FAULT, safe(&fault.chain(), MAX_FAULT))
        .with(TOPIC, topic.as_str())
        .build()
        .map_err(|error| unbuildable(&error))?;
    fit(&letter, limit)
}

/// How often the event of a letter was sent again before.
pub fn replays(letter: &Event) -> u32 {
    letter.attribute(REPLAYS).and_then(|count| count.text().parse().ok()).unwrap_or(0)
}

/// The event of a letter as it was, to be sent once more; nothing when the letter does not have it whole.
///
/// # Errors
/// Never for a letter that was read by this process.
pub fn original(letter: &Event) -> Result<Option<Event>, Fault> {
    if letter.ty() == POISON_TYPE || letter.attribute(CUT).is_some() {
        return Ok(None);
    }
    let bare = ADDED.iter().fold(letter.draft(), |draft, name| draft.without(name));
    let count = i32::try_from(replays(letter).saturating_add(1)).unwrap_or(i32::MAX);
    bare.with(REPLAYS, count).build().map(Some).map_err(|error| unbuildable(&error))
}

/// The letter, cut until its record is at most `limit` bytes: the data loses its end, and with it
/// the claim to be what its content type says; attributes that are too long for any letter go.
///
/// # Errors
/// Never for an event that was built or read by this process.
pub fn fit(letter: &Event, limit: usize) -> Result<Event, Fault> {
    if letter.record().len() <= limit {
        return Ok(letter.clone());
    }
    let data = letter.data_bytes().unwrap_or_default();
    let cut = |name: &str, text: &str| if text.len() > MAX_CUT_VALUE { shorten(name, text) } else { text.to_owned() };
    let mut draft = Draft::new(cut("id", letter.id()), cut("source", letter.source()), cut("type", letter.ty()));
    let ours = |name: &str| name.starts_with("penstock") || name.starts_with("knativeerror");
    let mut others = 0;
    for (name, value) in letter.attributes() {
        let short = ours(name) || value.text().len() <= MAX_CUT_VALUE;
        if short && (ours(name) || others < MAX_CUT_ATTRIBUTES) {
            others += usize::from(!ours(name));
            draft = draft.with(name, value);
        }
    }
    draft = draft
        .with("datacontenttype", "application/octet-stream")
        .with(CUT, i32::try_from(data.len()).unwrap_or(i32::MAX));
    let bare = draft.build().map_err(|error| unbuildable(&error))?;
    let room = limit.saturating_sub(bare.record().len() + DATA_FIELD);
    draft.data(Data::Binary(&data[..room.min(data.len())])).build().map_err(|error| unbuildable(&error))
}

/// A required attribute that is too long is cut; an id stays apart from others by a digest.
fn shorten(name: &str, text: &str) -> String {
    let start = floor(text, MAX_CUT_VALUE / 2);
    if name != "id" {
        return start.to_owned();
    }
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    format!("{start}-{}", data_encoding::HEXLOWER.encode(&digest.as_ref()[..8]))
}

/// Text that can be a header value: control characters become spaces, the end is cut.
pub fn safe(text: &str, limit: usize) -> String {
    floor(text, limit).chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The longest start of at most `limit` bytes that ends between two characters.
fn floor(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

fn unbuildable(error: &InvalidEvent) -> Fault {
    Fault::new(FaultKind::Internal, "write a dead letter", error.to_string())
}

/// A string attribute, as it was written.
pub fn text<'a>(event: &'a Event, name: &str) -> Option<Cow<'a, str>> {
    event.attribute(name).map(Value::into_text)
}
