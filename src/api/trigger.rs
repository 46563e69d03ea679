//! `Trigger`: which events go where.

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::any::{IntOrText, Object};
use super::event_source::ScaleOption;
use super::filter::Filters;
use super::status::TriggerStatus;
use super::{ObjectRef, SinkSpec};

/// Which events go where: named inputs with filters, and subscribers with conditions over them.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[kube(
    group = "events.openfunction.io",
    version = "v1alpha1",
    kind = "Trigger",
    plural = "triggers",
    shortname = "tr",
    category = "events",
    namespaced,
    status = "TriggerStatus",
    derive = "Default",
    derive = "PartialEq",
    printcolumn = r#"{"name":"EventBus","type":"string","jsonPath":".spec.eventBus"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct TriggerSpec {
    /// The `EventBus`; `default` when absent.
    pub event_bus: Option<String>,
    /// `dedicated` (default), or `shared`: one router for all shared Triggers of the bus in the namespace.
    pub mode: Option<String>,
    /// `deployment` (default), or `function`: an `OpenFunction` Function drives the workload.
    pub workload: Option<String>,
    /// Overrides of the pod template, merged strategically.
    pub template: Option<Object>,
    /// `trace`, `debug`, `info`, `warn`, `error`, or `OpenFunction`'s number as text.
    pub log_level: Option<String>,
    /// How the router is scaled (KEDA), by the lag of what it reads; what is not said here is the bus's.
    pub scale_option: Option<ScaleOption>,
    /// The named inputs.
    pub event_sources: Option<Vec<InputSpec>>,
    /// `OpenFunction`'s form of the inputs: a map of names.
    pub inputs: Option<BTreeMap<String, NamedInput>>,
    /// Who gets the events.
    #[serde(default)]
    pub subscribers: Vec<SubscriberSpec>,
}

/// One named input.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InputSpec {
    /// The word used in conditions.
    pub name: String,
    pub event_source_name: String,
    pub event_name: String,
    /// The `EventSource`'s namespace; the Trigger's own when absent.
    pub namespace: Option<String>,
    /// Which events count: a mapping (Argo's kinds) or a sequence (Knative's dialects).
    pub filters: Option<Filters>,
    /// How the kinds of a mapping are combined: `and` (default) or `or`.
    pub filters_logical_operator: Option<String>,
    /// Changes the data before filters see it.
    pub transform: Option<TransformSpec>,
}

/// `OpenFunction`'s form of an input.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamedInput {
    pub event_source: String,
    pub event: String,
    pub namespace: Option<String>,
}

/// Changes the data of an event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct TransformSpec {
    pub jq: Option<String>,
    pub script: Option<String>,
}

/// One subscriber.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SubscriberSpec {
    /// The subscriber's name; its position when absent.
    pub name: Option<String>,
    /// Input names with `!`, `&&`, `||` and brackets; all inputs joined by `&&` when absent.
    pub condition: Option<String>,
    /// Short for `sink.ref`.
    #[serde(rename = "ref")]
    pub reference: Option<ObjectRef>,
    /// Where events are delivered to.
    pub sink: Option<SinkSpec>,
    /// Also, or only, to this bus topic.
    pub topic: Option<String>,
    /// Where events go that cannot be delivered.
    pub dead_letter_sink: Option<SinkSpec>,
    /// The bus topic where events go that cannot be delivered.
    pub dead_letter_topic: Option<String>,
    /// Joins: how old a held event may be.
    pub window: Option<String>,
    /// Joins: how long an event counts as "not absent".
    pub negation_window: Option<String>,
    /// Joins: how long a match waits for its negation.
    pub hold: Option<String>,
    /// Joins: when held events are forgotten.
    pub conditions_reset: Option<Vec<ConditionsReset>>,
    /// Joins: by which key events belong together.
    pub correlate: Option<CorrelateSpec>,
    /// Several matches in one delivery.
    pub batch: Option<BatchSpec>,
    /// `all` (default) or `last`.
    pub payload: Option<String>,
    /// Builds the body.
    pub parameters: Option<Vec<ParameterSpec>>,
    /// Knative's delivery block; excludes `retryStrategy`.
    pub delivery: Option<DeliverySpec>,
    /// Argo's retry block; excludes `delivery`.
    pub retry_strategy: Option<RetryStrategy>,
    /// Which status codes are success; every 2xx when absent.
    pub status_policy: Option<StatusPolicy>,
    pub rate_limit: Option<RateLimitSpec>,
    /// Deliveries at the same time; 64 when absent.
    pub concurrency: Option<u32>,
    pub circuit_breaker: Option<CircuitBreakerSpec>,
    /// Whether events of one `partitionkey` are delivered one after the other.
    pub ordered: Option<bool>,
    /// Whether a `CloudEvent` in the answer goes back to the bus.
    pub reply: Option<bool>,
    /// Gives up retries and dead letters for speed.
    pub at_most_once: Option<bool>,
}

