//! What a subscriber asks a component for, in the metadata of its subscription.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{MAX_MESSAGE, ZSTD};
use crate::flow::{Position, Start};

/// Set by the subscriber, read by daprd: it passes the bytes on as they are. The value that daprd
/// takes everywhere is `true`.
pub const RAW_PAYLOAD: &str = "rawPayload";
/// `true` asks for frames; goes with [`RAW_PAYLOAD`].
pub const FRAMES: &str = "penstockFrames";
/// The most bytes of a frame.
pub const FRAME_BYTES: &str = "penstockFrameBytes";
/// The most events of a frame.
pub const FRAME_EVENTS: &str = "penstockFrameEvents";
/// Milliseconds of quiet after which a heartbeat is sent.
pub const HEARTBEAT: &str = "penstockHeartbeatMs";
/// The ways of packing that the subscriber can undo, separated by commas; one who does not know the word
/// gets plain frames. A component takes the first that it knows, or none.
pub const PACKING: &str = "penstockPacking";
/// How many messages may be unanswered on one stream.
pub const IN_FLIGHT: &str = "penstockInFlight";
/// The consumer group, instead of the Component's `consumerID`.
pub const GROUP: &str = "penstockGroup";
/// `earliest` (default) or `latest`: where a group starts that has no position yet.
pub const START: &str = "penstockStart";

/// Asks for a topic in its order, apart from all groups: `begin`, or the position behind which to begin. Goes with
/// [`FRAMES`].
pub const READ: &str = "penstockRead";

const BEGIN: &str = "begin";

/// Unanswered messages of a stream with one event per message. daprd handles one at a time; what is
/// sent ahead saves it the way back and forth (measured: a tenth to a half more), and waits
/// unacknowledged meanwhile.
const DEFAULT_MESSAGES: usize = 8;
/// Unanswered frames of a stream: one that is handled and one on its way.
const DEFAULT_FRAMES: usize = 2;
/// The most unanswered messages that can be asked for.
const MAX_IN_FLIGHT: usize = 1024;

/// What bounds a frame, and what tells that a stream is alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub bytes: usize,
    pub events: usize,
    /// The pause after which a quiet stream gets an empty frame.
    pub heartbeat: Duration,
    /// Whether frames may be packed.
    pub packed: bool,
}

impl Default for Limits {
    /// Measured: from 64 to 256 KiB on, larger frames cost latency and memory and gain little.
    fn default() -> Self {
        Self { bytes: 256 << 10, events: 4096, heartbeat: Duration::from_secs(5), packed: true }
    }
}

/// As whom a subscriber reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// As a member of its group.
    InGroup,
    /// Everything behind a position, or from the oldest event on, whoever else reads.
    After(Option<Position>),
}

impl Reads {
    /// Adds it to the metadata of a subscription.
    pub fn write(self, metadata: &mut BTreeMap<String, String>) {
        let Self::After(after) = self else { return };
        metadata.insert(READ.to_owned(), after.map_or_else(|| BEGIN.to_owned(), |position| position.to_string()));
    }

    fn read(metadata: &BTreeMap<String, String>) -> Result<Self, String> {
        match metadata.get(READ).map(String::as_str) {
            None => Ok(Self::InGroup),
            Some(BEGIN) => Ok(Self::After(None)),
            Some(text) => match Position::parse(text) {
                Some(position) => Ok(Self::After(Some(position))),
                None => Err(format!("{READ}: {text:?} is neither {BEGIN} nor a position")),
            },
        }
    }
}

/// What a subscriber asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// One event per message when absent.
    pub frames: Option<Limits>,
    /// Messages sent and not answered, per stream.
    pub in_flight: usize,
    pub group: Option<String>,
    pub start: Start,
    pub reads: Reads,
}

