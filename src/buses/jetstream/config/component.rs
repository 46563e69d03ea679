//! The same settings as the metadata of a Dapr Component.

use serde::Deserialize;

use super::{Config, Keep};
use crate::api::Problems;
use crate::api::event_bus::{BusSpec, JetstreamBus, RetentionSpec};
use crate::api::metadata::{self, Key, Metadata, Shape, Values};

/// The keys of a Component.
pub const KEYS: [Key; 16] = [
    ("url", Shape::Text),
    ("stream", Shape::Text),
    ("replicas", Shape::Number),
    ("storage", Shape::Text),
    ("user", Shape::Secret),
    ("password", Shape::Secret),
    ("token", Shape::Secret),
    ("credentials", Shape::Secret),
    ("nkey", Shape::Secret),
    ("tls.ca", Shape::Secret),
    ("tls.cert", Shape::Secret),
    ("tls.key", Shape::Secret),
    ("tls.insecureSkipVerify", Shape::Flag),
    ("retention.age", Shape::Text),
    ("retention.size", Shape::Text),
    ("dedupWindow", Shape::Text),
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    #[serde(flatten)]
    jetstream: JetstreamBus,
    retention: Option<RetentionSpec>,
    dedup_window: Option<String>,
}

impl Config {
    /// Reads the metadata of a Component; `None` when something is wrong.
    pub fn from_metadata(metadata: &Metadata, problems: &mut Problems) -> Option<Self> {
        let before = problems.len();
        let Raw { jetstream, retention, dedup_window } = metadata::read(metadata, &KEYS, problems)?;
        let config = Self::parse(&jetstream, &metadata::path(), &Values(metadata), problems);
        let spec = BusSpec { retention, dedup_window, ..BusSpec::default() };
        let keep = Keep::parse(&spec, &metadata::path(), problems);
        (problems.len() == before).then_some(config.keeping(keep))
    }
}