/// When held events are forgotten.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConditionsReset {
    pub by_time: Option<ResetByTime>,
}

/// A schedule that forgets held events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct ResetByTime {
    pub cron: String,
    /// UTC when absent.
    pub timezone: Option<String>,
}

/// By which key events belong together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CorrelateSpec {
    /// Input name to attribute or data path.
    pub by: BTreeMap<String, String>,
    /// 100000 when absent.
    pub max_keys: Option<u64>,
}

/// Several matches in one delivery.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct BatchSpec {
    pub count: Option<u32>,
    pub within: Option<String>,
}

/// One parameter (Argo).
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
pub struct ParameterSpec {
    pub src: ParameterSource,
    pub dest: String,
    /// `overwrite` (default), `append` or `prepend`.
    pub operation: Option<String>,
}

/// Where a parameter's value comes from (Argo).
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ParameterSource {
    pub dependency_name: String,
    pub context_key: Option<String>,
    pub context_template: Option<String>,
    pub data_key: Option<String>,
    pub data_template: Option<String>,
    pub value: Option<String>,
    pub use_raw_data: Option<bool>,
}

/// Knative's delivery block. Durations are ISO 8601 or Go's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeliverySpec {
    /// Retries after the first attempt; 10 when absent.
    pub retry: Option<u32>,
    /// `exponential` (default) or `linear`.
    pub backoff_policy: Option<String>,
    /// The first pause; `PT0.2S` when absent.
    pub backoff_delay: Option<String>,
    /// How long one attempt may take; `PT30S` when absent.
    pub timeout: Option<String>,
    /// The longest `Retry-After` that is honoured; `PT5M` when absent.
    pub retry_after_max: Option<String>,
    /// How events are sent over HTTP: `binary` (default) or `structured`.
    pub format: Option<String>,
    /// Where events go that cannot be delivered.
    pub dead_letter_sink: Option<SinkSpec>,
    /// The bus topic where events go that cannot be delivered.
    pub dead_letter_topic: Option<String>,
}

/// Argo's retry block.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
pub struct RetryStrategy {
    /// Attempts in total, the first included.
    pub steps: Option<u32>,
    /// The first pause: a duration as text, or nanoseconds.
    pub duration: Option<IntOrText>,
    pub factor: Option<f64>,
    pub jitter: Option<f64>,
    /// The longest pause; 5m when absent.
    pub cap: Option<String>,
    /// How long after the first failure the event is given up; 24h when absent.
    pub deadline: Option<String>,
}

/// Which status codes are success.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct StatusPolicy {
    pub allow: Vec<u16>,
}

/// How many deliveries are made per unit of time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RateLimitSpec {
    /// `Second` (default), `Minute` or `Hour`.
    pub unit: Option<String>,
    pub requests_per_unit: u32,
}

/// When a failing sink is left alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CircuitBreakerSpec {
    /// 10 when absent.
    pub consecutive_failures: Option<u32>,
    /// 30s when absent.
    pub open_for: Option<String>,
}
