//! Where a new group starts: `OpenFunction`'s seven fields for it.

use std::time::Duration;

use crate::api::event_bus::NatsStreamingBus;
use crate::api::{FieldPath, Problems, duration};

/// Where a new group starts reading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// At the oldest message that is kept, so that nothing that was published is missed.
    #[default]
    All,
    /// At what comes after the group was made.
    New,
    /// At the last message.
    Last,
    /// At the message of this number.
    Sequence(u64),
    /// At messages of this moment, RFC 3339.
    Time(jiff::Timestamp),
    /// At messages that are not older than this.
    Since(Duration),
}

impl Start {
    /// At most one of the fields may be set.
    pub(super) fn parse(raw: &NatsStreamingBus, path: &FieldPath, problems: &mut Problems) -> Self {
        let flag = |set: Option<bool>, start: Self| set.filter(|set| *set).map(|_| start);
        let sequence = raw.start_at_sequence.map(|number| sequence(number, path, problems));
        let time = raw.start_at_time.as_deref().map(|text| time(text, raw, path, problems));
        let since = raw.start_at_time_delta.as_deref().map(|text| since(text, path, problems));
        let written = [
            ("deliverNew", flag(raw.deliver_new, Self::New)),
            ("deliverAll", flag(raw.deliver_all, Self::All)),
            ("startWithLastReceived", flag(raw.start_with_last_received, Self::Last)),
            ("startAtSequence", sequence),
            ("startAtTime", time),
            ("startAtTimeDelta", since),
        ];
        let mut set = written.into_iter().filter_map(|(name, start)| Some((name, start?)));
        let Some((name, start)) = set.next() else { return Self::default() };
        if let Some((other, _)) = set.next() {
            problems.push(&path.field(other), format!("excludes {name:?}: a group starts at one place"));
        }
        start
    }
}

fn sequence(number: i64, path: &FieldPath, problems: &mut Problems) -> Start {
    let number = u64::try_from(number).ok().filter(|number| *number > 0);
    if number.is_none() {
        problems.push(&path.field("startAtSequence"), "must be at least 1");
    }
    number.map_or_else(Start::default, Start::Sequence)
}

/// The format is one of Go's; RFC 3339 is the one that every other tool knows, too.
fn time(text: &str, raw: &NatsStreamingBus, path: &FieldPath, problems: &mut Problems) -> Start {
    if raw.start_at_time_format.is_some() {
        problems.warn(&path.field("startAtTimeFormat"), "has no effect: startAtTime is read as RFC 3339");
    }
    text.parse().map_or_else(
        |_| {
            let help = "write it like \"2026-01-31T12:00:00Z\"";
            problems.push_help(&path.field("startAtTime"), format!("{text:?} is not a time of RFC 3339"), help);
            Start::default()
        },
        Start::Time,
    )
}

fn since(text: &str, path: &FieldPath, problems: &mut Problems) -> Start {
    duration::parse(text).map_or_else(
        |message| {
            problems.push(&path.field("startAtTimeDelta"), message);
            Start::default()
        },
        Start::Since,
    )
}
