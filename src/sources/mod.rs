//! Sources, one folder a kind.

pub mod cron;
pub mod http;
pub mod kafka;
pub mod mqtt;
pub mod redis;
