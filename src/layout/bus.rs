//! A bus as a Component.

use serde_json::{Map, Value as Json};

use super::{Component, Secrets, Setting, client_settings, foreign, object, write};
use crate::api::event_bus::BusSpec;
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
        "component" => {
            return spec.component.as_ref().map(|raw| foreign::component(name, raw, &path, secrets, problems));
        }
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
    let kind = super::kind(&bus.ty)?;
    let mut component = Component { metadata: bus.metadata.clone(), ..Component::new(name, format!("state.{kind}")) };
    if !component.has("bus") {
        component.set("bus", Setting::Value(bus.name.clone()));
    }
    // What a group keeps is under its own name, whatever its app is called.
    component.set("keyPrefix", Setting::Value("none".to_owned()));
    Some(component)
}
