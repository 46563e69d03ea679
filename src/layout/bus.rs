//! A bus as a Component.

use serde_json::{Map, Value as Json, json};

use super::{Component, Secrets, Setting, client_settings, object, untouched, write};
use crate::api::event_bus::{BusSpec, ComponentBus};
use crate::api::metadata::Key;
use crate::api::{FieldPath, Problems};
use crate::buses::embedded::config as embedded;
use crate::buses::jetstream::config as jetstream;
use crate::buses::kafka::config as kafka;
use crate::buses::redis::config as redis;

/// What holds for all back ends.
const COMMON: [&str; 2] = ["retention", "dedupWindow"];

/// Fields of `natsStreaming` that say nothing to `JetStream`: NATS Streaming's own identity, and scaling.
const STREAMING_ONLY: [&str; 5] =
    ["natsURL", "natsStreamingClusterID", "subscriptionType", "durableSubscriptionName", "scaleOption"];

/// The block of a spec that names the back end; `embedded` when there is none.
pub fn back_end(spec: &Map<String, Json>) -> &'static str {
    let known = ["nats", "natsStreaming", "jetstream", "kafka", "redis", "embedded", "component"];
    known.into_iter().find(|block| spec.get(*block).is_some_and(|value| !value.is_null())).unwrap_or("embedded")
}

/// The Component `name` of the bus `of`: every Component that says the same `of` is the same bus. `None`
/// when its back end has none; that is reported.
pub fn bus(
    name: &str,
    of: &str,
    spec: &BusSpec,
    secrets: &mut Secrets<'_>,
    problems: &mut Problems,
) -> Option<Component> {
    let members = object(spec);
    let root = FieldPath::root().field("spec");
    let kind = back_end(&members);
    let path = root.field(kind);
    let mut block = members.get(kind).and_then(Json::as_object).cloned().unwrap_or_default();
    let (ty, keys): (_, &[Key]) = match kind {
        "embedded" => ("eventbus.embedded", &embedded::KEYS),
        "jetstream" | "nats" | "natsStreaming" => ("eventbus.jetstream", &jetstream::KEYS),
        "kafka" => ("eventbus.kafka", &kafka::KEYS),
        "redis" => ("eventbus.redis", &redis::KEYS),
        "component" => return spec.component.as_ref().map(|component| foreign(name, component, &path, problems)),
        _ => {
            problems.unsupported(&path, &format!("the {kind} bus behind Dapr"));
            return None;
        }
    };
    let mut component = Component::new(name, format!("pubsub.{ty}"));
    if of != name {
        component.set("bus", Setting::Value(of.to_owned()));
    }
    let mut elsewhere = Vec::new();
    if matches!(kind, "nats" | "natsStreaming") {
        if kind == "nats" {
            block = block.get("native").and_then(Json::as_object).cloned().unwrap_or_default();
        }
        let url = block.get("natsURL").cloned().unwrap_or_default();
        block.insert("url".to_owned(), url);
        elsewhere.extend(STREAMING_ONLY);
    }
    if kind == "kafka" {
        client_settings(&mut component, &mut block, &path, problems);
    }
    write(&mut component, &block, keys, &elsewhere, secrets, (&path, problems));
    let common = COMMON.iter().filter_map(|field| Some(((*field).to_owned(), members.get(*field)?.clone())));
    write(&mut component, &common.collect(), keys, &[], secrets, (&root, problems));
    Some(component)
}

/// The state store Component `name` of the same bus as a pub/sub Component; `None` when that is none of ours.
pub fn state(name: &str, bus: &Component) -> Option<Component> {
    let kind = bus.ty.strip_prefix("pubsub.").filter(|ty| ty.starts_with("eventbus."))?;
    let mut component = Component { metadata: bus.metadata.clone(), ..Component::new(name, format!("state.{kind}")) };
    if !component.has("bus") {
        component.set("bus", Setting::Value(bus.name.clone()));
    }
    // What a group keeps is under its own name, whatever its app is called.
    component.set("keyPrefix", Setting::Value("none".to_owned()));
    Some(component)
}

/// Any Dapr pub/sub, as it was written.
fn foreign(name: &str, raw: &ComponentBus, path: &FieldPath, problems: &mut Problems) -> Component {
    let mut component = Component::new(name, raw.kind.as_str());
    if let Some(version) = &raw.version {
        component.version.clone_from(version);
    }
    if raw.secret_store.as_deref().is_some_and(|store| store != "kubernetes") {
        problems.unsupported(&path.field("secretStore"), "a secret store other than kubernetes");
    }
    for (index, entry) in raw.metadata.iter().flatten().enumerate() {
        let path = path.field("metadata").index(index);
        let entry = json!(entry);
        let Some(key) = entry["name"].as_str() else {
            problems.push(&path.field("name"), "required (text) and missing");
            continue;
        };
        let setting = match (&entry["value"], &entry["secretKeyRef"]) {
            (Json::Null, Json::Null) => Err("needs \"value\" or \"secretKeyRef\"".to_owned()),
            (Json::Null, reference) => {
                serde_json::from_value(reference.clone()).map(Setting::Key).map_err(|error| error.to_string())
            }
            (Json::String(text), _) => untouched(text.clone()).map(Setting::Value),
            (other, _) => untouched(other.to_string()).map(Setting::Value),
        };
        match setting {
            Ok(setting) => component.set(key, setting),
            Err(reason) => problems.push(&path, reason),
        }
    }
    component
}
