//! Dapr's own Components: any pub/sub as a bus, whether it is there or an `EventBus` describes it, and what events are
//! delivered to.

use serde_json::{Value as Json, json};

use super::{Component, Secrets, Setting};
use crate::api::event_bus::ComponentBus;
use crate::api::{FieldPath, Problems};

/// The key of a Component's metadata that names the consumer group. It is for those who write the Component for a
/// workload: one that two routers had in common would give each of them a part of the events.
pub const CONSUMER: &str = "consumerID";

/// What the types of pub/subs begin with.
const PUB_SUB: &str = "pubsub.";

/// What the types of bindings begin with.
const BINDING: &str = "bindings.";

/// The one secret store that is known.
const SECRET_STORE: &str = "kubernetes";

/// Reports everything that is wrong with the block at `path`.
pub fn judge(raw: &ComponentBus, path: &FieldPath, problems: &mut Problems) {
    let excluded = [
        ("version", raw.version.is_some()),
        ("metadata", raw.metadata.is_some()),
        ("secretStore", raw.secret_store.is_some()),
    ];
    match (&raw.name, &raw.kind) {
        (None, None) => {
            let help = "the name of a Component, or its type with version and metadata";
            problems.push_help(path, "\"name\" or \"type\" is needed", help);
        }
        (Some(_), Some(_)) => problems.push(&path.field("type"), "excludes \"name\": write one of them"),
        (Some(name), None) if name.is_empty() => problems.push(&path.field("name"), "must not be empty"),
        (Some(_), None) => {
            for (field, _) in excluded.into_iter().filter(|(_, set)| *set) {
                problems.push(&path.field(field), "excludes \"name\": the Component says it itself");
            }
        }
        (None, Some(kind)) => {
            if let Err((message, help)) = pub_sub(kind) {
                problems.push_help(&path.field("type"), message, help);
            }
        }
    }
    component("", raw, path, &mut |_, _| Ok(Setting::Value(String::new())), problems);
}

/// The Component `name`, as it was described, but for its consumer group.
pub(super) fn component(
    name: &str,
    raw: &ComponentBus,
    path: &FieldPath,
    secrets: &mut Secrets<'_>,
    problems: &mut Problems,
) -> Component {
    let mut component = Component::new(name, raw.kind.as_deref().unwrap_or_default());
    if let Some(version) = &raw.version {
        component.version.clone_from(version);
    }
    if raw.secret_store.as_deref().is_some_and(|store| store != SECRET_STORE) {
        problems.unsupported(&path.field("secretStore"), "a secret store other than kubernetes");
    }
    for (index, entry) in raw.metadata.iter().flatten().enumerate() {
        let path = path.field("metadata").index(index);
        let entry = json!(entry);
        let Some(key) = entry["name"].as_str() else {
            problems.push(&path.field("name"), "required (text) and missing");
            continue;
        };
        if key.eq_ignore_ascii_case(CONSUMER) {
            continue;
        }
        match setting(key, &entry, secrets) {
            Ok(setting) => component.set(key, setting),
            Err(reason) => problems.push(&path, reason),
        }
    }
    component
}

/// What stands in for `{uuid}` and the like is daprd's matter: whoever writes a Component of Dapr's means it.
fn setting(key: &str, entry: &Json, secrets: &mut Secrets<'_>) -> Result<Setting, String> {
    match (&entry["value"], &entry["secretKeyRef"], &entry["envRef"]) {
        (Json::Null, Json::Null, Json::Null) => Err("needs \"value\" or \"secretKeyRef\"".to_owned()),
        (Json::Null, Json::Null, Json::String(variable)) => Ok(Setting::Environment(variable.clone())),
        (Json::Null, Json::Null, _) => Err("envRef: expected the name of a variable".to_owned()),
        (Json::Null, reference, _) => match (reference["name"].as_str(), reference["key"].as_str()) {
            (Some(_), Some(_)) => secrets(key, json!({"secretKeyRef": reference})),
            _ => Err("secretKeyRef: needs \"name\" and \"key\"".to_owned()),
        },
        (Json::String(text), ..) => Ok(Setting::Value(text.clone())),
        (other, ..) => Ok(Setting::Value(other.to_string())),
    }
}

/// The Component `name`, which says what a binding or pub/sub says that events are delivered to.
///
/// # Errors
/// Why nothing can be delivered to it.
pub fn target(
    name: &str,
    component: &Json,
    secrets: &mut Secrets<'_>,
    problems: &mut Problems,
) -> Result<Component, String> {
    let raw = read(component)?;
    let kind = raw.kind.as_deref().unwrap_or_default();
    if !kind.starts_with(PUB_SUB) && !kind.starts_with(BINDING) {
        return Err(format!("{kind:?} is neither a binding nor a pub/sub"));
    }
    Ok(self::component(name, &raw, &FieldPath::root().field("spec"), secrets, problems))
}

