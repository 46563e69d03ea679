//! The routes of one port, and the answers.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body::Body as _;
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::config::Config;
use super::message::{self, Events, Reader, Terms};
use super::receipts::Receipts;
use super::signature::{Bearer, Verifier};
use super::source::{Entry, refused};
use crate::event::wrap::Body;
use crate::fault::{Fault, FaultKind, Retry};
use crate::flow::{Outlet, Position, Receipt, Received};
use crate::listen::{self, Answer, BodyLimits, Handler};
use crate::task::{self, Clock};

/// The time until the bus has the events of a request: below the 30 seconds after which many senders
/// give up, so that they learn that it was not kept, and send the same events again.
const KEEP_TIME: Duration = Duration::from_secs(20);

/// Bodies in memory at a time, in units of [`ROOM_UNIT`]: 256 MiB, far above what a bus that keeps
/// up leaves waiting, far below what a pod is given. Without it, a bus that stalls and senders
/// that do not would fill the memory.
const ROOM: usize = 256 * 1024;
/// The unit of room, in bytes: small events take one.
const ROOM_UNIT: usize = 1024;

/// The pause that senders are asked for when nothing better is known.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause that senders are asked for.
const MAX_RETRY_PAUSE: Duration = Duration::from_secs(300);

/// The routes of one port.
#[derive(Debug)]
pub(super) struct Routes {
    by_path: RwLock<HashMap<String, Arc<Route>>>,
    clock: Clock,
    /// Room for bodies.
    room: Semaphore,
}

/// One event of the port, ready to answer.
#[derive(Debug)]
pub(super) struct Route {
    config: Config,
    outlet: Outlet,
    source: String,
    ty: String,
    reader: Option<Reader>,
    /// The value of `Allow`.
    allow: HeaderValue,
    /// The body of the answer to what was kept.
    reply: Bytes,
    bearer: Option<Bearer>,
    verifier: Option<Verifier>,
    /// It takes nothing more, while its port may still be open for others.
    closed: AtomicBool,
    /// Held, shared, by every request until it is answered.
    answering: tokio::sync::RwLock<()>,
}

/// Why a request is not answered 2xx.
struct Refusal {
    status: StatusCode,
    reason: Cow<'static, str>,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Refusal {
    fn new(status: StatusCode, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { status, reason: reason.into(), header: None }
    }

    fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.header = Some((name, value));
        self
    }

    fn answer(self) -> Answer {
        let mut answer = listen::text(self.status, &self.reason);
        answer.headers_mut().extend(self.header);
        answer
    }
}

impl Routes {
    pub(super) fn new(clock: Clock) -> Self {
        Self { by_path: RwLock::default(), clock, room: Semaphore::new(ROOM) }
    }

    /// Adds an event, in the place of what was closed there or was of the same source.
    ///
    /// # Errors
    /// When its path is taken, or a secret of it cannot be used.
    pub(super) fn add(&self, entry: Entry) -> Result<Arc<Route>, Fault> {
        let (path, port) = (entry.config.path.clone(), entry.config.port);
        let route = Arc::new(Route::new(entry)?);
        let mut by_path = self.write();
        by_path.retain(|path, old| !old.is_closed() || (*path != route.config.path && old.source != route.source));
        if by_path.contains_key(&path) {
            return Err(refused(format!("two events of port {port} share the path {path}")));
        }
        by_path.insert(path, Arc::clone(&route));
        Ok(route)
    }

