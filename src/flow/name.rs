//! Names of topics and consumer groups.

use std::fmt;
use std::sync::Arc;

/// The longest topic or group name: Kafka's limit, the smallest among the brokers.
pub const MAX_NAME: usize = 249;

/// What stands between a topic and the number of its part: in no name.
const PART: char = '#';

/// Why a name is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} {name:?} must be 1 to {MAX_NAME} letters, digits, dots, dashes and underscores")]
pub struct InvalidName {
    what: &'static str,
    name: String,
}

fn check(what: &'static str, name: &str) -> Result<Arc<str>, InvalidName> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    if (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(legal) && name != "." && name != ".." {
        Ok(name.into())
    } else {
        Err(InvalidName { what, name: name.to_owned() })
    }
}

/// The name of a topic, legal on every broker.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Topic(Arc<str>);

/// The name of a consumer group: its members share a topic's events.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Group(Arc<str>);

impl Topic {
    /// # Errors
    /// When the name is not legal on every broker.
    pub fn new(name: &str) -> Result<Self, InvalidName> {
        check("topic", name).map(Self)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A part of the topic, for readers. The first one, with the number 0, stands for a topic that has no others.
    #[must_use]
    pub fn part(&self, number: u32) -> Self {
        let whole = self.whole();
        if number == 0 { whole } else { Self(format!("{whole}{PART}{number}").into()) }
    }

    /// The topic that this is a part of.
    #[must_use]
    pub fn whole(&self) -> Self {
        self.0.split_once(PART).map_or_else(|| self.clone(), |(whole, _)| Self(whole.into()))
    }

    /// Which part of the topic this is.
    pub fn number(&self) -> u32 {
        self.0.split_once(PART).and_then(|(_, number)| number.parse().ok()).unwrap_or(0)
    }
}

impl Group {
    /// # Errors
    /// When the name is not legal on every broker.
    pub fn new(name: &str) -> Result<Self, InvalidName> {
        check("consumer group", name).map(Self)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
