//! The settings of one Kafka topic, in the words of the proposal (`url`, `consumerGroup`), of
//! `OpenFunction` (`brokers`, `authRequired`, `saslUsername`, `scaleOption`) and ours.

use std::collections::BTreeMap;

use crate::api::client::{self, Backoff, Endpoint, Mechanism, Sasl, Tls};
use crate::api::event_source::KafkaEvent;
use crate::api::metadata::{self, Key, Metadata, Shape, Values};
use crate::api::{FieldPath, Problems, Secrets, secret, value};

/// The keys of a Component's metadata, beside those that begin with [`CLIENT_KEY`].
pub const KEYS: [Key; 26] = metadata::connected([
    ("url", Shape::Text),
    ("brokers", Shape::Text),
    ("topic", Shape::Text),
    ("partition", Shape::Number),
    ("consumerGroup.groupName", Shape::Text),
    ("consumerGroup.oldest", Shape::Flag),
    ("consumerGroup.rebalanceStrategy", Shape::Text),
    ("authRequired", Shape::Flag),
    ("saslUsername", Shape::Text),
    ("saslPassword", Shape::Secret),
    ("maxMessageBytes", Shape::Any),
    ("sasl.mechanism", Shape::Text),
    ("sasl.username", Shape::Secret),
    ("sasl.password", Shape::Secret),
    ("tls.ca", Shape::Secret),
    ("tls.cert", Shape::Secret),
    ("tls.key", Shape::Secret),
    ("tls.insecureSkipVerify", Shape::Flag),
    ("jsonBody", Shape::Flag),
    ("scaleOption.consumerGroup", Shape::Text),
    ("scaleOption.lagThreshold", Shape::Text),
]);

/// What a key begins with whose rest is the name of one of [`CLIENT_SETTINGS`].
const CLIENT_KEY: &str = "config.";

/// The settings of librdkafka that `config` may hold: those that tune connections and fetching.
/// Who the client is, which offsets are committed and when, and how it proves itself is decided by
/// fields of their own, since events would be lost or secrets shown otherwise.
pub const CLIENT_SETTINGS: &[&str] = &[
    "broker.address.family",
    "check.crcs",
    "client.dns.lookup",
    "client.rack",
    "connections.max.idle.ms",
    "fetch.error.backoff.ms",
    "fetch.max.bytes",
    "fetch.message.max.bytes",
    "fetch.min.bytes",
    "fetch.queue.backoff.ms",
    "fetch.wait.max.ms",
    "heartbeat.interval.ms",
    "isolation.level",
    "max.poll.interval.ms",
    "metadata.max.age.ms",
    "queued.max.messages.kbytes",
    "queued.min.messages",
    "reconnect.backoff.max.ms",
    "reconnect.backoff.ms",
    "session.timeout.ms",
    "socket.connection.setup.timeout.ms",
    "socket.keepalive.enable",
    "socket.nagle.disable",
    "socket.receive.buffer.bytes",
    "socket.timeout.ms",
    "topic.metadata.refresh.interval.ms",
];

/// The longest topic name of Kafka.
const MAX_TOPIC: usize = 249;

/// One Kafka topic to read.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub brokers: Vec<Endpoint>,
    pub topic: String,
    /// Only this partition, without sharing it in a group.
    pub partition: Option<i32>,
    /// The consumer group; made from the names of the event when absent.
    pub group: Option<String>,
    /// Whether a new group starts at the oldest message; at the newest otherwise.
    pub oldest: bool,
    pub rebalance: Rebalance,
    pub sasl: Option<Sasl>,
    pub tls: Option<Tls>,
    /// The largest message, in bytes; the client's own limit when absent.
    pub max_message_bytes: Option<u32>,
    /// Of [`CLIENT_SETTINGS`].
    pub client: BTreeMap<String, String>,
    /// A message that is not JSON is a poison message.
    pub json_body: bool,
    pub backoff: Backoff,
    /// Messages behind, per replica.
    pub lag_threshold: u64,
}

/// How partitions are shared in a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rebalance {
    #[default]
    Range,
    RoundRobin,
    /// Moves as few partitions as possible.
    Sticky,
}

impl Config {
    /// Reads the settings that stand at `path`.
    pub fn parse(
        raw: &KafkaEvent,
        _name: &str,
        path: &FieldPath,
        secrets: &dyn Secrets,
        problems: &mut Problems,
    ) -> Self {
        let scale = raw.common.scale_option.as_ref();
        let group = raw.consumer_group.as_ref();
        let name = group.and_then(|group| group.group_name.clone());
        let known = [("range", Rebalance::Range), ("roundrobin", Rebalance::RoundRobin), ("sticky", Rebalance::Sticky)];
        let strategy = group.and_then(|group| group.rebalance_strategy.as_deref());
        let strategy_path = path.field("consumerGroup").field("rebalanceStrategy");
        if let Some(partition) = raw.partition {
            if partition < 0 {
                problems.push(&path.field("partition"), format!("must not be negative: {partition}"));
            }
            if strategy.is_some() {
                problems.warn(&strategy_path, "has no effect: one partition is not shared");
            }
        }
        Self {
            brokers: brokers(raw, path, problems),
            topic: topic(raw.topic.as_deref(), path, problems),
            partition: raw.partition,
            group: name.or_else(|| scale?.consumer_group.clone()).filter(|group| !group.is_empty()),
            oldest: group.is_some_and(|group| group.oldest == Some(true)),
            rebalance: strategy
                .and_then(|word| value::word(word, &known, &strategy_path, problems))
                .unwrap_or_default(),
            sasl: sasl(raw, path, secrets, problems),
            tls: raw.tls.as_ref().map(|tls| Tls::parse(tls, &path.field("tls"), secrets, problems)),
            max_message_bytes: max_message_bytes(raw.max_message_bytes, path, problems),
            client: client::allowed(raw.config.as_ref(), CLIENT_SETTINGS, &path.field("config"), problems),
            json_body: raw.common.json_body == Some(true),
            backoff: Backoff::parse(raw.common.connection_backoff.as_ref(), &path.field("connectionBackoff"), problems),
            lag_threshold: client::lag_threshold(scale, &path.field("scaleOption"), problems),
        }
    }

