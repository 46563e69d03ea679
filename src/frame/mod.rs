//! Frames: what Penstock's two ends on either side of daprd agree on.
//!
//! daprd takes one message at a time from a component and each costs it parsing, so between our
//! own ends one message carries many events. A frame is a protobuf message that reads as a
//! `CloudEvents` batch (`application/cloudevents-batch+protobuf`); behind the events it says where
//! each stands in its topic. An empty frame is a heartbeat. Where both ends can, it travels packed.
//!
//! - A subscriber asks for frames with the metadata of its subscription: [`Ask`].
//! - A publisher marks a frame, and says what holds for its events, with the metadata of its
//!   publish call: [`Terms`].
//! - What else one end asks the other, and the writes that are too large for one call, go through a state store: [`Question`],
//!   [`staged`].
//!
//! Pure: values in, values out. May import `proto`, `event`, `fault` and `flow`.

mod ask;
mod pack;
mod question;
pub mod staged;
mod terms;

pub use ask::{Ask, Limits, Reads};
pub use pack::{ZSTD, is_packed, pack};
pub use question::{Question, at, spot};
pub use terms::Terms;

use bytes::Bytes;
use jiff::Timestamp;
use prost::Message as _;

use crate::event::codec::protobuf;
use crate::event::{Event, InvalidEvent};
use crate::fault::{Fault, FaultKind};
use crate::flow::{Poison, Position};
use crate::proto::penstock;

/// daprd hands messages of a component through gRPC with its default limit, which no flag changes:
/// a larger one ends the subscription for good.
pub const DAPRD_LIMIT: usize = 4 << 20;

/// Room that is left below [`DAPRD_LIMIT`] for what is added on the way: the envelope, topic and
/// component name, and on to the app the attributes as a struct.
pub const DAPRD_MARGIN: usize = 64 << 10;

/// The largest message that is sent to daprd.
pub const MAX_MESSAGE: usize = DAPRD_LIMIT - DAPRD_MARGIN;

/// What a frame adds to an event at most: keys, lengths and its place.
pub const EVENT_OVERHEAD: usize = 64;

/// Of bytes that are no event a reader gets so many: enough to see what they are.
const MAX_POISON: usize = 64 << 10;

/// And of the reason so many.
const MAX_REASON: usize = 1 << 10;

/// Why a message is no frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFrame {
    #[error("the frame cannot be unpacked")]
    Packed,
    #[error("the message is no frame")]
    Encoding(#[from] prost::DecodeError),
    #[error("a frame of {events} events tells {places} places")]
    Places { events: usize, places: usize },
    #[error("event {index} of the frame cannot be read")]
    Event { index: usize, source: InvalidEvent },
}

impl From<InvalidFrame> for Fault {
    fn from(error: InvalidFrame) -> Self {
        Self::new(FaultKind::Malformed, "read a frame", "it is malformed").with_source(error)
    }
}

/// One event of a frame that was pulled.
#[derive(Clone, Debug)]
pub struct Framed {
    /// The event, or what could not be read as one; the latter comes to readers alone.
    pub event: Result<Event, Poison>,
    pub position: Position,
    pub appended: Timestamp,
    pub attempt: u32,
}

/// A frame being filled.
#[derive(Debug, Default)]
pub struct Frame {
    message: penstock::Frame,
    bytes: usize,
}

impl Frame {
    /// Adds an event and its place in the topic.
    pub fn push(&mut self, framed: &Framed) {
        let Framed { event, position, appended, attempt } = framed;
        self.message.places.push(penstock::Place {
            major: position.major,
            minor: position.minor,
            appended: appended.as_microsecond(),
            attempt: *attempt,
            poison: event.as_ref().err().map_or_else(String::new, reason),
        });
        match event {
            Ok(event) => self.add(event),
            Err(poison) => {
                let bytes = poison.bytes.slice(..poison.bytes.len().min(MAX_POISON));
                self.bytes += bytes.len() + MAX_REASON + EVENT_OVERHEAD;
                self.message.events.push(bytes);
            }
        }
    }

    fn add(&mut self, event: &Event) {
        self.bytes += event.record().len() + EVENT_OVERHEAD;
        self.message.events.push(event.record().clone());
    }

    /// About how many bytes the message will have; never fewer than it has.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn len(&self) -> usize {
        self.message.events.len()
    }

    pub fn is_empty(&self) -> bool {
        self.message.events.is_empty()
    }

    /// The message.
    pub fn finish(self) -> Bytes {
        self.message.encode_to_vec().into()
    }
}

/// Why bytes are no event, in a few words; never empty.
fn reason(poison: &Poison) -> String {
    let chain = poison.fault.chain();
    chain[..chain.floor_char_boundary(MAX_REASON)].to_owned()
}

/// Writes events into a frame to be published: without places.
pub fn write<'a>(events: impl IntoIterator<Item = &'a Event>) -> Bytes {
    let mut frame = Frame::default();
    for event in events {
        frame.add(event);
    }
    frame.finish()
}

/// Reads the events of a frame that is published, packed or not, whatever else is in it. Their bytes
/// are shared with `message`, or with what was unpacked.
///
/// # Errors
/// When it is no frame, or one of its events is none: a frame is taken as a whole or not at all.
pub fn read(message: Bytes) -> Result<Vec<Event>, InvalidFrame> {
    events(penstock::Frame::decode(pack::unpack(message)?)?.events)
}

/// Reads a frame that was pulled, packed or not. Empty for a heartbeat.
///
/// # Errors
/// As [`read`], and when it does not tell where each event stands.
pub fn read_placed(message: Bytes) -> Result<Vec<Framed>, InvalidFrame> {
    let penstock::Frame { events: records, places } = penstock::Frame::decode(pack::unpack(message)?)?;
    if records.len() != places.len() {
        return Err(InvalidFrame::Places { events: records.len(), places: places.len() });
    }
    let placed = |(index, (record, place)): (usize, (Bytes, penstock::Place))| {
        let event = match place.poison.as_str() {
            "" => Ok(event(index, record)?),
            reason => {
                let fault = Fault::new(FaultKind::Malformed, "read an event behind daprd", reason);
                Err(Poison { bytes: record, fault })
            }
        };
        Ok(Framed {
            event,
            position: Position { major: place.major, minor: place.minor },
            appended: Timestamp::from_microsecond(place.appended).unwrap_or_default(),
            attempt: place.attempt,
        })
    };
    records.into_iter().zip(places).enumerate().map(placed).collect()
}

fn events(records: Vec<Bytes>) -> Result<Vec<Event>, InvalidFrame> {
    records.into_iter().enumerate().map(|(index, record)| event(index, record)).collect()
}

fn event(index: usize, record: Bytes) -> Result<Event, InvalidFrame> {
    protobuf::parse(record).map_err(|source| InvalidFrame::Event { index, source })
}

#[cfg(test)]
mod tests;
