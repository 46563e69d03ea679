//! Sinks, one folder a kind.
