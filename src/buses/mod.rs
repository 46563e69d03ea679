//! The bus kinds: each keeps events per topic and carries them to consumer groups.
//!
//! Every kind is one folder that implements [`crate::flow::Bus`] (and [`crate::flow::Store`] where
//! its back end can hold state). A kind may import `event`, `fault`, `task`, `telemetry` and `flow`,
//! and its own `config`; never a sibling.

pub mod embedded;
