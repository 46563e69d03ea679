//! Under which keys everything is stored.
//!
//! `join/GROUP/head/ID` stands for a subscriber, and what it keeps stands under the other words. No name has a
//! slash in it.

use bytes::Bytes;

use crate::flow::Group;

/// A kind of thing that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Events that wait for others, by the names of their inputs.
    Held,
    /// Matches that wait for their hold, by number.
    Hold,
    /// Matches to be delivered, by number.
    Out,
}

impl Part {
    const fn word(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Hold => "hold",
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

    pub fn one(&self, part: Part, name: &str) -> Bytes {
        Bytes::from(self.all(part) + name)
    }

    /// In the order of the numbers.
    pub fn numbered(&self, part: Part, number: u64) -> Bytes {
        self.one(part, &format!("{number:016x}"))
    }
}

/// What the heads of all subscribers of a group begin with; the id follows.
pub(super) fn heads(group: &str) -> String {
    format!("join/{group}/head/")
}
