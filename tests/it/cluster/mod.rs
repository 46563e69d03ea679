//! On a real Kubernetes API server.

mod definitions;
mod server;
