//! A message to its event. Pure.

use bytes::Bytes;
use jiff::Timestamp;

use super::config::Qos;
use crate::event::codec::http::Message as Read;
use crate::event::codec::properties;
use crate::event::wrap::{Body, Wrapping};
use crate::event::{Event, InvalidEvent, Value};
use crate::fault::{Fault, FaultKind};
use crate::flow::Poison;

/// A message as it came, whatever the version of the protocol.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub topic: String,
    pub payload: Bytes,
    pub qos: Qos,
    /// The packet's identifier; 0 with `QoS` 0.
    pub packet: u16,
    pub retained: bool,
    /// MQTT 5 only.
    pub content_type: Option<String>,
    /// The user properties; MQTT 5 only.
    pub properties: Vec<(String, String)>,
}

/// The attributes of events that are wrapped.
pub(super) struct Terms<'a> {
    pub source: &'a str,
    pub ty: &'a str,
    pub json_body: bool,
    pub now: Timestamp,
}

/// Reads a message. What is no `CloudEvent` becomes one.
pub(super) fn event(message: &Message, terms: &Terms<'_>) -> Result<Event, Poison> {
    let poison = |error: InvalidEvent| {
        let fault = Fault::new(FaultKind::Malformed, "read a message", "it is no valid event")
            .with_context("topic", message.topic.clone())
            .with_source(error);
        Poison { bytes: message.payload.clone(), fault }
    };
    let attributes = message.properties.iter().map(|(name, text)| (name.as_str(), Value::from(text.as_str())));
    let content_type = message.content_type.as_deref().filter(|text| !text.is_empty());
    match properties::read(attributes, content_type, &message.payload).map_err(poison)? {
        Read::Event(event) => Ok(event),
        Read::Batch(_) => {
            let fault = Fault::new(FaultKind::Malformed, "read a message", "a batch is not one event")
                .with_context("topic", message.topic.clone());
            Err(Poison { bytes: message.payload.clone(), fault })
        }
        Read::Opaque => wrap(message, content_type, terms).map_err(poison),
    }
}

fn wrap(message: &Message, content_type: Option<&str>, terms: &Terms<'_>) -> Result<Event, InvalidEvent> {
    let wrapping = Wrapping {
        id: uuid::Uuid::now_v7().to_string().into(),
        source: terms.source,
        ty: terms.ty,
        subject: Some(message.topic.as_str().into()),
        time: Some(terms.now.to_string().into()),
        content_type,
        body: if terms.json_body { Body::Json } else { Body::Detect },
    };
    wrapping.event(&message.payload)
}
