//! What the clients of brokers share, because kinds may not import each other: TLS towards servers, and what
//! bus and source have in common towards Redis (the connection) and towards Kafka (the client, the reader).
//!
//! May import `api`, `fault` and `task`; never a kind.

mod fault;
#[cfg(feature = "kafka")]
pub mod kafka;
mod redis;
mod tls;

pub use fault::fault;
pub use redis::{Link, Servers, Target, connect};
pub use tls::{Trust, tls};