    pub(super) fn len(&self) -> usize {
        self.by_path.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn get(&self, path: &str) -> Option<Arc<Route>> {
        self.by_path.read().unwrap_or_else(PoisonError::into_inner).get(path).cloned()
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<String, Arc<Route>>> {
        self.by_path.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Handler for Routes {
    async fn handle(&self, request: Request<Incoming>, peer: SocketAddr) -> Answer {
        let Some(route) = self.get(request.uri().path()) else {
            return listen::text(StatusCode::NOT_FOUND, "not found");
        };
        let _answering = route.answering.read().await;
        if route.is_closed() {
            return Route::unavailable("this webhook is stopping: send it again").answer();
        }
        if request.method() == Method::OPTIONS {
            return route.handshake(request.headers());
        }
        match route.take(request, &self.clock, &self.room).await {
            Ok(()) => route.reply(),
            Err(refusal) => {
                // What was not kept has been logged with its fault.
                if refusal.status.is_client_error() {
                    let (path, status, reason) = (&route.config.path, refusal.status.as_u16(), &refusal.reason);
                    tracing::warn!(path, status, %reason, %peer, "refused a request");
                }
                refusal.answer()
            }
        }
    }
}

impl Route {
    /// # Errors
    /// When a secret cannot be used.
    pub(super) fn new(entry: Entry) -> Result<Self, Fault> {
        let Entry { config, outlet, source, ty, reader } = entry;
        let mut allow = String::from("OPTIONS");
        for method in &config.methods {
            allow.push_str(", ");
            allow.push_str(method.as_str());
        }
        let allow = HeaderValue::try_from(allow)
            .map_err(|error| refused("a method cannot be written down").with_source(error))?;
        let bearer = config.bearer.as_ref().map(|token| Bearer::new(token.expose())).transpose()?;
        let verifier = config.signature.as_ref().map(Verifier::new).transpose()?;
        let reply = Bytes::from(config.response.body.clone());
        let (closed, answering) = (AtomicBool::new(false), tokio::sync::RwLock::new(()));
        Ok(Self { config, outlet, source, ty, reader, allow, reply, bearer, verifier, closed, answering })
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Turns away what comes from now on, with the request to come again.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    /// Waits until every request that was let in is answered.
    pub(super) async fn answered(&self) {
        drop(self.answering.write().await);
    }

    /// The answer to what was kept, word for word as it was configured.
    fn reply(&self) -> Answer {
        let mut answer = Answer::new(Full::new(self.reply.clone()));
        *answer.status_mut() = self.config.response.code;
        if !self.reply.is_empty() {
            answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        }
        answer
    }

    /// Lets a sender in that asks first (`CloudEvents` webhooks 1.0.2, section 4).
    fn handshake(&self, headers: &HeaderMap) -> Answer {
        let mut answer = listen::text(StatusCode::OK, "");
        answer.headers_mut().insert(ALLOW, self.allow.clone());
        if let Some(origin) = headers.get("webhook-request-origin") {
            answer.headers_mut().insert("webhook-allowed-origin", origin.clone());
            answer.headers_mut().insert("webhook-allowed-rate", HeaderValue::from_static("*"));
        }
        answer
    }

    /// Takes one request to the end: `Ok` when the bus has all of its events.
    async fn take(&self, request: Request<Incoming>, clock: &Clock, room: &Semaphore) -> Result<(), Refusal> {
        if !self.config.methods.contains(request.method()) {
            return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "this method is not taken here")
                .with(ALLOW, self.allow.clone()));
        }
        let (head, body) = request.into_parts();
        if let Some(bearer) = &self.bearer {
            bearer.check(&head.headers).map_err(|reason| {
                Refusal::new(StatusCode::UNAUTHORIZED, reason)
                    .with(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
            })?;
        }
        // Stored as they are, compressed bytes could never be read again: nothing says what they are.
        if head.headers.get(CONTENT_ENCODING).is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
        {
            return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "a content-encoding is not taken here"));
        }
        let _room = self.room_for(body.size_hint().upper(), room)?;
        let limits = BodyLimits { bytes: self.config.max_body_bytes, ..BodyLimits::default() };
        let body = listen::read_body(body, limits)
            .await
            .map_err(|fault| Refusal::new(listen::status(&fault), fault.to_string()))?;
        let now = clock.now();
        if let Some(verifier) = &self.verifier {
            verifier
                .check(&head.headers, &body, now)
                .map_err(|reason| Refusal::new(StatusCode::UNAUTHORIZED, reason))?;
        }
        let terms = Terms {
            source: &self.source,
            ty: &self.ty,
            body: if self.config.json_body { Body::Json } else { Body::Detect },
            stripe: self.verifier.as_ref().is_some_and(Verifier::is_stripe),
            now,
        };
        let events = match &self.reader {
            Some(reader) => reader.events(&body),
            None => message::events(&head.headers, &body, &terms),
        };
        let events = events.map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, error.to_string()))?;
        // They share the connection's buffer, which it can use again once they are gone.
        drop((head, body));
        self.keep(events, now).await.map_err(|fault| self.not_kept(&fault))
    }

