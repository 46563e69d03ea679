//! One event of an `EventSource`: as many watches as it has namespaces.

use std::sync::Arc;

use async_trait::async_trait;

use super::config::Config;
use super::link::{Link, Requests};
use super::mark::Mark;
use super::message::Terms;
use super::watch::Watch;
use crate::dial::Attempts;
use crate::fault::Fault;
use crate::flow::{self, Store};
use crate::task::{Clock, Group, Shutdown};

/// What is watched and where its events go; `ty` begins their types.
pub type Entry = flow::Entry<Config>;

/// Watches objects.
pub struct Source {
    entry: Entry,
    store: Arc<dyn Store>,
    clock: Clock,
}

impl Source {
    /// `store` keeps how far each watch has come, under keys that begin with `kubernetes/` and the identity.
    pub fn new(entry: Entry, store: Arc<dyn Store>, clock: Clock) -> Self {
        Self { entry, store, clock }
    }

    /// The API server, as soon as it answers; `None` when the stop was asked for meanwhile.
    async fn open(&self, shutdown: &Shutdown) -> Result<Option<Link>, Fault> {
        let mut attempts = Attempts::new("the Kubernetes API", &self.entry.config.backoff);
        loop {
            let opened = tokio::select! {
                () = shutdown.requested() => return Ok(None),
                opened = Link::open(&self.entry.config) => opened,
            };
            let fault = match opened {
                Ok(link) => return Ok(Some(link)),
                Err(fault) => fault,
            };
            tokio::select! {
                () = shutdown.requested() => return Ok(None),
                again = attempts.failed(fault) => again?,
            }
        }
    }
}

#[async_trait]
impl flow::Source for Source {
    async fn run(self: Box<Self>, shutdown: Shutdown) -> Result<(), Fault> {
        let Some(link) = self.open(&shutdown).await? else { return Ok(()) };
        let config = &self.entry.config;
        let terms = Terms {
            source: self.entry.source.clone(),
            ty: self.entry.ty.clone(),
            api_version: config.api_version(),
            kind: config.kind.clone(),
            plural: link.resource.plural.clone(),
        };
        let mut watches = Group::new(&shutdown);
        for namespace in link.namespaces {
            let watch = Watch::new(
                Requests::new(config, &link.resource, namespace.as_deref()),
                link.client.clone(),
                Mark::new(Arc::clone(&self.store), &self.entry.identity, namespace.as_deref(), config),
                terms.clone(),
                (self.entry.clone(), self.clock.clone(), watches.shutdown().clone()),
            );
            watches.spawn(watch.run());
        }
        watches.join().await
    }
}
