//! Settings of a webhook.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::EventCommon;
use crate::api::SecretSource;
use crate::api::any::IntOrText;

/// One webhook.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HttpEvent {
    #[serde(flatten)]
    pub common: EventCommon,
    /// The path; `/<event>` when absent.
    pub path: Option<String>,
    /// The port; 8080 when absent. Events may share a port.
    pub port: Option<u16>,
    /// The methods taken; `[POST]` when absent.
    pub methods: Option<Vec<String>>,
    /// The largest body; `1Mi` when absent.
    pub max_body_bytes: Option<IntOrText>,
    /// A token that requests must carry as `Authorization: Bearer`.
    pub bearer: Option<SecretSource>,
    /// How the body is signed.
    pub signature: Option<SignatureSpec>,
    /// Serves HTTPS.
    pub tls: Option<ServerTls>,
    /// What a request that was kept is answered; code 202 and no body when absent.
    pub response: Option<ResponseSpec>,
}

/// How a request's body is signed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignatureSpec {
    /// `github`, `stripe` or `hmac`.
    pub scheme: String,
    /// `hmac` only: the header that carries the signature.
    pub header: Option<String>,
    /// `hmac` only: `sha1`, `sha256` (default) or `sha512`.
    pub algorithm: Option<String>,
    /// `hmac` only: `hex` (default) or `base64`.
    pub encoding: Option<String>,
    /// `hmac` only: text before the signature, such as `sha256=`.
    pub prefix: Option<String>,
    /// `stripe` only: how old a signature may be; `5m` when absent.
    pub tolerance: Option<String>,
    /// The shared secret.
    pub secret: SecretSource,
}

/// TLS of a server of ours.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServerTls {
    /// The certificate chain (PEM).
    pub cert: SecretSource,
    /// Its key (PEM).
    pub key: SecretSource,
    /// The authority whose client certificates are required (PEM).
    #[serde(rename = "clientCA")]
    pub client_ca: Option<SecretSource>,
}

/// The answer to a request that was kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResponseSpec {
    /// A 2xx status code.
    pub code: Option<u16>,
    /// The body.
    pub body: Option<String>,
}
