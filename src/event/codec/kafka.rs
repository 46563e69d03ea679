//! The `CloudEvents` Kafka binding 1.0.2: a message's headers and value to events and back.
//!
//! Binary mode: each attribute is a header with `ce_` before its name, in UTF-8; the header
//! `content-type` is `datacontenttype`; the value is the data, and null when there is none. Structured
//! mode has a `content-type` of `application/cloudevents+...`.
//!
//! What headers lose stands in one header of our own, as with NATS ([`super::nats::KINDS`]).

use bytes::Bytes;

use super::http::Message;
use super::nats::{KINDS, is_structured, kinds, with_kinds};
use super::properties;
use crate::event::{Event, InvalidEvent, SPEC_VERSION, Value};

const PREFIX: &str = "ce_";
const TYPE: &str = "content-type";

/// Writes binary mode: hands each header to `put` and returns the value, which shares the event's bytes.
pub fn write_binary(event: &Event, mut put: impl FnMut(&str, &str)) -> Option<Bytes> {
    let mut header = String::with_capacity(PREFIX.len() + 20);
    let mut attribute = |name: &str, text: &str, put: &mut dyn FnMut(&str, &str)| {
        header.clear();
        header.push_str(PREFIX);
        header.push_str(name);
        put(&header, text);
    };
    let required =
        [("specversion", SPEC_VERSION), ("id", event.id()), ("source", event.source()), ("type", event.ty())];
    for (name, text) in required {
        attribute(name, text, &mut put);
    }
    for (name, value) in event.attributes() {
        let text = value.into_text();
        // A reader would take the whole message for structured mode.
        if name == "datacontenttype" && !is_structured(&text) {
            put(TYPE, &text);
        } else {
            attribute(name, &text, &mut put);
        }
    }
    let kinds = kinds(event);
    if !kinds.is_empty() {
        put(KINDS, &kinds);
    }
    event.data_bytes()
}

/// Reads a message. Headers that are no text are no attributes.
///
/// # Errors
/// When the message says that it is a `CloudEvent` and is not a valid one.
pub fn read<'a>(
    headers: impl Iterator<Item = (&'a str, &'a [u8])> + Clone,
    value: &Bytes,
) -> Result<Message, InvalidEvent> {
    let texts = headers.clone().filter_map(|(name, value)| Some((name, std::str::from_utf8(value).ok()?)));
    let attributes = texts.clone().filter_map(|(name, text)| Some((name.strip_prefix(PREFIX)?, Value::from(text))));
    let found = properties::read(attributes, content_type(headers), value)?;
    match (found, texts.clone().find(|(name, _)| *name == KINDS)) {
        (Message::Event(event), Some((_, kinds))) => with_kinds(&event, kinds).map(Message::Event),
        (message, _) => Ok(message),
    }
}

/// The content type that the headers tell.
pub fn content_type<'a>(mut headers: impl Iterator<Item = (&'a str, &'a [u8])>) -> Option<&'a str> {
    let (_, value) = headers.find(|(name, _)| name.eq_ignore_ascii_case(TYPE))?;
    std::str::from_utf8(value).ok().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Data, Draft};

    fn headers_of(event: &Event) -> (Vec<(String, Vec<u8>)>, Option<Bytes>) {
        let mut headers = Vec::new();
        let value = write_binary(event, |name, text| headers.push((name.to_owned(), text.as_bytes().to_vec())));
        (headers, value)
    }

    fn check(draft: &Draft<'_>) {
        let event = draft.build().unwrap();
        let (headers, value) = headers_of(&event);
        let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
        match read(headers, &value.clone().unwrap_or_default()).unwrap() {
            Message::Event(read) => {
                assert_eq!(read, event);
                assert_eq!(read.data_bytes(), event.data_bytes());
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(value.is_some(), event.data().is_some(), "no data is no value");
    }

    #[test]
    fn every_type_survives() {
        let draft = Draft::new("1", "/s", "t")
            .with("subject", "Bestellung/42 – 世界")
            .with("dataschema", Value::Uri("https://example.com".into()))
            .with("flag", true)
            .with("number", -5)
            .with("digest", Value::Bytes(vec![0, 255].into()));
        check(&draft);
        check(&draft.clone().with("datacontenttype", "text/plain").data(Data::Text("hi")));
        check(&draft.clone().with("datacontenttype", "application/cloudevents+json").data(Data::Text("{}")));
        check(&draft.clone().data(Data::Text("")));
        check(&draft.clone().data(Data::Binary(b"")));
        check(&draft.data(Data::Binary(b"text")));
    }

    #[test]
    fn the_binding_names_headers() {
        let event = Draft::new("1", "/s", "t").with("datacontenttype", "text/plain").with("shop", "x").build().unwrap();
        let (headers, value) = headers_of(&event);
        let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["ce_specversion", "ce_id", "ce_source", "ce_type", "content-type", "ce_shop"]);
        assert_eq!(value, None);
    }
}
