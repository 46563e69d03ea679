//! `EventBus` and `ClusterEventBus`: what keeps and carries events.

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SecretSource;
use super::any::{IntOrText, Object};
use super::event_source::{ClientTls, SaslSpec, ScaleOption};
use super::status::EventBusStatus;
use super::trigger::DeliverySpec;

/// What keeps and carries events: exactly one back end, and what holds for all of them.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[kube(
    group = "events.openfunction.io",
    version = "v1alpha1",
    kind = "EventBus",
    plural = "eventbus",
    shortname = "eb",
    category = "events",
    namespaced,
    status = "EventBusStatus",
    derive = "Default",
    derive = "PartialEq",
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct EventBusSpec {
    #[serde(flatten)]
    pub bus: BusSpec,
}

/// An `EventBus` for several namespaces.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[kube(
    group = "events.openfunction.io",
    version = "v1alpha1",
    kind = "ClusterEventBus",
    plural = "clustereventbus",
    shortname = "ceb",
    category = "events",
    status = "EventBusStatus",
    derive = "Default",
    derive = "PartialEq",
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct ClusterEventBusSpec {
    #[serde(flatten)]
    pub bus: BusSpec,
    /// Which namespaces may use it; all when absent.
    pub allowed_namespaces: Option<AllowedNamespaces>,
}

/// What both kinds of bus take.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BusSpec {
    /// The proposal's NATS block; runs on `JetStream`.
    pub nats: Option<NatsBlock>,
    /// `OpenFunction`'s NATS Streaming block; runs on `JetStream`.
    pub nats_streaming: Option<NatsStreamingBus>,
    /// NATS `JetStream`.
    pub jetstream: Option<JetstreamBus>,
    /// Apache Kafka.
    pub kafka: Option<KafkaBus>,
    /// Redis streams.
    pub redis: Option<RedisBus>,
    /// Inside the router's process, durable on its disk; one pod or one machine.
    pub embedded: Option<EmbeddedBus>,
    /// Any Dapr pub/sub component.
    pub component: Option<ComponentBus>,
    /// The prefix of every topic.
    pub topic: Option<String>,
    /// How topics are named; `{namespace}-{eventSource}-{event}` when absent.
    pub topic_template: Option<String>,
    /// How long and how much is kept.
    pub retention: Option<RetentionSpec>,
    /// How long a second event of the same source and id is recognised; 5m when absent.
    pub dedup_window: Option<String>,
    /// Defaults for every subscriber on this bus.
    pub delivery: Option<DeliverySpec>,
}

/// The proposal's `nats` block.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
pub struct NatsBlock {
    pub native: Option<NatsNative>,
}

/// The proposal's `nats.native` block.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NatsNative {
    #[serde(rename = "natsURL")]
    pub nats_url: String,
    /// `topic` or `queue`.
    pub subscription_type: Option<String>,
    /// Kept and unused: NATS Streaming is at its end of life.
    #[serde(rename = "natsStreamingClusterID")]
    pub nats_streaming_cluster_id: Option<String>,
}

/// `OpenFunction`'s `natsStreaming` block.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NatsStreamingBus {
    #[serde(rename = "natsURL")]
    pub nats_url: String,
    /// Kept and unused.
    #[serde(rename = "natsStreamingClusterID")]
    pub nats_streaming_cluster_id: Option<String>,
    /// `topic` or `queue`.
    pub subscription_type: Option<String>,
    pub durable_subscription_name: Option<String>,
    pub ack_wait_time: Option<String>,
    pub max_in_flight: Option<i64>,
    pub deliver_new: Option<bool>,
    pub deliver_all: Option<bool>,
    pub start_at_sequence: Option<i64>,
    pub start_with_last_received: Option<bool>,
    pub start_at_time: Option<String>,
    pub start_at_time_delta: Option<String>,
    pub start_at_time_format: Option<String>,
    #[serde(rename = "consumerID")]
    pub consumer_id: Option<String>,
    pub scale_option: Option<ScaleOption>,
}

/// NATS `JetStream` as a bus.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JetstreamBus {
    pub url: String,
    pub stream: Option<String>,
    /// 1 when absent.
    pub replicas: Option<u32>,
    /// `file` (default) or `memory`.
    pub storage: Option<String>,
    pub user: Option<SecretSource>,
    pub password: Option<SecretSource>,
    pub token: Option<SecretSource>,
    pub credentials: Option<SecretSource>,
    pub nkey: Option<SecretSource>,
    pub tls: Option<ClientTls>,
}

/// Kafka as a bus.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KafkaBus {
    /// `host:port`, comma separated.
    pub brokers: String,
    pub sasl: Option<SaslSpec>,
    pub tls: Option<ClientTls>,
    /// 6 when absent.
    pub partitions: Option<i32>,
    /// 1 when absent.
    pub replication_factor: Option<i32>,
    /// More settings of librdkafka, by their own names.
    pub config: Option<BTreeMap<String, String>>,
}

/// Redis streams as a bus.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RedisBus {
    /// `host:port`.
    pub address: Option<String>,
    pub username: Option<SecretSource>,
    pub password: Option<SecretSource>,
    pub db: Option<i64>,
    pub tls: Option<ClientTls>,
    pub sentinel: Option<SentinelSpec>,
    /// Whether the address is a Redis Cluster's.
    pub cluster: Option<bool>,
}

/// Redis Sentinel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct SentinelSpec {
    pub master: String,
    pub addresses: Vec<String>,
}

/// The embedded bus; it has no settings of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct EmbeddedBus {}

/// Any Dapr pub/sub component as a bus: one that is there, by its name, or one that is described here.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComponentBus {
    /// The name of a Dapr Component of the same namespace (of each user's, for a `ClusterEventBus`). It excludes the
    /// other fields.
    pub name: Option<String>,
    /// The component's type, such as `pubsub.azure.servicebus.topics`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    pub version: Option<String>,
    /// As in a Dapr Component: `name` with `value` or `secretKeyRef`.
    pub metadata: Option<Vec<Object>>,
    pub secret_store: Option<String>,
}

/// How long and how much a bus keeps per topic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct RetentionSpec {
    /// 168h when absent.
    pub age: Option<String>,
    /// 10Gi when absent.
    pub size: Option<IntOrText>,
}

/// Which namespaces may use a `ClusterEventBus`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
pub struct AllowedNamespaces {
    /// `All` (default), `Same` or `Selector`.
    pub from: Option<String>,
    /// A label selector over namespaces, with `from: Selector`.
    pub selector: Option<Object>,
}
