//! Metric names and the registry.
