//! What the clients of brokers share, because kinds may not import each other: TLS towards servers, and the
//! connection to Redis that its bus and its source have in common.
//!
//! May import `api`, `fault` and `task`; never a kind.

mod fault;
mod redis;
mod tls;

pub use fault::fault;
pub use redis::{Link, Servers, Target, connect};
pub use tls::{Trust, tls};
