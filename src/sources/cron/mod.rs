//! Emits events at scheduled times.
//!
//! - [`Config`]: one schedule and what it emits, parsed; [`Schedule`] tells when it fires. Pure.
//! - `missed`: which ticks are made up for after a stop. Pure.
//! - `mark`: how far a schedule has come, kept in a `flow::Store` so that a restart knows.
//! - [`Source`]: waits for the ticks and hands them out, one after the other per schedule.
//!
//! A tick is an event whose id follows from its time alone, so handing one out again, or running
//! two replicas, never makes it a different event. How far a schedule has come is written down
//! only after the tick's receipt was acknowledged: a crash repeats a tick, and loses none.

pub mod config;
mod mark;
mod missed;
mod source;

pub use config::{CatchUp, Config, InvalidSchedule, Schedule};
pub use source::{Entry, Source};

/// The `type` of ticks unless the `EventSource` sets another.
pub const DEFAULT_TYPE: &str = "events.openfunction.io.cron";

#[cfg(test)]
mod tests;
