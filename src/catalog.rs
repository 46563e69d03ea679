//! The one list of kinds: what can be listened to, what can carry events, where they can go.
//!
//! A new kind is a folder in its room and a line in each `match` below. Explicit on purpose: a
//! reader finds every kind here. Imports the kinds and the seams; only `cli` imports this.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use crate::buses::{self, embedded, jetstream, redis};
use crate::fault::{Fault, FaultKind};
use crate::flow::{Bus, Entry, Outlet, Sink, Source, Store, Topic};
use crate::sinks;
use crate::sources::{self, cron, http, kafka, kubernetes, mqtt, nats, rabbitmq, s3};
use crate::task::Clock;

/// What one event of an `EventSource` listens to.
#[derive(Debug)]
pub enum SourceConfig {
    Cron(cron::config::Config),
    Http(http::config::Config),
    Kafka(Box<kafka::Config>),
    Kubernetes(Box<kubernetes::config::Config>),
    Mqtt(Box<mqtt::config::Config>),
    Nats(Box<nats::config::Config>),
    Redis(Box<sources::redis::Config>),
    Rabbitmq(Box<rabbitmq::config::Config>),
    S3Webhook(Box<S3Webhook>),
    S3Listen(Box<s3::Config>),
}

/// A webhook that an object storage posts to.
#[derive(Debug)]
pub struct S3Webhook {
    pub http: http::Config,
    pub s3: s3::Config,
}

impl SourceConfig {
    /// Whether the source keeps how far it has come in a store.
    pub fn keeps_state(&self) -> bool {
        matches!(self, Self::Cron(_) | Self::Kubernetes(_))
    }

    /// What a source is made of, with the default type.
    pub fn entry(self, outlet: Outlet, identity: String, source: String) -> Entry<Self> {
        let ty = self.default_type().to_owned();
        Entry { config: self, outlet, identity, source, ty }
    }

    /// The `type` of events that are no `CloudEvents` when they come.
    fn default_type(&self) -> &'static str {
        match self {
            Self::Cron(_) => cron::DEFAULT_TYPE,
            Self::Http(_) => http::DEFAULT_TYPE,
            Self::Kafka(_) => kafka::DEFAULT_TYPE,
            Self::Kubernetes(_) => kubernetes::DEFAULT_TYPE,
            Self::Mqtt(_) => mqtt::DEFAULT_TYPE,
            Self::Nats(_) => nats::DEFAULT_TYPE,
            Self::Redis(_) => sources::redis::DEFAULT_TYPE,
            Self::Rabbitmq(_) => rabbitmq::DEFAULT_TYPE,
            // Never wrapped: each record tells the rest of its type.
            Self::S3Webhook(_) | Self::S3Listen(_) => s3::TYPE_PREFIX,
        }
    }
}

/// What listens to one entry.
pub enum Listener {
    Source(Box<dyn Source>),
    /// A path of a port, which others may share.
    Webhook(Box<http::Entry>),
}

/// Makes what listens to an entry. `store` is where it keeps how far it has come, if it [does](SourceConfig::keeps_state).
///
/// # Errors
/// `Unsupported` when this build has no client for it.
pub fn listener(entry: Entry<SourceConfig>, store: Option<Arc<dyn Store>>, clock: &Clock) -> Result<Listener, Fault> {
    let stateless = || Fault::new(FaultKind::Internal, "make a source", "it has no place to keep how far it has come");
    let clock = clock.clone();
    let (config, entry) = entry.split();
    let source: Box<dyn Source> = match config {
        SourceConfig::Cron(config) => {
            Box::new(cron::Source::new(vec![entry.with(config)], store.ok_or_else(stateless)?, clock))
        }
        SourceConfig::Http(config) => return Ok(webhook(entry.with(config), None)),
        #[cfg(feature = "kafka")]
        SourceConfig::Kafka(config) => Box::new(kafka::Source::new(entry.with(*config), clock)),
        #[cfg(not(feature = "kafka"))]
        SourceConfig::Kafka(_) => return Err(without_kafka()),
        SourceConfig::Kubernetes(config) => {
            Box::new(kubernetes::Source::new(entry.with(*config), store.ok_or_else(stateless)?, clock))
        }
        SourceConfig::Mqtt(config) => Box::new(mqtt::Source::new(entry.with(*config), clock)),
        SourceConfig::Nats(config) => Box::new(nats::Source::new(entry.with(*config), clock)),
        SourceConfig::Redis(config) => Box::new(sources::redis::Source::new(entry.with(*config))),
        SourceConfig::Rabbitmq(config) => Box::new(rabbitmq::Source::new(entry.with(*config), clock)),
        SourceConfig::S3Webhook(both) => {
            let S3Webhook { http, s3 } = *both;
            let reader = http::Reader::new(move |body| s3::posted(body, &s3));
            return Ok(webhook(entry.with(http), Some(reader)));
        }
        SourceConfig::S3Listen(config) => Box::new(s3::Source::new(entry.with(*config), clock)),
    };
    Ok(Listener::Source(source))
}

