//! The whole path behind a real daprd: webhook component, intake, bus component, router, receiver.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "the task room is the library's own")]

mod apart;
mod chaos;
mod healing;
mod path;
mod plans;
mod rig;
mod room;
