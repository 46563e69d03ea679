//! The HTTP listener that everything of ours which is called over HTTP shares: webhooks, health,
//! metrics, `display`.
//!
//! It owns the socket, TLS, every bound on connections and headers, and the way down: stop
//! accepting, let requests in flight finish within the grace period, cut the rest. What a request
//! means is the [`Handler`]'s.
//!
//! May import `fault` and `task`. It never spawns outside its own group.

mod accept;
mod body;
mod tls;

pub use accept::Listener;
pub use body::{BodyLimits, read_body};
pub use tls::Tls;

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;

use crate::fault::{Fault, FaultKind};

/// An answer; its body is in memory.
pub type Answer = Response<Full<Bytes>>;

/// Answers requests.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request of `peer`. The future is dropped when the client goes away.
    fn handle(&self, request: Request<Incoming>, peer: SocketAddr) -> impl Future<Output = Answer> + Send;
}

/// What one listener takes at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time; more wait in the system's backlog.
    pub connections: usize,
    /// The time for a TLS handshake, for the head of a request, and for an idle connection.
    pub header_timeout: Duration,
    /// All headers of a request together, in bytes; more is answered 431.
    pub header_bytes: usize,
    /// Headers of a request; more is answered 431.
    pub headers: usize,
    /// Requests at a time on one HTTP/2 connection.
    pub streams: u32,
    /// How long requests in flight may take to finish once the listener is asked to stop, unless the
    /// request to stop says it.
    pub grace: Duration,
}

impl Default for Limits {
    /// 4096 connections stay below the usual limit of open files even with a broker beside them;
    /// 64 KiB of headers is what `CloudEvents` intermediaries must pass; 25 seconds of grace end
    /// before Kubernetes' 30.
    fn default() -> Self {
        Self {
            connections: 4096,
            header_timeout: Duration::from_secs(30),
            header_bytes: 64 * 1024,
            headers: 128,
            streams: 256,
            grace: Duration::from_secs(25),
        }
    }
}

/// An answer of plain text, one line.
pub fn text(status: StatusCode, line: &str) -> Answer {
    let mut body = String::with_capacity(line.len() + 1);
    body.push_str(line);
    if !line.is_empty() {
        body.push('\n');
    }
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer
}

/// The status that tells a client of a fault, as far as the fault is about its request.
pub fn status(fault: &Fault) -> StatusCode {
    match fault.kind() {
        FaultKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        FaultKind::Malformed => StatusCode::BAD_REQUEST,
        FaultKind::Timeout => StatusCode::REQUEST_TIMEOUT,
        FaultKind::Denied => StatusCode::UNAUTHORIZED,
        FaultKind::NotFound => StatusCode::NOT_FOUND,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}

#[cfg(test)]
mod tests;
