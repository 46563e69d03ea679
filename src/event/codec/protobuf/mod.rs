//! The public `CloudEvents` protobuf format (`io.cloudevents.v1.CloudEvent` and its batch).
//!
//! The record of an event *is* such a message, with two liberties (see [`record`]): so reading
//! tries the record first, which shares the bytes, and takes the generated type only for what the
//! record does not hold: timestamps as `ce_timestamp`, data as `proto_data`, fields in another
//! order. Writing shares the record unless a timestamp must be converted.
//!
//! `ce_timestamp` becomes RFC 3339 text in UTC. `proto_data` becomes binary data of content type
//! `application/protobuf`, and its type URL the `dataschema`, where the event says nothing else.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::Message as _;

use super::{MAX_ATTRIBUTES, add};
use crate::event::{Data, Draft, Event, InvalidEvent, SPEC_VERSION, Value, record};
use crate::proto::cloudevents::CloudEvent;
use crate::proto::cloudevents::cloud_event::cloud_event_attribute_value::Attr;
use crate::proto::cloudevents::cloud_event::{CloudEventAttributeValue, Data as ProtoData};

/// The key of `CloudEventBatch.events`: field 1, length-delimited.
const BATCH_EVENT: u8 = 0x0A;

/// Reads one event. Its bytes are shared with `bytes` where possible.
///
/// # Errors
/// When the bytes are not a `CloudEvent` message, or a required attribute is missing.
pub fn parse(bytes: Bytes) -> Result<Event, InvalidEvent> {
    match record::read(bytes.clone()) {
        Ok(event) if is_canonical(&event) => Ok(event),
        _ => convert(&CloudEvent::decode(bytes).map_err(|error| malformed(error.to_string()))?),
    }
}

/// Reads a batch message. Empty bytes are an empty batch.
///
/// # Errors
/// When the bytes are not a batch, or any of its events is no `CloudEvent`: a batch is taken as a
/// whole or not at all.
pub fn parse_batch(mut bytes: Bytes) -> Result<Vec<Event>, InvalidEvent> {
    let mut events = Vec::new();
    while bytes.has_remaining() {
        if bytes.get_u8() != BATCH_EVENT {
            return Err(malformed("a batch holds something other than events".to_owned()));
        }
        let len = prost::decode_length_delimiter(&mut bytes).map_err(|error| malformed(error.to_string()))?;
        if len > bytes.len() {
            return Err(malformed("the batch is truncated".to_owned()));
        }
        events.push(parse(bytes.split_to(len))?);
    }
    Ok(events)
}

/// Writes one event; shares its record where that is already the public format.
pub fn write(event: &Event) -> Bytes {
    let Some(time) = event.time().and_then(|text| text.parse::<jiff::Timestamp>().ok()) else {
        return event.record().clone();
    };
    let Ok(mut message) = CloudEvent::decode(event.record().clone()) else {
        return event.record().clone();
    };
    let (seconds, nanos) = split(time);
    let attr = Some(Attr::CeTimestamp(prost_types::Timestamp { seconds, nanos }));
    message.attributes.insert("time".to_owned(), CloudEventAttributeValue { attr });
    message.encode_to_vec().into()
}

/// Writes a batch message.
pub fn write_batch<'a>(events: impl IntoIterator<Item = &'a Event>) -> Bytes {
    let mut out = BytesMut::new();
    for event in events {
        let message = write(event);
        out.reserve(message.len() + 1 + prost::length_delimiter_len(message.len()));
        out.put_u8(BATCH_EVENT);
        prost::encode_length_delimiter(message.len(), &mut out).expect("a growing buffer takes every length");
        out.put_slice(&message);
    }
    out.freeze()
}

/// Whether a record from outside keeps the rules that `Draft::build` checks for our own.
fn is_canonical(event: &Event) -> bool {
    let count = event.attributes().count();
    if count > MAX_ATTRIBUTES {
        return false;
    }
    event.attributes().enumerate().all(|(index, (name, value))| {
        let text = matches!(value, Value::String(_) | Value::Uri(_) | Value::UriRef(_));
        let typed = match name {
            "time" => text && record::check_time(&value).is_ok(),
            "subject" | "datacontenttype" => text,
            "dataschema" => matches!(value, Value::Uri(_)),
            "id" | "source" | "type" | "specversion" | "data" => false,
            _ => true,
        };
        typed && event.attributes().take(index).all(|(other, _)| other != name)
    })
}

fn convert(message: &CloudEvent) -> Result<Event, InvalidEvent> {
    if message.spec_version != SPEC_VERSION {
        return Err(InvalidEvent::SpecVersion(message.spec_version.clone()));
    }
    let mut draft = Draft::new(&*message.id, &*message.source, &*message.r#type);
    for (name, value) in &message.attributes {
        if matches!(name.as_str(), "id" | "source" | "type") {
            return Err(super::duplicate(name));
        }
        if let Some(attr) = &value.attr {
            add(&mut draft, name, attribute(name, attr)?)?;
        }
    }
    draft.data = match &message.data {
        Some(ProtoData::BinaryData(bytes)) => Some(Data::Binary(bytes)),
        Some(ProtoData::TextData(text)) => Some(Data::Text(text)),
        Some(ProtoData::ProtoData(any)) => {
            let named = |wanted: &str| message.attributes.contains_key(wanted);
            if !named("datacontenttype") {
                add(&mut draft, "datacontenttype", "application/protobuf".into())?;
            }
            if !named("dataschema") && !any.type_url.is_empty() {
                add(&mut draft, "dataschema", Value::Uri((&*any.type_url).into()))?;
            }
            Some(Data::Binary(&any.value))
        }
        None => None,
    };
    draft.build()
}

fn attribute<'a>(name: &str, attr: &'a Attr) -> Result<Value<'a>, InvalidEvent> {
    let must_be_text = matches!(name, "subject" | "time" | "datacontenttype" | "dataschema");
    Ok(match attr {
        Attr::CeBoolean(_) | Attr::CeInteger(_) | Attr::CeBytes(_) if must_be_text => {
            return Err(InvalidEvent::Value { name: name.to_owned(), reason: "it must be text".to_owned() });
        }
        Attr::CeBoolean(truth) => Value::Boolean(*truth),
        Attr::CeInteger(number) => Value::Integer(*number),
        Attr::CeString(text) => Value::string(&**text),
        Attr::CeBytes(bytes) => Value::Bytes((&**bytes).into()),
        Attr::CeUri(text) => Value::Uri((&**text).into()),
        Attr::CeUriRef(text) => Value::UriRef((&**text).into()),
        Attr::CeTimestamp(time) => Value::string(timestamp(time)?),
    })
}

fn timestamp(time: &prost_types::Timestamp) -> Result<String, InvalidEvent> {
    let valid = (0..1_000_000_000).contains(&time.nanos);
    let parsed = jiff::Timestamp::new(time.seconds, time.nanos).ok().filter(|_| valid);
    parsed.map(|time| time.to_string()).ok_or_else(|| InvalidEvent::Time(format!("{}s {}ns", time.seconds, time.nanos)))
}

/// Seconds and the nanoseconds that count upwards from them, as protobuf wants before 1970 too.
fn split(time: jiff::Timestamp) -> (i64, i32) {
    let (seconds, nanos) = (time.as_second(), time.subsec_nanosecond());
    if nanos < 0 { (seconds - 1, nanos + 1_000_000_000) } else { (seconds, nanos) }
}

fn malformed(reason: String) -> InvalidEvent {
    InvalidEvent::Encoding { format: "protobuf", reason }
}

#[cfg(test)]
mod tests;
