//! Buses, one folder a kind.
