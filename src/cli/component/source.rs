//! Sources, made of Components.

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;

use super::bus::Buses;
use crate::api::Problems;
use crate::api::metadata::{self, Metadata};
use crate::buses::embedded;
use crate::catalog::BusConfig;
use crate::component::{Factory, Made};
use crate::event::Draft;
use crate::fault::{Fault, FaultKind};
use crate::flow::outlet;
#[cfg(feature = "kafka")]
use crate::sources::kafka;
use crate::sources::{cron, http, kubernetes, mqtt, rabbitmq, redis};
use crate::task::Clock;

/// Events of one source that wait for daprd; a webhook that finds it full answers 503.
const OUTLET_BOUND: usize = 1024;

/// The bus whose store keeps how far schedules and watches have come.
const SCHEDULES: &str = "schedules";

/// The key that names the `source` of a Component's events that are no `CloudEvents` when they come; a slash
/// and the Component's name when absent.
const SOURCE: &str = "source";

/// Webhooks: one Component is one path; Components may share a port.
pub struct HttpSource {
    ports: http::Ports,
}

impl HttpSource {
    pub fn new(host: IpAddr, clock: Clock) -> Self {
        Self { ports: http::Ports::new(host, clock) }
    }
}

#[async_trait]
impl Factory for HttpSource {
    async fn make(&self, instance: &str, metadata: &Metadata) -> Result<Made, Fault> {
        let mut problems = Problems::new();
        let (metadata, source) = origin(instance, metadata, &mut problems);
        let config = http::Config::from_metadata(instance, &metadata, &mut problems);
        let config = config.filter(|_| problems.is_empty()).ok_or_else(|| refused(&problems))?;
        let (outlet, events) = outlet(OUTLET_BOUND);
        let entry = http::Entry { config, outlet, source, ty: http::DEFAULT_TYPE.to_owned() };
        Ok(Made::Source { source: self.ports.join(entry).await?, events })
    }
}

/// Schedules: one Component is one schedule.
pub struct CronSource {
    pub buses: Arc<Buses>,
    pub clock: Clock,
}

#[async_trait]
impl Factory for CronSource {
    async fn make(&self, instance: &str, metadata: &Metadata) -> Result<Made, Fault> {
        let mut problems = Problems::new();
        let (metadata, source) = origin(instance, metadata, &mut problems);
        let config = cron::Config::from_metadata(&metadata, &mut problems);
        let config = config.filter(|_| problems.is_empty()).ok_or_else(|| refused(&problems))?;
        let opened =
            self.buses.open(SCHEDULES, SCHEDULES, BusConfig::Embedded(embedded::config::Config::default())).await?;
        let (outlet, events) = outlet(OUTLET_BOUND);
        let entry =
            cron::Entry { config, outlet, identity: instance.to_owned(), source, ty: cron::DEFAULT_TYPE.to_owned() };
        let source = cron::Source::new(vec![entry], opened.store, self.clock.clone());
        Ok(Made::Source { source: Box::new(source), events })
    }
}

/// Kubernetes: one Component is one kind of object.
pub struct KubernetesSource {
    pub buses: Arc<Buses>,
    pub clock: Clock,
}

#[async_trait]
impl Factory for KubernetesSource {
    async fn make(&self, instance: &str, metadata: &Metadata) -> Result<Made, Fault> {
        let mut problems = Problems::new();
        let (metadata, source) = origin(instance, metadata, &mut problems);
        let config = kubernetes::Config::from_metadata(&metadata, &mut problems);
        let config = config.filter(|_| problems.is_empty()).ok_or_else(|| refused(&problems))?;
        let opened =
            self.buses.open(SCHEDULES, SCHEDULES, BusConfig::Embedded(embedded::config::Config::default())).await?;
        let (outlet, events) = outlet(OUTLET_BOUND);
        let (identity, ty) = (instance.to_owned(), kubernetes::DEFAULT_TYPE.to_owned());
        let entry = kubernetes::Entry { config, outlet, identity, source, ty };
        let source = kubernetes::Source::new(entry, opened.store, self.clock.clone());
        Ok(Made::Source { source: Box::new(source), events })
    }
}

/// MQTT: one Component is one topic filter.
pub struct MqttSource {
    pub clock: Clock,
}

#[async_trait]
impl Factory for MqttSource {
    async fn make(&self, instance: &str, metadata: &Metadata) -> Result<Made, Fault> {
        let mut problems = Problems::new();
        let (metadata, source) = origin(instance, metadata, &mut problems);
        let config = mqtt::Config::from_metadata(&metadata, &mut problems);
        let config = config.filter(|_| problems.is_empty()).ok_or_else(|| refused(&problems))?;
        let (outlet, events) = outlet(OUTLET_BOUND);
        let entry =
            mqtt::Entry { config, outlet, identity: instance.to_owned(), source, ty: mqtt::DEFAULT_TYPE.to_owned() };
        Ok(Made::Source { source: Box::new(mqtt::Source::new(entry, self.clock.clone())), events })
    }
}

/// Kafka: one Component is one topic.
#[cfg(feature = "kafka")]
pub struct KafkaSource {
    pub clock: Clock,
}

#[cfg(feature = "kafka")]
#[async_trait]
impl Factory for KafkaSource {
    async fn make(&self, instance: &str, metadata: &Metadata) -> Result<Made, Fault> {
        let mut problems = Problems::new();
        let (metadata, source) = origin(instance, metadata, &mut problems);
        let config = kafka::Config::from_metadata(&metadata, &mut problems);
        let config = config.filter(|_| problems.is_empty()).ok_or_else(|| refused(&problems))?;
        let (outlet, events) = outlet(OUTLET_BOUND);
        let entry =
            kafka::Entry { config, outlet, identity: instance.to_owned(), source, ty: kafka::DEFAULT_TYPE.to_owned() };
        Ok(Made::Source { source: Box::new(kafka::Source::new(entry, self.clock.clone())), events })
    }
}

/// Redis: one Component is one stream.
pub struct RedisSource;

#[async_trait]
impl Factory for RedisSource {
    async fn make(&self, instance: &str, metadata: &Metadata) -> Result<Made, Fault> {
        let mut problems = Problems::new();
        let (metadata, source) = origin(instance, metadata, &mut problems);
        let config = redis::Config::from_metadata(instance, &metadata, &mut problems);
        let config = config.filter(|_| problems.is_empty()).ok_or_else(|| refused(&problems))?;
        let (outlet, events) = outlet(OUTLET_BOUND);
        let entry =
            redis::Entry { config, outlet, identity: instance.to_owned(), source, ty: redis::DEFAULT_TYPE.to_owned() };
        Ok(Made::Source { source: Box::new(redis::Source::new(entry)), events })
    }
}

/// `RabbitMQ`: one Component is one queue.
pub struct RabbitmqSource {
    pub clock: Clock,
}

#[async_trait]
impl Factory for RabbitmqSource {
    async fn make(&self, instance: &str, metadata: &Metadata) -> Result<Made, Fault> {
        let mut problems = Problems::new();
        let (metadata, source) = origin(instance, metadata, &mut problems);
        let config = rabbitmq::Config::from_metadata(&metadata, &mut problems);
        let config = config.filter(|_| problems.is_empty()).ok_or_else(|| refused(&problems))?;
        let (outlet, events) = outlet(OUTLET_BOUND);
        let entry = rabbitmq::Entry {
            config,
            outlet,
            identity: instance.to_owned(),
            source,
            ty: rabbitmq::DEFAULT_TYPE.to_owned(),
        };
        Ok(Made::Source { source: Box::new(rabbitmq::Source::new(entry, self.clock.clone())), events })
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
