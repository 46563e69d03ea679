//! Settings of events about objects: in a bucket, in a cluster.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::EventCommon;
use super::http::HttpEvent;
use crate::api::SecretSource;

/// Notifications of one bucket.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct S3Event {
    /// `mode: webhook` takes every setting of a webhook too.
    #[serde(flatten)]
    pub http: HttpEvent,
    /// `webhook` or `listen`.
    pub mode: String,
    pub endpoint: Option<String>,
    /// The authority that signed the certificate of an `https` endpoint; those of the system when absent.
    pub ca_cert: Option<SecretSource>,
    pub bucket: Option<String>,
    pub region: Option<String>,
    /// When absent, `["s3:ObjectCreated:*"]` when listening, and all that are posted otherwise.
    pub events: Option<Vec<String>>,
    pub filter: Option<S3Filter>,
    pub access_key: Option<SecretSource>,
    pub secret_key: Option<SecretSource>,
}

/// Which object keys count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct S3Filter {
    pub prefix: Option<String>,
    pub suffix: Option<String>,
}

/// Changes of one kind of object.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KubernetesEvent {
    #[serde(flatten)]
    pub common: EventCommon,
    pub api_version: String,
    pub kind: String,
    /// The namespaces watched; the `EventSource`'s own when absent.
    pub namespaces: Option<Vec<String>>,
    pub all_namespaces: Option<bool>,
    pub label_selector: Option<String>,
    pub field_selector: Option<String>,
    /// `[added, modified, deleted]` when absent.
    pub events: Option<Vec<String>>,
    /// `full` (default) or `metadata`.
    pub object: Option<String>,
}
