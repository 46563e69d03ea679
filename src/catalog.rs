//! The one list of kinds: what can be listened to, what can carry events, where they can go.
//!
//! A new kind is a folder in its room and a line in each `match` below. Explicit on purpose: a
//! reader finds every kind here. Imports the kinds and the seams; only `cli` imports this.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use crate::buses::{self, embedded, jetstream, redis};
use crate::fault::Fault;
use crate::flow::{Bus, Outlet, Sink, Source, Store, Topic};
use crate::sinks;
use crate::sources::{self, cron, http, kafka, kubernetes, mqtt, rabbitmq};
use crate::task::Clock;

/// What one event of an `EventSource` listens to.
#[derive(Debug)]
pub enum SourceConfig {
    Cron(cron::config::Config),
    Http(http::config::Config),
    Kafka(Box<kafka::Config>),
    Kubernetes(Box<kubernetes::config::Config>),
    Mqtt(Box<mqtt::config::Config>),
    Redis(Box<sources::redis::Config>),
    Rabbitmq(Box<rabbitmq::config::Config>),
}

impl SourceConfig {
    /// The `type` of events that are no `CloudEvents` when they come.
    pub fn default_type(&self) -> &'static str {
        match self {
            Self::Cron(_) => cron::DEFAULT_TYPE,
            Self::Http(_) => http::DEFAULT_TYPE,
            Self::Kafka(_) => kafka::DEFAULT_TYPE,
            Self::Kubernetes(_) => kubernetes::DEFAULT_TYPE,
            Self::Mqtt(_) => mqtt::DEFAULT_TYPE,
            Self::Redis(_) => sources::redis::DEFAULT_TYPE,
            Self::Rabbitmq(_) => rabbitmq::DEFAULT_TYPE,
        }
    }
}

/// One event of an `EventSource`, with everything that its source needs.
pub struct Feed {
    pub config: SourceConfig,
    pub outlet: Outlet,
    /// `namespace/source/event`: what tells it apart from all others, and the name under which the
    /// source keeps state.
    pub identity: String,
    /// Where the source keeps state.
    pub store: Arc<dyn Store>,
}

impl Feed {
    /// The `source` of events that are no `CloudEvents` when they come.
    pub fn origin(&self) -> String {
        format!("/{}", self.identity)
    }
}

/// Makes the sources of all feeds. Webhooks share their ports, which are open when this returns,
/// on the address `host`.
///
/// # Errors
/// When a port cannot be had, or a secret cannot be used.
pub async fn sources(feeds: Vec<Feed>, host: IpAddr, clock: &Clock) -> Result<Vec<Box<dyn Source>>, Fault> {
    let mut sources: Vec<Box<dyn Source>> = Vec::new();
    let mut webhooks: BTreeMap<u16, Vec<http::Entry>> = BTreeMap::new();
    for feed in feeds {
        let source = feed.origin();
        let Feed { config, outlet, identity, store } = feed;
        let ty = config.default_type().to_owned();
        match config {
            SourceConfig::Cron(config) => {
                let entry = cron::Entry { config, outlet, identity, source, ty };
                sources.push(Box::new(cron::Source::new(vec![entry], store, clock.clone())));
            }
            SourceConfig::Http(config) => {
                let entries = webhooks.entry(config.port).or_default();
                entries.push(http::Entry { config, outlet, source, ty });
            }
            #[cfg(feature = "kafka")]
            SourceConfig::Kafka(config) => {
                let entry = kafka::Entry { config: *config, outlet, identity, source, ty };
                sources.push(Box::new(kafka::Source::new(entry, clock.clone())));
            }
            #[cfg(not(feature = "kafka"))]
            SourceConfig::Kafka(_) => return Err(without_kafka()),
            SourceConfig::Kubernetes(config) => {
                let entry = kubernetes::Entry { config: *config, outlet, identity, source, ty };
                sources.push(Box::new(kubernetes::Source::new(entry, store, clock.clone())));
            }
            SourceConfig::Mqtt(config) => {
                let entry = mqtt::Entry { config: *config, outlet, identity, source, ty };
                sources.push(Box::new(mqtt::Source::new(entry, clock.clone())));
            }
            SourceConfig::Redis(config) => {
                let entry = sources::redis::Entry { config: *config, outlet, identity, source, ty };
                sources.push(Box::new(sources::redis::Source::new(entry)));
            }
            SourceConfig::Rabbitmq(config) => {
                let entry = rabbitmq::Entry { config: *config, outlet, identity, source, ty };
                sources.push(Box::new(rabbitmq::Source::new(entry, clock.clone())));
            }
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
    use crate::fault::FaultKind;
    Fault::new(FaultKind::Unsupported, "use Kafka", "penstock was built without the feature \"kafka\"")
}

/// What keeps and carries events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BusConfig {
    Embedded(embedded::config::Config),
    Jetstream(Box<jetstream::config::Config>),
    Kafka(Box<buses::kafka::config::Config>),
    Redis(Box<redis::config::Config>),
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
    }
}

/// Where events are delivered to.
#[derive(Clone, Debug)]
pub enum SinkConfig {
    Http(sinks::http::Config),
    Log,
    Topic(Topic),
}

/// Makes a sink; topics are those of `bus`, HTTP goes through `client`.
pub fn sink(config: SinkConfig, bus: &Arc<dyn Bus>, client: &sinks::http::Client) -> Arc<dyn Sink> {
    match config {
        SinkConfig::Http(config) => Arc::new(sinks::http::Sink::new(client.clone(), config)),
        SinkConfig::Log => Arc::new(sinks::log::Sink),
        SinkConfig::Topic(topic) => Arc::new(sinks::topic::Sink::new(bus.clone(), topic)),
    }
}
