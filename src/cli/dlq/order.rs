//! What is asked of the dead letters, and what is told of them: the same for a bus that is opened here and for a running
//! process.

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::index::Index;
use crate::event::Event;
use crate::flow::letter;

/// What is done with the dead letters that are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// They are told, without their data.
    List,
    /// They are told as a whole.
    Show,
    /// Their events are sent again, and they are forgotten once the bus has these.
    Replay,
    /// They are forgotten.
    Drop,
}

/// Where an event is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "camelCase")]
pub enum Goal {
    /// To the subscriber that it could not be delivered to, and to no other
    Subscriber,
    /// To the topic that it came on, for everybody who reads it
    Topic,
}

/// Which dead letters are meant: those that fit everything that is said.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[group(skip)]
pub struct Filter {
    /// The event's id. Several may be given
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,

    /// Only those of this Trigger: its name, or NAMESPACE/NAME
    #[arg(long, value_name = "NAME")]
    pub trigger: Option<String>,

    /// Only those of this subscriber of a Trigger
    #[arg(long, value_name = "NAME")]
    pub subscriber: Option<String>,

    /// Only those that were given up for this reason: rejected, attempts, deadline, unsubscribed, overflow, poison
    #[arg(long, value_name = "REASON")]
    pub reason: Option<String>,

    /// Only events of this type
    #[arg(long = "type", value_name = "TYPE")]
    pub ty: Option<String>,

    /// Only those given up since then: a time (RFC 3339), or a duration such as 2h
    #[arg(long, value_name = "TIME", value_parser = since)]
    pub since: Option<Timestamp>,

    /// Only those on this dead letter topic
    #[arg(long, value_name = "TOPIC")]
    pub topic: Option<String>,
}

fn since(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let span = crate::api::duration::parse(text).map_err(|error| format!("{error}, or as 2026-01-31T12:00:00Z"))?;
    let now = crate::task::Clock::system().now();
    now.checked_sub(span).map_err(|error| error.to_string())
}

impl Filter {
    /// Whether the dead letter is meant; its topic is asked for elsewhere.
    pub fn takes(&self, letter: &Event) -> bool {
        let text = |name: &str| letter::text(letter, name).unwrap_or_default().into_owned();
        let is = |wanted: &Option<String>, name: &str| wanted.as_ref().is_none_or(|wanted| *wanted == text(name));
        let trigger = self.trigger.as_ref().is_none_or(|wanted| {
            let found = text(letter::TRIGGER);
            found == *wanted || found.split_once('/').is_some_and(|(_, name)| name == wanted)
        });
        let recent = self.since.is_none_or(|since| given_up(letter).is_some_and(|at| at >= since));
        trigger
            && recent
            && (self.ids.is_empty() || self.ids.iter().any(|id| id == letter.id()))
            && is(&self.subscriber, letter::SUBSCRIBER)
            && is(&self.reason, letter::REASON)
            && self.ty.as_ref().is_none_or(|ty| ty == letter.ty())
    }
}

/// When it was given up; for what never was an event, when that was found.
fn given_up(letter: &Event) -> Option<Timestamp> {
    let at = letter::text(letter, letter::LAST);
    at.as_deref().or_else(|| letter.time())?.parse().ok()
}

/// Everything that is asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Order {
    pub action: Action,
    pub filter: Filter,
    /// Only tell what would be done.
    pub dry_run: bool,
    /// Where events are sent again.
    pub goal: Goal,
    /// An event that was sent again as often as this is not sent again; nothing when it does not matter.
    pub most_replays: Option<u32>,
    /// Events a second at most that are sent again.
    pub rate: Option<f64>,
    /// At most as many dead letters are told or worked on.
    pub limit: usize,
    /// The consumer group of the router, which names its retry topic; that of the place when it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Where dead letters are, for a process that has the buses and no documents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<Index>,
}

/// What became of a dead letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Fate {
    Kept,
    Replayed,
    Dropped,
    WouldBeReplayed,
    WouldBeDropped,
    /// It stays, for this reason.
    Skipped(String),
}

/// One dead letter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Found {
    pub bus: String,
    pub topic: String,
    pub position: String,
    pub id: String,
    #[serde(rename = "type")]
    pub ty: String,
    pub given_up: Option<Timestamp>,
    pub reason: String,
    pub trigger: String,
    pub subscriber: String,
    pub attempts: String,
    pub fault: String,
    /// How often its event was sent again before.
    pub replays: u32,
    pub fate: Fate,
    /// The whole letter, in the JSON format, when it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub letter: Option<Json>,
}

impl Found {
    /// What is told of a letter at this place.
    pub fn new(bus: &str, topic: &str, position: String, letter: &Event, fate: Fate) -> Self {
        let text = |name: &str| letter::text(letter, name).unwrap_or_default().into_owned();
        Self {
            bus: bus.to_owned(),
            topic: topic.to_owned(),
            position,
            id: letter.id().to_owned(),
            ty: letter.ty().to_owned(),
            given_up: given_up(letter),
            reason: text(letter::REASON),
            trigger: text(letter::TRIGGER),
            subscriber: text(letter::SUBSCRIBER),
            attempts: text(letter::ATTEMPTS),
            fault: text(letter::FAULT),
            replays: letter::replays(letter),
            fate,
            letter: None,
        }
    }
}

/// The answer to an order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    pub found: Vec<Found>,
    /// There are more than the limit.
    pub more: bool,
    /// So many were there and did not come in time: another reader may hold them, or have held them a moment ago.
    #[serde(default)]
    pub unseen: u64,
}
