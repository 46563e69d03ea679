//! A message to its event. Pure.

use bytes::Bytes;
use jiff::Timestamp;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, ShortString};

use crate::event::codec::http::Message as Read;
use crate::event::codec::properties;
use crate::event::wrap::{Body, Wrapping};
use crate::event::{Event, InvalidEvent, Value};
use crate::fault::{Fault, FaultKind};
use crate::flow::Poison;

/// What stands before the names of attributes: the AMQP binding's two, and Knative's.
const PREFIXES: [&str; 3] = ["cloudEvents:", "cloudEvents_", "ce-"];
/// How often a quorum queue has delivered the message before.
const DELIVERIES: &str = "x-delivery-count";

/// The attributes of events that are wrapped.
pub(super) struct Terms<'a> {
    pub source: &'a str,
    pub ty: &'a str,
    pub json_body: bool,
    pub now: Timestamp,
}

/// Reads a message. What is no `CloudEvent` becomes one.
pub(super) fn event(
    routing_key: &str,
    properties: &BasicProperties,
    body: Bytes,
    terms: &Terms<'_>,
) -> Result<Event, Poison> {
    let poison = |error: InvalidEvent| {
        let fault = Fault::new(FaultKind::Malformed, "read a message", "it is no valid event").with_source(error);
        Poison { bytes: body.clone(), fault }
    };
    let headers = properties.headers().iter().flat_map(|table| table.inner().iter());
    let attributes = headers.filter_map(|(name, found)| {
        let name = PREFIXES.iter().find_map(|prefix| name.as_str().strip_prefix(prefix))?;
        Some((name, value(found)?))
    });
    let content_type = properties.content_type().as_ref().map(ShortString::as_str).filter(|text| !text.is_empty());
    match properties::read(attributes, content_type, &body).map_err(poison)? {
        Read::Event(event) => Ok(event),
        Read::Batch(_) => {
            let fault = Fault::new(FaultKind::Malformed, "read a message", "a batch is not one event");
            Err(Poison { bytes: body, fault })
        }
        Read::Opaque => wrap(routing_key, properties, content_type, &body, terms).map_err(poison),
    }
}

fn wrap(
    routing_key: &str,
    properties: &BasicProperties,
    content_type: Option<&str>,
    body: &[u8],
    terms: &Terms<'_>,
) -> Result<Event, InvalidEvent> {
    let id = properties.message_id().as_ref().map(ShortString::as_str).filter(|id| !id.is_empty());
    let sent = properties.timestamp().and_then(time);
    let wrapping = Wrapping {
        id: id.map_or_else(|| uuid::Uuid::now_v7().to_string().into(), Into::into),
        source: terms.source,
        ty: terms.ty,
        subject: (!routing_key.is_empty()).then(|| routing_key.into()),
        time: Some(sent.unwrap_or(terms.now).to_string().into()),
        content_type,
        body: if terms.json_body { Body::Json } else { Body::Detect },
    };
    wrapping.event(body)
}

/// 1 for the first delivery, as far as the queue tells.
pub(super) fn attempt(properties: &BasicProperties, redelivered: bool) -> u32 {
    let count = properties.headers().as_ref().and_then(|table| table.inner().get(DELIVERIES)).and_then(integer);
    count.and_then(|count| u32::try_from(count).ok()).map_or(u32::from(redelivered), |count| count).saturating_add(1)
}

fn time(seconds: u64) -> Option<Timestamp> {
    Timestamp::from_second(i64::try_from(seconds).ok()?).ok()
}

/// A header's value as an attribute's (AMQP binding, 2.2: the types of both agree).
fn value(found: &AMQPValue) -> Option<Value<'_>> {
    match found {
        AMQPValue::LongString(text) => std::str::from_utf8(text.as_bytes()).ok().map(Value::from),
        AMQPValue::ShortString(text) => Some(text.as_str().into()),
        AMQPValue::Boolean(truth) => Some((*truth).into()),
        AMQPValue::Timestamp(seconds) => time(*seconds).map(|time| time.to_string().into()),
        AMQPValue::ByteArray(bytes) => Some(Value::Bytes(bytes.as_slice().into())),
        number => match i32::try_from(integer(number)?) {
            Ok(number) => Some(number.into()),
            Err(_) => integer(number).map(|number| number.to_string().into()),
        },
    }
}

fn integer(found: &AMQPValue) -> Option<i64> {
    match found {
        AMQPValue::ShortShortInt(number) => Some((*number).into()),
        AMQPValue::ShortShortUInt(number) => Some((*number).into()),
        AMQPValue::ShortInt(number) => Some((*number).into()),
        AMQPValue::ShortUInt(number) => Some((*number).into()),
        AMQPValue::LongInt(number) => Some((*number).into()),
        AMQPValue::LongUInt(number) => Some((*number).into()),
        AMQPValue::LongLongInt(number) => Some(*number),
        _ => None,
    }
}
