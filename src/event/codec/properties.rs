//! The bindings whose messages have properties and a content type of their own: MQTT 5 (`CloudEvents`
//! MQTT binding 1.0.2) and AMQP (AMQP binding 1.0.2, on the headers of AMQP 0-9-1).
//!
//! Binary mode: each attribute is a property, the content type is `datacontenttype`, the body is the
//! data; a message without `specversion` is no event. Structured mode has a content type of
//! `application/cloudevents+...`. A message that tells nothing of itself (MQTT 3.1.1 has neither
//! properties nor a content type) is structured JSON when it is that (MQTT binding, section 3.2).

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};

use super::binary::Binary;
use super::http::{Message, read as read_http};
use super::{Value, json};
use crate::event::{Event, InvalidEvent};

/// Reads a message whose attributes, without the prefix that the binding gives their names, are
/// `attributes`. Names that no attribute can have are other people's, and skipped.
///
/// # Errors
/// When the message says that it is a `CloudEvent` and is not a valid one.
pub fn read<'a>(
    attributes: impl Iterator<Item = (&'a str, Value<'a>)>,
    content_type: Option<&'a str>,
    body: &Bytes,
) -> Result<Message, InvalidEvent> {
    let attributes: Vec<_> = attributes.collect();
    if let Some(Ok(value)) = content_type.map(HeaderValue::from_str) {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, value)]);
        match read_http(&headers, body.clone())? {
            Message::Opaque => {}
            found => return Ok(found),
        }
    }
    if attributes.iter().any(|(name, _)| *name == "specversion") {
        return binary(attributes, content_type, body).map(Message::Event);
    }
    match content_type {
        None => Ok(json::parse(body).map_or(Message::Opaque, Message::Event)),
        Some(_) => Ok(Message::Opaque),
    }
}

fn binary<'a>(
    attributes: Vec<(&'a str, Value<'a>)>,
    content_type: Option<&'a str>,
    body: &[u8],
) -> Result<Event, InvalidEvent> {
    let mut binary = Binary::new(content_type);
    for (name, value) in attributes {
        if name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) && name != "data" {
            binary.take(name, value)?;
        }
    }
    binary.finish(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(attributes: &[(&'static str, &'static str)], content_type: Option<&str>, body: &'static str) -> String {
        let attributes = attributes.iter().map(|(name, text)| (*name, Value::from(*text)));
        match read(attributes, content_type, &Bytes::from_static(body.as_bytes())) {
            Ok(Message::Event(event)) => {
                let more: Vec<_> = event.attributes().map(|(name, value)| format!("{name}={}", value.text())).collect();
                let data = event.data_bytes().map(|data| String::from_utf8(data.to_vec()).unwrap());
                format!(
                    "{} {} {} {} {}",
                    event.id(),
                    event.source(),
                    event.ty(),
                    more.join(","),
                    data.unwrap_or_default()
                )
            }
            Ok(Message::Batch(events)) => format!("{} events", events.len()),
            Ok(Message::Opaque) => "opaque".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    const EVENT: [(&str, &str); 4] = [("specversion", "1.0"), ("id", "1"), ("source", "/s"), ("type", "t")];
    const JSON: &str = r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","data":7}"#;

    #[test]
    fn binary_mode_is_read_and_strange_names_are_skipped() {
        let more = [&EVENT[..], &[("shop", "x"), ("Trace-Id", "y"), ("datacontenttype", "text/xml")]].concat();
        assert_eq!(check(&more, Some("text/plain"), "hi"), "1 /s t shop=x,datacontenttype=text/plain hi");
        assert_eq!(check(&EVENT, None, ""), "1 /s t  ");
    }

    #[test]
    fn structured_mode_is_read_with_its_content_type_or_without_any() {
        assert_eq!(check(&[], Some("application/cloudevents+json"), JSON), "1 /s t datacontenttype=application/json 7");
        assert_eq!(check(&[], None, JSON), "1 /s t datacontenttype=application/json 7");
        assert_eq!(check(&[], Some("application/json"), JSON), "opaque");
        assert_eq!(check(&[], Some("application/cloudevents-batch+json"), "[]"), "0 events");
    }

    #[test]
    fn what_does_not_claim_to_be_an_event_is_opaque_and_what_does_must_be_one() {
        assert_eq!(check(&[("id", "1")], None, "hello"), "opaque");
        assert_eq!(check(&EVENT[..2], None, ""), "the required attribute source is missing or empty");
        assert_eq!(check(&[("specversion", "0.3")], None, ""), "specversion is \"0.3\", only \"1.0\" is supported");
        assert!(check(&[], Some("application/cloudevents+json"), "{").contains("JSON"));
    }
}
