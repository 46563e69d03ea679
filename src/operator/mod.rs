//! Keeps a cluster as its `EventSource`s, buses and Triggers say: `kubectl apply`, and it runs.
//!
//! - `watch` keeps what the API server says in the `world` (of each object what somebody reads: `kept`), and tells
//!   the `queue` whom it concerns (`interest`).
//! - `reconcile` looks at one object: finds what it refers to (`sinks`), has it judged (`judge`), builds
//!   what it comes to (`build`, pure), applies that (`apply`, `child`) and tells its status (`status`).
//! - `lease`: of several operators, one writes.
//!
//! Everything is written by server-side apply with one field manager, and only where it is not as it should be:
//! a look at what is right writes nothing. It runs no events itself, and knows neither brokers nor `flow`. Imports
//! `api`, `fault`, `task`, `telemetry`, `layout`, the configs of the kinds and `router::route`.

mod apply;
mod build;
mod child;
mod interest;
mod judge;
mod kept;
mod lease;
mod names;
mod queue;
mod reconcile;
mod resource;
mod settings;
mod sinks;
mod status;
mod watch;
mod world;

pub use apply::fault;
pub use judge::{Findings, Judge};
pub use settings::{LeaseName, Settings};

use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use kube::runtime::events::{Recorder, Reporter};

use crate::fault::Fault;
use crate::task::{self, Clock, Group, Shutdown};
use crate::telemetry::Operator as Counts;
use interest::Interests;
use lease::Election;
use queue::Queue;
use reconcile::Reconciler;
use watch::Watches;
use world::{State, World};

/// Between two looks whether all kinds have been read.
const LOOK: Duration = Duration::from_millis(50);

/// What an operator is given.
pub struct Operator {
    pub client: Client,
    pub settings: Settings,
    pub judge: Arc<dyn Judge>,
    pub clock: Clock,
    pub counts: Counts,
}

impl Operator {
    /// Waits for the lease, if there is one, and looks after the cluster until `shutdown`. `ready` is called
    /// when everything has been read once.
    ///
    /// # Errors
    /// When the lease is lost: whoever has it now must not meet another one who writes.
    pub async fn run(self, shutdown: &Shutdown, ready: impl Fn() + Send) -> Result<(), Fault> {
        let Some(name) = self.settings.lease.clone() else {
            return self.lead(shutdown, ready).await;
        };
        let mut election = Election::new(self.client.clone(), name, self.settings.identity.clone(), self.clock.clone());
        // Cancel-safe: what was taken and not told ends by itself.
        tokio::select! {
            () = shutdown.requested() => return Ok(()),
            () = election.win() => {}
        }
        self.counts.leads(true);
        let outcome = tokio::select! {
            outcome = self.lead(shutdown, ready) => outcome,
            lost = election.keep() => return Err(lost),
        };
        election.release().await;
        outcome
    }

    async fn lead(&self, shutdown: &Shutdown, ready: impl Fn() + Send) -> Result<(), Fault> {
        let (world, interests) = (Arc::new(World::default()), Arc::new(Interests::default()));
        let queue = Arc::new(Queue::new(self.counts.clone()));
        let shared = (world.clone(), interests.clone(), queue.clone());
        let (watches, asked) = Watches::new(self.client.clone(), shared, self.settings.namespaces.clone());
        let kinds = watches.kinds();
        let mut tasks = Group::new(shutdown);
        watches.clone().start(asked, &mut tasks);
        while kinds.iter().any(|kind| world.state(kind) == State::Unread) {
            tokio::select! {
                () = shutdown.requested() => return tasks.join().await,
                () = task::sleep(LOOK) => {}
            }
        }
        ready();
        let reporter = Reporter { controller: "penstock".to_owned(), instance: Some(self.settings.identity.clone()) };
        let reconciler = Arc::new(Reconciler {
            client: self.client.clone(),
            world,
            interests,
            queue,
            watches,
            settings: self.settings.clone(),
            judge: self.judge.clone(),
            clock: self.clock.clone(),
            recorder: Recorder::new(self.client.clone(), reporter),
            counts: self.counts.clone(),
            used: std::sync::Mutex::default(),
            known: std::sync::Mutex::default(),
        });
        for _ in 0..self.settings.workers.max(1) {
            tasks.spawn(work(reconciler.clone(), tasks.shutdown().clone()));
        }
        tasks.join().await
    }
}

/// Looks at one object after the other. What has begun is finished at a stop.
async fn work(reconciler: Arc<Reconciler>, shutdown: Shutdown) -> Result<(), Fault> {
    loop {
        let key = tokio::select! {
            () = shutdown.requested() => return Ok(()),
            key = reconciler.queue.next() => key,
        };
        let looked = reconciler.reconcile(&key).await;
        if let Err(fault) = &looked {
            let (kind, namespace, name) = (key.kind.as_str(), &key.namespace, &key.name);
            tracing::warn!(kind, namespace, name, fault = fault.chain(), "it will be tried again");
        }
        reconciler.counts.looked(key.kind.as_str(), looked.is_ok());
        reconciler.queue.done(&key, looked.is_ok());
    }
}
