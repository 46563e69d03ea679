//! Filters.

pub mod json;
pub mod path;
pub mod pattern;
