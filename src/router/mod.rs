//! From the bus to the sinks: which events matter, to whom, and how they get there.
//!
//! [`route`] is the only parser of Triggers, with [`filter`] and [`condition`] for what is written
//! in them; [`matching`] finds, among the inputs of a topic, those that take an event. The rooms that
//! run them never see a kind, a broker's client or a sidecar: they are handed a bus and sinks behind
//! the seams of `flow`.

pub mod condition;
pub mod filter;
pub mod matching;
pub mod route;
