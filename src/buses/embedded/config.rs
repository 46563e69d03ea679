//! What can be set on an embedded bus, parsed, with every default in one place.

use std::time::Duration;

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
