//! How topics, groups and events are named on the server.

use super::config::names::digest;
use crate::event::Event;
use crate::flow::{Deduplicate, Topic};

/// The key-value bucket beside the stream.
pub(super) fn bucket(stream: &str) -> String {
    format!("{stream}_state")
}

/// All subjects of a stream.
pub(super) fn subjects(stream: &str) -> String {
    format!("{stream}.>")
}

/// The subject of a topic: the stream's name, a dot, the topic. Dots of the topic stay dots, so that
/// `stream.shop.>` selects; where that would leave a part empty, the part is written `=`, which no
/// topic has.
pub(super) fn subject(stream: &str, topic: &Topic) -> String {
    let mut subject = String::with_capacity(stream.len() + topic.as_str().len() + 2);
    subject.push_str(stream);
    for part in topic.as_str().split('.') {
        subject.push('.');
        subject.push_str(if part.is_empty() { "=" } else { part });
    }
    subject
}

/// The `Nats-Msg-Id` under which the server recognises an event that it already has; of bounded
/// length, whatever the event's id is. The topic counts, because a stream has many.
pub(super) fn message_id(topic: &Topic, event: &Event, deduplicate: Deduplicate) -> Option<String> {
    let attempt = match deduplicate {
        Deduplicate::Never => return None,
        Deduplicate::Event => String::new(),
        Deduplicate::Attempt(attempt) => attempt.to_string(),
    };
    Some(digest([topic.as_str(), event.source(), event.id(), &attempt]))
}
