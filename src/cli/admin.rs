//! The admin port: metrics, health, the [ledger](super::ledger) of latest decisions, and orders for
//! [dead letters](super::dlq).
//!
//! `/livez` fails when events wait and nothing has moved for long, or when the bus can no longer
//! write: a restart may help. `/readyz` fails until every topic is subscribed and every port is
//! open, and again while stopping: other traffic should go elsewhere.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;

use super::dlq::{self, Desk};
use super::ledger::{self, Ledger};
use crate::flow::Bus;
use crate::listen::{self, Answer, Handler, Limits, Listener};
use crate::task::{Clock, Group};
use crate::telemetry::{self, Metrics};

/// Twice the longest pause between attempts and longer than any sane timeout, and shorter than a
/// night: after this without progress something is stuck.
const STALLED_AFTER: Duration = Duration::from_secs(600);

/// What the admin port knows of the process.
pub struct Admin {
    metrics: Arc<Metrics>,
    clock: Clock,
    ready: AtomicBool,
    /// What a person should know although traffic is welcome, or why it is not.
    note: Mutex<Option<String>>,
    watched: Watched,
    ledger: Option<Arc<Ledger>>,
    desk: Option<Arc<Desk>>,
}

/// The buses that are open now, with their names.
pub type Watched = Box<dyn Fn() -> Vec<(String, Arc<dyn Bus>)> + Send + Sync>;

impl Admin {
    pub fn new(metrics: Arc<Metrics>, clock: Clock, watched: Watched) -> Self {
        Self {
            metrics,
            clock,
            ready: AtomicBool::new(false),
            note: Mutex::default(),
            watched,
            ledger: None,
            desk: None,
        }
    }

    /// Serves what is kept of the latest events too, if anything is.
    #[must_use]
    pub fn with_ledger(self, ledger: Option<Arc<Ledger>>) -> Self {
        Self { ledger, ..self }
    }

    /// Takes orders for dead letters too.
    #[must_use]
    pub fn with_desk(self, desk: Arc<Desk>) -> Self {
        Self { desk: Some(desk), ..self }
    }

    /// Says whether traffic is welcome.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::SeqCst);
    }

    /// Adds a line to what `/readyz` answers, or takes it away.
    pub fn set_note(&self, note: Option<String>) {
        *self.note.lock().unwrap_or_else(PoisonError::into_inner) = note;
    }

    /// Opens the admin port and serves it until the group is told to stop.
    ///
    /// # Errors
    /// When the port cannot be had.
    pub async fn serve(self: &Arc<Self>, address: SocketAddr, group: &mut Group) -> anyhow::Result<()> {
        let listener = Listener::bind(address, Limits::default(), None).await;
        let listener = listener.context("the admin port (--admin)")?;
        tracing::info!(address = %listener.local_addr(), "metrics and health are served");
        let (admin, shutdown) = (self.clone(), group.shutdown().clone());
        group.spawn(async move { listener.serve(admin, &shutdown).await });
        Ok(())
    }

    fn live(&self) -> Answer {
        if let Some(ailment) = (self.watched)().iter().find_map(|(_, bus)| bus.ailment()) {
            return listen::text(StatusCode::SERVICE_UNAVAILABLE, &ailment.chain());
        }
        let now = self.clock.now().as_duration().as_secs_f64();
        if self.metrics.is_stalled(now, STALLED_AFTER) {
            return listen::text(StatusCode::SERVICE_UNAVAILABLE, "events wait and nothing has moved for 10 minutes");
        }
        listen::text(StatusCode::OK, "ok")
    }

    fn ready(&self) -> Answer {
        let note = self.note.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let with_note = |word: &str| note.as_deref().map_or_else(|| word.to_owned(), |note| format!("{word}; {note}"));
        if self.ready.load(Ordering::SeqCst) {
            listen::text(StatusCode::OK, &with_note("ok"))
        } else {
            listen::text(StatusCode::SERVICE_UNAVAILABLE, &with_note("starting or stopping"))
        }
    }

    async fn explain(&self, request: &Request<Incoming>) -> Answer {
        let Some(ledger) = self.ledger.clone() else {
            return listen::text(
                StatusCode::NOT_FOUND,
                "no journal is kept: this process routes nothing, or --journal is 0",
            );
        };
        ledger.answer(request.uri().path(), ledger::wants_json(request)).await
    }

    fn metrics(&self) -> Answer {
        for (name, bus) in (self.watched)() {
            self.metrics.lost(&name, bus.lost());
        }
        let mut answer = Answer::new(Full::new(Bytes::from(self.metrics.encode())));
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(telemetry::CONTENT_TYPE));
        answer
    }
}

impl Handler for Admin {
    async fn handle(&self, request: Request<Incoming>, peer: SocketAddr) -> Answer {
        if let (dlq::PATH, Some(desk)) = (request.uri().path(), &self.desk) {
            return dlq::take(desk, request, peer).await;
        }
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return listen::text(StatusCode::METHOD_NOT_ALLOWED, "only GET");
        }
        match request.uri().path() {
            "/metrics" => self.metrics(),
            "/livez" => self.live(),
            "/readyz" => self.ready(),
            path if ledger::is_path(path) => self.explain(&request).await,
            _ => listen::text(StatusCode::NOT_FOUND, "known paths: /metrics /livez /readyz /explain /explain/ID"),
        }
    }
}
