//! What a bus keeps of what it was given: one thing for all back ends.

use std::time::Duration;

use super::event_bus::BusSpec;
use super::{FieldPath, Problems, duration, quantity};

/// `retention` and `dedupWindow`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Events older than this are deleted, read or not.
    pub age: Duration,
    /// The oldest events are deleted, read or not, while there are more bytes than this; what they are counted over is
    /// the back end's matter. A server refuses to set aside what it does not have, so there is no default.
    pub bytes: Option<u64>,
    /// How long a second event of the same source and id is recognised; not at all when zero.
    pub dedup_window: Duration,
}

impl Default for Keep {
    fn default() -> Self {
        Self { age: Duration::from_secs(168 * 3600), bytes: None, dedup_window: Duration::from_secs(300) }
    }
}

impl Keep {
    /// Reads the fields of the bus whose spec stands at `path`. What is wrong is reported, and the default stands in
    /// for it.
    pub fn parse(spec: &BusSpec, path: &FieldPath, problems: &mut Problems) -> Self {
        let mut keep = Self::default();
        let retention = spec.retention.clone().unwrap_or_default();
        let at = path.field("retention");
        if let Some(age) = &retention.age {
            match duration::parse(age) {
                Ok(age) if age.is_zero() => problems.push(&at.field("age"), "must be more than nothing"),
                Ok(age) => keep.age = age,
                Err(reason) => problems.push(&at.field("age"), reason),
            }
        }
        if let Some(size) = &retention.size {
            match quantity::parse(size) {
                Ok(0) => problems.push(&at.field("size"), "must be more than nothing"),
                Ok(size) => keep.bytes = Some(size),
                Err(reason) => problems.push(&at.field("size"), reason),
            }
        }
        if let Some(window) = &spec.dedup_window {
            match duration::parse(window) {
                Ok(window) => keep.dedup_window = window,
                Err(reason) => problems.push(&path.field("dedupWindow"), reason),
            }
        }
        keep
    }
}
