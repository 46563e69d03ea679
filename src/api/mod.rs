//! The YAML that people write.

pub mod filter;
pub mod problem;

pub use problem::{FieldPath, Problem, Problems};
