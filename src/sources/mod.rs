//! Sources, one folder a kind.

pub mod kafka;
pub mod mqtt;
pub mod redis;
