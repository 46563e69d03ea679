//! The `CloudEvents` HTTP binding 1.0.2: a message's headers and body to events and back.
//!
//! The content type decides (section 3): `application/cloudevents-batch` a batch,
//! `application/cloudevents` one structured event, anything else binary mode, where each `ce-`
//! header is an attribute, `content-type` is `datacontenttype` and the body is the data. A message
//! without `ce-specversion` and `ce-id` is no event at all; what it means is the caller's choice.

pub(super) mod header;
mod write;

pub use write::{write_batch, write_binary, write_structured};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};

use super::binary::Binary;
use super::{Format, essence, json, protobuf};
use crate::event::{Event, InvalidEvent, Value};

/// What a message carries.
#[derive(Debug, PartialEq)]
pub enum Message {
    Event(Event),
    Batch(Vec<Event>),
    /// Not a `CloudEvent`, and not trying to be one.
    Opaque,
}

/// The content modes of the binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Binary,
    Structured(Format),
    Batch(Format),
}

/// Reads a request or an answer. The body is copied into the event's record once.
///
/// # Errors
/// When the message says that it is a `CloudEvent` and is not a valid one.
pub fn read(headers: &HeaderMap, body: Bytes) -> Result<Message, InvalidEvent> {
    let is_event = headers.contains_key("ce-specversion") || headers.contains_key("ce-id");
    let content_type = match headers.get(CONTENT_TYPE).map(HeaderValue::to_str) {
        None => None,
        Some(Ok(content_type)) => Some(content_type),
        // A broken content type is no reason to refuse what is no event.
        Some(Err(_)) if !is_event => return Ok(Message::Opaque),
        Some(Err(_)) => return Err(content_type_error("it is not printable ASCII".to_owned())),
    };
    match content_type.map_or(Ok(Mode::Binary), mode)? {
        Mode::Structured(Format::Json) => json::parse(&body).map(Message::Event),
        Mode::Structured(Format::Protobuf) => protobuf::parse(body).map(Message::Event),
        Mode::Batch(Format::Json) => json::parse_batch(&body).map(Message::Batch),
        Mode::Batch(Format::Protobuf) => protobuf::parse_batch(body).map(Message::Batch),
        Mode::Binary if is_event => read_binary(headers, content_type, &body).map(Message::Event),
        Mode::Binary => Ok(Message::Opaque),
    }
}

fn mode(content_type: &str) -> Result<Mode, InvalidEvent> {
    const BATCH: &str = "application/cloudevents-batch";
    const STRUCTURED: &str = "application/cloudevents";
    let essence = essence(content_type);
    let suffix = |prefix: &str| {
        essence.get(..prefix.len()).filter(|start| start.eq_ignore_ascii_case(prefix)).map(|_| &essence[prefix.len()..])
    };
    let (suffix, make): (_, fn(Format) -> Mode) = match (suffix(BATCH), suffix(STRUCTURED)) {
        (Some(suffix), _) => (suffix, Mode::Batch),
        (None, Some(suffix)) => (suffix, Mode::Structured),
        (None, None) => return Ok(Mode::Binary),
    };
    let format = if suffix.eq_ignore_ascii_case("+json") {
        Format::Json
    } else if suffix.eq_ignore_ascii_case("+protobuf") {
        Format::Protobuf
    } else {
        return Err(content_type_error(format!("{essence} names no known event format (known: +json, +protobuf)")));
    };
    match charset(content_type) {
        Some(charset) if !charset.eq_ignore_ascii_case("utf-8") && format == Format::Json => {
            Err(content_type_error(format!("charset {charset} is not supported, only utf-8")))
        }
        _ => Ok(make(format)),
    }
}

fn charset(content_type: &str) -> Option<&str> {
    content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
    })
}

fn content_type_error(reason: String) -> InvalidEvent {
    InvalidEvent::Encoding { format: "the content type", reason }
}

fn read_binary(headers: &HeaderMap, content_type: Option<&str>, body: &[u8]) -> Result<Event, InvalidEvent> {
    let mut binary = Binary::new(content_type);
    for (name, value) in headers {
        // Header names are lower case here whatever was sent.
        let Some(name) = name.as_str().strip_prefix("ce-") else { continue };
        let text = header::decode(value.as_bytes()).map_err(|reason| InvalidEvent::Value {
            name: name.to_owned(),
            reason: format!("the ce-{name} header {reason}"),
        })?;
        binary.take(name, Value::String(text))?;
    }
    binary.finish(body)
}

#[cfg(test)]
mod tests;
