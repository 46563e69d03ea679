//! The settings of a bus, as its Component has them.

use serde_json::{Map, Value as Json};

use crate::api::metadata::{self, Key, Written};
use crate::api::{FieldPath, Problems};
use crate::buses::{embedded, jetstream, redis};
use crate::catalog::BusConfig;

/// The component of a bus.
pub(super) fn kind(config: &BusConfig) -> &'static str {
    match config {
        BusConfig::Embedded(_) => "eventbus.embedded",
        BusConfig::Jetstream(_) => "eventbus.jetstream",
        BusConfig::Redis(_) => "eventbus.redis",
    }
}

/// Writes a bus's spec as the keys of its Component. What no key stands for is reported, if it would change
/// anything.
pub(super) fn settings(
    spec: &Map<String, Json>,
    config: &BusConfig,
    problems: &mut Problems,
) -> Vec<(&'static str, Written)> {
    let path = FieldPath::root().field("spec");
    match config {
        BusConfig::Embedded(_) => write(spec, &Map::new(), &embedded::config::KEYS, &path, problems),
        BusConfig::Redis(_) => block(spec, "redis", &redis::config::KEYS, &path, problems),
        BusConfig::Jetstream(config) => {
            let mut written = jetstream(spec, &path, problems);
            // The same stream as without daprd; the component would name it after itself.
            if let Some(stream) = &config.stream
                && written.iter().all(|(key, _)| *key != "stream")
            {
                written.push(("stream", Written::Value(stream.clone())));
            }
            written
        }
    }
}

/// A block of the name, or one of those that are taken for it.
fn jetstream(spec: &Map<String, Json>, path: &FieldPath, problems: &mut Problems) -> Vec<(&'static str, Written)> {
    let keys = &jetstream::config::KEYS;
    let native = spec.get("nats").and_then(|nats| nats.get("native"));
    let (older, path) = match (spec.get("natsStreaming").filter(|block| block.is_object()), native) {
        (Some(streaming), _) => (streaming, path.field("natsStreaming")),
        (None, Some(native @ Json::Object(_))) => (native, path.field("nats").field("native")),
        _ => return block(spec, "jetstream", keys, path, problems),
    };
    for (field, value) in older.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()) {
        if !IDLE.contains(&field.as_str()) && *value != Json::Bool(false) {
            problems.push_help(&path.field(field), REFUSED, "use jetstream, or leave out --dapr");
        }
    }
    let url = older.get("natsURL").cloned().unwrap_or_default();
    write(spec, &Map::from_iter([("url".to_owned(), url)]), keys, &path, problems)
}

/// Fields of the older blocks that change nothing, with or without daprd.
const IDLE: [&str; 8] = [
    "natsURL",
    "natsStreamingClusterID",
    "subscriptionType",
    "durableSubscriptionName",
    "deliverAll",
    "startAtTimeFormat",
    "consumerID",
    "scaleOption",
];
const REFUSED: &str = "cannot be said to a component";

fn block(
    spec: &Map<String, Json>,
    name: &str,
    keys: &'static [Key],
    path: &FieldPath,
    problems: &mut Problems,
) -> Vec<(&'static str, Written)> {
    let nothing = Map::new();
    let block = spec.get(name).and_then(Json::as_object).unwrap_or(&nothing);
    write(spec, block, keys, &path.field(name), problems)
}

/// The block of the back end that stands at `path`, and the part of the spec that is one thing for all.
fn write(
    spec: &Map<String, Json>,
    block: &Map<String, Json>,
    keys: &'static [Key],
    path: &FieldPath,
    problems: &mut Problems,
) -> Vec<(&'static str, Written)> {
    let mut all = block.clone();
    for common in ["retention", "dedupWindow"] {
        all.extend(spec.get(common).map(|value| (common.to_owned(), value.clone())));
    }
    let (written, left) = metadata::write(&all, keys);
    for field in left {
        problems.push_help(&super::below(path, &field), REFUSED, "leave out --dapr to use it");
    }
    written
}
