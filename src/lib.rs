//! Penstock moves events from where they happen to the functions that handle them.
//!
//! Data runs one way: source -> event -> bus -> filter -> condition -> delivery -> sink. Two things
//! run back: receipts and backpressure, both through [`flow`]. The rooms, in reading order:
//! [`event`] is the value, [`fault`] what goes wrong, [`task`] time and tasks, [`flow`] the seams;
//! [`api`] is the YAML people write; [`sources`], [`buses`] and [`sinks`] are the kinds; [`intake`]
//! pumps a source into a bus, [`router`] takes events from the bus to the sinks; [`layout`]
//! says what documents come to behind Dapr and [`operator`] keeps a cluster so; [`catalog`] lists the kinds and
//! [`cli`] wires everything. ARCHITECTURE.md is the map.

pub mod api;
pub mod buses;
pub mod catalog;
pub mod cli;
pub mod component;
pub mod dial;
pub mod event;
pub mod fault;
pub mod flow;
pub mod frame;
pub mod intake;
pub mod layout;
pub mod listen;
pub mod operator;
pub mod proto;
pub mod router;
pub mod sidecar;
pub mod sinks;
pub mod sources;
pub mod task;
pub mod telemetry;
