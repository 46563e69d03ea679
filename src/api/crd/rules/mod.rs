//! What the API server refuses beyond types: closed lists of words, limits, and rules that tie fields together.
//!
//! The parsers judge all of this too, and more: `check` and the status of an object tell what no rule of an API
//! server can (whether a schedule, a filter or an address can be read). What is refused here is refused there,
//! in the same words as far as there are any.
//!
//! A place is written from the kind's `spec` on, with `*` for every member of a map and every item of a list.
//! Maps and lists have limits because the API server bounds what a rule may cost.

mod table;

use serde_json::{Value as Json, json};

use table::{Default, Limit, MAX_EVENTS, Rule, SOURCES, Words, of};

/// Adds the rules of a kind to the schema of its `spec`.
pub(super) fn add(kind: &str, spec: &mut Json) {
    everywhere(spec, false);
    for rules in of(kind) {
        for Words(place, words) in rules.words {
            with(spec, place, |schema| {
                // Nothing is the same as absent, where that is allowed.
                let none = (schema.get("nullable") == Some(&Json::Bool(true))).then_some(Json::Null);
                schema["enum"] = words.iter().map(|word| json!(word)).chain(none).collect();
            });
        }
        for Limit(place, keyword, most) in rules.limits {
            with(spec, place, |schema| schema[*keyword] = json!(most));
        }
        for Rule(place, rule, message) in rules.rules {
            with(spec, place, |schema| add_rule(schema, rule, message));
        }
        for Default(place, word) in rules.defaults {
            with(spec, place, |schema| schema["default"] = json!(word));
        }
    }
    match kind {
        "EventSource" => add_events(spec),
        // Two items of one name are refused by the API server, and merged by server-side apply.
        "Trigger" => with(spec, "eventSources", |list| list_by(list, "name")),
        _ => {}
    }
}

/// The items of a list are told apart by this member.
pub(super) fn list_by(list: &mut Json, member: &str) {
    list["x-kubernetes-list-type"] = json!("map");
    list["x-kubernetes-list-map-keys"] = json!([member]);
}

/// What ties the events of all kinds together.
fn add_events(spec: &mut Json) {
    for kind in SOURCES {
        with(spec, kind, |events| {
            events["maxProperties"] = json!(MAX_EVENTS);
            add_rule(
                events,
                "self.all(name, name.size() <= 63 && name.matches('^[A-Za-z0-9_][A-Za-z0-9_.-]*$'))",
                "a key is not the name of an event (letters, digits, '-', '_' and '.', at most 63, not '-' or '.' first)",
            );
        });
    }
    let any: Vec<String> = SOURCES.iter().map(|kind| format!("(has(self.{kind}) && self.{kind}.size() > 0)")).collect();
    let message = format!("needs at least one event (under one of {})", SOURCES.join(", "));
    add_rule(spec, &any.join(" || "), &message);
    let apart = |one: &str, other: &str| {
        format!("(!has(self.{one}) || !has(self.{other}) || self.{one}.all(name, !(name in self.{other})))")
    };
    let pairs: Vec<String> = (0..SOURCES.len())
        .flat_map(|first| (first + 1..SOURCES.len()).map(move |second| apart(SOURCES[first], SOURCES[second])))
        .collect();
    add_rule(spec, &pairs.join(" && "), "an event of one kind has the name of another's: both would share a topic");
}

/// The rules of shapes that stand in many places: secrets, and sinks but for that of a subscriber, which may leave
/// its reference outside.
fn everywhere(schema: &mut Json, of_subscriber: bool) {
    let (secret, sink, subscriber) = {
        let has = |name: &&str| schema.get("properties").is_some_and(|members| members.get(name).is_some());
        let all = |names: &[&str]| names.iter().all(has);
        (all(&["secretKeyRef", "env", "file"]), all(&["ref", "uri"]), all(&["condition"]))
    };
    if secret {
        let one = "[has(self.secretKeyRef), has(self.env), has(self.file)].filter(set, set).size() == 1";
        add_rule(schema, one, "exactly one of secretKeyRef, env and file is needed");
    } else if sink && !of_subscriber {
        add_rule(schema, "has(self.ref) || has(self.uri)", "needs \"ref\" or \"uri\"");
    }
    let Some(members) = schema.as_object_mut() else { return };
    for (name, value) in members {
        match name.as_str() {
            "properties" => {
                let properties = value.as_object_mut().into_iter().flatten();
                properties.for_each(|(name, schema)| everywhere(schema, subscriber && name == "sink"));
            }
            "items" | "additionalProperties" => everywhere(value, false),
            _ => {}
        }
    }
}

fn add_rule(schema: &mut Json, rule: &str, message: &str) {
    let entry = json!({"rule": rule, "message": message});
    match schema.get_mut("x-kubernetes-validations").and_then(Json::as_array_mut) {
        Some(rules) => rules.push(entry),
        None => schema["x-kubernetes-validations"] = json!([entry]),
    }
}

/// Changes the schema at a place, which a test holds to be there.
fn with(spec: &mut Json, place: &str, change: impl FnOnce(&mut Json)) {
    if let Some(schema) = find(spec, place) {
        change(schema);
    }
}

fn find<'a>(spec: &'a mut Json, place: &str) -> Option<&'a mut Json> {
    place.split('.').filter(|name| !name.is_empty()).try_fold(spec, |schema, name| match name {
        "*" if schema.get("items").is_some() => schema.get_mut("items"),
        "*" => schema.get_mut("additionalProperties"),
        name => schema.get_mut("properties")?.get_mut(name),
    })
}

#[cfg(test)]
mod tests {
    use super::super::{KINDS, definitions};
    use super::*;

    #[test]
    fn every_place_of_the_rules_is_there() {
        for (kind, definition) in KINDS.iter().zip(definitions()) {
            let mut spec = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"].clone();
            let rules = of(kind);
            assert!(!rules.is_empty(), "{kind}");
            let words = rules.iter().flat_map(|rules| rules.words.iter().map(|Words(place, _)| place));
            let limits = rules.iter().flat_map(|rules| rules.limits.iter().map(|Limit(place, ..)| place));
            let ties = rules.iter().flat_map(|rules| rules.rules.iter().map(|Rule(place, ..)| place));
            let defaults = rules.iter().flat_map(|rules| rules.defaults.iter().map(|Default(place, _)| place));
            for place in words.chain(limits).chain(ties).chain(defaults) {
                assert!(find(&mut spec, place).is_some(), "{kind}: {place}");
            }
        }
        let source = &definitions()[0].to_string();
        for kind in SOURCES {
            assert!(source.contains(&format!("has(self.{kind})")), "{kind}");
        }
    }
}
