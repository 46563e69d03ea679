//! Redis streams, read as a member of a consumer group.
//!
//! - [`config`]: the settings of one stream.
//! - `message`: an entry to its event. A `CloudEvent` is kept as it is; everything else becomes one,
//!   whose id follows from the entry's.
//! - `desk`: what was read and is not acknowledged.
//! - [`Source`]: reads, and acknowledges an entry only after the bus has its event.
//!
//! What a reader that died held is taken over when `processingTimeout` has passed without a sign of it.

pub mod config;
mod desk;
mod message;
mod source;

pub use config::Config;
pub use source::{Entry, Source};

/// The `type` of events that are wrapped, unless the `EventSource` sets another.
pub const DEFAULT_TYPE: &str = "events.openfunction.io.redis";

#[cfg(test)]
mod tests;
