//! The client of Kafka that its bus and its source have in common.
//!
//! - [`Cluster`]: where the brokers are, and the settings that a client of them needs.
//! - [`Told`]: what a client told about its connections.
//! - `window`: which messages of a partition are settled, and how a commit says so. Pure.
//! - `desk`: messages that were fetched, and windows, shared with the reader's thread.
//! - `offsets`: what a group has committed.
//! - [`Reader`]: one member of a consumer group. `worker` is its thread.
//!
//! librdkafka blocks in its callbacks, when offsets are committed and when a member leaves; so a
//! reader has a thread, and everything else here that blocks says so.

mod client;
mod desk;
mod fault;
mod offsets;
mod reader;
mod window;
mod worker;

pub use client::{Cluster, Listener, Told, look, numbers};
pub use desk::{Message, Token};
pub use fault::{coded, fault, is_login};
pub use offsets::unsettled;
pub use reader::{DEFAULTS, Reader, Reading};
