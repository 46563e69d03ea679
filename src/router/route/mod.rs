//! Triggers as they are run: everything parsed, checked and compiled, nothing left to guess.
//!
//! Pure: no clock, no client. The raw shapes come from `api`; whoever runs a [`Trigger`] turns its
//! [`Target`]s into sinks.

mod policy;
mod target;

pub use policy::{Policy, StatusCodes};
pub use target::Target;
