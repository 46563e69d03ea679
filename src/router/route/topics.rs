//! The names of topics: which one an event of an `EventSource` is published to and read from.
//!
//! By default `{namespace}-{eventSource}-{event}`, as released `OpenFunction` names them; a bus may
//! set a prefix (`spec.topic`) and another form (`spec.topicTemplate`). Both ends of a bus compute
//! the name from the same settings, so it must never change from version to version:
//!
//! - What fills a placeholder keeps ASCII letters, digits, dashes and underscores. Every other
//!   character becomes a dash: a dot, too, for it would split a NATS subject in two.
//! - A name that was changed that way, or is longer than [`MAX_TOPIC`], is cut to fit and ends in
//!   a dash and eight hexadecimal digits: the 64-bit FNV-1a hash, upper half XOR lower half, of
//!   namespace, source and event with a zero byte after each.
//!
//! Such names can still meet (`a-b` and `c`, `a` and `b-c`): [`TopicNames::collisions`] tells.

use std::collections::BTreeMap;
use std::fmt;

use crate::api::event_bus::BusSpec;
use crate::api::{FieldPath, Problems};

/// The form of a topic's name when the bus sets none.
pub const DEFAULT_TEMPLATE: &str = "{namespace}-{eventSource}-{event}";

/// The longest topic name that is made or taken. Kafka allows 249; the rest is room for what is
/// appended to a topic's name, such as `-dlq`.
pub const MAX_TOPIC: usize = 200;

/// How much of a name a bus may fix by its prefix and template, so that room is left for what
/// tells topics apart.
const MAX_FIXED: usize = 100;

/// A dash and the digits of the hash.
const HASH_SUFFIX: usize = 9;

const PLACEHOLDERS: [&str; 3] = ["namespace", "eventSource", "event"];

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Namespace,
    EventSource,
    Event,
}

/// How a bus names its topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicNames(Vec<Part>);

/// The parts of [`DEFAULT_TEMPLATE`].
impl Default for TopicNames {
    fn default() -> Self {
        let dash = || Part::Text("-".to_owned());
        Self(vec![Part::Namespace, dash(), Part::EventSource, dash(), Part::Event])
    }
}

impl TopicNames {
    /// Reads `topic` and `topicTemplate` of the bus whose spec stands at `path`. What is wrong is
    /// reported, and the default stands in for it.
    pub fn parse(spec: &BusSpec, path: &FieldPath, problems: &mut Problems) -> Self {
        let mut names = match spec.topic_template.as_deref() {
            Some(template) => Self::template(template, &path.field("topicTemplate"), problems),
            None => Self::default(),
        };
        if let Some(prefix) = spec.topic.as_deref() {
            let path = path.field("topic");
            if let Some(why) = illegal(prefix) {
                problems.push(&path, format!("the prefix {why}"));
            } else {
                names.0.insert(0, Part::Text(format!("{prefix}-")));
            }
            if names.fixed() > MAX_FIXED {
                problems.push(&path, format!("the prefix leaves too little room: at most {MAX_FIXED} characters"));
            }
        }
        names
    }

    fn template(template: &str, path: &FieldPath, problems: &mut Problems) -> Self {
        let before = problems.len();
        let names = Self(parts(template, path, problems));
        for (part, name) in [(Part::EventSource, "{eventSource}"), (Part::Event, "{event}")] {
            if problems.len() == before && !names.0.contains(&part) {
                let message = format!("without {name} the events of different sources would share a topic");
                problems.push_help(path, message, format!("such as {DEFAULT_TEMPLATE:?}"));
            }
        }
        if names.fixed() > MAX_FIXED {
            problems.push(path, format!("at most {MAX_FIXED} characters may stand beside the placeholders"));
        }
        if problems.len() == before { names } else { Self::default() }
    }

    fn fixed(&self) -> usize {
        self.0.iter().map(|part| if let Part::Text(text) = part { text.len() } else { 0 }).sum()
    }

    /// The topic of one event of an `EventSource`.
    pub fn topic(&self, namespace: &str, source: &str, event: &str) -> String {
        let mut name = String::new();
        let mut exact = true;
        for part in &self.0 {
            match part {
                Part::Text(text) => name.push_str(text),
                Part::Namespace => exact &= append(&mut name, namespace),
                Part::EventSource => exact &= append(&mut name, source),
                Part::Event => exact &= append(&mut name, event),
            }
        }
        if !exact || name.len() > MAX_TOPIC {
            name.truncate(MAX_TOPIC - HASH_SUFFIX);
            return format!("{name}-{:08x}", hash(&[namespace, source, event]));
        }
        name
    }

