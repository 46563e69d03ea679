//! A Dapr Component, as a file that a person can read and keep.

use std::fmt;

/// One Component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    pub name: String,
    /// Such as `pubsub.eventbus.embedded`.
    pub ty: String,
    pub metadata: Vec<(String, Setting)>,
}

/// What a key of the metadata is set to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    Value(String),
    /// The value of this environment variable of daprd.
    Environment(String),
}

impl Component {
    pub fn new(name: String, ty: String) -> Self {
        Self { name, ty, metadata: Vec::new() }
    }

    pub fn set(&mut self, key: &str, setting: Setting) {
        self.metadata.push((key.to_owned(), setting));
    }
}

/// As YAML: a text in JSON's quotes is one in YAML's.
impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        writeln!(f, "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata:\n  name: {}", quoted(&self.name))?;
        writeln!(f, "spec:\n  type: {}\n  version: v1", self.ty)?;
        if self.metadata.is_empty() {
            return writeln!(f, "  metadata: []");
        }
        writeln!(f, "  metadata:")?;
        for (key, setting) in &self.metadata {
            writeln!(f, "    - name: {key}")?;
            match setting {
                Setting::Value(value) => writeln!(f, "      value: {}", quoted(value))?,
                Setting::Environment(variable) => writeln!(f, "      envRef: {variable}")?,
            }
        }
        Ok(())
    }
}
