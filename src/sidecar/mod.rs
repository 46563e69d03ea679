//! The way through daprd: a bus, sinks and a store that are Dapr Components.
//!
//! - [`Connection`]: one daprd, over TCP or a Unix-domain socket; knows when it is there, and asks it
//!   to shut down when a component behind it has lost its memory.
//! - [`Bus`]: publishes and subscribes through a pub/sub Component, by frames where the other end is
//!   one of ours ([`Frames`]) and one event per message where it is not.
//! - [`Binding`], [`PubSub`]: sinks.
//! - [`Store`]: a state store Component.
//!
//! What daprd 1.14 to 1.18 do wrong is healed here, once: streams that end or fall silent are opened
//! again, and nobody above sees more than a wait. May import `proto`, `event`, `fault`, `task`,
//! `telemetry` and `flow`; never a kind.

mod answer;
mod bulk;
mod bus;
mod connection;
mod envelope;
mod frames;
mod pump;
mod question;
mod reader;
mod sink;
mod status;
mod store;
mod streams;

pub use bus::{Bus, Frames, Settings};
pub use connection::{About, Address, ComponentInfo, Connection, Sidecar};
pub use sink::{Binding, PubSub};
pub use store::Store;

#[cfg(test)]
mod tests;
