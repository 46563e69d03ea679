//! Connecting again and again: when to give up, and how long to wait.

use crate::api::client::Backoff as Settings;
use crate::fault::{Fault, FaultKind};
use crate::task::{self, Backoff};

/// Counts the attempts of one client to work with its server.
#[derive(Debug)]
pub struct Attempts {
    /// Whom it connects to, for the log.
    server: &'static str,
    pauses: Backoff,
    steps: Option<u32>,
    failures: u32,
    agreed: bool,
}

impl Attempts {
    /// `server`: whom it connects to, such as `RabbitMQ`.
    pub fn new(server: &'static str, settings: &Settings) -> Self {
        let Settings { base, steps, factor, jitter, cap } = *settings;
        Self { server, pauses: Backoff { base, factor, jitter, cap }, steps, failures: 0, agreed: false }
    }

    /// The server has done what it was asked for. From now on whatever goes wrong may go away by itself.
    pub fn agreed(&mut self) {
        (self.failures, self.agreed) = (0, true);
    }

    /// Whether the server has ever done what it was asked for.
    pub fn has_agreed(&self) -> bool {
        self.agreed
    }

    /// Waits before the next attempt. Cancel-safe.
    ///
    /// # Errors
    /// The fault itself when there is to be no other attempt: the settings allow no more, the client gave up
    /// by itself (`Closed`), or the server refuses for good what it has never agreed to.
    pub async fn failed(&mut self, fault: Fault) -> Result<(), Fault> {
        self.failures += 1;
        let last = self.steps.is_some_and(|steps| self.failures >= steps) || fault.kind() == FaultKind::Closed;
        if last || (!self.agreed && !fault.is_retryable()) {
            return Err(fault);
        }
        let (failures, pause) = (self.failures, self.pauses.pause(self.failures));
        tracing::warn!(fault = fault.chain(), failures, ?pause, "no connection to {}; trying again", self.server);
        task::sleep(pause).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn fault(kind: FaultKind) -> Fault {
        Fault::new(kind, "connect", "no")
    }

    fn attempts(steps: Option<u32>) -> Attempts {
        Attempts::new("the server", &Settings { steps, jitter: 0.0, ..Settings::default() })
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_until_the_server_agrees() {
        let mut attempts = attempts(None);
        for seconds in [1, 2, 4] {
            let elapsed = task::stopwatch();
            attempts.failed(fault(FaultKind::Unavailable)).await.unwrap();
            assert_eq!(elapsed(), Duration::from_secs(seconds));
        }
        attempts.agreed();
        let elapsed = task::stopwatch();
        attempts.failed(fault(FaultKind::Unavailable)).await.unwrap();
        assert_eq!(elapsed(), Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_counts_only_until_the_server_has_once_agreed() {
        let mut attempts = attempts(None);
        assert_eq!(attempts.failed(fault(FaultKind::Denied)).await.unwrap_err().kind(), FaultKind::Denied);
        attempts.agreed();
        attempts.failed(fault(FaultKind::Denied)).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn the_settings_may_end_the_attempts() {
        let mut attempts = attempts(Some(2));
        attempts.failed(fault(FaultKind::Unavailable)).await.unwrap();
        attempts.failed(fault(FaultKind::Unavailable)).await.unwrap_err();
    }
}
