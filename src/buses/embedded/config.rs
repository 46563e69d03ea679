//! What can be set on an embedded bus, parsed, with every default in one place.

use std::time::Duration;

use crate::api::event_bus::BusSpec;
use crate::api::metadata::{self, Key, Metadata, Shape};
use crate::api::{FieldPath, Problems, duration, quantity};

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
        Self {
            retention_age: Duration::from_secs(168 * 3600),
            retention_bytes: 10 << 30,
            dedup_window: Duration::from_secs(300),
            // Four times the broker defaults of 1 MiB: nothing that fits a broker is refused here.
            max_event_bytes: 4 << 20,
        }
    }
}

impl Config {
    /// Reads `retention` and `dedupWindow` of the bus whose spec stands at `path`. What is wrong is
    /// reported, and the default stands in for it.
    pub fn parse(spec: &BusSpec, path: &FieldPath, problems: &mut Problems) -> Self {
        let mut config = Self::default();
        let retention = spec.retention.clone().unwrap_or_default();
        let at = path.field("retention");
        if let Some(age) = &retention.age {
            match duration::parse(age) {
                Ok(age) if age.is_zero() => problems.push(&at.field("age"), "must be more than nothing"),
                Ok(age) => config.retention_age = age,
                Err(reason) => problems.push(&at.field("age"), reason),
            }
        }
        if let Some(size) = &retention.size {
            match quantity::parse(size) {
                Ok(0) => problems.push(&at.field("size"), "must be more than nothing"),
                Ok(size) => config.retention_bytes = size,
                Err(reason) => problems.push(&at.field("size"), reason),
            }
        }
        if let Some(window) = &spec.dedup_window {
            match duration::parse(window) {
                Ok(window) => config.dedup_window = window,
                Err(reason) => problems.push(&path.field("dedupWindow"), reason),
            }
        }
        config
    }

    /// Reads the metadata of a Component. What is wrong is reported, and the default stands in for
    /// it.
    pub fn from_metadata(metadata: &Metadata, problems: &mut Problems) -> Self {
        let spec = metadata::read(metadata, &KEYS, problems).unwrap_or_default();
        Self::parse(&spec, &metadata::path(), problems)
    }
}