impl Ask {
    /// Frames with the default limits.
    pub fn frames() -> Self {
        Self {
            frames: Some(Limits::default()),
            in_flight: DEFAULT_FRAMES,
            group: None,
            start: Start::Earliest,
            reads: Reads::InGroup,
        }
    }

    /// Reads the metadata of a subscription. What is not ours is not looked at.
    ///
    /// # Errors
    /// What is wrong with which key.
    pub fn read(metadata: &BTreeMap<String, String>) -> Result<Self, String> {
        let defaults = Limits::default();
        let frames = match flag(metadata, FRAMES)? {
            false => None,
            // Otherwise daprd would try to read frames as JSON, and refuse each of them for ever.
            true if !flag(metadata, RAW_PAYLOAD)? => {
                return Err(format!("{FRAMES}: frames can only be had with {RAW_PAYLOAD}: \"true\""));
            }
            true => Some(Limits {
                bytes: number(metadata, FRAME_BYTES, defaults.bytes, MAX_MESSAGE)?,
                events: number(metadata, FRAME_EVENTS, defaults.events, usize::MAX)?,
                heartbeat: match metadata.get(HEARTBEAT) {
                    None => defaults.heartbeat,
                    Some(_) => Duration::from_millis(number(metadata, HEARTBEAT, 0, 3_600_000)? as u64),
                },
                packed: metadata.get(PACKING).is_some_and(|known| known.split(',').any(|way| way.trim() == ZSTD)),
            }),
        };
        let default = if frames.is_some() { DEFAULT_FRAMES } else { DEFAULT_MESSAGES };
        let start = match metadata.get(START).map(String::as_str) {
            None | Some("earliest") => Start::Earliest,
            Some("latest") => Start::Latest,
            Some(other) => return Err(format!("{START}: {other:?} is neither earliest nor latest")),
        };
        let in_flight = number(metadata, IN_FLIGHT, default, MAX_IN_FLIGHT)?;
        let reads = Reads::read(metadata)?;
        if reads != Reads::InGroup && frames.is_none() {
            return Err(format!("{READ}: a topic can only be read with {FRAMES}: \"true\""));
        }
        Ok(Self { frames, in_flight, group: metadata.get(GROUP).cloned(), start, reads })
    }

    /// Writes the metadata of a subscription.
    pub fn metadata(&self) -> BTreeMap<String, String> {
        let mut metadata = BTreeMap::from([(IN_FLIGHT.to_owned(), self.in_flight.to_string())]);
        if let Some(Limits { bytes, events, heartbeat, packed }) = self.frames {
            metadata.insert(RAW_PAYLOAD.to_owned(), "true".to_owned());
            metadata.insert(FRAMES.to_owned(), "true".to_owned());
            metadata.insert(FRAME_BYTES.to_owned(), bytes.to_string());
            metadata.insert(FRAME_EVENTS.to_owned(), events.to_string());
            metadata.insert(HEARTBEAT.to_owned(), heartbeat.as_millis().to_string());
            if packed {
                metadata.insert(PACKING.to_owned(), ZSTD.to_owned());
            }
        }
        if let Some(group) = &self.group {
            metadata.insert(GROUP.to_owned(), group.clone());
        }
        if self.start == Start::Latest {
            metadata.insert(START.to_owned(), "latest".to_owned());
        }
        self.reads.write(&mut metadata);
        metadata
    }
}

fn flag(metadata: &BTreeMap<String, String>, key: &str) -> Result<bool, String> {
    match metadata.get(key) {
        None => Ok(false),
        Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        Some(text) => Err(format!("{key}: {text:?} is neither true nor false")),
    }
}

fn number(metadata: &BTreeMap<String, String>, key: &str, default: usize, most: usize) -> Result<usize, String> {
    let Some(text) = metadata.get(key) else { return Ok(default) };
    let number = text.parse().ok().filter(|number| (1..=most).contains(number));
    number.ok_or_else(|| format!("{key}: {text:?} is no whole number from 1 to {most}"))
}
