//! The Redis streams bus: its settings.

pub mod config;

#[cfg(test)]
mod tests;
