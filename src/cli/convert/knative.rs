//! Triggers and Brokers of Knative Eventing.
//!
//! A Broker takes events over HTTP and keeps them: an `EventSource` with one webhook, and an
//! `EventBus`. A Trigger listens to that webhook.

use serde_json::{Map, Value as Json, json};

use super::fields::{Fields, Notes};

/// The event of the `EventSource` that stands for a Broker.
const INGRESS: &str = "ingress";

pub fn trigger(mut spec: Fields, notes: &mut Notes) -> Vec<(&'static str, Json)> {
    let broker = spec.text("broker").unwrap_or_else(|| "default".to_owned());
    let mut input = json!({"name": INGRESS, "eventSourceName": broker, "eventName": INGRESS});
    let legacy = spec.object("filter", notes);
    match spec.take("filters") {
        // As Knative does: the list replaces the legacy filter.
        Some(Json::Array(filters)) if !filters.is_empty() => input["filters"] = Json::Array(filters),
        _ => {
            if let Some(filters) = attributes(legacy, notes) {
                input["filters"] = filters;
            }
        }
    }
    let mut subscriber = Map::new();
    if let Some(sink) = spec.take("subscriber") {
        subscriber.insert("sink".to_owned(), sink);
    } else {
        notes.left_out(&spec.at("subscriber"), "a Trigger needs a subscriber");
        return Vec::new();
    }
    spec.rename("delivery", "delivery", &mut subscriber);
    subscriber.insert("reply".to_owned(), Json::Bool(true));
    spec.finish(notes);
    vec![("Trigger", json!({"eventBus": broker, "eventSources": [input], "subscribers": [subscriber]}))]
}

/// The legacy filter: every attribute equals its text, and empty text asks only for some value.
fn attributes(mut filter: Fields, notes: &mut Notes) -> Option<Json> {
    let attributes = filter.object("attributes", notes);
    filter.finish(notes);
    let mut equal = Map::new();
    let mut present = Vec::new();
    for (name, _, value) in attributes.entries() {
        if value == "" {
            present.push(json!({"cesql": format!("EXISTS {name} AND {name} != ''")}));
        } else {
            equal.insert(name, value);
        }
    }
    if present.is_empty() {
        return (!equal.is_empty()).then(|| json!({ "attributes": equal }));
    }
    if !equal.is_empty() {
        present.insert(0, json!({ "exact": equal }));
    }
    Some(Json::Array(present))
}

pub fn broker(mut spec: Fields, name: &str, namespace: &str, notes: &mut Notes) -> Vec<(&'static str, Json)> {
    let mut bus = Map::new();
    bus.insert("embedded".to_owned(), json!({}));
    spec.rename("delivery", "delivery", &mut bus);
    if spec.take("config").is_some() {
        let path = spec.at("config");
        notes.left_out(&path, "the channel or broker behind it is chosen in the EventBus: replace embedded there");
    }
    spec.finish(notes);
    // The path that Knative's own ingress has, so that senders change only the host.
    let ingress = json!({ INGRESS: {"path": format!("/{namespace}/{name}")} });
    vec![("EventBus", Json::Object(bus)), ("EventSource", json!({"eventBus": name, "http": ingress}))]
}
