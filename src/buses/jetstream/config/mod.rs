//! The settings of a NATS `JetStream` bus, in three forms: `jetstream`, the proposal's
//! `nats.native` and `OpenFunction`'s `natsStreaming`. NATS Streaming is at its end of life, so the
//! latter two run on `JetStream` of the same address, and say so. A Dapr Component has the first.

mod component;
mod start;

use std::time::Duration;

pub use component::KEYS;
pub use start::Start;

pub use crate::api::Keep;
use crate::api::client;
use crate::api::client::nats::Fields;
pub use crate::api::client::nats::{Access, Login};
use crate::api::event_bus::{JetstreamBus, NatsNative, NatsStreamingBus};
use crate::api::{FieldPath, Problems, Secrets, value};

/// The most replicas of a stream that `JetStream` keeps.
const MAX_REPLICAS: u32 = 5;
const DEFAULT_ACK_WAIT: Duration = Duration::from_secs(30);
/// The longest name of a stream that leaves room for those of the streams beside it, in the 255
/// characters that the server takes.
const MAX_STREAM: usize = 240;

/// A NATS cluster with `JetStream` as a bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub access: Access,
    /// The stream that holds all topics; named after the bus when absent.
    pub stream: Option<String>,
    pub replicas: u32,
    pub storage: Storage,
    /// How long the server waits for an acknowledgement.
    pub ack_wait: Duration,
    /// Messages that a member may hold unacknowledged at one time; what it asks for when absent.
    pub max_in_flight: Option<u32>,
    /// Where a new group starts.
    pub start: Start,
    /// The size counts for the whole stream.
    pub keep: Keep,
}

/// Where a stream is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Storage {
    #[default]
    File,
    Memory,
}

impl Config {
    /// Reads the `jetstream` block that stands at `path`.
    pub fn parse(raw: &JetstreamBus, path: &FieldPath, secrets: &dyn Secrets, problems: &mut Problems) -> Self {
        let mut config = Self::at(&raw.url, &path.field("url"), problems);
        let fields = Fields {
            user: raw.user.as_ref(),
            password: raw.password.as_ref(),
            token: raw.token.as_ref(),
            credentials: raw.credentials.as_ref(),
            nkey: raw.nkey.as_ref(),
            tls: raw.tls.as_ref(),
        };
        config.access = config.access.with(fields, path, secrets, problems);
        config.stream = raw.stream.as_deref().map(|name| stream(name, &path.field("stream"), problems));
        config.replicas = raw.replicas.unwrap_or(1);
        if !(1..=MAX_REPLICAS).contains(&config.replicas) {
            problems.push(&path.field("replicas"), format!("must be 1 to {MAX_REPLICAS}, not {}", config.replicas));
        }
        let known = [("file", Storage::File), ("memory", Storage::Memory)];
        let storage = raw.storage.as_deref();
        let storage = storage.and_then(|word| value::word(word, &known, &path.field("storage"), problems));
        config.storage = storage.unwrap_or_default();
        config
    }

    /// Reads the proposal's `nats.native` block that stands at `path`.
    pub fn parse_native(raw: &NatsNative, path: &FieldPath, problems: &mut Problems) -> Self {
        warn_of_streaming(raw.nats_streaming_cluster_id.is_some(), path, problems);
        subscription_type(raw.subscription_type.as_deref(), path, problems);
        Self::at(&raw.nats_url, &path.field("natsURL"), problems)
    }

    /// Reads `OpenFunction`'s `natsStreaming` block that stands at `path`.
    pub fn parse_streaming(raw: &NatsStreamingBus, path: &FieldPath, problems: &mut Problems) -> Self {
        warn_of_streaming(raw.nats_streaming_cluster_id.is_some(), path, problems);
        subscription_type(raw.subscription_type.as_deref(), path, problems);
        let ack_wait = raw.ack_wait_time.as_deref();
        let ack_wait = ack_wait.and_then(|wait| value::positive_span(wait, &path.field("ackWaitTime"), problems));
        let max_in_flight = raw.max_in_flight.map(|number| {
            u32::try_from(number).ok().filter(|number| *number > 0).unwrap_or_else(|| {
                problems.push(&path.field("maxInFlight"), format!("must be at least 1, not {number}"));
                1
            })
        });
        client::lag_threshold(raw.scale_option.as_ref(), &path.field("scaleOption"), problems);
        let start = Start::parse(raw, path, problems);
        let at = Self::at(&raw.nats_url, &path.field("natsURL"), problems);
        Self { ack_wait: ack_wait.unwrap_or(DEFAULT_ACK_WAIT), max_in_flight, start, ..at }
    }

    /// The defaults, with one address or several comma separated ones.
    fn at(urls: &str, path: &FieldPath, problems: &mut Problems) -> Self {
        Self {
            access: Access::at(urls, path, problems),
            stream: None,
            replicas: 1,
            storage: Storage::default(),
            ack_wait: DEFAULT_ACK_WAIT,
            max_in_flight: None,
            start: Start::default(),
            keep: Keep::default(),
        }
    }

    /// The stream of the bus `name`, of a cluster's bus when `namespace` is empty, when it is given no
    /// other name. Two buses never share one: Kubernetes' names have no underscore, and those of
    /// namespaces no dot.
    #[must_use]
    pub fn of_bus(mut self, namespace: &str, name: &str) -> Self {
        self.stream.get_or_insert_with(|| format!("penstock_{namespace}_{}", name.replace('.', "_")));
        self
    }

    #[must_use]
    pub fn keeping(self, keep: Keep) -> Self {
        Self { keep, ..self }
    }
}

/// One name for the stream, the subjects in it and the key-value bucket beside it: the bucket's
/// alphabet is the smallest.
fn stream(name: &str, path: &FieldPath, problems: &mut Problems) -> String {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if name.is_empty() || name.len() > MAX_STREAM || !name.bytes().all(legal) {
        let help = format!("1 to {MAX_STREAM} letters, digits, dashes and underscores");
        problems.push_help(path, format!("{name:?} is not the name of a stream"), help);
    }
    name.to_owned()
}

fn warn_of_streaming(with_cluster: bool, path: &FieldPath, problems: &mut Problems) {
    problems.warn(path, "NATS Streaming is at its end of life: this runs on JetStream of the same address");
    if with_cluster {
        problems.warn(&path.field("natsStreamingClusterID"), "has no effect: JetStream has no cluster id");
    }
}

fn subscription_type(word: Option<&str>, path: &FieldPath, problems: &mut Problems) {
    if let Some(word) = word {
        value::word(word, &[("topic", ()), ("queue", ())], &path.field("subscriptionType"), problems);
    }
}
