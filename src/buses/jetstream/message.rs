//! Events as messages of the server, and back.

use async_nats::HeaderMap;
use bytes::Bytes;
use jiff::Timestamp;

use crate::dial::nats::Delivery;
use crate::event::codec::http::Message as Read;
use crate::event::codec::{Format, nats};
use crate::event::wrap::{Body, Wrapping};
use crate::event::{Event, InvalidEvent};
use crate::fault::{Fault, FaultKind};
use crate::flow::{Poison, Position};

/// Room in a message for its headers when the event itself is the payload: its content type, and those
/// that the server and delayed delivery need.
pub(super) const HEADROOM: usize = 1024;
/// The most bytes of headers; the server takes 65,535.
const MAX_HEADERS: usize = 60 * 1024;

/// The `type` of what is on a subject and is no event.
const OPAQUE_TYPE: &str = "events.openfunction.io.jetstream";

/// Writes binary mode, which everyone can read. Escaped headers may be much longer than the event
/// is; what would not fit then is written in structured mode, as the protobuf format.
pub(super) fn write(event: &Event, max_payload: usize) -> (HeaderMap, Bytes) {
    let mut headers = HeaderMap::new();
    let mut bytes = 0;
    let payload = nats::write_binary(event, |name, value| {
        bytes += name.len() + value.len() + 4;
        headers.insert(name, value);
    });
    if bytes <= MAX_HEADERS && bytes + payload.len() + HEADROOM <= max_payload {
        return (headers, payload);
    }
    let mut headers = HeaderMap::new();
    let payload = nats::write_structured(event, Format::Protobuf, |name, value| headers.insert(name, value));
    (headers, payload)
}

/// Reads what was delivered. What others put there and is no `CloudEvent` becomes one.
pub(super) fn read(delivery: Delivery, stream: &str) -> Result<Event, Poison> {
    let Delivery { sequence, published, message, .. } = delivery;
    let headers = message.headers.iter().flat_map(HeaderMap::iter);
    let headers = headers.flat_map(|(name, values)| values.iter().map(move |value| (name.as_ref(), value.as_str())));
    let poison = |error: InvalidEvent| {
        let fault = Fault::new(FaultKind::Malformed, "read a message", "it is no valid event").with_source(error);
        Poison { bytes: message.payload.clone(), fault }
    };
    match nats::read(headers, message.payload.clone()).map_err(poison)? {
        Read::Event(event) => Ok(event),
        Read::Batch(_) => {
            let fault = Fault::new(FaultKind::Malformed, "read a message", "a batch is not one event");
            Err(Poison { bytes: message.payload.clone(), fault })
        }
        Read::Opaque => {
            let content_type = message.headers.as_ref().and_then(|headers| headers.get("Content-Type"));
            let wrapping = Wrapping {
                id: format!("{stream}-{sequence}").into(),
                source: &format!("nats://{stream}/{}", message.subject),
                ty: OPAQUE_TYPE,
                subject: Some(message.subject.as_str().into()),
                time: Some(time(published).to_string().into()),
                content_type: content_type.map(async_nats::HeaderValue::as_str),
                body: Body::Detect,
            };
            wrapping.event(&message.payload).map_err(poison)
        }
    }
}

pub(super) fn position(sequence: u64) -> Position {
    Position { major: sequence, minor: 0 }
}

pub(super) fn time(nanos: i128) -> Timestamp {
    Timestamp::from_nanosecond(nanos).unwrap_or(Timestamp::UNIX_EPOCH)
}
