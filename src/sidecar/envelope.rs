//! One event per message: the way through Components that do not know frames.
//!
//! Towards daprd, structured JSON. daprd decodes and encodes it anew, numbers as doubles, so data
//! goes as `data_base64` where the reader is us, and as `data` where it is somebody's app. It also
//! erases a `traceparent` without a `traceid` beside it, so one is put there. From daprd, the fields
//! of the message, and every other attribute from its extensions.

use bytes::Bytes;
use prost_types::value::Kind;

use super::frames::poison;
use crate::event::codec::json;
use crate::event::{Data, Draft, Event, InvalidEvent, SPEC_VERSION, Value, record};
use crate::flow::Poison;
use crate::proto::dapr_runtime::TopicEventRequest;

/// The media type that makes daprd take the event as it is.
pub(super) const CONTENT_TYPE: &str = crate::event::codec::JSON;

const TRACEPARENT: &str = "traceparent";
const TRACEID: &str = "traceid";

/// Attributes that daprd adds on the way, beside the empty ones: they say nothing about the event.
const ADDED: [&str; 2] = ["topic", "pubsubname"];

/// For ourselves at the other end: the data bytes survive whatever they are.
///
/// # Errors
/// Never for an event that was built or read by this process.
pub(super) fn exact(event: &Event) -> Result<Bytes, InvalidEvent> {
    let data = event.data_bytes();
    let draft = traced(event);
    Ok(write(&match &data {
        Some(data) => draft.data(Data::Binary(data)).build()?,
        None => draft.build()?,
    }))
}

/// For an app at the other end: JSON data is JSON.
///
/// # Errors
/// As [`exact`].
pub(super) fn readable(event: &Event) -> Result<Bytes, InvalidEvent> {
    Ok(write(&traced(event).build()?))
}

fn traced(event: &Event) -> Draft<'_> {
    let draft = event.draft();
    match event.attribute(TRACEPARENT) {
        Some(parent) if event.attribute(TRACEID).is_none() => draft.with(TRACEID, parent),
        _ => draft,
    }
}

fn write(event: &Event) -> Bytes {
    let mut out = Vec::new();
    json::write(event, &mut out);
    out.into()
}

/// The event that a message holds, or why it holds none.
pub(super) fn read(message: &TopicEventRequest) -> Result<Event, Poison> {
    event(message).map_err(|error| poison(&message.data, &error))
}

fn event(message: &TopicEventRequest) -> Result<Event, InvalidEvent> {
    if message.spec_version != SPEC_VERSION {
        return Err(InvalidEvent::SpecVersion(message.spec_version.clone()));
    }
    let mut draft = Draft::new(&*message.id, &*message.source, &*message.r#type);
    if !message.data_content_type.is_empty() {
        draft = draft.with("datacontenttype", &*message.data_content_type);
    }
    let extensions = message.extensions.iter().flat_map(|extensions| &extensions.fields);
    let text = |name: &str| match message.extensions.as_ref()?.fields.get(name)?.kind.as_ref()? {
        Kind::StringValue(text) => Some(text.as_str()),
        _ => None,
    };
    for (name, value) in extensions.filter(|(name, _)| record::is_name(name) && !ADDED.contains(&name.as_str())) {
        let echo = name == TRACEID && text(TRACEID) == text(TRACEPARENT);
        if let (Some(value), false) = (value.kind.as_ref().and_then(attribute), echo) {
            draft = draft.with(name.as_str(), value);
        }
    }
    if !message.data.is_empty() {
        draft = draft.data(Data::detect(&message.data));
    }
    draft.build()
}

/// Empty text is what daprd leaves of an attribute that it erased; lists and objects are none.
fn attribute(kind: &Kind) -> Option<Value<'_>> {
    Some(match kind {
        Kind::StringValue(text) if !text.is_empty() => Value::string(text.as_str()),
        Kind::BoolValue(truth) => Value::Boolean(*truth),
        Kind::NumberValue(number) => integer(*number).map_or_else(|| Value::string(number.to_string()), Value::Integer),
        _ => return None,
    })
}

/// The specification knows integers of 32 bits only, and a double holds every one of them.
fn integer(number: f64) -> Option<i32> {
    let fits = number.fract() == 0.0 && (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&number);
    #[expect(clippy::cast_possible_truncation, reason = "checked to be a whole number in range")]
    fits.then_some(number as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn struct_of(fields: &[(&str, Kind)]) -> prost_types::Struct {
        let field = |(name, kind): &(&str, Kind)| ((*name).to_owned(), prost_types::Value { kind: Some(kind.clone()) });
        prost_types::Struct { fields: fields.iter().map(field).collect() }
    }

    fn text(text: &str) -> Kind {
        Kind::StringValue(text.to_owned())
    }

    #[test]
    fn a_message_is_the_event_less_what_daprd_adds() {
        let message = TopicEventRequest {
            id: "1".into(),
            source: "/shop".into(),
            r#type: "order".into(),
            spec_version: "1.0".into(),
            data_content_type: "application/json".into(),
            data: Bytes::from_static(b"{\"a\":1}"),
            topic: "orders".into(),
            pubsub_name: "bus".into(),
            path: "/".into(),
            extensions: Some(struct_of(&[
                ("subject", text("orders/1")),
                ("topic", text("orders")),
                ("pubsubname", text("bus")),
                ("tracestate", text("")),
                ("traceid", text("00-1-2-01")),
                ("traceparent", text("00-1-2-01")),
                ("count", Kind::NumberValue(7.0)),
                ("big", Kind::NumberValue(1e12)),
                ("urgent", Kind::BoolValue(true)),
            ])),
        };
        let expected = Draft::new("1", "/shop", "order")
            .with("datacontenttype", "application/json")
            .with("subject", "orders/1")
            .with("traceparent", "00-1-2-01")
            .with("count", 7)
            .with("big", "1000000000000")
            .with("urgent", true)
            .data(Data::Text("{\"a\":1}"))
            .build()
            .unwrap();
        assert_eq!(read(&message).unwrap(), expected);
        let nameless = TopicEventRequest { id: String::new(), ..message };
        assert_eq!(read(&nameless).unwrap_err().bytes, b"{\"a\":1}".as_slice());
    }

    #[test]
    fn data_is_exact_for_us_and_readable_for_apps_and_the_trace_is_kept() {
        let event = Draft::new("1", "/shop", "order")
            .with("datacontenttype", "application/json")
            .with("traceparent", "00-1-2-01")
            .data(Data::Text("{\"n\":12345678901234567890}"))
            .build()
            .unwrap();
        let value = |bytes: Bytes| serde_json::from_slice::<serde_json::Value>(&bytes).unwrap();
        let (exact, readable) = (value(exact(&event).unwrap()), value(readable(&event).unwrap()));
        assert_eq!(exact["data_base64"], data_encoding::BASE64.encode(b"{\"n\":12345678901234567890}"));
        assert!(readable["data"]["n"].is_number());
        assert_eq!((&exact["traceid"], &readable["traceid"]), (&exact["traceparent"], &readable["traceparent"]));
    }
}
