//! Listens to a `RabbitMQ` queue.
//!
//! - [`Config`]: one queue, what it is bound to and where it is, parsed.
//! - `message`: a message to its event. Pure.
//! - `link`: a connection with everything that the queue needs.
//! - [`Source`]: takes messages in, hands events out, and acknowledges what was kept.
//!
//! A message is acknowledged only after its event was kept. As long as another attempt can help, it
//! stays here; when its event is refused for good it is given back to the queue after a pause, where
//! the delivery limit of a quorum queue makes it a dead letter.

pub mod config;
mod link;
mod message;
mod source;

pub use config::Config;
pub use source::{Entry, Source};

/// The `type` of events that are no `CloudEvents` when they come.
pub const DEFAULT_TYPE: &str = "events.openfunction.io.rabbitmq";

#[cfg(test)]
mod tests;
