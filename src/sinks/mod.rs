//! Where events are delivered to, one folder a kind.
//!
//! - [`http`]: a POST to an address; the answer decides.
//! - [`topic`]: back to a topic of a bus.
//! - [`log`]: a line in the log, for trying things.
//!
//! A sink makes one attempt and reports what came of it. It never retries, never writes dead
//! letters and never acknowledges: that is delivery's. A kind may import `event`, `fault`, `task`,
//! `telemetry` and `flow`, never a sibling.

pub mod http;
pub mod log;
pub mod topic;
