//! What an answer means: accepted, or a fault that says whether another attempt can help.

use bytes::{Bytes, BytesMut};
use http::header::{HeaderMap, LOCATION, RETRY_AFTER};
use http::{Response, StatusCode, Uri};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use jiff::Timestamp;

use super::config::{Config, display};
use super::retry_after;
use crate::event::Event;
use crate::event::codec::http::{Message, read};
use crate::fault::{Fault, FaultKind, Retry, excerpt};
use crate::flow::Accepted;

/// Of an answer that is not wanted, as much is read as is cheaper than a new connection: a
/// connection whose answer was read to its end is used again, any other is closed.
pub(super) const MAX_UNWANTED: usize = 64 * 1024;

/// The largest reply taken; the same order as the largest event that a bus takes.
pub(super) const MAX_REPLY: usize = 1024 * 1024;

/// How much of a refusal's body is kept for people.
const MAX_EXCERPT: usize = 1024;

/// An answer, read.
#[derive(Debug)]
pub(super) struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    /// Whether the body ended within the limit.
    whole: bool,
}

impl Answer {
    /// Reads the body to its end, or until it exceeds `limit`.
    ///
    /// # Errors
    /// When the connection breaks within the body: what began as a success may have been anything.
    pub(super) async fn read(response: Response<Incoming>, limit: usize) -> Result<Self, Fault> {
        let (head, mut body) = response.into_parts();
        let mut read = BytesMut::new();
        let mut whole = true;
        while !body.is_end_stream() {
            let Some(frame) = body.frame().await else { break };
            let frame = frame.map_err(|error| {
                Fault::new(FaultKind::Unavailable, "deliver", "the connection broke within the answer")
                    .with_code(head.status.as_u16())
                    .with_source(error)
            })?;
            let Ok(data) = frame.into_data() else { continue };
            let room = limit - read.len();
            read.extend_from_slice(&data[..data.len().min(room)]);
            if data.len() > room {
                whole = false;
                break;
            }
        }
        Ok(Self { status: head.status, headers: head.headers, body: read.freeze(), whole })
    }

    /// What the answer means to a sink of this configuration.
    ///
    /// # Errors
    /// When the event was not taken, or when a reply was wanted and cannot be read.
    pub(super) fn judge(self, config: &Config, now: Timestamp) -> Result<Accepted, Fault> {
        let code = self.status.as_u16();
        if !config.success.has(code) {
            return Err(self.refusal(now));
        }
        let reply = if config.reply { self.reply()? } else { None };
        Ok(Accepted { code: Some(code), reply })
    }

    /// The event in the answer. One that cannot be read is a fault, so that the event that caused
    /// it goes to the dead letters with the reason, instead of its reply vanishing.
    fn reply(self) -> Result<Option<Event>, Fault> {
        let fault = |kind, message: String| {
            Err(Fault::new(kind, "read the reply", message).with_code(self.status.as_u16()).with_retry(Retry::Never))
        };
        match read(&self.headers, self.body) {
            Ok(Message::Opaque) => Ok(None),
            _ if !self.whole => fault(FaultKind::TooLarge, format!("it is larger than {MAX_REPLY} bytes")),
            Ok(Message::Event(event)) => Ok(Some(event)),
            Ok(Message::Batch(mut events)) if events.len() <= 1 => Ok(events.pop()),
            Ok(_) => fault(FaultKind::Unsupported, "it is a batch of several events".to_owned()),
            Err(error) => fault(FaultKind::Malformed, error.to_string()),
        }
    }

    /// The fault of a status that is no success.
    fn refusal(&self, now: Timestamp) -> Fault {
        let (kind, retry) = classify(self.status, self.headers.get(RETRY_AFTER), now);
        let mut message = format!("the answer is {}", self.status);
        if self.status.is_redirection() {
            message.push_str("; redirects are not followed, deliver to the new address instead");
        } else if self.status.is_success() {
            message.push_str(", which is not among the allowed status codes");
        }
        let mut fault = Fault::new(kind, "deliver", message).with_retry(retry).with_code(self.status.as_u16());
        if let Some(location) = self.location() {
            fault = fault.with_context("location", location);
        }
        if !self.body.is_empty() {
            fault = fault.with_body(excerpt(&self.body, MAX_EXCERPT));
        }
        fault
    }

    fn location(&self) -> Option<String> {
        let location = self.headers.get(LOCATION).filter(|_| self.status.is_redirection())?;
        Uri::try_from(location.as_bytes()).ok().map(|uri| display(&uri))
    }
}

/// What an answer would mean to a sink of this configuration that came with this status, these headers and this body.
///
/// # Errors
/// When the event would not have been taken.
pub fn judge(
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    config: &Config,
    now: Timestamp,
) -> Result<Accepted, Fault> {
    Answer { status, headers, body, whole: true }.judge(config, now)
}

/// The one table from a status that is no success to a fault.
///
/// What a repetition can cure is retried: the other side is starting (404), slow (408), busy (409,
/// 429) or broken (5xx); so is a 413 that names a time (RFC 9110, section 15.5.14). A success that
/// the subscriber's list does not name (202 for "not yet") is a failure worth a retry, as in Argo
/// Events. Everything else would be refused again.
pub(super) fn classify(
    status: StatusCode,
    retry_after: Option<&http::HeaderValue>,
    now: Timestamp,
) -> (FaultKind, Retry) {
    let after = || retry_after.and_then(|value| retry_after::parse(value, now)).map(Retry::After);
    let (kind, retryable) = match status.as_u16() {
        200..=299 => (FaultKind::Rejected, true),
        401 | 403 | 407 => (FaultKind::Denied, false),
        404 => (FaultKind::NotFound, true),
        408 | 504 => (FaultKind::Timeout, true),
        409 => (FaultKind::Conflict, true),
        413 => (FaultKind::TooLarge, after().is_some()),
        414 | 431 => (FaultKind::TooLarge, false),
        429 => (FaultKind::Throttled, true),
        507 => (FaultKind::Full, true),
        500..=599 => (FaultKind::Unavailable, true),
        _ => (FaultKind::Rejected, false),
    };
    let retry = if retryable { after().unwrap_or(Retry::Backoff) } else { Retry::Never };
    (kind, retry)
}
