//! Sources, one folder a kind.

pub mod http;
