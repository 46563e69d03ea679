//! Calls to the server's `JetStream` API, and what its refusals mean.

use std::sync::Arc;
use std::time::Duration;

use async_nats::Client;
use async_nats::connection::State;
use async_nats::jetstream::context::{ContextBuilder, PublishError, PublishErrorKind};
use async_nats::jetstream::{Context, Error};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::config::Access;
pub(super) use crate::dial::nats::refused;
use crate::dial::nats::{self, Manner, Told};
use crate::fault::{Fault, FaultKind};
use crate::task::{self, Backoff, Shutdown};

/// For the server to answer a call or acknowledge an event. A busy disk takes a moment; a server that
/// stands still must not hold up a publisher for long.
const PATIENCE: Duration = Duration::from_secs(5);

/// Events of all publishers that wait for their acknowledgement at one time.
const MAX_UNACKNOWLEDGED: usize = 16 * 1024;

/// The pauses of whoever waits an outage out.
pub(super) const OUTAGE: Backoff =
    Backoff { base: Duration::from_millis(100), factor: 2.0, jitter: 0.2, cap: Duration::from_secs(1) };

/// Coming back, the longest pause is half of the time in which that should succeed. More messages than a
/// member asks for at one time may wait.
const MANNER: Manner = Manner {
    subscription: 16 * 1024,
    slow: "they come again",
    backoff: Backoff { base: Duration::from_millis(40), factor: 2.0, jitter: 0.2, cap: Duration::from_secs(1) },
    attempts: None,
};

/// A connected server, as everyone here knows it.
#[derive(Clone)]
pub(super) struct Server {
    pub client: Client,
    pub context: Context,
    pub told: Arc<Told>,
    /// Requested when the bus is closed.
    pub closed: Shutdown,
}

impl Server {
    /// # Errors
    /// As [`nats::connect`].
    pub(super) async fn connect(access: &Access) -> Result<Self, Fault> {
        let (client, told) = nats::connect(access, &MANNER).await?;
        Ok(Self::new(client, told))
    }

    fn new(client: Client, told: Arc<Told>) -> Self {
        let context = ContextBuilder::new()
            .timeout(PATIENCE)
            .ack_timeout(PATIENCE)
            .max_ack_inflight(MAX_UNACKNOWLEDGED)
            .build(client.clone());
        Self { client, context, told, closed: Shutdown::new() }
    }

    /// Calls the API; the inner result is the server's own answer.
    ///
    /// # Errors
    /// When no answer comes, or one that cannot be understood.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        subject: &str,
        body: &(impl Serialize + Sync + ?Sized),
    ) -> Result<Result<T, Error>, Fault> {
        self.connected(operation)?;
        nats::call(&self.context, &self.told, operation, subject, body).await
    }

    /// # Errors
    /// `Closed` after the bus was closed, `Unavailable` while there is no connection.
    pub(super) fn connected(&self, operation: &'static str) -> Result<(), Fault> {
        if self.closed.is_requested() {
            return Err(closed(operation));
        }
        match self.client.connection_state() {
            State::Connected => Ok(()),
            _ => Err(Fault::new(FaultKind::Unavailable, operation, "the connection to NATS is lost")),
        }
    }

    /// Waits before the next attempt, after so many failed ones.
    ///
    /// # Errors
    /// The fault itself when waiting does not help, `Closed` when the bus is closed meanwhile.
    pub(super) async fn wait_out(&self, failures: &mut u32, fault: Fault) -> Result<(), Fault> {
        if !matches!(fault.kind(), FaultKind::Unavailable | FaultKind::Timeout) {
            return Err(fault);
        }
        *failures += 1;
        tracing::warn!(error = %fault.chain(), "NATS cannot be used; trying again");
        tokio::select! {
            () = task::sleep(OUTAGE.pause(*failures)) => Ok(()),
            () = self.closed.requested() => Err(closed(fault.operation())),
        }
    }
}

pub(super) fn closed(operation: &'static str) -> Fault {
    Fault::new(FaultKind::Closed, operation, "the bus is closed")
}

/// The fault of an event that was not acknowledged.
pub(super) fn unpublished(operation: &'static str, told: &Told, subject: &str, error: PublishError) -> Fault {
    if let Some(text) = told.denied(subject) {
        return Fault::new(FaultKind::Denied, operation, text);
    }
    let own = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<Error>());
    if let Some(own) = own {
        return refused(operation, own);
    }
    let (kind, message) = match error.kind() {
        PublishErrorKind::StreamNotFound => (FaultKind::Unavailable, "no stream takes the event at the moment"),
        PublishErrorKind::TimedOut => (FaultKind::Timeout, "the server does not acknowledge the event"),
        PublishErrorKind::MaxPayloadExceeded => (FaultKind::TooLarge, "the event is larger than the server takes"),
        _ => (FaultKind::Unavailable, "the connection broke before the event was acknowledged"),
    };
    Fault::new(kind, operation, message).with_source(error)
}
