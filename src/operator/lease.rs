//! Leader election: of several operators, the one that holds the Lease writes.
//!
//! The times in a Lease are other machines' clocks, which may be wrong. What counts is how long a Lease has not
//! changed by the clock of whoever waits for it.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::Client;
use kube::api::{Api, PostParams};

use super::apply::fault;
use super::settings::LeaseName;
use crate::fault::{Fault, FaultKind};
use crate::task::{self, Clock};

/// For so long after the last renewal, nobody else takes it.
const DURATION: Duration = Duration::from_secs(15);

/// Who holds it and cannot renew it for so long stops writing, well before somebody else may begin.
const GIVE_UP: Duration = Duration::from_secs(10);

/// Between two looks or renewals.
const EVERY: Duration = Duration::from_secs(2);

/// A Lease, seen by one of those who want it.
pub struct Election {
    api: Api<Lease>,
    name: LeaseName,
    identity: String,
    clock: Clock,
    elapsed: Box<dyn Fn() -> Duration + Send + Sync>,
    /// The version that was seen, and since when.
    seen: Option<(String, Duration)>,
}

/// What a look at the Lease comes to.
enum Step {
    /// It is ours now.
    Ours,
    /// Somebody else has it.
    Theirs,
}

impl Election {
    pub fn new(client: Client, name: LeaseName, identity: String, clock: Clock) -> Self {
        let api = Api::namespaced(client, &name.namespace);
        Self { api, name, identity, clock, elapsed: Box::new(task::stopwatch()), seen: None }
    }

    /// Waits until the Lease is ours. Cancel-safe.
    pub async fn win(&mut self) {
        let mut told = false;
        loop {
            match self.step().await {
                Ok(Step::Ours) => {
                    tracing::info!(lease = self.name.name, "this process leads");
                    return;
                }
                Ok(Step::Theirs) if !told => {
                    told = true;
                    tracing::info!(lease = self.name.name, "another process leads; waiting for its lease to end");
                }
                Ok(Step::Theirs) => {}
                Err(fault) => tracing::warn!(fault = fault.chain(), "the lease cannot be had"),
            }
            task::sleep(EVERY).await;
        }
    }

    /// Keeps the Lease; returns when it is lost.
    pub async fn keep(&mut self) -> Fault {
        let mut renewed = (self.elapsed)();
        loop {
            task::sleep(EVERY).await;
            let left = GIVE_UP.saturating_sub((self.elapsed)().saturating_sub(renewed));
            match task::within(left, self.step()).await {
                Some(Ok(Step::Ours)) => renewed = (self.elapsed)(),
                Some(Ok(Step::Theirs)) => return lost("another process has taken it"),
                Some(Err(fault)) => tracing::warn!(fault = fault.chain(), "the lease cannot be renewed"),
                None => return lost("it could not be renewed in time"),
            }
        }
    }

    /// Gives the Lease back, so that nobody has to wait for its end.
    pub async fn release(&mut self) {
        let Ok(Some(mut lease)) = self.api.get_opt(&self.name.name).await else { return };
        let spec = lease.spec.get_or_insert_default();
        if spec.holder_identity.as_deref() != Some(self.identity.as_str()) {
            return;
        }
        spec.holder_identity = None;
        if let Err(error) = self.api.replace(&self.name.name, &PostParams::default(), &lease).await {
            tracing::debug!(error = &error as &dyn std::error::Error, "the lease was not given back");
        }
    }

    async fn step(&mut self) -> Result<Step, Fault> {
        let found = self.api.get_opt(&self.name.name).await.map_err(|error| fault("read the lease", error))?;
        let written = match found {
            None => self.api.create(&PostParams::default(), &self.new_lease()).await,
            Some(lease) if self.may_take(&lease) => {
                let renewed = self.renewed(lease);
                self.api.replace(&self.name.name, &PostParams::default(), &renewed).await
            }
            Some(_) => return Ok(Step::Theirs),
        };
        match written {
            Ok(_) => Ok(Step::Ours),
            // Somebody else was quicker.
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(Step::Theirs),
            Err(error) => Err(fault("write the lease", error)),
        }
    }

    /// Whether it is ours, or nobody's, or has not been renewed for as long as its holder said.
    fn may_take(&mut self, lease: &Lease) -> bool {
        let spec = lease.spec.clone().unwrap_or_default();
        let holder = spec.holder_identity.unwrap_or_default();
        if holder == self.identity || holder.is_empty() {
            return true;
        }
        let version = lease.metadata.resource_version.clone().unwrap_or_default();
        let now = (self.elapsed)();
        let since = match &self.seen {
            Some((seen, since)) if *seen == version => *since,
            _ => {
                self.seen = Some((version, now));
                now
            }
        };
        let said = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        now.saturating_sub(since) >= said.map_or(DURATION, Duration::from_secs)
    }

    fn new_lease(&self) -> Lease {
        let metadata = ObjectMeta { name: Some(self.name.name.clone()), ..ObjectMeta::default() };
        self.renewed(Lease { metadata, spec: None })
    }

    fn renewed(&self, mut lease: Lease) -> Lease {
        let now: Timestamp = self.clock.now();
        let old = lease.spec.take().unwrap_or_default();
        let ours = old.holder_identity.as_deref() == Some(self.identity.as_str());
        let changes = old.lease_transitions.unwrap_or(0);
        lease.spec = Some(LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            acquire_time: old.acquire_time.filter(|_| ours).or(Some(MicroTime(now))),
            renew_time: Some(MicroTime(now)),
            lease_transitions: Some(if ours { changes } else { changes.saturating_add(1) }),
            ..old
        });
        lease
    }
}

fn lost(message: &str) -> Fault {
    Fault::new(FaultKind::Conflict, "keep the lease", message)
}
