//! Sources, one folder a kind.
