//! How KEDA scales a workload: by the lag of what it reads.
//!
//! - [`intake`]: an `EventSource`, by the lag of each event whose broker KEDA knows.
//! - [`router`]: Triggers, by the lag of their consumers on the bus, and of what waits for its next attempt.
//! - [`option`]: what people say of it; [`broker`]: what both tell KEDA of a broker.

mod broker;
mod bus;
mod option;
mod source;

pub use bus::{Reader, router};
pub use source::intake;

use serde_json::{Map, Value as Json, json};

use crate::api::SecretKeyRef;
use crate::api::event_source::ScaleOption;
use crate::layout::{Component, Setting};
use crate::operator::child::{Child, Owner};
use crate::operator::resource::{Resource, SCALED_OBJECT, TRIGGER_AUTHENTICATION};

/// What scales a workload, and what is said about options that scale nothing.
#[derive(Debug, Default)]
pub struct Scaler {
    pub children: Vec<Child>,
    pub warnings: Vec<String>,
}

/// Something that KEDA can ask the lag of.
#[derive(Debug)]
struct Lag {
    /// The scaler's name.
    kind: &'static str,
    metadata: Json,
    /// Whether it only keeps the workload awake, and says nothing of how many replicas are needed.
    awake: bool,
}

impl Lag {
    fn new(kind: &'static str, metadata: Json) -> Self {
        Self { kind, metadata, awake: false }
    }

    fn awake(kind: &'static str, metadata: Json) -> Self {
        Self { kind, metadata, awake: true }
    }

    /// The trigger of a `ScaledObject`, with what the option adds to the scaler's metadata.
    fn trigger(self, option: &ScaleOption, proof: Option<&Json>) -> Json {
        let Self { kind, mut metadata, awake } = self;
        for (name, value) in option.metadata.iter().flatten() {
            // What keeps awake does so from the first event on, and what is counted stays what it is.
            let known = !metadata[name].is_null();
            let counts = name.starts_with("activation") || name.ends_with("Threshold") || name.ends_with("Count");
            if !counts || (!awake && (known || name.starts_with("activation"))) {
                metadata[name] = value.as_str().into();
            }
        }
        let mut trigger = json!({"type": kind, "metadata": metadata});
        if let Some(proof) = proof {
            trigger["authenticationRef"] = proof.clone();
        }
        trigger
    }
}

/// How many replicas there are whatever the lag is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Replicas {
    /// As the options say; none when there is no lag.
    AsNeeded,
    /// Not less than one: something is listened to that no lag is known of.
    OneAtLeast,
    /// One, always: only one at a time can do the work.
    One,
}

/// The object that scales a workload. Several options are one: the most demanding value counts.
fn scaled_object(
    owner: &Owner,
    workload: &str,
    triggers: Vec<Json>,
    options: &[ScaleOption],
    replicas: Replicas,
) -> Child {
    let mut spec = Map::new();
    spec.insert("scaleTargetRef".to_owned(), json!({"name": workload}));
    let mut most = |field: &str, value: Option<i32>| {
        spec.extend(value.map(|value| (field.to_owned(), json!(value))));
    };
    most("pollingInterval", options.iter().filter_map(|option| option.polling_interval).min());
    most("cooldownPeriod", options.iter().filter_map(|option| option.cooldown_period).max());
    let fewest = options.iter().filter_map(|option| option.min_replica_count).max();
    let highest = options.iter().filter_map(|option| option.max_replica_count).max();
    let (fewest, highest) = match replicas {
        Replicas::AsNeeded => (fewest, highest),
        Replicas::OneAtLeast => (Some(fewest.unwrap_or(1).max(1)), highest),
        Replicas::One => (Some(1), Some(1)),
    };
    most("minReplicaCount", fewest);
    most("maxReplicaCount", highest);
    let mut advanced = options.iter().find_map(|option| option.advanced.as_ref()).map_or(json!({}), |said| json!(said));
    // Or what is asleep when nobody scales it any more would sleep for ever.
    if advanced["restoreToOriginalReplicaCount"].is_null() {
        advanced["restoreToOriginalReplicaCount"] = true.into();
    }
    spec.insert("advanced".to_owned(), advanced);
    spec.insert("triggers".to_owned(), triggers.into());
    Child::new(Resource::of(SCALED_OBJECT), workload, owner, workload, json!({"spec": spec}))
}

/// How KEDA proves who it is towards what `component` connects to: by what the option names, else by those secrets of
/// the Component that are `parameters` of the scaler.
///
/// # Errors
/// When one of them is no secret of the cluster.
fn proof(
    component: &Component,
    parameters: &[(&str, &str)],
    option: &ScaleOption,
    owner: &Owner,
    workload: &str,
    children: &mut Vec<Child>,
) -> Result<Option<Json>, String> {
    if let Some(reference) = &option.auth_ref {
        let mut proof = json!({"name": reference.name});
        if let Some(kind) = &reference.kind {
            proof["kind"] = kind.as_str().into();
        }
        return Ok(Some(proof));
    }
    let mut targets = Vec::new();
    for (key, parameter) in parameters {
        match component.metadata.iter().find(|(known, _)| known == key).map(|(_, setting)| setting) {
            Some(Setting::Key(SecretKeyRef { name, key })) => {
                targets.push(json!({"parameter": parameter, "name": name, "key": key}));
            }
            Some(Setting::Value(_) | Setting::Environment(_)) => {
                return Err(format!(
                    "KEDA takes its {parameter} from a Secret alone: write {key} with secretKeyRef, or name a \
                     TriggerAuthentication as authRef"
                ));
            }
            None => {}
        }
    }
    if targets.is_empty() {
        return Ok(None);
    }
    let body = json!({"spec": {"secretTargetRef": targets}});
    children.push(Child::new(Resource::of(TRIGGER_AUTHENTICATION), &component.name, owner, workload, body));
    Ok(Some(json!({"name": component.name})))
}

#[cfg(test)]
mod tests;
