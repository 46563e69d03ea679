//! From the bus to the sinks: which events matter, to whom, and how they get there.
//!
//! - [`route`] is the only parser of Triggers, with [`filter`] and [`condition`] for what is
//!   written in them.
//! - [`lua`] runs the scripts that filters and transforms are written in.
//! - [`body`] builds the data that a subscriber gets from its `parameters`.
//! - [`matching`] finds, among the inputs of a topic, those that take an event.
//! - [`pipeline`] reads the topics and settles the receipts; [`delivery`] takes one event to one
//!   destination, or puts it aside.
//! - [`join`] keeps what subscribers wait for that join several events.
//! - [`decision`] is what happened on the way, as data; [`journal`] keeps the latest of it.
//!
//! The rooms that run Triggers never see a kind, a broker's client or a sidecar: they are handed a
//! bus and sinks behind the seams of `flow`.

pub mod body;
pub mod condition;
pub mod decision;
pub mod delivery;
pub mod filter;
pub mod join;
pub mod journal;
pub mod lua;
pub mod matching;
pub mod pipeline;
pub mod route;

#[cfg(test)]
mod tests;
