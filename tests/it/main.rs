//! Tests of whole parts: buses under one conformance suite, the binary as its users run it.

mod cluster;
mod conformance;
mod dapr;
mod process;
mod published;
mod routing;
mod supervised;
mod support;
mod workloads;
