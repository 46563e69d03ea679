//! The `CloudEvents` NATS binding: a message's headers and payload to events and back.
//!
//! Binary mode is that of the binding's current draft, which is HTTP's with NATS headers: each
//! `ce-` header is an attribute (`CloudEvents` HTTP binding 1.0.2, section 3.1.3), the payload is the
//! data. The content type is written twice, as `ce-datacontenttype` (the draft) and `content-type`
//! (what the SDKs read). Structured mode has a `content-type` of `application/cloudevents+...`; a payload
//! without any header is structured JSON when it is that (NATS binding 1.0.2, section 3).
//!
//! Headers hold text only. What that would lose (the types of extensions, text or binary, empty data
//! or none) stands in one header of our own, [`KINDS`], and only where it differs from what a reader
//! assumes anyway.

use bytes::Bytes;
use data_encoding::BASE64;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use super::http::{Message, header, read as read_http};
use super::{Format, json};
use crate::event::{Data, Event, InvalidEvent, SPEC_VERSION, Value};

/// `name=kind`, comma separated; the name `data`, which no attribute has, tells about the data.
pub const KINDS: &str = "penstock-kinds";
const TYPE: &str = "content-type";
const PREFIX: &str = "ce-";

/// Writes binary mode: hands each header to `put` and returns the payload, which shares the event's
/// bytes.
pub fn write_binary(event: &Event, mut put: impl FnMut(&str, &str)) -> Bytes {
    let mut name = String::with_capacity(PREFIX.len() + 20);
    let mut attribute = |attribute: &str, text: &str, put: &mut dyn FnMut(&str, &str)| {
        name.clear();
        name.push_str(PREFIX);
        name.push_str(attribute);
        match header::encode(text) {
            Some(encoded) => put(&name, &encoded),
            None => put(&name, text),
        }
    };
    let required =
        [("specversion", SPEC_VERSION), ("id", event.id()), ("source", event.source()), ("type", event.ty())];
    for (name, text) in required {
        attribute(name, text, &mut put);
    }
    for (name, value) in event.attributes() {
        let text = value.into_text();
        attribute(name, &text, &mut put);
        if name == "datacontenttype" {
            let plain = text.bytes().all(|byte| (0x20..0x7F).contains(&byte));
            if plain && !is_structured(&text) {
                put(TYPE, &text);
            }
        }
    }
    let kinds = kinds(event);
    if !kinds.is_empty() {
        put(KINDS, &kinds);
    }
    event.data_bytes().unwrap_or_default()
}

/// Writes structured mode: hands the content type to `put` and returns the payload.
pub fn write_structured(event: &Event, format: Format, mut put: impl FnMut(&str, &str)) -> Bytes {
    let (_, body) = super::http::write_structured(event, format);
    put(TYPE, format.media_type());
    body
}

/// Reads a message. Header names are taken in any case.
///
/// # Errors
/// When the message says that it is a `CloudEvent` and is not a valid one.
pub fn read<'a>(headers: impl Iterator<Item = (&'a str, &'a str)>, payload: Bytes) -> Result<Message, InvalidEvent> {
    let mut map = HeaderMap::new();
    let mut kinds = None;
    for (name, value) in headers {
        if name.eq_ignore_ascii_case(KINDS) {
            kinds = Some(value);
            continue;
        }
        let ours = name.eq_ignore_ascii_case(TYPE)
            || name.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX));
        // What HTTP could not carry is no attribute either.
        if let (true, Ok(name), Ok(value)) =
            (ours, HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value.as_bytes()))
        {
            map.append(name, value);
        }
    }
    if map.is_empty() {
        return Ok(json::parse(&payload).map_or(Message::Opaque, Message::Event));
    }
    // The binding's own name of the content type counts when both are there.
    if let Some(own) = map.remove("ce-datacontenttype") {
        let text = header::decode(own.as_bytes()).unwrap_or_default();
        if let (false, Ok(value)) = (map.contains_key(CONTENT_TYPE), HeaderValue::from_str(&text)) {
            map.insert(CONTENT_TYPE, value);
        }
    }
    match (read_http(&map, payload)?, kinds) {
        (Message::Event(event), Some(kinds)) => with_kinds(&event, kinds).map(Message::Event),
        (message, _) => Ok(message),
    }
}

/// What headers lose of an event; empty where a reader assumes it anyway.
pub(super) fn kinds(event: &Event) -> String {
    let mut kinds = String::new();
    for (name, value) in event.attributes() {
        if let Some(kind) = kind(name, &value) {
            mark(&mut kinds, name, kind);
        }
    }
    match event.data() {
        Some(Data::Text("")) => mark(&mut kinds, "data", "text"),
        Some(Data::Binary(bytes)) if std::str::from_utf8(bytes).is_ok() => mark(&mut kinds, "data", "binary"),
        _ => {}
    }
    kinds
}

pub(super) fn is_structured(content_type: &str) -> bool {
    const STRUCTURED: &str = "application/cloudevents";
    content_type.get(..STRUCTURED.len()).is_some_and(|start| start.eq_ignore_ascii_case(STRUCTURED))
}

/// How the type of a value is written, where a reader would assume another.
fn kind(name: &str, value: &Value<'_>) -> Option<&'static str> {
    match value {
        Value::String(_) if name == "dataschema" => Some("string"),
        Value::Uri(_) if name == "dataschema" => None,
        Value::String(_) => None,
        Value::Boolean(_) => Some("boolean"),
        Value::Integer(_) => Some("integer"),
        Value::Bytes(_) => Some("bytes"),
        Value::Uri(_) => Some("uri"),
        Value::UriRef(_) => Some("uriref"),
    }
}

fn mark(kinds: &mut String, name: &str, kind: &str) {
    if !kinds.is_empty() {
        kinds.push(',');
    }
    kinds.push_str(name);
    kinds.push('=');
    kinds.push_str(kind);
}

/// The event with the types that `kinds` tells. What does not fit its type stays a string.
pub(super) fn with_kinds(event: &Event, kinds: &str) -> Result<Event, InvalidEvent> {
    let bytes = event.data_bytes().unwrap_or_default();
    let mut draft = event.draft();
    for (name, kind) in kinds.split(',').filter_map(|pair| pair.split_once('=')) {
        if name == "data" {
            draft = match (kind, std::str::from_utf8(&bytes)) {
                ("text", Ok(text)) => draft.data(Data::Text(text)),
                _ => draft.data(Data::Binary(&bytes)),
            };
            continue;
        }
        let text = event.attribute(name).map(|value| value.into_text().into_owned());
        if let Some(value) = text.and_then(|text| typed(text, kind)) {
            draft = draft.with(name.to_owned(), value);
        }
    }
    draft.build()
}

fn typed(text: String, kind: &str) -> Option<Value<'static>> {
    match kind {
        "string" => Some(Value::String(text.into())),
        "boolean" => text.parse().ok().map(Value::Boolean),
        "integer" => text.parse().ok().map(Value::Integer),
        "bytes" => BASE64.decode(text.as_bytes()).ok().map(|bytes| Value::Bytes(bytes.into())),
        "uri" => Some(Value::Uri(text.into())),
        "uriref" => Some(Value::UriRef(text.into())),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
