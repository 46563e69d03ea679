//! The YAML that people write, exactly as they write it: raw shapes only.
//!
//! The same types make the CRD schemas (`penstock crd`), are read by `check` and `run`, and by the
//! operator. Nothing is judged here beyond the shape: each room that uses a shape owns its parser
//! and reports every [`Problem`] with its [`FieldPath`]. Imports no other room.

pub mod any;
pub mod client;
pub mod crd;
pub mod duration;
pub mod event_bus;
pub mod event_source;
pub mod filter;
pub mod keep;
pub mod metadata;
pub mod problem;
pub mod quantity;
pub mod reference;
pub mod schema;
pub mod secret;
pub mod status;
pub mod trigger;
pub mod value;

pub use keep::Keep;
pub use problem::{FieldPath, Problem, Problems};
pub use reference::{ObjectRef, SinkSpec};
pub use secret::{Secret, SecretKeyRef, SecretSource, SecretValue, Secrets};

/// The API group of every kind.
pub const GROUP: &str = "events.openfunction.io";
/// The only version of the group.
pub const VERSION: &str = "v1alpha1";
/// `apiVersion` as it stands in YAML.
pub const API_VERSION: &str = "events.openfunction.io/v1alpha1";

#[cfg(test)]
mod tests;
