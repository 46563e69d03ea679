//! The Kafka bus: its settings.

pub mod config;

#[cfg(test)]
mod tests;
