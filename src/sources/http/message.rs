//! A request to its events.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use jiff::Timestamp;
use serde::Deserialize;
use smallvec::{SmallVec, smallvec};

use crate::event::codec::http::{Message, read};
use crate::event::wrap::{Body, Wrapping};
use crate::event::{Draft, Event, InvalidEvent};

/// Headers that name a delivery, and stay the same when the sender tries again: GitHub's, the
/// Standard Webhooks', the IETF draft's. `X-Request-Id` is not among them: it names a chain of
/// requests, and two deliveries of one chain are two events.
const DELIVERY_IDS: [&str; 3] = ["x-github-delivery", "webhook-id", "idempotency-key"];

/// The longest delivery id taken for the event's id; UUIDs and the like are far shorter.
const MAX_DELIVERY_ID: usize = 256;

/// The longest trace header kept (W3C Trace Context wants 512 characters of `tracestate` passed on).
const MAX_TRACE: usize = 512;

/// The attributes of events that are wrapped.
pub(super) struct Terms<'a> {
    pub source: &'a str,
    pub ty: &'a str,
    pub body: Body,
    /// Whether the body is Stripe's, which names delivery and subject in there.
    pub stripe: bool,
    pub now: Timestamp,
}

/// The events of a request; none when it is an empty batch.
pub(super) type Events = SmallVec<[Event; 1]>;

/// Makes the events of a body in a way of its own, for senders whose notifications are their own format.
#[derive(Clone)]
pub struct Reader(Arc<Read>);

type Read = dyn Fn(&[u8]) -> Result<Vec<Event>, InvalidEvent> + Send + Sync;

impl Reader {
    pub fn new(read: impl Fn(&[u8]) -> Result<Vec<Event>, InvalidEvent> + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// # Errors
    /// When the body is not what it must be.
    pub(super) fn events(&self, body: &[u8]) -> Result<Events, InvalidEvent> {
        (self.0)(body).map(Events::from)
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reader")
    }
}

/// Reads the events of a request.
///
/// # Errors
/// When it claims to be a `CloudEvent` and is none, or must be JSON and is not.
pub(super) fn events(headers: &HeaderMap, body: &Bytes, terms: &Terms<'_>) -> Result<Events, InvalidEvent> {
    match read(headers, body.clone())? {
        Message::Event(event) => Ok(smallvec![event]),
        Message::Batch(events) => Ok(events.into()),
        Message::Opaque => wrap(headers, body, terms).map(|event| smallvec![event]),
    }
}

/// The part of a Stripe body that says what it is (Stripe API, "The Event object").
#[derive(Default, Deserialize)]
struct StripeEvent<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "type")]
    ty: Option<Cow<'a, str>>,
}

fn wrap(headers: &HeaderMap, body: &[u8], terms: &Terms<'_>) -> Result<Event, InvalidEvent> {
    let stripe: StripeEvent<'_> =
        if terms.stripe { serde_json::from_slice(body).unwrap_or_default() } else { StripeEvent::default() };
    let id = stripe.id.filter(|id| !id.is_empty()).or_else(|| delivery_id(headers).map(Cow::Borrowed));
    let subject = stripe.ty.or_else(|| text(headers, "x-github-event", MAX_DELIVERY_ID).map(Cow::Borrowed));
    let wrapping = Wrapping {
        id: id.unwrap_or_else(|| Cow::Owned(uuid::Uuid::now_v7().to_string())),
        source: terms.source,
        ty: terms.ty,
        subject,
        time: Some(Cow::Owned(terms.now.to_string())),
        content_type: headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()),
        body: terms.body,
    };
    trace(wrapping.draft(body)?, headers).build()
}

fn delivery_id(headers: &HeaderMap) -> Option<&str> {
    DELIVERY_IDS.iter().find_map(|name| text(headers, name, MAX_DELIVERY_ID))
}

/// Keeps the sender's trace context (`CloudEvents` extension "Distributed Tracing").
fn trace<'a>(mut draft: Draft<'a>, headers: &'a HeaderMap) -> Draft<'a> {
    if let Some(parent) = text(headers, "traceparent", MAX_TRACE) {
        draft = draft.with("traceparent", parent);
        if let Some(state) = text(headers, "tracestate", MAX_TRACE) {
            draft = draft.with("tracestate", state);
        }
    }
    draft
}

/// A header that is printable, not empty, and not longer than `max`.
fn text<'a>(headers: &'a HeaderMap, name: &str, max: usize) -> Option<&'a str> {
    let text = headers.get(name)?.to_str().ok()?.trim();
    (1..=max).contains(&text.len()).then_some(text)
}