    /// Events whose topics meet: their subscribers would get each other's events.
    pub fn collisions<'a>(&self, events: impl IntoIterator<Item = EventName<'a>>) -> Vec<Collision<'a>> {
        let mut owners: BTreeMap<String, EventName<'a>> = BTreeMap::new();
        let mut found = Vec::new();
        for event in events {
            let topic = self.topic(event.namespace, event.source, event.event);
            let owner = *owners.entry(topic.clone()).or_insert(event);
            if owner != event {
                found.push(Collision { topic, first: owner, second: event, dead_letters: false });
            }
        }
        for (topic, first) in &owners {
            let topic = dead_letter_topic(topic);
            if let Some(second) = owners.get(&topic) {
                found.push(Collision { topic, first: *first, second: *second, dead_letters: true });
            }
        }
        found
    }
}

/// Where the events of a topic go that cannot be delivered, when nobody says otherwise.
pub fn dead_letter_topic(topic: &str) -> String {
    format!("{topic}-dlq")
}

/// Where the events of a consumer group go that are tried again later.
pub fn retry_topic(group: &str) -> String {
    format!("{group}-retry")
}

/// Why a whole topic name, or a fixed part of one, is not legal on every broker; completes a
/// sentence that begins with the name of the thing.
pub(super) fn illegal(text: &str) -> Option<String> {
    match text {
        "" => Some("must not be empty".to_owned()),
        "." | ".." => Some("must not be dots alone".to_owned()),
        _ if text.len() > MAX_TOPIC => Some(format!("must not be longer than {MAX_TOPIC} characters")),
        _ => strange(text),
    }
}

fn strange(text: &str) -> Option<String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let found = text.chars().find(|c| !legal(*c))?;
    Some(format!("must be letters, digits, dots, dashes and underscores, and {found:?} is none of them"))
}

/// One event of one `EventSource`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventName<'a> {
    pub namespace: &'a str,
    pub source: &'a str,
    pub event: &'a str,
}

impl fmt::Display for EventName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.namespace, self.source, self.event)
    }
}

/// Two events that would share a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collision<'a> {
    pub topic: String,
    pub first: EventName<'a>,
    pub second: EventName<'a>,
    /// Not the events of `first` but its generated dead letters meet the events of `second`.
    pub dead_letters: bool,
}

impl fmt::Display for Collision<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.dead_letters { "the dead letters of event" } else { "event" };
        write!(f, "{what} {} and event {} would share the topic {:?}", self.first, self.second, self.topic)
    }
}

/// Splits a template at its placeholders.
fn parts(template: &str, path: &FieldPath, problems: &mut Problems) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = template;
    while !rest.is_empty() {
        let (text, placeholder) = match rest.split_once('{') {
            Some((text, after)) => (text, Some(after)),
            None => (rest, None),
        };
        if !text.is_empty() {
            if let Some(why) = strange(text) {
                problems.push(path, format!("what stands beside the placeholders {why}"));
            }
            parts.push(Part::Text(text.to_owned()));
        }
        let Some(placeholder) = placeholder else { break };
        let Some((name, after)) = placeholder.split_once('}') else {
            problems.push(path, "an opening brace has no closing one");
            break;
        };
        match name {
            "namespace" => parts.push(Part::Namespace),
            "eventSource" => parts.push(Part::EventSource),
            "event" => parts.push(Part::Event),
            unknown => problems.unknown_value(path, unknown, &PLACEHOLDERS),
        }
        rest = after;
    }
    parts
}

/// Appends what fills a placeholder; whether nothing had to be replaced.
fn append(name: &mut String, value: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    name.extend(value.chars().map(|c| if legal(c) { c } else { '-' }));
    value.chars().all(legal)
}

/// See the module's documentation.
fn hash(parts: &[&str]) -> u32 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let bytes = parts.iter().flat_map(|part| part.bytes().chain([0]));
    let hash = bytes.fold(OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME));
    #[expect(clippy::cast_possible_truncation, reason = "both halves are folded into 32 bits")]
    let folded = (hash >> 32) as u32 ^ hash as u32;
    folded
}
