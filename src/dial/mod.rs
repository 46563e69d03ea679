//! What the clients of brokers share, because kinds may not import each other: TLS towards servers, the
//! attempts to come back to them, and the connections to NATS and to Redis that a bus and a source have in common.
//!
//! May import `api`, `fault` and `task`; never a kind.

mod again;
mod attempts;
mod fault;
pub mod nats;
mod redis;
mod tls;

pub use again::{Client, work};
pub use attempts::Attempts;
pub use fault::fault;
pub use redis::{Link, Servers, Target, connect};
pub use tls::{Trust, tls};
