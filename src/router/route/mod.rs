//! Triggers as they are run: everything parsed, checked and compiled, nothing left to guess.
//!
//! - [`Trigger::parse`] is the only parser of Triggers; [`Trigger::of_event_source`] makes the same
//!   of an `EventSource` with a direct sink. Both always return a value: the problems tell whether
//!   it may be run.
//! - [`BusDefaults`] is what the Triggers of a bus inherit from it, [`TopicNames`] among it.
//!
//! Pure: no clock, no client. Whoever runs a [`Trigger`] turns its [`Target`]s into sinks. Imports
//! `api`, `router::body`, `router::filter` and `router::condition` alone.

mod address;
mod bus;
mod check;
mod delivery;
mod input;
mod join;
mod limits;
mod policy;
mod subscriber;
mod target;
mod topics;
mod trigger;

pub use bus::{BusDefaults, DEFAULT_BUS};
pub use input::Input;
pub use join::{Join, Payload};
pub use limits::{Breaker, Rate};
pub use policy::{Growth, Policy, StatusCodes};
pub use subscriber::Subscriber;
pub use target::{DeadLetter, Target};
pub use topics::{Collision, DEFAULT_TEMPLATE, EventName, MAX_TOPIC, TopicNames, dead_letter_topic, retry_topic};
pub use trigger::Trigger;

#[cfg(test)]
mod tests;
