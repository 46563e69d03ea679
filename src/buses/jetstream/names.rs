//! How topics, groups and events are named on the server.

use ring::digest::{Context, SHA256};

use crate::event::Event;
use crate::flow::{Deduplicate, Group, Topic};

/// The longest consumer name that is written in full; the server takes 255 characters.
const MAX_CONSUMER: usize = 200;
/// Bytes of a digest that stand for what they were made of: collisions are out of reach.
const DIGEST: usize = 16;

/// The stream of events whose time has not come.
pub(super) fn delayed_stream(stream: &str) -> String {
    format!("{stream}_delayed")
}

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

/// The durable consumer of a group on a topic: `group@topic`, dots written as `=`. A long name is cut
/// and told apart by a digest.
pub(super) fn consumer(topic: &Topic, group: &Group) -> String {
    let name = format!("{}@{}", group.as_str(), topic.as_str()).replace('.', "=");
    if name.len() <= MAX_CONSUMER {
        return name;
    }
    let digest = digest([name.as_str()]);
    format!("{}@{digest}", &name[..MAX_CONSUMER - digest.len() - 1])
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

fn digest<const N: usize>(parts: [&str; N]) -> String {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    data_encoding::HEXLOWER.encode(&context.finish().as_ref()[..DIGEST])
}
