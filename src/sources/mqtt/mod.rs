//! The MQTT source: its settings.

pub mod config;

#[cfg(test)]
mod tests;
