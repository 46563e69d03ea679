//! Bytes of one Publish as an event, and back.
//!
//! A component is a byte pipe first: what one Publish brings is handed out again byte for byte,
//! whatever it is. A bus keeps events, so the bytes become the data of an event of the type
//! [`OPAQUE_TYPE`]. Who pulls one message at a time gets the bytes back; whoever wants events
//! (a frame) gets what [`open`] sees in them: the `CloudEvent` that daprd wrote, or, when they are
//! none, an event with them as its data.

use std::borrow::Cow;

use bytes::Bytes;
use jiff::Timestamp;

use crate::event::codec::json;
use crate::event::wrap::{Body, Wrapping};
use crate::event::{Data, Draft, Event, InvalidEvent, Value};

/// The type of events that stand for the bytes of one Publish; reserved.
pub(super) const OPAQUE_TYPE: &str = "events.openfunction.io.opaque";

/// When a message is worth nothing any more (RFC 3339).
const EXPIRES: &str = "penstockexpires";

/// What daprd writes about traces, empty when it knows nothing: an empty one says nothing, and would
/// hide that there is none.
const TRACES: [&str; 3] = ["traceid", "traceparent", "tracestate"];

/// The bytes as an event.
///
/// # Errors
/// When `origin` is empty.
pub(super) fn wrap(bytes: &[u8], origin: &str, expires: Option<Timestamp>) -> Result<Event, InvalidEvent> {
    let mut draft = Draft::new(uuid::Uuid::now_v7().to_string(), origin, OPAQUE_TYPE);
    if let Some(expires) = expires {
        draft = draft.with(EXPIRES, expires.to_string());
    }
    draft.data(Data::Binary(bytes)).build()
}

/// The bytes that an event stands for; `None` for any other event.
pub(super) fn bytes(event: &Event) -> Option<Bytes> {
    (event.ty() == OPAQUE_TYPE).then(|| event.data_bytes().unwrap_or_default())
}

/// Whether a message is worth nothing any more.
pub(super) fn has_expired(event: &Event, now: Timestamp) -> bool {
    // Looked for among few attributes, and parsed only where it is set.
    let expires = event.attribute(EXPIRES).and_then(|value| value.text().parse::<Timestamp>().ok());
    expires.is_some_and(|expires| expires <= now)
}

/// The event that an event stands for: what was published, or the event itself.
pub(super) fn open(event: Event) -> Event {
    let Some(bytes) = bytes(&event) else { return event };
    let opened = match json::parse(&bytes) {
        Ok(published) => without_empty_traces(published),
        Err(_) => Wrapping {
            id: Cow::Borrowed(event.id()),
            source: event.source(),
            ty: OPAQUE_TYPE,
            subject: None,
            time: None,
            content_type: None,
            body: Body::Detect,
        }
        .event(&bytes),
    };
    // What wrap() made can be opened; anybody else's event of this type stands for itself.
    opened.unwrap_or(event)
}

fn without_empty_traces(event: Event) -> Result<Event, InvalidEvent> {
    let is_empty = |name: &str| matches!(event.attribute(name), Some(Value::String(text)) if text.is_empty());
    if !TRACES.iter().any(|name| is_empty(name)) {
        return Ok(event);
    }
    let draft = TRACES.iter().filter(|name| is_empty(name)).fold(event.draft(), |draft, name| draft.without(name));
    draft.build()
}
