//! Delivers events to a topic of a bus: a subscriber's `topic`, a dead-letter topic.

mod sink;

pub use sink::Sink;

#[cfg(test)]
mod tests;
