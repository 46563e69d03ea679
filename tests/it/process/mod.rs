//! The binary as its users run it: real processes, real sockets, real disks.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "the task room is the library's own")]

mod cases;
mod convert;
mod disk;
pub mod dlq;
mod explain;
mod faults;
mod gates;
mod jetstream;
mod joins;
#[cfg(feature = "kafka")]
mod kafka;
mod kill;
mod lifecycle;
mod ordered;
mod parameters;
mod programs;
pub mod quickstart;
mod redis;
mod refused;
mod sources;
