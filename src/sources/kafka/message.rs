//! A message to its event. Pure.

use jiff::Timestamp;

use crate::dial::kafka::Message;
use crate::event::codec::http::Message as Read;
use crate::event::codec::properties;
use crate::event::wrap::{Body, Wrapping};
use crate::event::{Event, InvalidEvent, Value};
use crate::fault::{Fault, FaultKind};
use crate::flow::Poison;

/// What stands before the names of attributes (`CloudEvents` Kafka binding 1.0.2, 3.2.4).
const PREFIX: &str = "ce_";
const CONTENT_TYPE: &str = "content-type";

/// The attributes of events that are wrapped.
pub(super) struct Terms<'a> {
    pub topic: &'a str,
    pub source: &'a str,
    pub ty: &'a str,
    pub json_body: bool,
    pub now: Timestamp,
}

/// Reads a message. What is no `CloudEvent` becomes one.
pub(super) fn event(message: &Message, terms: &Terms<'_>) -> Result<Event, Poison> {
    let place = || format!("{}/{}/{}", terms.topic, message.partition, message.offset);
    let malformed = |text: &str| Fault::new(FaultKind::Malformed, "read a message", text).with_context("at", place());
    let poison = |error: InvalidEvent| {
        let fault = malformed("it is no valid event").with_source(error);
        Poison { bytes: message.payload.clone(), fault }
    };
    let headers = message.headers.iter();
    let mut texts = headers.filter_map(|(name, value)| Some((name.as_str(), std::str::from_utf8(value).ok()?)));
    let content_type = texts.clone().find(|(name, _)| name.eq_ignore_ascii_case(CONTENT_TYPE)).map(|(_, text)| text);
    let attributes = texts.by_ref().filter_map(|(name, text)| Some((name.strip_prefix(PREFIX)?, Value::from(text))));
    match properties::read(attributes, content_type, &message.payload).map_err(poison)? {
        Read::Event(event) => Ok(event),
        Read::Batch(_) => Err(Poison { bytes: message.payload.clone(), fault: malformed("a batch is not one event") }),
        Read::Opaque => {
            let sent = message.timestamp.and_then(|millis| Timestamp::from_millisecond(millis).ok());
            let key =
                message.key.as_deref().and_then(|key| std::str::from_utf8(key).ok()).filter(|key| !key.is_empty());
            let wrapping = Wrapping {
                id: place().into(),
                source: terms.source,
                ty: terms.ty,
                subject: key.map(Into::into),
                time: Some(sent.unwrap_or(terms.now).to_string().into()),
                content_type,
                body: if terms.json_body { Body::Json } else { Body::Detect },
            };
            wrapping.event(&message.payload).map_err(poison)
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn check(headers: &[(&str, &str)], key: Option<&'static str>, payload: &'static [u8], json_body: bool) -> String {
        let message = Message {
            partition: 3,
            offset: 42,
            timestamp: Some(1_764_000_000_000),
            stamped: false,
            key: key.map(Bytes::from),
            payload: Bytes::from_static(payload),
            headers: headers.iter().map(|(name, text)| ((*name).to_owned(), Bytes::from((*text).to_owned()))).collect(),
        };
        let terms = Terms { topic: "t", source: "/d/s/e", ty: "y", json_body, now: Timestamp::UNIX_EPOCH };
        match event(&message, &terms) {
            Ok(event) => {
                let text = |name| event.attribute(name).map(|value| value.into_text().into_owned()).unwrap_or_default();
                format!("{} {} {} {} {}", event.id(), event.source(), event.ty(), text("subject"), text("time"))
            }
            Err(poison) => poison.fault.chain(),
        }
    }

    #[test]
    fn what_is_no_event_becomes_one_of_its_place() {
        assert_eq!(check(&[], Some("k"), b"{}", false), "t/3/42 /d/s/e y k 2025-11-24T16:00:00Z");
        assert_eq!(check(&[("ce_id", "1")], None, b"\xff", false), "t/3/42 /d/s/e y  2025-11-24T16:00:00Z");
        let refused = check(&[], None, b"hello", true);
        assert!(refused.contains("at t/3/42") && refused.contains("the body, which must be JSON"), "{refused}");
    }

    #[test]
    fn events_are_kept_as_they_are() {
        let binary = [("ce_specversion", "1.0"), ("ce_id", "7"), ("ce_source", "/x"), ("ce_type", "z")];
        let more = [&binary[..], &[("content-type", "text/csv"), ("trace", "1")]].concat();
        assert_eq!(check(&more, Some("k"), b"1,2", false), "7 /x z  ");
        let structured = br#"{"specversion":"1.0","id":"8","source":"/x","type":"z"}"#;
        assert_eq!(check(&[("content-type", "application/cloudevents+json")], None, structured, false), "8 /x z  ");
        assert!(check(&binary[..2], None, b"", false).contains("the required attribute source is missing"));
    }
}
