//! The connection to NATS: addresses, login and TLS, and what the client tells about it later.
//!
//! The client comes back by itself after an outage; whoever waits for an answer of the connection
//! before watches [`Told::connections`].

mod api;
mod pull;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, ConnectError, ConnectErrorKind, ConnectOptions, Event};
use tokio::sync::watch;

pub use api::{call, refused};
pub use pull::{Delivery, Heard, Pull};

use super::tls::{Trust, tls};
use crate::api::Secret;
use crate::api::client::Tls;
use crate::api::client::nats::{Access, Login};
use crate::fault::{Fault, FaultKind, Retry};
use crate::task::{self, Backoff};

const OPERATION: &str = "connect to NATS";
/// For one address to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// For all addresses together.
const OVERALL: Duration = Duration::from_secs(10);
/// Before the first attempt to come back.
const FIRST: Duration = Duration::from_millis(20);
/// A server that stands still is noticed after three of these.
const PING: Duration = Duration::from_secs(5);

/// How the client behaves once it is connected.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// Messages that wait in the client per subscription; more are dropped.
    pub subscription: usize,
    /// What it means that some were dropped, for the log.
    pub slow: &'static str,
    /// The pauses between attempts to come back.
    pub backoff: Backoff,
    /// Attempts to come back, for each server; without an end when absent.
    pub attempts: Option<u32>,
}

/// What the client told since it connected.
#[derive(Debug)]
pub struct Told {
    /// The last complaint of the server about permissions.
    denied: watch::Sender<Option<String>>,
    /// Counts connections: whoever waits for an answer of the one before waits in vain.
    connections: watch::Sender<u64>,
    slow: &'static str,
}

impl Told {
    fn new(slow: &'static str) -> Self {
        Self { denied: watch::Sender::new(None), connections: watch::Sender::new(1), slow }
    }

    fn hear(&self, event: &Event) {
        match event {
            Event::Connected => self.connections.send_modify(|count| *count += 1),
            Event::Disconnected => tracing::warn!("the connection to NATS is lost; connecting again"),
            Event::ServerError(error) => {
                tracing::warn!(error = %error, "NATS complains");
                drop(self.denied.send_replace(Some(error.to_string())));
            }
            Event::ClientError(error) => tracing::warn!(error = %error, "the NATS client complains"),
            Event::SlowConsumer(_) => tracing::warn!("messages came faster than they were read; {}", self.slow),
            Event::LameDuckMode | Event::Draining | Event::Closed => {}
        }
    }

    /// What the server said about permissions on `subject`.
    pub fn denied(&self, subject: &str) -> Option<String> {
        self.denied.borrow().clone().filter(|text| is_about(text, subject))
    }

    /// Waits until the server says so. Cancel-safe.
    pub async fn denial(&self, subject: &str) -> String {
        let mut denied = self.denied.subscribe();
        let about = |text: &Option<String>| text.as_deref().is_some_and(|text| is_about(text, subject));
        // It cannot fail: the far end is a part of `self`.
        let text = denied.wait_for(about).await.ok().and_then(|text| text.clone());
        text.unwrap_or_default()
    }

    pub fn connections(&self) -> watch::Receiver<u64> {
        self.connections.subscribe()
    }
}

fn is_about(text: &str, subject: &str) -> bool {
    text.to_ascii_lowercase().contains("permissions") && text.contains(subject)
}

/// Connects, once: what cannot be had now is told now.
///
/// # Errors
/// `Denied` for a wrong login, `Malformed` for unusable TLS settings, `Unavailable` when no server
/// answers as a NATS server should.
pub async fn connect(access: &Access, manner: &Manner) -> Result<(Client, Arc<Told>), Fault> {
    let told = Arc::new(Told::new(manner.slow));
    let (listener, backoff) = (told.clone(), manner.backoff);
    let mut options = ConnectOptions::new()
        .name("penstock")
        .connection_timeout(PATIENCE)
        .ping_interval(PING)
        .subscription_capacity(manner.subscription)
        .reconnect_delay_callback(move |attempt| pause(&backoff, attempt))
        .event_callback(move |event| {
            let listener = listener.clone();
            async move { listener.hear(&event) }
        });
    if let Some(attempts) = manner.attempts {
        // The client counts attempts over all servers.
        let attempts = usize::try_from(attempts).unwrap_or(usize::MAX);
        options = options.max_reconnects(attempts.saturating_mul(access.servers.len().max(1)));
    }
    options = match &access.login {
        Login::None => options,
        Login::User { user, password } => options.user_and_password(user.expose().into(), password.expose().into()),
        Login::Token(token) => options.token(token.expose().into()),
        Login::Credentials(text) => options
            .credentials(text.expose())
            .map_err(|_| Fault::new(FaultKind::Malformed, OPERATION, "the credentials are no NATS credentials file"))?,
        Login::Nkey(seed) => options.nkey(seed.expose().trim().into()),
    };
    let scheme = if access.tls.is_some() { "tls" } else { "nats" };
    if let Some(settings) = &access.tls {
        options = options.require_tls(true).tls_client_config(tls(trust(settings))?);
    }
    let addresses: Vec<String> = access.servers.iter().map(|server| format!("{scheme}://{server}")).collect();
    let list = access.servers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let connected = task::within(OVERALL, options.connect(addresses)).await;
    match connected {
        Some(Ok(client)) => Ok((client, told)),
        Some(Err(error)) => Err(unconnected(error).with_context("servers", list)),
        None => Err(Fault::new(FaultKind::Unavailable, OPERATION, "no server answers").with_context("servers", list)),
    }
}

fn trust(tls: &Tls) -> Trust<'_> {
    let identity = tls.identity.as_ref().map(|(cert, key)| (cert.expose(), key.expose()));
    Trust { ca: tls.ca.as_ref().map(Secret::expose), identity, insecure: tls.insecure }
}

/// The client counts from 1 with every connection that it lost, and pauses before the first attempt, too.
fn pause(backoff: &Backoff, attempt: usize) -> Duration {
    match u32::try_from(attempt).unwrap_or(u32::MAX) {
        0 | 1 => FIRST,
        attempt => backoff.pause(attempt - 1),
    }
}

fn unconnected(error: ConnectError) -> Fault {
    let (kind, message, retry) = match error.kind() {
        ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
            (FaultKind::Denied, "the server refuses the login", Retry::Never)
        }
        // Certificates that do not fit will not fit the next time either.
        _ if is_of_tls(&error) => (FaultKind::Unavailable, "TLS cannot be agreed on", Retry::Never),
        ConnectErrorKind::Dns => (FaultKind::Unavailable, "the name of the server is not known", Retry::Backoff),
        ConnectErrorKind::TimedOut => (FaultKind::Unavailable, "the server does not answer", Retry::Backoff),
        _ => (FaultKind::Unavailable, "no server can be reached", Retry::Backoff),
    };
    Fault::new(kind, OPERATION, message).with_retry(retry).with_source(error)
}

/// The client says so of settings only; a handshake that fails is an I/O error of this kind.
fn is_of_tls(error: &ConnectError) -> bool {
    let invalid = |error: &(dyn Error + 'static)| {
        error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::InvalidData)
    };
    let mut causes = std::iter::successors(error.source(), |error| (*error).source());
    error.kind() == ConnectErrorKind::Tls || causes.any(invalid)
}