    /// Reads the metadata of a Component. `None` when a problem was found.
    pub fn from_metadata(metadata: &Metadata, problems: &mut Problems) -> Option<Self> {
        let before = problems.len();
        // The names of librdkafka have dots of their own.
        let (client, others): (Metadata, Metadata) =
            metadata.clone().into_iter().partition(|(name, _)| name.starts_with(CLIENT_KEY));
        let mut raw: KafkaEvent = metadata::read(&others, &KEYS, problems)?;
        let client = client.into_iter().map(|(name, value)| (name[CLIENT_KEY.len()..].to_owned(), value));
        raw.config = Some(client.collect());
        let config = Self::parse(&raw, "", &metadata::path(), &Values(metadata), problems);
        (problems.len() == before).then_some(config)
    }
}

/// `url` and `brokers` are two words for one thing.
fn brokers(raw: &KafkaEvent, path: &FieldPath, problems: &mut Problems) -> Vec<Endpoint> {
    let (name, text) = match (&raw.url, &raw.brokers) {
        (None, None) => {
            problems.push(path, "needs \"brokers\" or \"url\": host:port, comma separated");
            return Vec::new();
        }
        (Some(url), Some(brokers)) if url != brokers => {
            problems.push(&path.field("url"), format!("{url:?} and brokers {brokers:?} are two words for one thing"));
            return Vec::new();
        }
        (_, Some(brokers)) => ("brokers", brokers),
        (Some(url), None) => ("url", url),
    };
    client::endpoints(text, &path.field(name), problems)
}

fn topic(topic: Option<&str>, path: &FieldPath, problems: &mut Problems) -> String {
    let path = path.field("topic");
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    match topic {
        None => problems.push(&path, "required (text) and missing"),
        Some("") => problems.push(&path, "must not be empty"),
        Some(name) if name.len() > MAX_TOPIC || !name.bytes().all(legal) || matches!(name, "." | "..") => {
            let help = format!("letters, digits, dots, dashes and underscores, at most {MAX_TOPIC}");
            problems.push_help(&path, format!("{name:?} is not the name of a Kafka topic"), help);
        }
        Some(name) => return name.to_owned(),
    }
    String::new()
}

fn max_message_bytes(bytes: Option<i64>, path: &FieldPath, problems: &mut Problems) -> Option<u32> {
    /// The limits of librdkafka's `message.max.bytes`.
    const RANGE: std::ops::RangeInclusive<u32> = 1_000..=1_000_000_000;
    let bytes = bytes?;
    let legal = u32::try_from(bytes).ok().filter(|bytes| RANGE.contains(bytes));
    if legal.is_none() {
        let message = format!("must be {} to {}, not {bytes}", RANGE.start(), RANGE.end());
        problems.push(&path.field("maxMessageBytes"), message);
    }
    legal
}

/// The `sasl` block, or `OpenFunction`'s three fields.
fn sasl(raw: &KafkaEvent, path: &FieldPath, secrets: &dyn Secrets, problems: &mut Problems) -> Option<Sasl> {
    let flat = raw.sasl_username.is_some() || raw.sasl_password.is_some();
    if let Some(sasl) = &raw.sasl {
        let path = path.field("sasl");
        if flat {
            problems.push(&path, "excludes saslUsername and saslPassword");
        }
        return Some(Sasl::parse(sasl, &path, secrets, problems));
    }
    match (raw.auth_required, flat) {
        (Some(false), true) => {
            problems.warn(&path.field("authRequired"), "saslUsername and saslPassword are not used");
            return None;
        }
        (None | Some(false), false) => return None,
        (_, _) => {}
    }
    let password_path = path.field("saslPassword");
    let password = raw.sasl_password.as_ref().map(|value| secret::read_value(value, &password_path, secrets, problems));
    let username = raw.sasl_username.as_deref().filter(|name| !name.is_empty());
    match (username, password) {
        (Some(username), Some(password)) => {
            Some(Sasl { mechanism: Mechanism::Plain, username: crate::api::Secret::new(username), password })
        }
        (username, _) => {
            let missing = if username.is_none() { "saslUsername" } else { "saslPassword" };
            problems.push(&path.field(missing), "authentication needs saslUsername and saslPassword, or a sasl block");
            None
        }
    }
}
