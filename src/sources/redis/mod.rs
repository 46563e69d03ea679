//! The Redis streams source: its settings.

pub mod config;

#[cfg(test)]
mod tests;
