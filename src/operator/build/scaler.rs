//! How KEDA scales an intake: by the lag of each event whose broker KEDA knows.

use serde_json::{Map, Value as Json, json};

use crate::api::SecretKeyRef;
use crate::api::event_source::ScaleOption;
use crate::layout::{Component, Event, Setting};
use crate::operator::child::{Child, Owner};
use crate::operator::resource::{Resource, SCALED_OBJECT, TRIGGER_AUTHENTICATION};

/// Events per replica when nothing is said.
const LAG: &str = "10";

/// What scales a workload, and what is said about options that scale nothing.
#[derive(Debug, Default)]
pub struct Scaler {
    pub children: Vec<Child>,
    pub warnings: Vec<String>,
}

/// What scales the intake of these events. Nothing when no event says `scaleOption`.
///
/// # Errors
/// What is missing for a scaler.
pub fn scaler(owner: &Owner, workload: &str, events: &[(Event<'_>, Component)]) -> Result<Scaler, String> {
    let mut scaler = Scaler::default();
    let (mut triggers, mut options): (Vec<Json>, Vec<ScaleOption>) = (Vec::new(), Vec::new());
    for (event, component) in events {
        let Some(option) = event.settings.get("scaleOption").filter(|option| !option.is_null()) else { continue };
        let path = event.path().field("scaleOption");
        let option: ScaleOption = serde_json::from_value(option.clone()).map_err(|error| format!("{path}: {error}"))?;
        let trigger = match event.kind {
            "redis" => redis(component, &option),
            "rabbitmq" => rabbitmq(component, &option).map_err(|why| format!("{path}: {why}"))?,
            kind => {
                scaler.warnings.push(format!("{path}: has no effect: there is no scaler of KEDA for {kind}"));
                continue;
            }
        };
        triggers.push(finished(trigger, &option, component, owner, workload, &mut scaler.children));
        options.push(option);
    }
    if triggers.is_empty() {
        return Ok(scaler);
    }
    // What no lag is known of must be listened to all the time.
    let all = triggers.len() == events.len();
    let mut spec = Map::new();
    spec.insert("scaleTargetRef".to_owned(), json!({"name": workload}));
    // One Deployment serves all events: the most demanding option counts.
    let mut most = |field: &str, value: Option<i32>| {
        spec.extend(value.map(|value| (field.to_owned(), json!(value))));
    };
    most("pollingInterval", options.iter().filter_map(|option| option.polling_interval).min());
    most("cooldownPeriod", options.iter().filter_map(|option| option.cooldown_period).max());
    let fewest = options.iter().filter_map(|option| option.min_replica_count).max();
    most("minReplicaCount", if all { fewest } else { Some(fewest.unwrap_or(1).max(1)) });
    most("maxReplicaCount", options.iter().filter_map(|option| option.max_replica_count).max());
    if let Some(advanced) = options.iter().find_map(|option| option.advanced.as_ref()) {
        spec.insert("advanced".to_owned(), json!(advanced));
    }
    spec.insert("triggers".to_owned(), triggers.into());
    let object = Child::new(Resource::of(SCALED_OBJECT), workload, owner, workload, json!({"spec": spec}));
    scaler.children.push(object);
    Ok(scaler)
}

/// The group and the stream are those of the source.
fn redis(component: &Component, option: &ScaleOption) -> Json {
    let text = |key: &str| component.text(key).unwrap_or_default();
    let mut metadata = json!({
        "stream": text("stream"), "consumerGroup": text("consumerGroup"),
        "lagCount": option.lag_threshold.as_deref().unwrap_or(LAG),
    });
    for (key, name) in
        [("enableTLS", "enableTLS"), ("redisDB", "databaseIndex"), ("sentinelMasterName", "sentinelMaster")]
    {
        if let Some(value) = component.text(key) {
            metadata[name] = value.into();
        }
    }
    let (ty, address) = match (text("redisType"), component.has("sentinelMasterName")) {
        ("cluster", _) => ("redis-cluster-streams", "addresses"),
        (_, true) => ("redis-sentinel-streams", "addresses"),
        _ => ("redis-streams", "address"),
    };
    metadata[address] = text("redisHost").into();
    json!({"type": ty, "metadata": metadata})
}

fn rabbitmq(component: &Component, option: &ScaleOption) -> Result<Json, String> {
    let mut metadata = json!({
        "queueName": component.text("queue"), "protocol": "auto", "mode": "QueueLength",
        "value": option.lag_threshold.as_deref().unwrap_or(LAG),
    });
    if option.auth_ref.is_none() {
        if component.has("username") {
            return Err("KEDA wants the login within the address: name a TriggerAuthentication with the parameter \
                        host as authRef"
                .to_owned());
        }
        metadata["host"] = component.text("url").into();
    }
    Ok(json!({"type": "rabbitmq", "metadata": metadata}))
}

/// A trigger with what its option adds, and how KEDA proves who it is.
fn finished(
    mut trigger: Json,
    option: &ScaleOption,
    component: &Component,
    owner: &Owner,
    workload: &str,
    children: &mut Vec<Child>,
) -> Json {
    for (name, value) in option.metadata.iter().flatten() {
        trigger["metadata"][name] = value.as_str().into();
    }
    if let Some(reference) = &option.auth_ref {
        trigger["authenticationRef"] = json!({"name": reference.name});
        if let Some(kind) = &reference.kind {
            trigger["authenticationRef"]["kind"] = kind.as_str().into();
        }
        return trigger;
    }
    let password = component.metadata.iter().find(|(key, _)| key == "redisPassword").map(|(_, setting)| setting);
    if let Some(Setting::Key(SecretKeyRef { name, key })) = password {
        let target = json!([{"parameter": "password", "name": name, "key": key}]);
        let body = json!({"spec": {"secretTargetRef": target}});
        let resource = Resource::of(TRIGGER_AUTHENTICATION);
        children.push(Child::new(resource, &component.name, owner, workload, body));
        trigger["authenticationRef"] = json!({"name": component.name});
    }
    trigger
}
