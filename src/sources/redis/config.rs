//! The settings of one Redis stream: `OpenFunction`'s fields (those of Dapr's component) and ours.

use std::time::Duration;

use crate::api::client::{self, Backoff, Endpoint, Tls};
use crate::api::event_source::RedisEvent;
use crate::api::metadata::{self, Key, Metadata, Shape, Values};
use crate::api::{FieldPath, Problems, Secret, SecretValue, Secrets, duration, secret, value};

/// The keys of a Component's metadata.
pub const KEYS: [Key; 27] = metadata::connected([
    ("redisHost", Shape::Text),
    ("redisPassword", Shape::Secret),
    ("stream", Shape::Text),
    ("consumerGroup", Shape::Text),
    ("fromBeginning", Shape::Flag),
    ("jsonBody", Shape::Flag),
    ("tls.ca", Shape::Secret),
    ("tls.cert", Shape::Secret),
    ("tls.key", Shape::Secret),
    ("enableTLS", Shape::Flag),
    ("failover", Shape::Flag),
    ("sentinelMasterName", Shape::Text),
    ("redisType", Shape::Text),
    ("redisDB", Shape::Number),
    ("redeliverInterval", Shape::Text),
    ("processingTimeout", Shape::Text),
    ("redisMaxRetries", Shape::Any),
    ("redisMinRetryInterval", Shape::Text),
    ("redisMaxRetryInterval", Shape::Text),
    ("dialTimeout", Shape::Text),
    ("readTimeout", Shape::Text),
    ("writeTimeout", Shape::Text),
]);

/// What an entry may take before it is handed to another reader (Dapr's default is the same).
const DEFAULT_PROCESSING: Duration = Duration::from_secs(60);
const DEFAULT_REDELIVER: Duration = Duration::from_secs(15);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// One Redis stream to read.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// A server, or those that know the others (cluster, sentinels).
    pub servers: Vec<Endpoint>,
    pub topology: Topology,
    pub password: Option<Secret>,
    pub tls: Option<Tls>,
    /// The number of the database.
    pub db: i64,
    /// The stream's key.
    pub stream: String,
    /// The consumer group; made from the names of the event when absent.
    pub group: Option<String>,
    /// Whether a new group starts at the oldest entry; at the newest otherwise.
    pub from_beginning: bool,
    /// How often entries of readers that went away are looked for; never when absent.
    pub redeliver_interval: Option<Duration>,
    /// How long an entry may be unacknowledged before another reader gets it; for ever when absent.
    pub processing_timeout: Option<Duration>,
    /// How often one command is tried again, and the pauses in between.
    pub max_retries: u32,
    pub min_retry_interval: Option<Duration>,
    pub max_retry_interval: Option<Duration>,
    /// Without a limit when absent.
    pub dial_timeout: Option<Duration>,
    pub read_timeout: Option<Duration>,
    pub write_timeout: Option<Duration>,
    pub json_body: bool,
    pub backoff: Backoff,
}

/// How the servers belong together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Topology {
    #[default]
    Node,
    Cluster,
    /// The servers are sentinels; this is the name of the master.
    Sentinel(String),
}

impl Config {
    /// Reads the metadata of the Component `component`. What is wrong is reported.
    pub fn from_metadata(component: &str, metadata: &Metadata, problems: &mut Problems) -> Option<Self> {
        let before = problems.len();
        let raw = metadata::read(metadata, &KEYS, problems)?;
        let config = Self::parse(&raw, component, &metadata::path(), &Values(metadata), problems);
        (problems.len() == before).then_some(config)
    }

    /// Reads the settings that stand at `path` of the event `name`.
    pub fn parse(
        raw: &RedisEvent,
        name: &str,
        path: &FieldPath,
        secrets: &dyn Secrets,
        problems: &mut Problems,
    ) -> Self {
        let topology = topology(raw, path, problems);
        let db = raw.redis_db.unwrap_or(0);
        if db < 0 || (topology == Topology::Cluster && db != 0) {
            let reason = if db < 0 { "must not be negative" } else { "a cluster has only database 0" };
            problems.push(&path.field("redisDB"), reason);
        }
        let stream = raw.stream.as_deref().unwrap_or(name);
        if stream.is_empty() {
            problems.push(&path.field("stream"), "must not be empty");
        }
        let (min_retry_interval, max_retry_interval) = retry_intervals(raw, path, problems);
        warn_of_pool(raw, path, problems);
        client::lag_threshold(raw.common.scale_option.as_ref(), &path.field("scaleOption"), problems);
        let backoff_path = path.field("connectionBackoff");
        let mut limit = |name, text: &Option<String>, default| {
            text.as_deref().map_or(Some(default), |text| span(text, &path.field(name), problems))
        };
        Self {
            redeliver_interval: limit("redeliverInterval", &raw.redeliver_interval, DEFAULT_REDELIVER),
            processing_timeout: limit("processingTimeout", &raw.processing_timeout, DEFAULT_PROCESSING),
            dial_timeout: limit("dialTimeout", &raw.dial_timeout, DEFAULT_TIMEOUT),
            read_timeout: limit("readTimeout", &raw.read_timeout, DEFAULT_TIMEOUT),
            write_timeout: limit("writeTimeout", &raw.write_timeout, DEFAULT_TIMEOUT),
            servers: client::endpoints(&raw.redis_host, &path.field("redisHost"), problems),
            topology,
            password: password(raw, path, secrets, problems),
            tls: tls(raw, path, secrets, problems),
            db,
            stream: stream.to_owned(),
            group: raw.consumer_group.clone().filter(|group| !group.is_empty()),
            from_beginning: raw.from_beginning == Some(true),
            max_retries: max_retries(raw.redis_max_retries, &path.field("redisMaxRetries"), problems),
            min_retry_interval,
            max_retry_interval,
            json_body: raw.common.json_body == Some(true),
            backoff: Backoff::parse(raw.common.connection_backoff.as_ref(), &backoff_path, problems),
        }
    }
}

