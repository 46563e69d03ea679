//! What is wrong with an object: asked of whoever knows every parser.

use serde_json::Value as Json;

/// What was found in one object, each on a line of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    pub errors: Vec<String>,
    /// Right, but this version cannot run it yet.
    pub unsupported: Vec<String>,
    pub warnings: Vec<String>,
}

/// Judges objects as `penstock check` judges files.
pub trait Judge: Send + Sync {
    /// What is wrong with `object`, whose bus is `bus`.
    fn judge(&self, object: &Json, bus: Option<&Json>) -> Findings;
}
