//! Sources, made of Components.

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;

use super::bus::EmbeddedBus;
use crate::api::Problems;
use crate::api::metadata::Metadata;
use crate::buses::embedded;
use crate::component::{Factory, Made};
use crate::fault::{Fault, FaultKind};
use crate::flow::outlet;
use crate::sources::{cron, http, mqtt, rabbitmq};
use crate::task::Clock;

/// Events of one source that wait for daprd; a webhook that finds it full answers 503.
const OUTLET_BOUND: usize = 1024;

/// The bus whose store keeps how far schedules have come.
const SCHEDULES: &str = "schedules";

/// Webhooks: one Component is one path on a port of its own.
pub struct HttpSource {
    pub host: IpAddr,
    pub clock: Clock,
}

#[async_trait]
impl Factory for HttpSource {
    async fn make(&self, instance: &str, metadata: &Metadata) -> Result<Made, Fault> {
        let mut problems = Problems::new();
        let config = http::Config::from_metadata(instance, metadata, &mut problems);
        let config = config.ok_or_else(|| refused(&problems))?;
        let (outlet, events) = outlet(OUTLET_BOUND);
        let entry = http::Entry { config, outlet, source: origin(instance), ty: http::DEFAULT_TYPE.to_owned() };
        let mut source = http::Source::new(self.host, vec![entry], self.clock.clone())?;
        source.bind().await?;
        Ok(Made::Source { source: Box::new(source), events })
    }
}

/// Schedules: one Component is one schedule.
pub struct CronSource {
    pub buses: Arc<EmbeddedBus>,
    pub clock: Clock,
}

#[async_trait]
impl Factory for CronSource {
    async fn make(&self, instance: &str, metadata: &Metadata) -> Result<Made, Fault> {
        let mut problems = Problems::new();
        let config = cron::Config::from_metadata(metadata, &mut problems);
        let config = config.ok_or_else(|| refused(&problems))?;
        let opened = self.buses.open(SCHEDULES, SCHEDULES, embedded::config::Config::default()).await?;
        let (outlet, events) = outlet(OUTLET_BOUND);
        let entry = cron::Entry {
            config,
            outlet,
            identity: instance.to_owned(),
            source: origin(instance),
            ty: cron::DEFAULT_TYPE.to_owned(),
        };
        let source = cron::Source::new(vec![entry], opened.store, self.clock.clone());
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
        let config = mqtt::Config::from_metadata(metadata, &mut problems);
        let config = config.ok_or_else(|| refused(&problems))?;
        let (outlet, events) = outlet(OUTLET_BOUND);
        let entry = mqtt::Entry {
            config,
            outlet,
            identity: instance.to_owned(),
            source: origin(instance),
            ty: mqtt::DEFAULT_TYPE.to_owned(),
        };
        Ok(Made::Source { source: Box::new(mqtt::Source::new(entry, self.clock.clone())), events })
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
        let config = rabbitmq::Config::from_metadata(metadata, &mut problems);
        let config = config.ok_or_else(|| refused(&problems))?;
        let (outlet, events) = outlet(OUTLET_BOUND);
        let entry = rabbitmq::Entry {
            config,
            outlet,
            identity: instance.to_owned(),
            source: origin(instance),
            ty: rabbitmq::DEFAULT_TYPE.to_owned(),
        };
        Ok(Made::Source { source: Box::new(rabbitmq::Source::new(entry, self.clock.clone())), events })
    }
}

/// The `source` of events that are no `CloudEvents` when they come.
fn origin(instance: &str) -> String {
    format!("/{instance}")
}

fn refused(problems: &Problems) -> Fault {
    Fault::new(FaultKind::Rejected, "read the Component", problems.to_string())
}
