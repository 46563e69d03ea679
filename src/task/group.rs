//! Tasks that belong together, and the request to stop.

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::fault::{Fault, FaultKind};

/// The request to stop, handed down the tree of tasks. Cloning shares it; a child can be stopped
/// alone, and stops with its parent.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    token: CancellationToken,
    /// When everything must be over; shared with the children.
    deadline: Arc<OnceLock<Instant>>,
}

impl Shutdown {
    pub fn new() -> Self {
        Self::default()
    }

    /// A request that is made with this one, or alone.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { token: self.token.child_token(), deadline: Arc::clone(&self.deadline) }
    }

    /// Asks everyone who holds this to stop.
    pub fn request(&self) {
        self.token.cancel();
    }

    /// As [`Shutdown::request`], and what is in flight must be over after `grace`. The first such
    /// request counts.
    pub fn request_within(&self, grace: Duration) {
        self.deadline.get_or_init(|| Instant::now() + grace);
        self.request();
    }

    /// How long what is in flight may still take: until the request's own deadline, or `grace` when
    /// it has none.
    pub fn left(&self, grace: Duration) -> Duration {
        self.deadline.get().map_or(grace, |deadline| deadline.saturating_duration_since(Instant::now()))
    }

    pub fn is_requested(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Resolves when the stop is asked for. Cancel-safe, and owns what it waits on.
    pub fn requested(&self) -> WaitForCancellationFutureOwned {
        self.token.clone().cancelled_owned()
    }
}

/// Tasks that live and die together: when one fails, [`Group::join`] asks the others to stop and
/// returns the first failure. Dropping the group aborts what is left.
#[derive(Debug, Default)]
pub struct Group {
    tasks: JoinSet<Result<(), Fault>>,
    shutdown: Shutdown,
}

impl Group {
    /// A group whose tasks are asked to stop with `parent`.
    pub fn new(parent: &Shutdown) -> Self {
        Self { tasks: JoinSet::new(), shutdown: parent.child() }
    }

    /// The request that this group's tasks should watch.
    pub fn shutdown(&self) -> &Shutdown {
        &self.shutdown
    }

    /// Starts a task of this group.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that spawns")]
    pub fn spawn(&mut self, task: impl Future<Output = Result<(), Fault>> + Send + 'static) {
        self.tasks.spawn(task);
    }

    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// The number of tasks not yet joined.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Waits for the next task to end; `None` when there is none. Cancel-safe.
    ///
    /// # Errors
    /// The task's fault; a panic is an internal fault.
    pub async fn next(&mut self) -> Option<Result<(), Fault>> {
        self.tasks.join_next().await.map(|joined| match joined {
            Ok(result) => result,
            Err(error) if error.is_cancelled() => Ok(()),
            Err(error) => Err(Fault::new(FaultKind::Internal, "run a task", "it panicked").with_source(error)),
        })
    }

    /// Waits for all tasks. The first failure asks the rest to stop and is returned at the end.
    ///
    /// # Errors
    /// The first fault of any task.
    pub async fn join(mut self) -> Result<(), Fault> {
        let mut first = Ok(());
        while let Some(result) = self.next().await {
            if let Err(fault) = result
                && first.is_ok()
            {
                self.shutdown.request();
                first = Err(fault);
            }
        }
        first
    }

    /// Ends all tasks where they stand and waits until they are gone.
    pub async fn abort(mut self) {
        self.tasks.shutdown().await;
    }
}
