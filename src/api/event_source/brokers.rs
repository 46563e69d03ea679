//! Settings of events that brokers bring.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::{ClientTls, EventCommon};
use crate::api::{SecretSource, SecretValue};

/// One Kafka topic.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KafkaEvent {
    #[serde(flatten)]
    pub common: EventCommon,
    /// `host:port`, comma separated. The same as `brokers`.
    pub url: Option<String>,
    /// `host:port`, comma separated. The same as `url`.
    pub brokers: Option<String>,
    /// The topic.
    pub topic: Option<String>,
    /// Only this partition.
    pub partition: Option<i32>,
    /// The consumer group.
    pub consumer_group: Option<ConsumerGroupSpec>,
    /// Whether SASL is used (`OpenFunction`).
    pub auth_required: Option<bool>,
    /// The SASL user (`OpenFunction`).
    pub sasl_username: Option<String>,
    /// The SASL password (`OpenFunction`).
    pub sasl_password: Option<SecretValue>,
    /// The largest message (`OpenFunction`).
    pub max_message_bytes: Option<i64>,
    /// SASL.
    pub sasl: Option<SaslSpec>,
    /// TLS.
    pub tls: Option<ClientTls>,
    /// More settings of librdkafka, by their own names.
    pub config: Option<BTreeMap<String, String>>,
}

/// A Kafka consumer group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConsumerGroupSpec {
    /// The group's name.
    pub group_name: Option<String>,
    /// Whether a new group starts at the oldest message.
    pub oldest: Option<bool>,
    /// `range`, `roundrobin` or `sticky`.
    pub rebalance_strategy: Option<String>,
}

/// SASL towards Kafka.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SaslSpec {
    /// `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`.
    pub mechanism: String,
    pub username: SecretSource,
    pub password: SecretSource,
}

/// One MQTT topic filter.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MqttEvent {
    #[serde(flatten)]
    pub common: EventCommon,
    /// The broker's address, such as `mqtt://host:1883`.
    pub url: String,
    /// The topic filter.
    pub topic: String,
    /// The client id; generated from namespace, source and event when absent.
    #[serde(rename = "consumerID", alias = "clientID")]
    pub consumer_id: Option<String>,
    /// 0, 1 (default) or 2.
    pub qos: Option<u8>,
    /// Whether retained messages are wanted.
    pub retain: Option<bool>,
    /// Whether the session is forgotten on disconnect.
    pub clean_session: Option<bool>,
    /// The authority that signed the broker's certificate (PEM).
    pub ca_cert: Option<SecretValue>,
    /// The client's certificate (PEM).
    pub client_cert: Option<SecretValue>,
    /// The client's key (PEM).
    pub client_key: Option<SecretValue>,
    /// `3.1.1` (default) or `5`.
    pub version: Option<String>,
    /// The shared subscription's group, for several replicas.
    pub shared_group: Option<String>,
    pub username: Option<SecretSource>,
    pub password: Option<SecretSource>,
}

/// One NATS subject.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NatsEvent {
    #[serde(flatten)]
    pub common: EventCommon,
    pub url: String,
    pub subject: String,
    pub queue_group: Option<String>,
    /// Reads from a `JetStream` stream.
    pub jetstream: Option<NatsStreamSpec>,
    pub user: Option<SecretSource>,
    pub password: Option<SecretSource>,
    pub token: Option<SecretSource>,
    pub credentials: Option<SecretSource>,
    pub nkey: Option<SecretSource>,
    pub tls: Option<ClientTls>,
}

/// A `JetStream` stream to read from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NatsStreamSpec {
    pub stream: String,
    pub durable: Option<String>,
    /// `all`, `new` or `last`.
    pub deliver_policy: Option<String>,
}

/// One Redis stream.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RedisEvent {
    #[serde(flatten)]
    pub common: EventCommon,
    /// `host:port`.
    pub redis_host: String,
    pub redis_password: Option<SecretValue>,
    /// The stream's key; the event's name when absent.
    pub stream: Option<String>,
    pub consumer_group: Option<String>,
    /// Whether a new group starts at the oldest entry.
    pub from_beginning: Option<bool>,
    pub tls: Option<ClientTls>,
    #[serde(rename = "enableTLS")]
    pub enable_tls: Option<bool>,
    pub failover: Option<bool>,
    pub sentinel_master_name: Option<String>,
    pub redeliver_interval: Option<String>,
    pub processing_timeout: Option<String>,
    /// `node` or `cluster`.
    pub redis_type: Option<String>,
    #[serde(rename = "redisDB")]
    pub redis_db: Option<i64>,
    pub redis_max_retries: Option<i64>,
    pub redis_min_retry_interval: Option<String>,
    pub redis_max_retry_interval: Option<String>,
    pub dial_timeout: Option<String>,
    pub read_timeout: Option<String>,
    pub write_timeout: Option<String>,
    pub pool_size: Option<i64>,
    pub pool_timeout: Option<String>,
    pub max_conn_age: Option<String>,
    pub min_idle_conns: Option<i64>,
    pub idle_check_frequency: Option<String>,
    pub idle_timeout: Option<String>,
}

/// One `RabbitMQ` queue.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RabbitmqEvent {
    #[serde(flatten)]
    pub common: EventCommon,
    /// The broker's address, such as `amqp://host:5672/vhost`.
    pub url: String,
    pub queue: Option<String>,
    pub exchange: Option<RabbitmqExchange>,
    /// Messages in flight; 64 when absent.
    pub prefetch: Option<u16>,
    /// Whether queue and exchange are declared; true when absent.
    pub declare: Option<bool>,
    pub username: Option<SecretSource>,
    pub password: Option<SecretSource>,
    pub tls: Option<ClientTls>,
}

/// An exchange that the queue is bound to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RabbitmqExchange {
    pub name: String,
    /// `direct`, `topic`, `fanout` or `headers`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    pub routing_keys: Option<Vec<String>>,
    pub durable: Option<bool>,
}
