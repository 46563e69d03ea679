//! The custom resource definitions of the group, as a real API server takes them.
//!
//! The derived schemas are structural already. What is changed here: unsigned formats, which the
//! API server does not know, become ranges; descriptions lose the line breaks of the source; and
//! [`rules`] are added.

mod rules;

use std::sync::LazyLock;

use kube::CustomResourceExt;
use serde_json::Value as Json;

use super::event_bus::{ClusterEventBus, EventBus};
use super::event_source::EventSource;
use super::trigger::Trigger;

/// The kinds of the group.
pub const KINDS: [&str; 4] = ["EventSource", "EventBus", "ClusterEventBus", "Trigger"];

static DEFINITIONS: LazyLock<[Json; KINDS.len()]> = LazyLock::new(|| {
    [EventSource::crd(), EventBus::crd(), ClusterEventBus::crd(), Trigger::crd()].map(|crd| {
        // A definition is plain data: there is nothing that JSON could not say.
        let mut definition = serde_json::to_value(&crd).unwrap_or_default();
        let root = "/spec/versions/0/schema/openAPIV3Schema";
        if let Some(schema) = definition.pointer_mut(root) {
            clean(schema);
            rules::add(&crd.spec.names.kind, &mut schema["properties"]["spec"]);
            rules::list_by(&mut schema["properties"]["status"]["properties"]["conditions"], "type");
            schema["description"] = schema["properties"]["spec"]["description"].clone();
        }
        definition
    })
});

/// All definitions, in the order of [`KINDS`].
pub fn definitions() -> &'static [Json] {
    &*DEFINITIONS
}

/// The structural schema of a kind's `spec`.
pub fn spec_schema(kind: &str) -> Option<&'static Json> {
    let index = KINDS.iter().position(|known| *known == kind)?;
    DEFINITIONS[index].pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec")
}

/// Makes a schema, and all schemas in it, fit for an API server.
fn clean(schema: &mut Json) {
    let Json::Object(members) = schema else { return };
    let largest = match members.get("format").and_then(Json::as_str) {
        Some("uint8") => Some(u64::from(u8::MAX)),
        Some("uint16") => Some(u64::from(u16::MAX)),
        Some("uint32") => Some(u64::from(u32::MAX)),
        // What JSON's numbers carry exactly everywhere is enough.
        Some("uint" | "uint64") => Some(1 << 53),
        _ => None,
    };
    if let Some(largest) = largest {
        members.remove("format");
        members.insert("maximum".to_owned(), largest.into());
    }
    for range in ["minimum", "maximum"] {
        if let Some(limit) = members.get(range).and_then(whole) {
            members.insert(range.to_owned(), limit.into());
        }
    }
    if let Some(Json::String(description)) = members.get_mut("description") {
        *description = description.replace('\n', " ");
    }
    for (name, value) in members {
        match name.as_str() {
            "properties" => {
                let Json::Object(properties) = value else { continue };
                properties.values_mut().for_each(clean);
            }
            "items" | "additionalProperties" => clean(value),
            _ => {}
        }
    }
}

/// A limit that is written as `0.0` is meant as `0`.
#[expect(clippy::cast_possible_truncation, reason = "only what the cast keeps is taken")]
fn whole(limit: &Json) -> Option<i64> {
    let float = limit.as_f64()?;
    (float.fract() == 0.0 && float.abs() <= 9e15).then_some(float as i64)
}

#[cfg(test)]
mod tests;
