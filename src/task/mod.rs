//! The only room that spawns tasks, starts threads or reads the time.
//!
//! - [`Group`]: tasks that belong together; a child's failure reaches the parent.
//! - [`Shutdown`]: the request to stop, handed down the tree.
//! - [`Clock`]: wall time that tests can set.
//! - [`Backoff`]: the pause before the next attempt.
//! - [`simulate`]: runs a task in virtual time.
//!
//! It knows nothing about events. It may import `fault` and `telemetry`.

mod backoff;
mod clock;
mod group;
mod timeline;

pub use backoff::Backoff;
pub use clock::Clock;
pub use group::{Group, Shutdown};
pub use timeline::simulate;

use std::future::Future;
use std::time::Duration;

use crate::fault::{Fault, FaultKind};

/// Waits for `duration`. Cancel-safe.
pub async fn sleep(duration: Duration) {
    match timeline::sleep(duration) {
        Some(sleep) => sleep.await,
        None => tokio::time::sleep(duration).await,
    }
}

/// Runs `future` for at most `limit`; `None` when the time ran out (the future is dropped then).
pub async fn within<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    match timeline::sleep(limit) {
        // Boxed: nobody's future shall be larger for the sake of virtual time.
        Some(limit) => Box::pin(timeline::within(limit, future)).await,
        None => tokio::time::timeout(limit, future).await.ok(),
    }
}

/// Lets every other task that is ready run first. For loops that may find work ready for ever.
pub async fn give_way() {
    tokio::task::yield_now().await;
}

/// Polls `future` without the runtime's bound on what one turn may do. For a task that stands for
/// many: the bound is meant for one connection, and would let it do a few of its events a turn
/// while each of the tasks that it competes with has a turn of its own. Whoever uses this must
/// [`give_way`] by itself.
pub async fn at_length<F: Future>(future: F) -> F::Output {
    tokio::task::unconstrained(future).await
}

/// A moment on the monotonic clock, for measuring how long something took.
pub fn stopwatch() -> impl Fn() -> Duration + Copy {
    let start = timeline::Moment::now();
    move || start.elapsed()
}

/// Runs blocking work off the async threads and waits for it.
///
/// # Errors
/// The closure's own fault, or an internal fault when it panicked.
pub async fn blocking<T: Send + 'static>(
    operation: &'static str,
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that starts blocking work")]
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Fault::new(FaultKind::Internal, operation, "the worker thread panicked").with_source(error)),
    }
}

/// Starts a named operating system thread for work that blocks for as long as the process lives
/// (a bus's writer). The handle must be joined by whoever owns the work.
///
/// # Errors
/// When the system refuses another thread.
pub fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<std::thread::JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work)
}

#[cfg(test)]
mod tests;
