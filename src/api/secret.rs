//! Secrets, by reference.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::{FieldPath, Problems};

/// A key of a Kubernetes Secret in the object's namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyRef {
    /// The Secret's name.
    pub name: String,
    /// The key in the Secret.
    pub key: String,
}

/// Where a secret value comes from; exactly one of the three.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretSource {
    /// A key of a Kubernetes Secret. On one machine: the file `NAME/KEY` under `--secrets-dir`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<SecretKeyRef>,
    /// An environment variable of the process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
    /// A file; one trailing newline is dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

/// A secret where the proposal or `OpenFunction` had a plain string: that is still taken, with a
/// warning.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum SecretValue {
    Plain(String),
    From(SecretSource),
    /// Neither. The schema cannot refuse it, and an object of a cluster must be readable for its
    /// status to say what is wrong; it is refused when it is read.
    Malformed(serde_json::Value),
}

/// Never shows a plain value.
impl std::fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Plain(_) => f.write_str("Plain(\"***\")"),
            Self::From(source) => f.debug_tuple("From").field(source).finish(),
            Self::Malformed(_) => f.write_str("Malformed(\"***\")"),
        }
    }
}

impl JsonSchema for SecretValue {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SecretValue".into()
    }

    fn inline_schema() -> bool {
        true
    }

    /// A structural schema has no union of string and object: the parser judges it.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A secret: {secretKeyRef: {name, key}}, {env: NAME} or {file: PATH}; a plain string is taken with a warning.",
            "x-kubernetes-preserve-unknown-fields": true,
        })
    }
}

/// A secret's value. Never shown: neither `Debug` nor any error has it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// Where secret values are looked up: environment and files on one machine, the API server in the
/// operator, nowhere in `check`.
pub trait Secrets {
    /// The value behind a reference that names exactly one place.
    ///
    /// # Errors
    /// Why there is none, without any part of a value.
    fn resolve(&self, source: &SecretSource) -> Result<Secret, String>;
}

/// Takes every reference for granted: for judging a document away from where its secrets are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unresolved;

impl Secrets for Unresolved {
    fn resolve(&self, _: &SecretSource) -> Result<Secret, String> {
        Ok(Secret::default())
    }
}

/// Reads a secret reference: exactly one place, and a value there.
pub fn read(source: &SecretSource, path: &FieldPath, secrets: &dyn Secrets, problems: &mut Problems) -> Secret {
    let places = [source.secret_key_ref.is_some(), source.env.is_some(), source.file.is_some()];
    if places.iter().filter(|set| **set).count() != 1 {
        problems.push(path, "exactly one of secretKeyRef, env and file is needed");
        return Secret::default();
    }
    secrets.resolve(source).unwrap_or_else(|reason| {
        problems.push(path, reason);
        Secret::default()
    })
}

/// Reads a secret that may be plain text, with a warning for that.
pub fn read_value(value: &SecretValue, path: &FieldPath, secrets: &dyn Secrets, problems: &mut Problems) -> Secret {
    match value {
        SecretValue::From(source) => read(source, path, secrets, problems),
        SecretValue::Plain(text) => {
            problems.warn(path, "a secret as plain text can be read by everyone who reads this file: use secretKeyRef");
            Secret::new(text)
        }
        SecretValue::Malformed(_) => {
            problems.push(path, "expected text, {secretKeyRef: {name, key}}, {env: NAME} or {file: PATH}");
            Secret::default()
        }
    }
}
