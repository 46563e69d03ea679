//! `EventSource`: what is listened to.

mod brokers;
mod common;
mod cron;
mod http;
mod objects;

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use brokers::{
    ConsumerGroupSpec, KafkaEvent, MqttEvent, NatsEvent, NatsStreamSpec, RabbitmqEvent, RabbitmqExchange, RedisEvent,
    SaslSpec,
};
pub use common::{AuthRef, ClientTls, ConnectionBackoff, EventCommon, ScaleOption};
pub use cron::CronEvent;
pub use http::{HttpEvent, ResponseSpec, ServerTls, SignatureSpec};
pub use objects::{KubernetesEvent, S3Event, S3Filter};

use super::SinkSpec;
use super::any::Object;
use super::status::EventSourceStatus;
use super::trigger::DeliverySpec;

/// What is listened to, and where its events go: a bus, a sink, or both. Each kind is a map of
/// event names to settings.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[kube(
    group = "events.openfunction.io",
    version = "v1alpha1",
    kind = "EventSource",
    plural = "eventsources",
    shortname = "es",
    category = "events",
    namespaced,
    status = "EventSourceStatus",
    derive = "Default",
    derive = "PartialEq",
    printcolumn = r#"{"name":"EventBus","type":"string","jsonPath":".spec.eventBus"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct EventSourceSpec {
    /// The `EventBus` (in the namespace first, then `ClusterEventBus`); `default` when there is no sink either.
    pub event_bus: Option<String>,
    /// A direct sink, beside the bus or instead of it.
    pub sink: Option<SinkSpec>,
    /// How the direct sink is delivered to; the block of a Trigger's subscriber.
    pub delivery: Option<DeliverySpec>,
    /// `deployment` (default), or `function`: an `OpenFunction` Function drives the workload.
    pub workload: Option<String>,
    /// Overrides of the pod template, merged strategically.
    pub template: Option<Object>,
    /// `trace`, `debug`, `info`, `warn`, `error`, or `OpenFunction`'s number as text.
    pub log_level: Option<String>,
    /// How a function's image is built. No effect: the workload's image is Penstock's own.
    pub build: Option<Object>,
    /// Webhooks and `CloudEvents` over HTTP.
    pub http: Option<BTreeMap<String, HttpEvent>>,
    /// Schedules.
    pub cron: Option<BTreeMap<String, CronEvent>>,
    /// Kafka topics.
    pub kafka: Option<BTreeMap<String, KafkaEvent>>,
    /// MQTT topics.
    pub mqtt: Option<BTreeMap<String, MqttEvent>>,
    /// NATS subjects, core or `JetStream`.
    pub nats: Option<BTreeMap<String, NatsEvent>>,
    /// Redis streams.
    pub redis: Option<BTreeMap<String, RedisEvent>>,
    /// `RabbitMQ` queues.
    pub rabbitmq: Option<BTreeMap<String, RabbitmqEvent>>,
    /// Object storage notifications.
    pub s3: Option<BTreeMap<String, S3Event>>,
    /// Kubernetes object changes.
    pub kubernetes: Option<BTreeMap<String, KubernetesEvent>>,
}
