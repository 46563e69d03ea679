//! The operator on a real API server, with the real definitions of Dapr.

mod flow;
mod healing;
mod objects;
mod pod;
mod rig;
mod sinks;
