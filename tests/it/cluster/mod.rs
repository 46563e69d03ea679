//! On a real Kubernetes API server.

mod server;
