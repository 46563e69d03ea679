//! `EventSource`: what is listened to.

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::status::EventSourceStatus;
use super::trigger::DeliverySpec;
use super::{SecretSource, SecretValue, SinkSpec};

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
    /// How the function image is built; used only with `workload: function`.
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

/// Any JSON object that is passed on as it is.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Object(pub serde_json::Map<String, Json>);

impl JsonSchema for Object {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Object".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
    }
}

/// Any JSON value.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Any(pub Json);

impl JsonSchema for Any {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Any".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"x-kubernetes-preserve-unknown-fields": true})
    }
}

/// Text or a whole number, as the user wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum IntOrText {
    Int(i64),
    Text(String),
}

impl JsonSchema for IntOrText {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "IntOrText".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"x-kubernetes-int-or-string": true})
    }
}

/// What every event of every kind may set.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventCommon {
    /// `CloudEvents` attributes to set or override; `type` and `subject` are common.
    pub attributes: Option<BTreeMap<String, String>>,
    /// A body that is not JSON is a poison message.
    pub json_body: Option<bool>,
    /// How a lost connection is retried.
    pub connection_backoff: Option<ConnectionBackoff>,
    /// How the workload is scaled (KEDA).
    pub scale_option: Option<ScaleOption>,
}

/// Pauses between connection attempts. Default: 1s, unlimited steps, factor 2, jitter 0.2, cap 30s.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionBackoff {
    /// The first pause: a duration as text, or nanoseconds.
    pub duration: Option<IntOrText>,
    /// How many attempts.
    pub steps: Option<u32>,
    /// Each pause is the one before times this.
    pub factor: Option<f64>,
    /// Up to this share of a pause is added at random.
    pub jitter: Option<f64>,
    /// No pause is longer than this.
    pub cap: Option<String>,
}

/// KEDA's settings (`OpenFunction`'s `scaleOption`).
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScaleOption {
    /// Seconds between two looks at the lag.
    pub polling_interval: Option<i32>,
    /// Seconds of quiet before the last replica goes.
    pub cooldown_period: Option<i32>,
    /// The fewest replicas.
    pub min_replica_count: Option<i32>,
    /// The most replicas.
    pub max_replica_count: Option<i32>,
    /// KEDA's `advanced` block.
    pub advanced: Option<Object>,
    /// More metadata of the scaler's trigger.
    pub metadata: Option<BTreeMap<String, String>>,
    /// KEDA's `authenticationRef`.
    pub auth_ref: Option<AuthRef>,
    /// The consumer group whose lag counts.
    pub consumer_group: Option<String>,
    /// The topic whose lag counts.
    pub topic: Option<String>,
    /// Events per replica; 10 when absent.
    pub lag_threshold: Option<String>,
    /// NATS only: the monitoring endpoint.
    pub nats_server_monitoring_endpoint: Option<String>,
    /// NATS only: the queue group.
    pub queue_group: Option<String>,
    /// NATS only: the durable name.
    pub durable_name: Option<String>,
    /// NATS only: the subject.
    pub subject: Option<String>,
}

/// A KEDA `TriggerAuthentication`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuthRef {
    pub name: String,
    /// `ClusterTriggerAuthentication` for a cluster-wide one.
    pub kind: Option<String>,
}

/// TLS towards a server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClientTls {
    /// The authority that signed the server's certificate (PEM).
    pub ca: Option<SecretSource>,
    /// The client's certificate (PEM).
    pub cert: Option<SecretSource>,
    /// The client's key (PEM).
    pub key: Option<SecretSource>,
    /// Accepts any server certificate. For trials only.
    pub insecure_skip_verify: Option<bool>,
}

/// One webhook.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HttpEvent {
    #[serde(flatten)]
    pub common: EventCommon,
    /// The path; `/<event>` when absent.
    pub path: Option<String>,
    /// The port; 8080 when absent. Events may share a port.
    pub port: Option<u16>,
    /// The methods taken; `[POST]` when absent.
    pub methods: Option<Vec<String>>,
    /// The largest body; `1Mi` when absent.
    pub max_body_bytes: Option<IntOrText>,
    /// A token that requests must carry as `Authorization: Bearer`.
    pub bearer: Option<SecretSource>,
    /// How the body is signed.
    pub signature: Option<SignatureSpec>,
    /// Serves HTTPS.
    pub tls: Option<ServerTls>,
    /// What a request that was kept is answered; code 202 and no body when absent.
    pub response: Option<ResponseSpec>,
}

/// How a request's body is signed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignatureSpec {
    /// `github`, `stripe` or `hmac`.
    pub scheme: String,
    /// `hmac` only: the header that carries the signature.
    pub header: Option<String>,
    /// `hmac` only: `sha1`, `sha256` (default) or `sha512`.
    pub algorithm: Option<String>,
    /// `hmac` only: `hex` (default) or `base64`.
    pub encoding: Option<String>,
    /// `hmac` only: text before the signature, such as `sha256=`.
    pub prefix: Option<String>,
    /// `stripe` only: how old a signature may be; `5m` when absent.
    pub tolerance: Option<String>,
    /// The shared secret.
    pub secret: SecretSource,
}

/// TLS of a server of ours.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServerTls {
    /// The certificate chain (PEM).
    pub cert: SecretSource,
    /// Its key (PEM).
    pub key: SecretSource,
    /// The authority whose client certificates are required (PEM).
    #[serde(rename = "clientCA")]
    pub client_ca: Option<SecretSource>,
}

/// The answer to a request that was kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResponseSpec {
    /// A 2xx status code.
    pub code: Option<u16>,
    /// The body.
    pub body: Option<String>,
}

/// One schedule.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CronEvent {
    #[serde(flatten)]
    pub common: EventCommon,
    /// Five or six fields, `@hourly` and its like, or `@every 5s`.
    pub schedule: String,
    /// An IANA time zone; UTC when absent.
    pub timezone: Option<String>,
    /// Ticks missed while stopped: `none` (default), `last` or `all`.
    pub catch_up: Option<String>,
    /// The data of every event: any YAML value.
    pub data: Option<Any>,
}

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
    #[serde(rename = "consumerID")]
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

/// Notifications of one bucket.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct S3Event {
    /// `mode: webhook` takes every setting of a webhook too.
    #[serde(flatten)]
    pub http: HttpEvent,
    /// `webhook` or `listen`.
    pub mode: String,
    pub endpoint: Option<String>,
    pub bucket: Option<String>,
    pub region: Option<String>,
    /// `["s3:ObjectCreated:*"]` when absent.
    pub events: Option<Vec<String>>,
    pub filter: Option<S3Filter>,
    pub access_key: Option<SecretSource>,
    pub secret_key: Option<SecretSource>,
}

/// Which object keys count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct S3Filter {
    pub prefix: Option<String>,
    pub suffix: Option<String>,
}

/// Changes of one kind of object.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KubernetesEvent {
    #[serde(flatten)]
    pub common: EventCommon,
    pub api_version: String,
    pub kind: String,
    /// The namespaces watched; the `EventSource`'s own when absent.
    pub namespaces: Option<Vec<String>>,
    pub all_namespaces: Option<bool>,
    pub label_selector: Option<String>,
    pub field_selector: Option<String>,
    /// `[added, modified, deleted]` when absent.
    pub events: Option<Vec<String>>,
    /// `full` (default) or `metadata`.
    pub object: Option<String>,
}
