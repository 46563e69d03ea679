//! `penstock run --dapr`: daprd and the processes around it, kept running by one.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "the task room is the library's own")]

mod children;
mod components;
mod end;
pub mod flow;
mod foreign;
mod joins;
mod kill;
mod kinds;
mod letters;
mod refused;
mod tales;
