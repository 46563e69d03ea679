//! The YAML that people write.

pub mod problem;

pub use problem::{FieldPath, Problem, Problems};