/// What a Component of Dapr's says, as a block that describes it.
///
/// # Errors
/// Why it cannot be a bus.
pub fn described(component: &Json) -> Result<ComponentBus, String> {
    let raw = read(component)?;
    pub_sub(raw.kind.as_deref().unwrap_or_default()).map_err(|(message, _)| message)?;
    Ok(raw)
}

fn read(component: &Json) -> Result<ComponentBus, String> {
    let spec = &component["spec"];
    let kind = spec["type"].as_str().unwrap_or_default();
    let metadata = serde_json::from_value(spec["metadata"].clone());
    let metadata = metadata.map_err(|error| format!("its spec.metadata cannot be read: {error}"))?;
    Ok(ComponentBus {
        name: None,
        kind: Some(kind.to_owned()),
        version: spec["version"].as_str().map(str::to_owned),
        metadata,
        secret_store: component["auth"]["secretStore"].as_str().filter(|store| !store.is_empty()).map(str::to_owned),
    })
}

/// # Errors
/// Why a type is none of a pub/sub that is not ours, and what to do about it.
fn pub_sub(kind: &str) -> Result<(), (String, &'static str)> {
    if !kind.starts_with(PUB_SUB) {
        return Err((format!("{kind:?} is no pub/sub component"), "such as \"pubsub.rabbitmq\""));
    }
    if super::kind(kind).is_some() {
        let message = format!("{kind:?} is a component of Penstock's own");
        return Err((message, "its settings have a block of their own: jetstream, kafka, redis"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(raw: Json) -> Vec<String> {
        let mut problems = Problems::new();
        judge(&serde_json::from_value(raw).unwrap(), &FieldPath::root().field("component"), &mut problems);
        problems.iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect()
    }

    #[test]
    fn a_block_names_a_component_or_describes_one() {
        assert_eq!(judged(json!({"name": "orders"})), [""; 0]);
        assert_eq!(judged(json!({"type": "pubsub.rabbitmq", "version": "v1", "secretStore": "kubernetes"})), [""; 0]);
        assert_eq!(judged(json!({})), ["component: \"name\" or \"type\" is needed"]);
        assert_eq!(
            judged(json!({"name": "orders", "type": "pubsub.redis"})),
            ["component.type: excludes \"name\": write one of them"]
        );
        assert_eq!(
            judged(json!({"name": "orders", "version": "v1"})),
            ["component.version: excludes \"name\": the Component says it itself"]
        );
        assert_eq!(
            judged(json!({"type": "pubsub.eventsource.http"})),
            ["component.type: \"pubsub.eventsource.http\" is a component of Penstock's own"]
        );
    }

    #[test]
    fn settings_are_judged_one_by_one() {
        let check = |entry: Json, expected: &str| {
            let found = judged(json!({"type": "pubsub.redis", "metadata": [{"name": "a", "value": 5}, entry]}));
            assert_eq!(found, [format!("component.metadata[1]{expected}")]);
        };
        check(json!({"value": "x"}), ".name: required (text) and missing");
        check(json!({"name": "x"}), ": needs \"value\" or \"secretKeyRef\"");
        check(json!({"name": "x", "secretKeyRef": {"name": "y"}}), ": secretKeyRef: needs \"name\" and \"key\"");
        check(json!({"name": "x", "envRef": 5}), ": envRef: expected the name of a variable");
    }

    #[test]
    fn a_component_is_written_as_it_is_but_for_its_consumer() {
        let component = json!({
            "metadata": {"name": "orders"}, "auth": {"secretStore": "kubernetes"}, "scopes": ["elsewhere"],
            "spec": {"type": "pubsub.redis", "version": "v2", "metadata": [
                {"name": "redisHost", "value": "r:6379"}, {"name": "consumerID", "value": "shared"},
                {"name": "redisPassword", "secretKeyRef": {"name": "redis", "key": "password"}},
                {"name": "redisDB", "value": 2}, {"name": "clientName", "envRef": "CLIENT"},
            ]},
        });
        let described = described(&component).unwrap();
        let mut problems = Problems::new();
        let mut secrets = |key: &str, written: Json| {
            assert_eq!((key, &written["secretKeyRef"]["key"]), ("redisPassword", &json!("password")));
            Ok(Setting::Environment("SECRET".to_owned()))
        };
        let made = super::component("bus", &described, &FieldPath::root(), &mut secrets, &mut problems);
        assert!(problems.is_empty() && problems.not_supported().is_empty(), "{problems}");
        let text = made.to_string();
        for part in ["type: pubsub.redis\n  version: v2", "value: \"2\"", "envRef: SECRET", "envRef: CLIENT"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("shared"), "{text}");
        let error = super::described(&json!({"spec": {"type": "state.redis"}})).unwrap_err();
        assert_eq!(error, "\"state.redis\" is no pub/sub component");
    }
}
