//! What the scalers of sources and of buses say alike.

use serde_json::{Value as Json, json};

use super::Lag;

/// Where NATS tells of its consumers, for people who have not said it.
pub const NO_MONITOR: &str = "needs natsServerMonitoringEndpoint: host and port of the server's monitoring, such as \
                                     \"nats:8222\"";

/// The account of NATS that clients are in without one.
const NATS_ACCOUNT: &str = "$G";

/// The oldest protocol that Kafka 4 still speaks; KEDA begins with an older one.
const KAFKA_VERSION: &str = "2.1.0";

/// The keys of Components that are secrets of a scaler, and what KEDA calls them. NATS has none: the server's monitoring
/// is open to whoever reaches it.
pub const SECRETS: [(&str, &str); 10] = [
    ("username", "username"),
    ("password", "password"),
    ("redisPassword", "password"),
    ("saslUsername", "username"),
    ("saslPassword", "password"),
    ("sasl.username", "username"),
    ("sasl.password", "password"),
    ("tls.ca", "ca"),
    ("tls.cert", "cert"),
    ("tls.key", "key"),
];

/// What a consumer of a stream has not read.
pub fn nats_consumer(endpoint: &str, stream: &str, consumer: &str, threshold: &str) -> Json {
    json!({
        "natsServerMonitoringEndpoint": endpoint, "account": NATS_ACCOUNT, "stream": stream, "consumer": consumer,
        "lagThreshold": threshold,
    })
}

/// What a group has not read of a topic. One that has committed nothing begins at `offset`.
pub fn kafka_group(brokers: &str, topic: &str, group: &str, threshold: &str, offset: &str) -> Json {
    json!({
        "bootstrapServers": brokers.replace(' ', ""), "topic": topic, "consumerGroup": group,
        "lagThreshold": threshold, "offsetResetPolicy": offset, "version": KAFKA_VERSION,
    })
}

/// What is not read yet, and what is not settled yet.
pub fn redis_streams(kind: &'static str, metadata: &Json, threshold: u64) -> Vec<Lag> {
    let counted = |count: &str| {
        let mut metadata = metadata.clone();
        metadata[count] = threshold.to_string().into();
        metadata
    };
    vec![Lag::new(kind, counted("lagCount")), Lag::new(kind, counted("pendingEntriesCount"))]
}

/// How brokers are reached.
pub fn kafka_access(metadata: &mut Json, mechanism: Option<&str>, tls: bool, insecure: bool) {
    let mechanism = mechanism.map(|mechanism| match mechanism {
        "SCRAM-SHA-256" => "scram_sha256",
        "SCRAM-SHA-512" => "scram_sha512",
        _ => "plaintext",
    });
    if let Some(mechanism) = mechanism {
        metadata["sasl"] = mechanism.into();
    }
    if tls {
        metadata["tls"] = "enable".into();
    }
    if insecure {
        metadata["unsafeSsl"] = "true".into();
    }
}
