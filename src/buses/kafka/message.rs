//! Events as messages of Kafka, and back. Pure.

use bytes::Bytes;
use jiff::Timestamp;

use crate::dial::kafka::Message;
use crate::event::codec::http::Message as Read;
use crate::event::codec::kafka;
use crate::event::wrap::{Body, Wrapping};
use crate::event::{Event, InvalidEvent, Value};
use crate::fault::{Fault, FaultKind};
use crate::flow::{Poison, Position};

/// The `type` of what is on a topic and is no event.
const OPAQUE_TYPE: &str = "events.openfunction.io.kafka";

/// Hands each header to `put`; the payload, where there is one.
pub(super) fn write(event: &Event, put: impl FnMut(&str, &str)) -> Option<Bytes> {
    kafka::write_binary(event, put)
}

/// What keeps events in order: those of one key are in one partition.
pub(super) fn key(event: &Event) -> Option<String> {
    event.attribute("partitionkey").map(Value::into_text).map(std::borrow::Cow::into_owned)
}

/// Reads what was delivered. What others put there and is no `CloudEvent` becomes one.
pub(super) fn read(message: &Message, topic: &str) -> Result<Event, Poison> {
    let poison = |error: InvalidEvent| {
        let fault = Fault::new(FaultKind::Malformed, "read a message", "it is no valid event").with_source(error);
        Poison { bytes: message.payload.clone(), fault }
    };
    let headers = message.headers.iter().map(|(name, value)| (name.as_str(), &value[..]));
    match kafka::read(headers, &message.payload).map_err(poison)? {
        Read::Event(event) => Ok(event),
        Read::Batch(_) => {
            let fault = Fault::new(FaultKind::Malformed, "read a message", "a batch is not one event");
            Err(Poison { bytes: message.payload.clone(), fault })
        }
        Read::Opaque => {
            let key =
                message.key.as_deref().and_then(|key| std::str::from_utf8(key).ok()).filter(|key| !key.is_empty());
            let headers = message.headers.iter().map(|(name, value)| (name.as_str(), &value[..]));
            let wrapping = Wrapping {
                id: format!("{topic}/{}/{}", message.partition, message.offset).into(),
                source: &format!("kafka:{topic}"),
                ty: OPAQUE_TYPE,
                subject: key.map(Into::into),
                time: Some(time(message).to_string().into()),
                content_type: kafka::content_type(headers),
                body: Body::Detect,
            };
            wrapping.event(&message.payload).map_err(poison)
        }
    }
}

pub(super) fn position(partition: i32, offset: i64) -> Position {
    let number = |number: i64| u64::try_from(number).unwrap_or_default();
    Position { major: number(partition.into()), minor: number(offset) }
}

/// The offset behind a position; without one, the first.
pub(super) fn next(after: Option<Position>) -> i64 {
    after.map_or(0, |after| i64::try_from(after.minor).unwrap_or(i64::MAX).saturating_add(1))
}

/// When the broker took the message in. Times of senders are in no order: they count as the earliest, so that such a
/// message is as old as the one before it.
pub(super) fn appended(message: &Message) -> Timestamp {
    if message.stamped { time(message) } else { Timestamp::UNIX_EPOCH }
}

/// When the message was sent, or appended, as the topic is set.
pub(super) fn time(message: &Message) -> Timestamp {
    let sent = message.timestamp.and_then(|millis| Timestamp::from_millisecond(millis).ok());
    sent.unwrap_or(Timestamp::UNIX_EPOCH)
}
