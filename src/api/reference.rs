//! References to other objects, and the places events are delivered to.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A reference to an object of any kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectRef {
    /// Group and version, such as `serving.knative.dev/v1`; `v1` for the core group.
    pub api_version: String,
    /// The kind, such as `Service`.
    pub kind: String,
    /// The object's name.
    pub name: String,
    /// The object's namespace; the referring object's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

impl ObjectRef {
    /// Whether it is to a Component of Dapr's. By group and kind: the version may change.
    pub fn is_component(&self) -> bool {
        self.api_version.starts_with("dapr.io/") && self.kind == "Component"
    }
}

/// Where events are delivered to: an object, an address, or both (an address relative to the object's).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SinkSpec {
    /// The object that receives the events.
    #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<ObjectRef>,
    /// An absolute `http://`, `https://` or `log:` address, or a path on top of `ref`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// The topic, when the object is a Dapr pub/sub or broker binding Component.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// The operation of a Dapr output binding; `create` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// Metadata of each request to a Dapr Component.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<BTreeMap<String, String>>,
}
