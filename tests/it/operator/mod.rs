//! The operator on a real API server, with the real definitions of Dapr.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "the task room is the library's own")]

mod chaos;
mod flow;
mod function;
mod healing;
mod install;
mod many;
mod objects;
mod pod;
mod restricted;
mod rig;
mod rough;
mod scale;
mod sequences;
mod sinks;
mod watch;
