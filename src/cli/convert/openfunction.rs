//! Objects of the `OpenFunction` v1alpha1 release, whose group and version are ours.
//!
//! They are read as they are; only the inputs of a Trigger become the list that can have filters.

use serde_json::{Map, Value as Json};

use super::fields::{Fields, Notes};
use crate::api::FieldPath;

/// Changes the spec of a Trigger in place.
pub fn trigger(spec: &mut Json, path: &FieldPath, notes: &mut Notes) {
    let Json::Object(members) = spec else { return };
    let at = path.field("inputs");
    let inputs: Vec<Json> = match members.remove("inputs") {
        None | Some(Json::Null) => Vec::new(),
        Some(Json::Array(items)) => items,
        Some(named) => {
            let entries = Fields::new(named, at, notes).entries();
            entries
                .into_iter()
                .map(|(name, path, value)| input(&name, Fields::new(value, path, notes), notes))
                .collect()
        }
    };
    if !inputs.is_empty() {
        match members.get_mut("eventSources") {
            Some(Json::Array(there)) => there.extend(inputs),
            _ => drop(members.insert("eventSources".to_owned(), inputs.into())),
        }
    }
    let subscribers = members.get("subscribers").and_then(Json::as_array);
    for (index, subscriber) in subscribers.into_iter().flatten().enumerate() {
        // With a window or a filter it was written for this program, not for the release.
        let joins = subscriber["condition"].as_str().is_some_and(|condition| condition.contains("&&"));
        if joins && subscriber["window"].is_null() {
            notes.changed(
                &path.field("subscribers").index(index).field("condition"),
                "OpenFunction fires again for every further event within 60s, with that event alone; here a match \
                 uses its events up and delivers all of them: set window: 60s and payload: last to come near it",
            );
        }
    }
}

fn input(name: &str, mut from: Fields, notes: &mut Notes) -> Json {
    let mut to = Map::new();
    to.insert("name".to_owned(), name.into());
    from.rename("eventSource", "eventSourceName", &mut to);
    from.rename("event", "eventName", &mut to);
    from.copy(&["namespace"], &mut to);
    from.finish(notes);
    Json::Object(to)
}
