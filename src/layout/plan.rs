//! Plans: what `penstock intake` and `penstock router` read.

use serde_json::{Map, Value as Json, json};

use super::Event;

/// What feeds one topic.
#[derive(Clone, Copy, Debug)]
pub struct Feed<'a> {
    /// The source Component.
    pub from: &'a str,
    /// The topic of the bus; the source knows it by the same name.
    pub topic: &'a str,
    pub namespace: &'a str,
    pub event_source: &'a str,
}

/// One feed of an [`intake_plan`].
pub fn feed(feed: Feed<'_>, event: &Event<'_>) -> Json {
    json!({
        "from": {"component": feed.from}, "topic": feed.topic, "to": feed.topic,
        "namespace": feed.namespace, "eventSource": feed.event_source, "event": event.name,
        "attributes": event.attributes(),
    })
}

/// The plan of `penstock intake` with the bus Component `bus`.
pub fn intake_plan(bus: &str, feeds: &[Json]) -> Json {
    json!({"bus": {"component": bus}, "feeds": feeds})
}

/// The bus that Triggers inherit from.
#[derive(Clone, Debug)]
pub struct EventBus<'a> {
    pub name: &'a str,
    /// Empty for a cluster's bus.
    pub namespace: &'a str,
    pub spec: Json,
}

/// What a router does.
#[derive(Clone, Debug)]
pub struct Router<'a> {
    /// The bus Component.
    pub bus: &'a str,
    /// The consumer group.
    pub group: &'a str,
    pub event_bus: EventBus<'a>,
    /// Namespace, name and spec of each Trigger.
    pub triggers: Vec<Json>,
    /// Where the objects are that they refer to.
    pub sinks: Vec<Json>,
}

/// The plan of `penstock router`.
pub fn router_plan(router: Router<'_>) -> Json {
    let EventBus { name, namespace, mut spec } = router.event_bus;
    // Nothing of it is inherited, and it may hold secrets.
    if let Some(Json::Object(component)) = spec.get_mut("component") {
        component.remove("metadata");
    }
    let mut plan = json!({
        "bus": {"component": router.bus}, "group": router.group,
        "eventBus": {"name": name, "namespace": namespace, "spec": spec},
        "triggers": router.triggers,
    });
    if !router.sinks.is_empty() {
        plan["sinks"] = router.sinks.into();
    }
    plan
}

/// The direct sink of an `EventSource`, as a Trigger over some of its events. No Trigger can have its name.
pub fn direct(namespace: &str, name: &str, sink: &Json, delivery: &Json, events: &[&str]) -> Json {
    let names: Vec<String> = (0..events.len()).map(|index| format!("event{index}")).collect();
    let inputs = names.iter().zip(events);
    let inputs = inputs.map(|(input, event)| json!({"name": input, "eventSourceName": name, "eventName": event}));
    let spec = json!({
        "eventSources": inputs.collect::<Vec<_>>(),
        "subscribers": [{"name": "sink", "condition": names.join(" || "), "sink": sink, "delivery": delivery}],
    });
    json!({"namespace": namespace, "name": format!("@{name}"), "spec": without_nulls(spec)})
}

/// The members of a shape; the shapes of the YAML are mappings.
pub fn object(spec: &impl serde::Serialize) -> Map<String, Json> {
    match serde_json::to_value(spec) {
        Ok(Json::Object(members)) => members,
        _ => Map::new(),
    }
}

/// What was not written leaves nothing behind. In filters, null may be meant.
pub fn without_nulls(value: Json) -> Json {
    match value {
        Json::Object(members) => {
            let kept = members.into_iter().filter(|(_, value)| !value.is_null());
            kept.map(|(name, value)| if name == "filters" { (name, value) } else { (name, without_nulls(value)) })
                .collect()
        }
        Json::Array(items) => items.into_iter().map(without_nulls).collect(),
        other => other,
    }
}
