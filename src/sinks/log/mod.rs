//! Writes one line per event to the log, for trying things.

mod sink;

pub use sink::Sink;

#[cfg(test)]
mod tests;
