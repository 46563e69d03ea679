//! Events to HTTP messages.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use super::header;
use crate::event::codec::{Format, json, protobuf};
use crate::event::record::MAX_NAME;
use crate::event::{Event, SPEC_VERSION};

const ID: HeaderName = HeaderName::from_static("ce-id");
const SOURCE: HeaderName = HeaderName::from_static("ce-source");
const TYPE: HeaderName = HeaderName::from_static("ce-type");
const VERSION: HeaderName = HeaderName::from_static("ce-specversion");
const SUBJECT: HeaderName = HeaderName::from_static("ce-subject");
const TIME: HeaderName = HeaderName::from_static("ce-time");
const PREFIX: &[u8] = b"ce-";

/// Writes binary mode: sets the headers and returns the body. The body, and every attribute that
/// needs no encoding, share the event's bytes. Empty data and no data look alike.
pub fn write_binary(event: &Event, headers: &mut HeaderMap) -> Bytes {
    headers.reserve(8);
    headers.insert(VERSION, HeaderValue::from_static(SPEC_VERSION));
    for (name, text) in [(ID, event.id()), (SOURCE, event.source()), (TYPE, event.ty())] {
        headers.insert(name, value(event, Cow::Borrowed(text)));
    }
    for (name, attribute) in event.attributes() {
        let text = attribute.into_text();
        let (name, value) = match name {
            "datacontenttype" => (CONTENT_TYPE, content_type(event, text)),
            "subject" => (SUBJECT, value(event, text)),
            "time" => (TIME, value(event, text)),
            _ => (header_name(name), value(event, text)),
        };
        headers.insert(name, value);
    }
    event.data_bytes().unwrap_or_default()
}

/// Writes structured mode: the content type and the body.
pub fn write_structured(event: &Event, format: Format) -> (HeaderValue, Bytes) {
    let body = match format {
        Format::Json => {
            let mut out = Vec::new();
            json::write(event, &mut out);
            out.into()
        }
        Format::Protobuf => protobuf::write(event),
    };
    (HeaderValue::from_static(format.media_type()), body)
}

/// Writes batched mode: the content type and the body.
pub fn write_batch(events: &[Event], format: Format) -> (HeaderValue, Bytes) {
    let body = match format {
        Format::Json => {
            let mut out = Vec::new();
            json::write_batch(events, &mut out);
            out.into()
        }
        Format::Protobuf => protobuf::write_batch(events),
    };
    (HeaderValue::from_static(format.batch_media_type()), body)
}

fn header_name(attribute: &str) -> HeaderName {
    let mut buffer = [0; PREFIX.len() + MAX_NAME];
    let end = PREFIX.len() + attribute.len();
    buffer[..PREFIX.len()].copy_from_slice(PREFIX);
    buffer[PREFIX.len()..end].copy_from_slice(attribute.as_bytes());
    HeaderName::from_bytes(&buffer[..end]).expect("attribute names are at most MAX_NAME lower-case letters and digits")
}

fn value(event: &Event, text: Cow<'_, str>) -> HeaderValue {
    match (header::encode(&text), text) {
        (Some(encoded), _) => legal(encoded.into()),
        (None, Cow::Borrowed(text)) => legal(event.record().slice_ref(text.as_bytes())),
        (None, Cow::Owned(text)) => legal(text.into()),
    }
}

fn legal(encoded: Bytes) -> HeaderValue {
    HeaderValue::from_maybe_shared(encoded).expect("the encoded text is printable ASCII")
}

/// A content type travels as it is (section 3.1.1); only what no header can hold is encoded.
fn content_type(event: &Event, text: Cow<'_, str>) -> HeaderValue {
    HeaderValue::from_str(&text).unwrap_or_else(|_| value(event, text))
}
