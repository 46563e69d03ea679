//! Sources, made of Components.

use std::sync::Arc;

use async_trait::async_trait;

use super::bus::Buses;
use super::lent::Lent;
use crate::api::Problems;
use crate::api::event_source::S3Event;
use crate::api::metadata::{self, Metadata};
use crate::buses::embedded;
use crate::catalog::{self, BusConfig, Listener, S3Webhook, SourceConfig};
use crate::component::{Factory, Made};
use crate::event::Draft;
use crate::fault::{Fault, FaultKind};
use crate::flow::{Store, outlet};
use crate::layout::STATE_BUS;
use crate::sources::http::Ports;
#[cfg(feature = "kafka")]
use crate::sources::kafka;
use crate::sources::{cron, http, kubernetes, mqtt, nats, rabbitmq, redis, s3};
use crate::task::Clock;

/// Events of one source that wait for daprd; a webhook that finds it full answers 503.
const OUTLET_BOUND: usize = 1024;

/// The bus whose store keeps how far schedules and watches have come.
const SCHEDULES: &str = "schedules";

/// The key that names the `source` of a Component's events that are no `CloudEvents` when they come; a slash
/// and the Component's name when absent.
const SOURCE: &str = "source";

/// What all sources are made with.
pub struct Means {
    pub buses: Arc<Buses>,
    pub ports: Arc<Ports>,
    pub clock: Clock,
}

/// Reads the metadata of the Component of that name as settings; `None` when something is wrong.
type Read = fn(&str, &Metadata, &mut Problems) -> Option<SourceConfig>;

/// One kind of source: each Component is one source, but for webhooks, which are paths of ports that they may share.
pub struct SourceKind {
    pub means: Arc<Means>,
    pub read: Read,
}

#[async_trait]
impl Factory for SourceKind {
    async fn make(&self, instance: &str, metadata: &Metadata) -> Result<Made, Fault> {
        let Means { buses, ports, clock } = &*self.means;
        let mut problems = Problems::new();
        let (mut metadata, source) = origin(instance, metadata, &mut problems);
        let lender = metadata.remove(STATE_BUS);
        let config = (self.read)(instance, &metadata, &mut problems);
        if lender.is_some() && config.as_ref().is_some_and(|config| !config.keeps_state()) {
            problems
                .push(&metadata::path().field(STATE_BUS), "is for cron and kubernetes, which keep how far they are");
        }
        let config = config.filter(|_| problems.is_empty()).ok_or_else(|| refused(&problems))?;
        // What others keep on the bus too is told apart by where the events come from.
        let identity = lender.as_ref().map_or(instance, |_| source.trim_start_matches('/')).to_owned();
        let store: Option<Arc<dyn Store>> = match lender {
            _ if !config.keeps_state() => None,
            Some(bus) => Some(Arc::new(Lent { buses: buses.clone(), bus })),
            None => {
                let bus = BusConfig::Embedded(embedded::config::Config::default());
                Some(buses.open(SCHEDULES, SCHEDULES, bus).await?.store)
            }
        };
        let (outlet, events) = outlet(OUTLET_BOUND);
        let source = match catalog::listener(config.entry(outlet, identity, source), store, clock)? {
            Listener::Source(source) => source,
            Listener::Webhook(entry) => ports.join(*entry).await?,
        };
        Ok(Made::Source { source, events })
    }
}

pub fn http(instance: &str, metadata: &Metadata, problems: &mut Problems) -> Option<SourceConfig> {
    http::Config::from_metadata(instance, metadata, problems).map(SourceConfig::Http)
}

pub fn cron(_: &str, metadata: &Metadata, problems: &mut Problems) -> Option<SourceConfig> {
    cron::Config::from_metadata(metadata, problems).map(SourceConfig::Cron)
}

#[cfg(feature = "kafka")]
pub fn kafka(_: &str, metadata: &Metadata, problems: &mut Problems) -> Option<SourceConfig> {
    kafka::Config::from_metadata(metadata, problems).map(Box::new).map(SourceConfig::Kafka)
}

pub fn kubernetes(_: &str, metadata: &Metadata, problems: &mut Problems) -> Option<SourceConfig> {
    kubernetes::Config::from_metadata(metadata, problems).map(Box::new).map(SourceConfig::Kubernetes)
}

pub fn mqtt(_: &str, metadata: &Metadata, problems: &mut Problems) -> Option<SourceConfig> {
    mqtt::Config::from_metadata(metadata, problems).map(Box::new).map(SourceConfig::Mqtt)
}

pub fn nats(_: &str, metadata: &Metadata, problems: &mut Problems) -> Option<SourceConfig> {
    nats::Config::from_metadata(metadata, problems).map(Box::new).map(SourceConfig::Nats)
}

pub fn redis(instance: &str, metadata: &Metadata, problems: &mut Problems) -> Option<SourceConfig> {
    redis::Config::from_metadata(instance, metadata, problems).map(Box::new).map(SourceConfig::Redis)
}

pub fn rabbitmq(_: &str, metadata: &Metadata, problems: &mut Problems) -> Option<SourceConfig> {
    rabbitmq::Config::from_metadata(metadata, problems).map(Box::new).map(SourceConfig::Rabbitmq)
}

/// The keys of object storage are its own, and those of the webhook that it may be.
pub fn s3(instance: &str, metadata: &Metadata, problems: &mut Problems) -> Option<SourceConfig> {
    let keys = [&s3::config::KEYS[..], &http::config::KEYS[..]].concat();
    let raw: S3Event = metadata::read(metadata, &keys, problems)?;
    let s3 = s3::Config::from_metadata(&raw, metadata, problems)?;
    match s3.mode {
        s3::config::Mode::Listen(_) => Some(SourceConfig::S3Listen(Box::new(s3))),
        s3::config::Mode::Webhook => {
            let values = metadata::Values(metadata);
            let http = http::Config::parse(&raw.http, instance, &metadata::path(), &values, problems)?;
            Some(SourceConfig::S3Webhook(Box::new(S3Webhook { http, s3 })))
        }
    }
}

/// The metadata without our own key, and the `source` of events that are no `CloudEvents` when they come.
fn origin(instance: &str, metadata: &Metadata, problems: &mut Problems) -> (Metadata, String) {
    let mut metadata = metadata.clone();
    let source = metadata.remove(SOURCE).unwrap_or_else(|| format!("/{instance}"));
    if let Err(error) = Draft::new("1", &source, "t").build() {
        problems.push(&metadata::path().field(SOURCE), error.to_string());
    }
    (metadata, source)
}

fn refused(problems: &Problems) -> Fault {
    Fault::new(FaultKind::Rejected, "read the Component", problems.to_string())
}
