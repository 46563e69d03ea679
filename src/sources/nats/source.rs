//! Connects, and works in the way that the settings say.

use async_trait::async_trait;

use super::config::{Config, Reading};
use super::consumer::Consumer;
use super::core::Core;
use super::stream::Reader;
use crate::dial;
use crate::dial::nats::{Manner, connect};
use crate::fault::{Fault, FaultKind};
use crate::flow;
use crate::task::{Backoff, Clock, Shutdown};

/// Messages of a subscription that wait in the client, at most.
const SUBSCRIPTION: usize = 1024;

/// One subject and where its events go.
pub type Entry = flow::Entry<Config>;

/// Listens to one subject.
pub struct Source {
    entry: Entry,
    clock: Clock,
}

impl Source {
    pub fn new(entry: Entry, clock: Clock) -> Self {
        Self { entry, clock }
    }
}

#[async_trait]
impl flow::Source for Source {
    async fn run(self: Box<Self>, shutdown: Shutdown) -> Result<(), Fault> {
        dial::work(&*self, &self.entry.config.backoff, &shutdown).await
    }
}

/// What is listened with.
pub enum Link {
    Core(Core),
    Stream(Box<Reader>),
}

impl dial::Client for Source {
    const SERVER: &'static str = "NATS";
    type Link = Link;

    async fn open(&self) -> Result<Link, Fault> {
        let Config { access, subject, reading, backoff, .. } = &self.entry.config;
        let slow = match reading {
            Reading::Core { .. } => "some are lost",
            Reading::Stream { .. } => "they come again",
        };
        let pauses = Backoff { base: backoff.base, factor: backoff.factor, jitter: backoff.jitter, cap: backoff.cap };
        let manner = Manner { subscription: SUBSCRIPTION, slow, backoff: pauses, attempts: backoff.steps };
        let (client, told) = Box::pin(connect(access, &manner)).await?;
        let link = match reading {
            Reading::Core { queue_group } => {
                Link::Core(Core::open(&client, &told, subject, queue_group.as_deref()).await?)
            }
            Reading::Stream { stream, durable, start } => {
                let name = durable.clone().unwrap_or_else(|| durable_name(&self.entry.identity));
                let consumer = Consumer { stream: stream.clone(), name, subject: subject.clone(), start: *start };
                Link::Stream(Box::new(Reader::open(client, told, consumer).await?))
            }
        };
        tracing::info!(subject, "listening to NATS");
        Ok(link)
    }

    async fn work(&self, link: Link, shutdown: &Shutdown) -> Result<(), Fault> {
        let worked = match link {
            Link::Core(core) => core.work(&self.entry, &self.clock, shutdown).await,
            Link::Stream(reader) => reader.work(&self.entry, shutdown).await,
        };
        worked.map_err(|fault| fault.with_context("subject", &self.entry.config.subject))
    }
}

/// The consumer of an event when it is given no other name. Two events never share one: names of
/// namespaces and `EventSources` have no underscore.
pub(super) fn durable_name(identity: &str) -> String {
    format!("penstock_{}", identity.replace('/', "_").replace('.', "="))
}

/// The client gave up coming back.
pub(super) fn gone() -> Fault {
    Fault::new(FaultKind::Closed, "listen to NATS", "the server did not come back")
}
