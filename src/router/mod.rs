//! From the bus to the sinks: which events matter, to whom, and how they get there.
//!
//! [`route`] is the only parser of Triggers. The rooms that run them never see a kind, a broker's
//! client or a sidecar: they are handed a bus and sinks behind the seams of `flow`.

pub mod condition;
pub mod decision;
pub mod delivery;
pub mod filter;
pub mod matching;
pub mod pipeline;
pub mod route;

#[cfg(test)]
mod tests;
