//! The connection: addresses, login and TLS, and what the client tells about it later.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::{Client, ConnectError, ConnectErrorKind, ConnectOptions, Event};
use tokio::sync::watch;

use super::config::{Config, Login, Secret, Tls};
use crate::dial::{self, Trust};
use crate::fault::{Fault, FaultKind};
use crate::task;

const OPERATION: &str = "connect to NATS";
/// For one address to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// For all addresses together.
const OVERALL: Duration = Duration::from_secs(10);
/// A server that stands still is noticed after three of these.
const PING: Duration = Duration::from_secs(5);
/// The longest pause between two attempts to come back: half of the time in which that should succeed.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Messages that wait in the client per subscription. More than a member asks for at one time.
const SUBSCRIPTION: usize = 16 * 1024;

/// What the client told since it connected.
#[derive(Debug)]
pub(super) struct Told {
    /// The last complaint of the server about permissions.
    denied: Mutex<Option<String>>,
    /// Counts connections: whoever waits for an answer of the one before waits in vain.
    connections: watch::Sender<u64>,
}

impl Told {
    fn new() -> Self {
        Self { denied: Mutex::new(None), connections: watch::Sender::new(1) }
    }

    fn hear(&self, event: &Event) {
        match event {
            Event::Connected => self.connections.send_modify(|count| *count += 1),
            Event::Disconnected => tracing::warn!("the connection to NATS is lost; connecting again"),
            Event::ServerError(error) => {
                tracing::warn!(error = %error, "NATS complains");
                *self.denied.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
            }
            Event::ClientError(error) => tracing::warn!(error = %error, "the NATS client complains"),
            Event::SlowConsumer(_) => tracing::warn!("messages came faster than they were read; they come again"),
            Event::LameDuckMode | Event::Draining | Event::Closed => {}
        }
    }

    /// What the server said about permissions on `subject`.
    pub(super) fn denied(&self, subject: &str) -> Option<String> {
        let denied = self.denied.lock().unwrap_or_else(PoisonError::into_inner);
        denied.clone().filter(|text| text.to_ascii_lowercase().contains("permissions") && text.contains(subject))
    }

    pub(super) fn connections(&self) -> watch::Receiver<u64> {
        self.connections.subscribe()
    }
}

/// Connects, once: what cannot be had now is told now.
///
/// # Errors
/// `Denied` for a wrong login, `Malformed` for unusable TLS settings, `Unavailable` when no server
/// answers as a NATS server should.
pub(super) async fn connect(config: &Config) -> Result<(Client, Arc<Told>), Fault> {
    let told = Arc::new(Told::new());
    let listener = told.clone();
    let mut options = ConnectOptions::new()
        .name("penstock")
        .connection_timeout(PATIENCE)
        .ping_interval(PING)
        .subscription_capacity(SUBSCRIPTION)
        .reconnect_delay_callback(pause)
        .event_callback(move |event| {
            let listener = listener.clone();
            async move { listener.hear(&event) }
        });
    options = match &config.login {
        Login::None => options,
        Login::User { user, password } => options.user_and_password(user.expose().into(), password.expose().into()),
        Login::Token(token) => options.token(token.expose().into()),
        Login::Credentials(text) => options
            .credentials(text.expose())
            .map_err(|_| Fault::new(FaultKind::Malformed, OPERATION, "the credentials are no NATS credentials file"))?,
    };
    let scheme = if config.tls.is_some() { "tls" } else { "nats" };
    if let Some(tls) = &config.tls {
        options = options.require_tls(true).tls_client_config(dial::tls(trust(tls))?);
    }
    let addresses: Vec<String> = config.servers.iter().map(|server| format!("{scheme}://{server}")).collect();
    let list = config.servers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let connected = task::within(OVERALL, options.connect(addresses)).await;
    match connected {
        Some(Ok(client)) => Ok((client, told)),
        Some(Err(error)) => Err(refused(error).with_context("servers", list)),
        None => Err(Fault::new(FaultKind::Unavailable, OPERATION, "no server answers").with_context("servers", list)),
    }
}

fn trust(tls: &Tls) -> Trust<'_> {
    let identity = tls.identity.as_ref().map(|(cert, key)| (cert.expose(), key.expose()));
    Trust { ca: tls.ca.as_ref().map(Secret::expose), identity, insecure: tls.insecure }
}

fn pause(attempts: usize) -> Duration {
    let attempts = u32::try_from(attempts).unwrap_or(u32::MAX);
    (Duration::from_millis(20) * 2_u32.saturating_pow(attempts.min(10))).min(LONGEST_PAUSE)
}

fn refused(error: ConnectError) -> Fault {
    let (kind, message) = match error.kind() {
        ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
            (FaultKind::Denied, "the server refuses the login")
        }
        ConnectErrorKind::Tls => (FaultKind::Unavailable, "TLS cannot be agreed on"),
        ConnectErrorKind::Dns => (FaultKind::Unavailable, "the name of the server is not known"),
        ConnectErrorKind::TimedOut => (FaultKind::Unavailable, "the server does not answer"),
        _ => (FaultKind::Unavailable, "no server can be reached"),
    };
    Fault::new(kind, OPERATION, message).with_source(error)
}
