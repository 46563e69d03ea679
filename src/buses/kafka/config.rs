//! The settings of a Kafka bus.

use std::collections::BTreeMap;

use serde::Deserialize;

pub use crate::api::Keep;
use crate::api::client::{self, Endpoint, Sasl, Tls};
use crate::api::event_bus::{BusSpec, KafkaBus, RetentionSpec};
use crate::api::metadata::{self, Key, Metadata, Shape, Values};
use crate::api::{FieldPath, Problems, Secrets};

/// The keys of a Component's metadata, beside those that begin with [`CLIENT_KEY`].
pub const KEYS: [Key; 12] = [
    ("brokers", Shape::Text),
    ("partitions", Shape::Number),
    ("replicationFactor", Shape::Number),
    ("sasl.mechanism", Shape::Text),
    ("sasl.username", Shape::Secret),
    ("sasl.password", Shape::Secret),
    ("tls.ca", Shape::Secret),
    ("tls.cert", Shape::Secret),
    ("tls.key", Shape::Secret),
    ("tls.insecureSkipVerify", Shape::Flag),
    ("retention.age", Shape::Text),
    ("retention.size", Shape::Text),
];

/// What a key begins with whose rest is the name of one of [`CLIENT_SETTINGS`].
const CLIENT_KEY: &str = "config.";

/// The settings of librdkafka that `config` may hold: those that tune connections, batches and
/// fetching. What decides whether events are lost (`acks`, idempotence, offsets) cannot be set.
pub const CLIENT_SETTINGS: &[&str] = &[
    "batch.num.messages",
    "batch.size",
    "broker.address.family",
    "client.dns.lookup",
    "client.rack",
    "compression.codec",
    "compression.level",
    "compression.type",
    "connections.max.idle.ms",
    "delivery.timeout.ms",
    "fetch.max.bytes",
    "fetch.message.max.bytes",
    "fetch.min.bytes",
    "fetch.wait.max.ms",
    "heartbeat.interval.ms",
    "linger.ms",
    "max.poll.interval.ms",
    "message.max.bytes",
    "message.timeout.ms",
    "metadata.max.age.ms",
    "queue.buffering.max.kbytes",
    "queue.buffering.max.messages",
    "queue.buffering.max.ms",
    "queued.max.messages.kbytes",
    "queued.min.messages",
    "reconnect.backoff.max.ms",
    "reconnect.backoff.ms",
    "request.timeout.ms",
    "session.timeout.ms",
    "socket.connection.setup.timeout.ms",
    "socket.keepalive.enable",
    "socket.nagle.disable",
    "socket.receive.buffer.bytes",
    "socket.send.buffer.bytes",
    "socket.timeout.ms",
    "topic.metadata.refresh.interval.ms",
];

const DEFAULT_PARTITIONS: i32 = 6;
const DEFAULT_REPLICATION: i32 = 1;
/// More partitions in one topic than this are a slip: a broker serves some thousands in all.
const MAX_PARTITIONS: i32 = 10_000;
/// Kafka numbers replicas with 16 bits.
const MAX_REPLICATION: i32 = 32_767;

/// A Kafka cluster as a bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub brokers: Vec<Endpoint>,
    pub sasl: Option<Sasl>,
    pub tls: Option<Tls>,
    /// Of topics that are made.
    pub partitions: i32,
    /// Of topics that are made.
    pub replication_factor: i32,
    /// Of [`CLIENT_SETTINGS`].
    pub client: BTreeMap<String, String>,
    /// What the topics beside the events are named after, so that buses can share a cluster.
    pub name: String,
    pub keep: Keep,
}

impl Config {
    /// Reads the settings that stand at `path`.
    pub fn parse(raw: &KafkaBus, path: &FieldPath, secrets: &dyn Secrets, problems: &mut Problems) -> Self {
        let mut bounded = |name: &str, value: Option<i32>, default: i32, most: i32| {
            let value = value.unwrap_or(default);
            if !(1..=most).contains(&value) {
                problems.push(&path.field(name), format!("must be 1 to {most}, not {value}"));
            }
            value
        };
        Self {
            partitions: bounded("partitions", raw.partitions, DEFAULT_PARTITIONS, MAX_PARTITIONS),
            replication_factor: bounded(
                "replicationFactor",
                raw.replication_factor,
                DEFAULT_REPLICATION,
                MAX_REPLICATION,
            ),
            brokers: client::endpoints(&raw.brokers, &path.field("brokers"), problems),
            sasl: raw.sasl.as_ref().map(|sasl| Sasl::parse(sasl, &path.field("sasl"), secrets, problems)),
            tls: raw.tls.as_ref().map(|tls| Tls::parse(tls, &path.field("tls"), secrets, problems)),
            client: client::allowed(raw.config.as_ref(), CLIENT_SETTINGS, &path.field("config"), problems),
            name: "penstock".to_owned(),
            keep: Keep::default(),
        }
    }

    /// Reads the metadata of a Component; `None` when something is wrong.
    pub fn from_metadata(metadata: &Metadata, problems: &mut Problems) -> Option<Self> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Raw {
            #[serde(flatten)]
            kafka: KafkaBus,
            retention: Option<RetentionSpec>,
        }
        let before = problems.len();
        // The names of librdkafka have dots of their own.
        let (client, others): (Metadata, Metadata) =
            metadata.clone().into_iter().partition(|(name, _)| name.starts_with(CLIENT_KEY));
        let Raw { mut kafka, retention } = metadata::read(&others, &KEYS, problems)?;
        let client = client.into_iter().map(|(name, value)| (name[CLIENT_KEY.len()..].to_owned(), value));
        kafka.config = Some(client.collect());
        let config = Self::parse(&kafka, &metadata::path(), &Values(metadata), problems);
        let spec = BusSpec { retention, ..BusSpec::default() };
        let keep = Keep::parse(&spec, &metadata::path(), problems);
        (problems.len() == before).then_some(config.keeping(keep))
    }

    /// Names the topics beside the events after the bus `name`, of a cluster's bus when `namespace` is
    /// empty. Two buses never share any: a namespace has no dot.
    #[must_use]
    pub fn of_bus(self, namespace: &str, name: &str) -> Self {
        Self { name: format!("penstock.{namespace}.{name}"), ..self }
    }

    #[must_use]
    pub fn keeping(self, keep: Keep) -> Self {
        Self { keep, ..self }
    }
}
