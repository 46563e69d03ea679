//! Webhooks and `CloudEvents` over HTTP.
//!
//! One [`Source`] serves one port for many events, each on a path of its own. A request is answered
//! 2xx only after the bus has every event of it; otherwise the sender is told to come again. What
//! is a `CloudEvent` already is kept as it is; everything else becomes one.
//!
//! - `config`: the settings of one event.
//! - `signature`: who may send.
//! - `message`: a request to its events.
//! - `receipts`: what became of the events of one request.
//! - `route`: a request to its answer.
//! - `source`: the port.
//! - `ports`: ports whose events come and go one by one.

pub mod config;
mod message;
mod ports;
mod receipts;
mod route;
mod signature;
mod source;

pub use config::Config;
pub use message::Reader;
pub use ports::Ports;
pub use source::{Entry, Source, check_tls};

/// The kind's name in YAML, and the last part of its events' default type.
pub const KIND: &str = "http";
/// The `type` of events that are wrapped, when the event's settings name none.
pub const DEFAULT_TYPE: &str = "events.openfunction.io.http";

#[cfg(test)]
mod tests;
