//! What every event of every kind may set.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::SecretSource;
use crate::api::any::{IntOrText, Object};

/// What every event of every kind may set.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventCommon {
    /// `CloudEvents` attributes to set or override; `type` and `subject` are common.
    pub attributes: Option<BTreeMap<String, String>>,
    /// A body that is not JSON is a poison message.
    pub json_body: Option<bool>,
    /// How a lost connection is retried.
    pub connection_backoff: Option<ConnectionBackoff>,
    /// How the workload is scaled (KEDA).
    pub scale_option: Option<ScaleOption>,
}

/// Pauses between connection attempts. Default: 1s, unlimited steps, factor 2, jitter 0.2, cap 30s.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionBackoff {
    /// The first pause: a duration as text, or nanoseconds.
    pub duration: Option<IntOrText>,
    /// How many attempts.
    pub steps: Option<u32>,
    /// Each pause is the one before times this.
    pub factor: Option<f64>,
    /// Up to this share of a pause is added at random.
    pub jitter: Option<f64>,
    /// No pause is longer than this.
    pub cap: Option<String>,
}

/// KEDA's settings (`OpenFunction`'s `scaleOption`).
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScaleOption {
    /// Seconds between two looks at the lag.
    pub polling_interval: Option<i32>,
    /// Seconds of quiet before the last replica goes.
    pub cooldown_period: Option<i32>,
    /// The fewest replicas.
    pub min_replica_count: Option<i32>,
    /// The most replicas.
    pub max_replica_count: Option<i32>,
    /// KEDA's `advanced` block.
    pub advanced: Option<Object>,
    /// More metadata of the scaler's trigger.
    pub metadata: Option<BTreeMap<String, String>>,
    /// KEDA's `authenticationRef`.
    pub auth_ref: Option<AuthRef>,
    /// The consumer group whose lag counts.
    pub consumer_group: Option<String>,
    /// The topic whose lag counts.
    pub topic: Option<String>,
    /// Events per replica; 10 when absent.
    pub lag_threshold: Option<String>,
    /// NATS only: the monitoring endpoint.
    pub nats_server_monitoring_endpoint: Option<String>,
    /// NATS only: the queue group.
    pub queue_group: Option<String>,
    /// NATS only: the durable name.
    pub durable_name: Option<String>,
    /// NATS only: the subject.
    pub subject: Option<String>,
}

impl ScaleOption {
    /// The fields that choose what the lag is of, as far as they are said.
    pub fn chosen(&self) -> impl Iterator<Item = &'static str> {
        let all = [
            ("consumerGroup", self.consumer_group.is_some()),
            ("topic", self.topic.is_some()),
            (Self::MONITOR, self.nats_server_monitoring_endpoint.is_some()),
            ("queueGroup", self.queue_group.is_some()),
            ("durableName", self.durable_name.is_some()),
            ("subject", self.subject.is_some()),
        ];
        all.into_iter().filter(|(_, said)| *said).map(|(field, _)| field)
    }

    /// The field that says where a server of NATS tells of its consumers.
    pub const MONITOR: &str = "natsServerMonitoringEndpoint";
}

/// A KEDA `TriggerAuthentication`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuthRef {
    pub name: String,
    /// `ClusterTriggerAuthentication` for a cluster-wide one.
    pub kind: Option<String>,
}

/// TLS towards a server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClientTls {
    /// The authority that signed the server's certificate (PEM).
    pub ca: Option<SecretSource>,
    /// The client's certificate (PEM).
    pub cert: Option<SecretSource>,
    /// The client's key (PEM).
    pub key: Option<SecretSource>,
    /// Accepts any server certificate. For trials only.
    pub insecure_skip_verify: Option<bool>,
}
