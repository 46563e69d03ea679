//! A Dapr Component.

use std::fmt;

use crate::api::SecretKeyRef;

/// One Component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    pub name: String,
    /// Such as `pubsub.eventbus.embedded`.
    pub ty: String,
    pub version: String,
    pub metadata: Vec<(String, Setting)>,
}

/// What a key of the metadata is set to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    Value(String),
    /// The value of this environment variable of daprd.
    Environment(String),
    /// A key of a cluster's Secret.
    Key(SecretKeyRef),
}

/// The kind of a pub/sub Component of ours, by its type: `eventbus.redis` of `pubsub.eventbus.redis`. `None` when it is
/// somebody else's.
pub fn kind(ty: &str) -> Option<&str> {
    let kind = ty.strip_prefix("pubsub.")?;
    (kind.starts_with("eventbus.") || kind.starts_with("eventsource.")).then_some(kind)
}

impl Component {
    pub fn new(name: impl Into<String>, ty: impl Into<String>) -> Self {
        Self { name: name.into(), ty: ty.into(), version: "v1".to_owned(), metadata: Vec::new() }
    }

    pub fn set(&mut self, key: &str, setting: Setting) {
        self.metadata.push((key.to_owned(), setting));
    }

    /// The text that a key is set to.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.metadata.iter().find_map(|(known, setting)| match setting {
            Setting::Value(value) if known == key => Some(value.as_str()),
            _ => None,
        })
    }

    pub fn has(&self, key: &str) -> bool {
        self.metadata.iter().any(|(known, _)| known == key)
    }
}

/// As YAML, as a person can read and keep it: a text in JSON's quotes is one in YAML's.
impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        writeln!(f, "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata:\n  name: {}", quoted(&self.name))?;
        writeln!(f, "spec:\n  type: {}\n  version: {}", self.ty, self.version)?;
        if self.metadata.is_empty() {
            return writeln!(f, "  metadata: []");
        }
        writeln!(f, "  metadata:")?;
        for (key, setting) in &self.metadata {
            writeln!(f, "    - name: {key}")?;
            match setting {
                Setting::Value(value) => writeln!(f, "      value: {}", quoted(value))?,
                Setting::Environment(variable) => writeln!(f, "      envRef: {variable}")?,
                Setting::Key(SecretKeyRef { name, key }) => {
                    writeln!(f, "      secretKeyRef: {{name: {}, key: {}}}", quoted(name), quoted(key))?;
                }
            }
        }
        Ok(())
    }
}
