//! Signals: the first asks to stop, the second aborts.

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

use crate::task::Shutdown;

/// The exit code of a process that was told twice to stop: 128 and SIGINT's number.
const ABORTED: i32 = 130;

/// A shutdown request that the first SIGINT or SIGTERM makes; the second ends the process at once.
///
/// # Errors
/// When the handlers cannot be installed.
#[expect(
    clippy::disallowed_methods,
    reason = "the one task that outlives every group: it watches for the second signal"
)]
pub fn shutdown() -> anyhow::Result<Shutdown> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot watch for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot watch for SIGTERM")?;
    let shutdown = Shutdown::new();
    let request = shutdown.clone();
    tokio::spawn(async move {
        for asked in 0.. {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if asked > 0 {
                tracing::warn!("told twice to stop: what is in flight is redelivered at the next start");
                std::process::exit(ABORTED);
            }
            tracing::info!("stopping: finishing what is in flight; once more aborts");
            request.request();
        }
    });
    Ok(shutdown)
}
