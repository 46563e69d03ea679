//! On a real Kubernetes API server.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cases;
mod definitions;
mod server;
