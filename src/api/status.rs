//! What the objects' status says.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One concern of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    #[serde(rename = "type")]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// One word from a closed list.
    pub reason: String,
    pub message: String,
    pub observed_generation: Option<i64>,
    /// RFC 3339.
    pub last_transition_time: Option<String>,
}

/// Status of an `EventSource`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventSourceStatus {
    pub conditions: Option<Vec<Condition>>,
    pub observed_generation: Option<i64>,
    /// The address of each http event.
    pub address: Option<Vec<EventAddress>>,
    /// The bus topic of each event.
    pub topics: Option<Vec<EventTopic>>,
}

/// Where an http event listens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct EventAddress {
    pub event: String,
    pub url: String,
}

/// The bus topic of an event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct EventTopic {
    pub event: String,
    pub topic: String,
}

/// Status of an `EventBus` or `ClusterEventBus`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventBusStatus {
    pub conditions: Option<Vec<Condition>>,
    pub observed_generation: Option<i64>,
    pub used_by: Option<UsedBy>,
}

/// Who uses a bus.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsedBy {
    pub event_sources: u32,
    pub triggers: u32,
}

/// Status of a Trigger.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TriggerStatus {
    pub conditions: Option<Vec<Condition>>,
    pub observed_generation: Option<i64>,
    pub inputs: Option<Vec<InputStatus>>,
    pub subscribers: Option<Vec<SubscriberStatus>>,
}

/// The bus topic of an input.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct InputStatus {
    pub name: String,
    pub topic: String,
}

/// The resolved addresses of a subscriber.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SubscriberStatus {
    pub name: String,
    pub sink: Option<String>,
    pub dead_letter: Option<String>,
    pub topic: Option<String>,
}
