//! Under which keys everything is stored.
//!
//! `join/GROUP/head/ID` stands for a subscriber, and what it keeps stands under the other words. No name has a
//! slash in it, and none begins with a dash.

use bytes::Bytes;

use crate::flow::{Group, Topic};

/// Of the digest that stands for the key of a join: collisions are out of reach.
const DIGEST: usize = 16;

/// What is kept of a match beside its events; it sorts before every name of an input.
pub(super) const MATCH: &str = "-";

/// A kind of thing that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Events that wait for others: the digest of their key, and the name of their input.
    Held,
    /// When negated inputs last accepted an event, likewise.
    Mark,
    /// Matches that wait for their hold: the number, and [`MATCH`] or the name of an input.
    Hold,
    /// Matches that wait for their batch, by number.
    Gather,
    /// What is to be delivered, by number.
    Out,
}

impl Part {
    const fn word(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Mark => "mark",
            Self::Hold => "hold",
            Self::Gather => "gather",
            Self::Out => "out",
        }
    }
}

/// The keys of one subscriber.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    group: String,
    id: String,
}

impl Keys {
    /// `id` is `namespace/trigger/subscriber`.
    pub fn new(group: &Group, id: &str) -> Self {
        Self { group: group.to_string(), id: id.to_owned() }
    }

    pub fn head(&self) -> Bytes {
        Bytes::from(format!("{}{}", heads(&self.group), self.id))
    }

    /// What all keys of this part begin with.
    pub fn all(&self, part: Part) -> String {
        format!("join/{}/{}/{}/", self.group, part.word(), self.id)
    }

    /// What is kept of an input, for the key of a join.
    pub fn of_input(&self, part: Part, key: &str, name: &str) -> Bytes {
        let digest = ring::digest::digest(&ring::digest::SHA256, key.as_bytes());
        let digest = data_encoding::HEXLOWER.encode(&digest.as_ref()[..DIGEST]);
        Bytes::from(format!("{}{digest}/{name}", self.all(part)))
    }

    /// A part of a match on hold.
    pub fn of_hold(&self, number: u64, name: &str) -> Bytes {
        Bytes::from(format!("{}{number:016x}/{name}", self.all(Part::Hold)))
    }

    /// In the order of the numbers.
    pub fn numbered(&self, part: Part, number: u64) -> Bytes {
        Bytes::from(format!("{}{number:016x}", self.all(part)))
    }
}

/// What the heads of all subscribers of a group begin with; the id follows.
pub(super) fn heads(group: &str) -> String {
    format!("join/{group}/head/")
}

/// Says that the group's subscribers have begun to read a topic.
pub(super) fn topic(group: &Group, topic: &Topic) -> Bytes {
    Bytes::from(format!("join/{group}/topic/{topic}"))
}

/// The number at the end of a key.
pub(super) fn number(key: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(key).ok()?;
    u64::from_str_radix(text.rsplit('/').next()?, 16).ok()
}
