//! The command line.

pub mod documents;
pub mod report;
