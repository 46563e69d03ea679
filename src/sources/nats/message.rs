//! A message to its event. Pure.

use async_nats::HeaderMap;
use async_nats::{HeaderValue, Message};
use jiff::Timestamp;

use crate::event::codec::http::Message as Read;
use crate::event::codec::nats;
use crate::event::wrap::{Body, Wrapping};
use crate::event::{Event, InvalidEvent};
use crate::fault::{Fault, FaultKind};
use crate::flow::Poison;

/// What a publisher names a message with, so that the server knows a second one.
const MESSAGE_ID: &str = "Nats-Msg-Id";
const CONTENT_TYPE: &str = "Content-Type";

/// The attributes of events that are wrapped.
pub(super) struct Terms<'a> {
    pub source: &'a str,
    pub ty: &'a str,
    pub json_body: bool,
    /// When the message was published, as far as that is known.
    pub time: Timestamp,
    /// Where the message stands in its stream.
    pub place: Option<(&'a str, u64)>,
}

/// Reads a message. What is no `CloudEvent` becomes one.
pub(super) fn event(message: &Message, terms: &Terms<'_>) -> Result<Event, Poison> {
    let poison = |error: InvalidEvent| {
        let fault = Fault::new(FaultKind::Malformed, "read a message", "it is no valid event").with_source(error);
        Poison { bytes: message.payload.clone(), fault }
    };
    let headers = message.headers.iter().flat_map(HeaderMap::iter);
    let headers = headers.flat_map(|(name, values)| values.iter().map(move |value| (name.as_ref(), value.as_str())));
    match nats::read(headers, message.payload.clone()).map_err(poison)? {
        Read::Event(event) => Ok(event),
        Read::Batch(_) => {
            let fault = Fault::new(FaultKind::Malformed, "read a message", "a batch is not one event");
            Err(Poison { bytes: message.payload.clone(), fault })
        }
        Read::Opaque => wrap(message, terms).map_err(poison),
    }
}

fn wrap(message: &Message, terms: &Terms<'_>) -> Result<Event, InvalidEvent> {
    let header = |name: &str| message.headers.as_ref()?.get(name).map(HeaderValue::as_str);
    let id = match (header(MESSAGE_ID).filter(|id| !id.is_empty()), terms.place) {
        (Some(id), _) => id.into(),
        (None, Some((stream, sequence))) => format!("{stream}-{sequence}").into(),
        // Core NATS gives messages no identity.
        (None, None) => uuid::Uuid::now_v7().to_string().into(),
    };
    let wrapping = Wrapping {
        id,
        source: terms.source,
        ty: terms.ty,
        subject: Some(message.subject.as_str().into()),
        time: Some(terms.time.to_string().into()),
        content_type: header(CONTENT_TYPE).filter(|text| !text.is_empty()),
        body: if terms.json_body { Body::Json } else { Body::Detect },
    };
    wrapping.event(&message.payload)
}
