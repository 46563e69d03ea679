//! NATS: a core subject, or a `JetStream` stream read by a durable consumer.
//!
//! - [`Config`]: one subject and where it is, parsed.
//! - `message`: a message to its event. Pure.
//! - `core`: subscribes to a subject. The server keeps nothing: at most once.
//! - `consumer`: the durable consumer, made or adopted.
//! - `stream`: reads it, and acknowledges what was kept.
//! - [`Source`]: connects, and works in one of the two ways.
//!
//! A message of a stream is acknowledged only after its event was kept; as long as another attempt can help
//! it stays here, with signs of progress to the server. When its event is refused for good it goes back to
//! the stream with a delay, where the consumer's limit of deliveries counts.

pub mod config;
mod consumer;
mod core;
mod message;
mod source;
mod stream;

pub use config::Config;
pub use source::{Entry, Source};

/// The `type` of events that are no `CloudEvents` when they come.
pub const DEFAULT_TYPE: &str = "events.openfunction.io.nats";

#[cfg(test)]
mod tests;
