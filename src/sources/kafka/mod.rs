//! Listens to a Kafka topic.
//!
//! - [`Config`]: one topic and where it is, parsed.
//! - `message`: a message to its event. Pure.
//! - [`Source`]: takes messages in, hands events out, and settles what was kept.
//!
//! An offset is committed only when the events of all messages before it were kept. What was kept behind
//! one that was not is told with the commit, so that it does not come again. Without the feature `kafka`
//! there are the settings alone, and no source.

pub mod config;
#[cfg(feature = "kafka")]
mod message;
#[cfg(feature = "kafka")]
mod source;

pub use config::Config;
#[cfg(feature = "kafka")]
pub use source::{Entry, Source};

/// The `type` of events that are no `CloudEvents` when they come.
pub const DEFAULT_TYPE: &str = "events.openfunction.io.kafka";

#[cfg(test)]
mod tests;
