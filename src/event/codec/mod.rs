//! Bytes and headers to [`Event`](crate::event::Event) and back.
//!
//! - [`json`]: the `CloudEvents` JSON format 1.0.2, single and batched.
//! - [`protobuf`]: the public protobuf format, single and batched.
//! - [`http`]: the HTTP binding 1.0.2: binary, structured and batched messages.
//! - [`kafka`]: the Kafka binding: binary and structured messages.
//! - [`nats`]: the NATS binding: binary, structured and bare messages.
//! - `binary`: what the binary mode of all bindings has in common.
//! - [`properties`]: the MQTT and AMQP bindings, whose messages have properties and a content type.
//!
//! Every reader refuses what is no `CloudEvent` with its reason and bounds what it takes; every
//! writer keeps the data bytes. Pure: bytes in, values out.

mod binary;
pub mod http;
pub mod json;
pub mod kafka;
pub mod nats;
pub mod properties;
pub mod protobuf;

use super::{Draft, InvalidEvent, Value};

/// The media type of one event in the JSON format.
pub const JSON: &str = "application/cloudevents+json";
/// The media type of a batch in the JSON format.
pub const JSON_BATCH: &str = "application/cloudevents-batch+json";
/// The media type of one event in the protobuf format.
pub const PROTOBUF: &str = "application/cloudevents+protobuf";
/// The media type of a batch in the protobuf format.
pub const PROTOBUF_BATCH: &str = "application/cloudevents-batch+protobuf";

/// The most optional attributes and extensions taken from outside. No known producer comes near;
/// the bound keeps the search for duplicates cheap whatever is sent.
pub const MAX_ATTRIBUTES: usize = 256;

/// An event format (`CloudEvents` 1.0.2, "Event Format").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Json,
    Protobuf,
}

impl Format {
    /// The media type of one event in this format.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Json => JSON,
            Self::Protobuf => PROTOBUF,
        }
    }

    /// The media type of a batch in this format.
    pub const fn batch_media_type(self) -> &'static str {
        match self {
            Self::Json => JSON_BATCH,
            Self::Protobuf => PROTOBUF_BATCH,
        }
    }
}

/// The media type without its parameters: `text/plain` of `text/plain; charset=utf-8`.
pub fn essence(content_type: &str) -> &str {
    content_type.split_once(';').map_or(content_type, |(essence, _)| essence).trim()
}

/// Whether a content type says that the data is JSON: `*/json` or `*/*+json` (`CloudEvents` JSON
/// format 1.0.2, section 3.1).
pub fn is_json(content_type: &str) -> bool {
    let essence = essence(content_type).as_bytes();
    let ends_with = |suffix: &[u8]| {
        essence.len() > suffix.len() && essence[essence.len() - suffix.len()..].eq_ignore_ascii_case(suffix)
    };
    ends_with(b"/json") || (ends_with(b"+json") && essence.contains(&b'/'))
}

/// Adds an optional attribute that came from outside. `dataschema` becomes a URI here, so that
/// all formats agree on its type.
fn add<'a>(
    draft: &mut Draft<'a>,
    name: impl Into<std::borrow::Cow<'a, str>>,
    value: Value<'a>,
) -> Result<(), InvalidEvent> {
    let name = name.into();
    if draft.attributes.len() >= MAX_ATTRIBUTES {
        return Err(InvalidEvent::Value {
            name: name.into_owned(),
            reason: format!("more than {MAX_ATTRIBUTES} attributes"),
        });
    }
    if draft.attributes.iter().any(|(known, _)| *known == name) {
        return Err(duplicate(&name));
    }
    let value = match value {
        Value::String(text) if name == "dataschema" => Value::Uri(text),
        other => other,
    };
    draft.attributes.push((name, value));
    Ok(())
}

fn duplicate(name: &str) -> InvalidEvent {
    InvalidEvent::Value { name: name.to_owned(), reason: "it is given more than once".to_owned() }
}

#[cfg(test)]
mod tests;
