//! What can be set on an embedded bus, parsed, with every default in one place.

use std::time::Duration;

use crate::api::event_bus::BusSpec;
use crate::api::metadata::{self, Key, Metadata, Shape};
use crate::api::{FieldPath, Keep, Problems};

/// The keys of a Component's metadata.
pub const KEYS: [Key; 3] =
    [("retention.age", Shape::Text), ("retention.size", Shape::Text), ("dedupWindow", Shape::Text)];

/// The settings of an embedded bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Events older than this are deleted, read or not.
    pub retention_age: Duration,
    /// The oldest events of a topic are deleted, read or not, while it holds more bytes than this.
    pub retention_bytes: u64,
    /// How long a second event of the same source and id is recognised.
    pub dedup_window: Duration,
    /// The largest event taken, in bytes of its record.
    pub max_event_bytes: usize,
}

impl Default for Config {
    fn default() -> Self {
        let Keep { age, bytes, dedup_window } = Keep::default();
        Self {
            retention_age: age,
            retention_bytes: bytes.unwrap_or(10 << 30),
            dedup_window,
            // Four times the broker defaults of 1 MiB: nothing that fits a broker is refused here.
            max_event_bytes: 4 << 20,
        }
    }
}

impl Config {
    /// Reads `retention` and `dedupWindow` of the bus whose spec stands at `path`. What is wrong is
    /// reported, and the default stands in for it.
    pub fn parse(spec: &BusSpec, path: &FieldPath, problems: &mut Problems) -> Self {
        let Keep { age, bytes, dedup_window } = Keep::parse(spec, path, problems);
        let default = Self::default();
        let retention_bytes = bytes.unwrap_or(default.retention_bytes);
        Self { retention_age: age, retention_bytes, dedup_window, ..default }
    }

    /// Reads the metadata of a Component. What is wrong is reported, and the default stands in for
    /// it.
    pub fn from_metadata(metadata: &Metadata, problems: &mut Problems) -> Self {
        let spec = metadata::read(metadata, &KEYS, problems).unwrap_or_default();
        Self::parse(&spec, &metadata::path(), problems)
    }
}
