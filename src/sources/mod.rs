//! Sources, one folder a kind.

pub mod cron;
