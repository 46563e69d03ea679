//! Listens to an MQTT topic filter, with MQTT 3.1.1 or 5.
//!
//! - [`Config`]: one topic filter and where it is subscribed to, parsed.
//! - `message`: a message to its event. Pure.
//! - `slots`: which packets wait for their acknowledgement. Pure.
//! - `link`: one connection, whatever the version of the protocol.
//! - [`Source`]: takes messages in, hands events out, and acknowledges what was kept.
//!
//! A message is acknowledged (`QoS` 1: PUBACK, `QoS` 2: PUBREC) only after its event was kept. The session
//! outlives the connection and the process, unless `cleanSession` says otherwise: what was not
//! acknowledged is sent again. MQTT gives messages no identity, so a message that is no `CloudEvent`
//! gets a new id when another process, or another replica, is sent it again.

pub mod config;
mod link;
mod message;
mod slots;
mod source;

pub use config::Config;
pub use source::{Entry, Source};

/// The `type` of events that are no `CloudEvents` when they come.
pub const DEFAULT_TYPE: &str = "events.openfunction.io.mqtt";

#[cfg(test)]
mod tests;