fn webhook(entry: Entry<http::Config>, reader: Option<http::Reader>) -> Listener {
    let Entry { config, outlet, source, ty, .. } = entry;
    Listener::Webhook(Box::new(http::Entry { config, outlet, source, ty, reader }))
}

/// Makes the sources of all entries, each with the store for how far it has come. Webhooks share their ports, which are
/// open when this returns, on the address `host`.
///
/// # Errors
/// When a port cannot be had, or a secret cannot be used.
pub async fn sources(
    entries: Vec<(Entry<SourceConfig>, Arc<dyn Store>)>,
    host: IpAddr,
    clock: &Clock,
) -> Result<Vec<Box<dyn Source>>, Fault> {
    let mut sources: Vec<Box<dyn Source>> = Vec::new();
    let mut webhooks: BTreeMap<u16, Vec<http::Entry>> = BTreeMap::new();
    for (entry, store) in entries {
        match listener(entry, Some(store), clock)? {
            Listener::Source(source) => sources.push(source),
            Listener::Webhook(entry) => webhooks.entry(entry.config.port).or_default().push(*entry),
        }
    }
    for entries in webhooks.into_values() {
        let mut source = http::Source::new(host, entries, clock.clone())?;
        source.bind().await?;
        sources.push(Box::new(source));
    }
    Ok(sources)
}

/// This build has no client of Kafka.
#[cfg(not(feature = "kafka"))]
fn without_kafka() -> Fault {
    Fault::new(FaultKind::Unsupported, "use Kafka", "penstock was built without the feature \"kafka\"")
}

/// What keeps and carries events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BusConfig {
    Embedded(embedded::config::Config),
    Jetstream(Box<jetstream::config::Config>),
    Kafka(Box<buses::kafka::config::Config>),
    Redis(Box<redis::config::Config>),
    /// A Component of Dapr's, which is daprd's to open.
    Component,
}

impl BusConfig {
    /// The bus that Components give this name, which says what it is called at its broker where the settings do not.
    #[must_use]
    pub fn of_components(self, name: &str) -> Self {
        match self {
            Self::Jetstream(config) => Self::Jetstream(Box::new(config.of_bus("", name))),
            Self::Kafka(config) => Self::Kafka(Box::new(config.of_bus("", name))),
            Self::Redis(config) => Self::Redis(Box::new(config.of_bus("", name))),
            Self::Embedded(_) | Self::Component => self,
        }
    }
}

/// A bus, and the store that its back end is as well.
#[derive(Clone)]
pub struct Opened {
    pub bus: Arc<dyn Bus>,
    pub store: Arc<dyn Store>,
}

/// Opens a bus; one that keeps its events here does so in `folder`.
///
/// # Errors
/// When the back end cannot be had.
pub async fn open(config: BusConfig, folder: &Path, clock: &Clock) -> Result<Opened, Fault> {
    match config {
        BusConfig::Embedded(config) => {
            let bus = Arc::new(embedded::Embedded::open(folder, config, clock.clone()).await?);
            Ok(Opened { bus: bus.clone(), store: bus })
        }
        BusConfig::Jetstream(config) => {
            let bus = Arc::new(jetstream::Jetstream::open(*config, clock.clone()).await?);
            Ok(Opened { bus: bus.clone(), store: bus })
        }
        #[cfg(feature = "kafka")]
        BusConfig::Kafka(config) => {
            let bus = Arc::new(buses::kafka::Kafka::open(*config, clock.clone()).await?);
            Ok(Opened { bus: bus.clone(), store: bus })
        }
        #[cfg(not(feature = "kafka"))]
        BusConfig::Kafka(_) => Err(without_kafka()),
        BusConfig::Redis(config) => {
            let bus = Arc::new(redis::Redis::open(*config).await?);
            Ok(Opened { bus: bus.clone(), store: bus })
        }
        BusConfig::Component => {
            let message = "a bus that is a Dapr Component is reached through daprd alone";
            Err(Fault::new(FaultKind::Unsupported, "open a bus", message))
        }
    }
}

/// Where events are delivered to.
#[derive(Clone, Debug)]
pub enum SinkConfig {
    Http(Box<sinks::http::Config>),
    Log,
    Topic(Topic),
}

/// Makes a sink; topics are those of `bus`, HTTP goes through `client`.
pub fn sink(config: SinkConfig, bus: &Arc<dyn Bus>, client: &sinks::http::Client) -> Arc<dyn Sink> {
    match config {
        SinkConfig::Http(config) => Arc::new(sinks::http::Sink::new(client.clone(), *config)),
        SinkConfig::Log => Arc::new(sinks::log::Sink),
        SinkConfig::Topic(topic) => Arc::new(sinks::topic::Sink::new(bus.clone(), topic)),
    }
}