    /// Room for the body until the bus has it; a body of unknown size takes the most it may be.
    fn room_for<'r>(&self, announced: Option<u64>, room: &'r Semaphore) -> Result<SemaphorePermit<'r>, Refusal> {
        let limit = self.config.max_body_bytes;
        let bytes = announced.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(limit).min(limit);
        let units = u32::try_from(bytes.div_ceil(ROOM_UNIT)).unwrap_or(u32::MAX);
        room.try_acquire_many(units)
            .map_err(|_| Self::unavailable("too many requests are waiting for the bus: send it again"))
    }

    fn unavailable(reason: &'static str) -> Refusal {
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, reason)
            .with(RETRY_AFTER, HeaderValue::from(RETRY_PAUSE.as_secs()))
    }

    /// Hands the events over and waits until each is kept. When one is too large, none is handed over.
    async fn keep(&self, events: Events, now: jiff::Timestamp) -> Result<(), Fault> {
        if events.is_empty() {
            return Ok(());
        }
        let limit = self.outlet.max_event_bytes();
        if let Some(event) = events.iter().find(|event| event.record().len() > limit) {
            let bytes = event.record().len();
            return Err(Fault::new(FaultKind::TooLarge, "keep an event", "it is larger than the bus takes")
                .with_context("bytes", bytes.to_string())
                .with_context("limit", limit.to_string()));
        }
        let receipts = Arc::new(Receipts::new(events.len()));
        let kept = task::within(KEEP_TIME, async {
            for (token, event) in (0..).zip(events) {
                let receipt = Receipt::new(Arc::clone(&receipts) as Arc<_>, token);
                let received =
                    Received { event: Ok(event), position: Position::default(), appended: now, attempt: 1, receipt };
                // The first of a full queue is turned away at once; a batch that is let in may wait
                // for room, or one that is larger than the queue could never come in.
                if token == 0 { self.outlet.try_send(received)? } else { self.outlet.send(received).await? }
            }
            receipts.settled().await
        });
        kept.await.unwrap_or_else(|| Err(Fault::new(FaultKind::Timeout, "keep an event", "the bus took too long")))
    }

    /// The sender learns what to do; what went wrong inside is for the log.
    fn not_kept(&self, fault: &Fault) -> Refusal {
        tracing::warn!(path = %self.config.path, fault = %fault.chain(), "an event was not kept");
        if fault.kind() == FaultKind::TooLarge {
            return Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "the event is larger than the bus takes");
        }
        let pause = match fault.retry() {
            Retry::After(pause) => pause.clamp(RETRY_PAUSE, MAX_RETRY_PAUSE),
            Retry::Never | Retry::Backoff => RETRY_PAUSE,
        };
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the event could not be kept: send it again")
            .with(RETRY_AFTER, HeaderValue::from(pause.as_secs()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::Reply;
    use super::*;
    use crate::event::Draft;
    use crate::flow::{Outlet, outlet};

    fn route(outlet: Outlet) -> Route {
        let config = Config {
            path: "/orders".to_owned(),
            port: 0,
            methods: vec![Method::POST],
            max_body_bytes: 3000,
            bearer: None,
            signature: None,
            tls: None,
            response: Reply::default(),
            json_body: false,
        };
        Route::new(Entry { config, outlet, source: "/s".to_owned(), ty: "t".to_owned(), reader: None }).unwrap()
    }

    #[test]
    fn bodies_wait_in_bounded_memory() {
        let (route, room) = (route(outlet(1).0), Semaphore::new(4));
        let small = route.room_for(Some(1), &room).unwrap_or_else(|_| panic!("there is room"));
        let unknown = route.room_for(None, &room).unwrap_or_else(|_| panic!("there is room"));
        let refusal = route.room_for(Some(1), &room).err().unwrap();
        assert_eq!(refusal.status, StatusCode::SERVICE_UNAVAILABLE);
        drop(unknown);
        // More than the limit is refused by the limit, not for want of room.
        assert!(route.room_for(Some(u64::MAX), &room).is_ok());
        drop(small);
    }

    #[tokio::test(start_paused = true)]
    async fn a_bus_that_does_not_answer_in_time_is_a_fault_to_try_again() {
        let (outlet, mut events) = outlet(1);
        let route = route(outlet);
        let event = Draft::new("1", "/s", "t").build().unwrap();
        let fault = route.keep(smallvec::smallvec![event], jiff::Timestamp::UNIX_EPOCH).await.unwrap_err();
        assert_eq!(fault.kind(), FaultKind::Timeout);
        assert_eq!(route.not_kept(&fault).status, StatusCode::SERVICE_UNAVAILABLE);
        events.recv().await.unwrap().receipt.ack();
    }
}
