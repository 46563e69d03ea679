//! Delivers events as HTTP POSTs (`CloudEvents` HTTP binding 1.0.2, binary or structured mode).
//!
//! - [`Config`]: where to and how.
//! - [`Client`]: the connections, one for all sinks of a process.
//! - [`Sink`]: one attempt.
//!
//! The answer decides. A success code means that the other side has the event; everything else
//! becomes a fault whose retry class follows the status (`answer.rs` has the table). An answer
//! that does not arrive whole and in time counts as none, so the event is delivered again rather
//! than lost. Redirects are not followed.

mod answer;
mod client;
mod config;
mod retry_after;
mod sink;

pub use answer::judge;
pub use client::Client;
pub use config::{Config, Endpoint, InvalidEndpoint, Success};
pub use sink::Sink;

#[cfg(test)]
mod tests;
