//! The settings of one event, as its Component has them.

use serde_json::{Map, Value as Json};

use super::below;
use crate::api::metadata::{self, Key, Written};
use crate::api::{FieldPath, Problems};
use crate::cli::component::s3_keys;
use crate::sources::{cron, http, mqtt, nats, rabbitmq, redis};

/// A kind of source, and how its Component differs from the YAML.
pub(super) struct Kind {
    /// As in YAML.
    pub name: &'static str,
    keys: fn() -> Vec<Key>,
    /// Fields that a Component has under another name: the field, the key.
    renamed: &'static [(&'static str, &'static str)],
    /// What a Component would name after itself, and the event's name stands for: the key, and what is
    /// in front of the name.
    named: Option<(&'static str, &'static str)>,
}

const fn kind(name: &'static str, keys: fn() -> Vec<Key>) -> Kind {
    Kind { name, keys, renamed: &[], named: None }
}

static KINDS: [Kind; 7] = [
    Kind { named: Some(("path", "/")), ..kind("http", || http::config::KEYS.to_vec()) },
    kind("cron", || cron::config::KEYS.to_vec()),
    Kind { renamed: &[("consumerID", "clientID")], ..kind("mqtt", || mqtt::config::KEYS.to_vec()) },
    kind("nats", || nats::config::KEYS.to_vec()),
    Kind { named: Some(("stream", "")), ..kind("redis", || redis::config::KEYS.to_vec()) },
    kind("rabbitmq", || rabbitmq::config::KEYS.to_vec()),
    Kind { named: Some(("path", "/")), ..kind("s3", s3_keys) },
];

/// Fields of an event that are no matter of its component: the intake sets the attributes, and the rest
/// counts in a cluster, has no effect, or is for sources that connect to something.
const NOT_THE_COMPONENTS: [&str; 10] = [
    "attributes",
    "jsonBody",
    "connectionBackoff",
    "scaleOption",
    "poolSize",
    "poolTimeout",
    "maxConnAge",
    "minIdleConns",
    "idleCheckFrequency",
    "idleTimeout",
];

/// The kind of an event, and its settings.
pub(super) fn find<'a>(spec: &'a Map<String, Json>, event: &str) -> Option<(&'static Kind, &'a Map<String, Json>)> {
    KINDS.iter().find_map(|kind| Some((kind, spec.get(kind.name)?.get(event)?.as_object()?)))
}

impl Kind {
    /// Writes the settings that stand at `path` as the keys of the Component. What no key stands for is
    /// reported.
    pub(super) fn settings(
        &self,
        settings: &Map<String, Json>,
        event: &str,
        path: &FieldPath,
        problems: &mut Problems,
    ) -> Vec<(&'static str, Written)> {
        let mut settings = settings.clone();
        for (field, key) in self.renamed {
            if let Some(value) = settings.remove(*field) {
                settings.insert((*key).to_owned(), value);
            }
        }
        // A number is nanoseconds, which a text has to say.
        if let Some(pause) = settings.get_mut("connectionBackoff").and_then(|backoff| backoff.get_mut("duration"))
            && let Some(nanos) = pause.as_u64()
        {
            *pause = format!("{nanos}ns").into();
        }
        let (mut written, left) = metadata::write(&settings, &(self.keys)());
        for field in left.iter().filter(|field| !NOT_THE_COMPONENTS.contains(&field.as_str())) {
            problems.push(&below(path, field), "cannot be said to a component: leave out --dapr to run it");
        }
        let has = |key: &str| written.iter().any(|(known, _)| *known == key);
        if let Some((key, front)) = self.named
            && !has(key)
            && !has("endpoint")
        {
            written.push((key, Written::Value(format!("{front}{event}"))));
        }
        written
    }
}
