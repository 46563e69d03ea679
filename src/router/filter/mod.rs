//! Filters.

pub mod json;
pub mod path;
