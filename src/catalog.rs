//! The one list of kinds.
