//! What the clients of brokers share, because kinds may not import each other: TLS towards servers, the
//! attempts to come back to them, and what a bus and a source have in common towards NATS and Redis (the connection) and
//! towards Kafka (the client, the reader).
//!
//! May import `api`, `fault` and `task`; never a kind.

mod again;
mod attempts;
mod fault;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod nats;
mod redis;
mod tls;

pub use again::{Client, work};
pub use attempts::Attempts;
pub use fault::fault;
pub use redis::{Link, Servers, Target, connect};
pub use tls::{Trust, tls};