fn topology(raw: &RedisEvent, path: &FieldPath, problems: &mut Problems) -> Topology {
    let words = [("node", false), ("cluster", true)];
    let word = raw.redis_type.as_deref();
    let cluster = word.and_then(|word| value::word(word, &words, &path.field("redisType"), problems));
    let master = raw.sentinel_master_name.as_deref().filter(|name| !name.is_empty());
    if raw.failover != Some(true) {
        if master.is_some() {
            problems.warn(&path.field("sentinelMasterName"), "has no effect without failover: true");
        }
        return if cluster == Some(true) { Topology::Cluster } else { Topology::Node };
    }
    if cluster == Some(true) {
        problems.push(&path.field("failover"), "excludes redisType: cluster");
    }
    let Some(master) = master else {
        problems.push(&path.field("failover"), "needs \"sentinelMasterName\"");
        return Topology::default();
    };
    Topology::Sentinel(master.to_owned())
}

/// Released samples write an empty password for "none".
fn password(raw: &RedisEvent, path: &FieldPath, secrets: &dyn Secrets, problems: &mut Problems) -> Option<Secret> {
    let value = raw.redis_password.as_ref().filter(|value| **value != SecretValue::Plain(String::new()))?;
    Some(secret::read_value(value, &path.field("redisPassword"), secrets, problems))
}

fn tls(raw: &RedisEvent, path: &FieldPath, secrets: &dyn Secrets, problems: &mut Problems) -> Option<Tls> {
    match (&raw.tls, raw.enable_tls) {
        (Some(_), Some(false)) => {
            problems.push(&path.field("enableTLS"), "false contradicts the tls block");
            None
        }
        (Some(tls), _) => {
            let path = path.field("tls");
            if tls.insecure_skip_verify == Some(true) {
                let message = "cannot be had for Redis: name the server's authority in \"ca\"";
                problems.push(&path.field("insecureSkipVerify"), message);
            }
            Some(Tls::parse(tls, &path, secrets, problems))
        }
        (None, Some(true)) => Some(Tls::default()),
        (None, _) => None,
    }
}

fn max_retries(number: Option<i64>, path: &FieldPath, problems: &mut Problems) -> u32 {
    /// Dapr's default.
    const DEFAULT: u32 = 3;
    match number {
        None => DEFAULT,
        // The client library behind Dapr's component has it so.
        Some(-1) => 0,
        Some(number) => u32::try_from(number).unwrap_or_else(|_| {
            problems.push(path, format!("must be -1 (never) or more, not {number}"));
            DEFAULT
        }),
    }
}

fn retry_intervals(
    raw: &RedisEvent,
    path: &FieldPath,
    problems: &mut Problems,
) -> (Option<Duration>, Option<Duration>) {
    const LEAST: Duration = Duration::from_millis(8);
    const MOST: Duration = Duration::from_millis(512);
    let min_path = path.field("redisMinRetryInterval");
    let max_path = path.field("redisMaxRetryInterval");
    let least = raw.redis_min_retry_interval.as_deref().map_or(Some(LEAST), |text| span(text, &min_path, problems));
    let most = raw.redis_max_retry_interval.as_deref().map_or(Some(MOST), |text| span(text, &max_path, problems));
    let written = raw.redis_min_retry_interval.is_some() && raw.redis_max_retry_interval.is_some();
    if written && least.zip(most).is_some_and(|(least, most)| least > most) {
        problems.push(&min_path, "is longer than redisMaxRetryInterval");
    }
    (least, most)
}

/// A duration; a bare number is milliseconds, and `-1` or zero means none (Dapr's forms).
fn span(text: &str, path: &FieldPath, problems: &mut Problems) -> Option<Duration> {
    if text == "-1" {
        return None;
    }
    let parsed = text.parse().map_or_else(|_| duration::parse(text), |millis| Ok(Duration::from_millis(millis)));
    parsed.map_err(|message| problems.push(path, message)).ok().filter(|span| !span.is_zero())
}

/// Dapr's component has a pool of connections; here one connection carries everything.
fn warn_of_pool(raw: &RedisEvent, path: &FieldPath, problems: &mut Problems) {
    let spans = [
        ("poolTimeout", &raw.pool_timeout),
        ("maxConnAge", &raw.max_conn_age),
        ("idleCheckFrequency", &raw.idle_check_frequency),
        ("idleTimeout", &raw.idle_timeout),
    ];
    let mut set: Vec<&str> = Vec::new();
    for (name, text) in spans {
        if let Some(text) = text {
            span(text, &path.field(name), problems);
            set.push(name);
        }
    }
    for (name, number) in [("poolSize", raw.pool_size), ("minIdleConns", raw.min_idle_conns)] {
        if let Some(number) = number {
            if number < 0 {
                problems.push(&path.field(name), format!("must not be negative: {number}"));
            }
            set.push(name);
        }
    }
    for name in set {
        problems.warn(&path.field(name), "has no effect: connections are not pooled");
    }
}
