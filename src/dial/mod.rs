//! Connections that a bus and a source have in common, because kinds may not import each other: those
//! to Redis, and what its refusals mean.
//!
//! May import `api`, `fault` and `task`; never a kind.

mod fault;
mod redis;

pub use fault::fault;
pub use redis::{Link, Servers, Target, connect};
