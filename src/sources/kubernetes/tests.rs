use serde_json::{Value as Json, json};

use super::config::{Scope, Wanted};
use super::known::{Before, Known};
use super::message::{Change, Identity, Terms, read};
use super::*;
use crate::api::event_source::KubernetesEvent;
use crate::api::metadata::Metadata;
use crate::api::{FieldPath, Problems};

fn parse(settings: Json) -> Result<Config, String> {
    let raw: KubernetesEvent = serde_json::from_value(settings).unwrap();
    let mut problems = Problems::new();
    let config = Config::parse(&raw, Some("shop"), &FieldPath::root().field("k"), &mut problems);
    if problems.is_empty() { Ok(config) } else { Err(problems.to_string()) }
}

#[test]
fn settings_have_defaults() {
    let config = parse(json!({"apiVersion": "apps/v1", "kind": "Deployment"})).unwrap();
    assert_eq!((config.group.as_str(), config.version.as_str()), ("apps", "v1"));
    assert_eq!(config.scope, Scope::Own(Some("shop".to_owned())));
    assert_eq!(config.wanted, Wanted { added: true, modified: true, deleted: true });
    assert!(!config.metadata_only);
    let config = parse(json!({
        "apiVersion": "v1", "kind": "Pod", "allNamespaces": true, "events": ["deleted"], "object": "metadata"
    }));
    let config = config.unwrap();
    assert_eq!((config.api_version().as_str(), config.scope), ("v1", Scope::All));
    assert_eq!(config.wanted, Wanted { added: false, modified: false, deleted: true });
    assert!(config.metadata_only);
}

#[test]
fn every_bad_setting_is_named() {
    let check = |settings: Json, expected: &str| assert_eq!(parse(settings).unwrap_err(), expected);
    check(
        json!({"apiVersion": "Apps/V1", "kind": "", "namespaces": [], "labelSelector": " "}),
        "k.apiVersion: \"Apps/V1\" is no version of an API (such as \"v1\" or \"apps/v1\")\n\
         k.kind: \"\" is not the kind of an object (such as \"Deployment\")\n\
         k.namespaces: at least one is needed (\"allNamespaces: true\" for all)\n\
         k.labelSelector: must not be empty",
    );
    check(
        json!({"apiVersion": "v1", "kind": "Pod", "namespaces": ["a", "A", "a"], "allNamespaces": true}),
        "k.namespaces: excludes \"allNamespaces\"\n\
         k.namespaces[1]: \"A\" is not the name of a namespace\n\
         k.namespaces[2]: \"a\" is there already",
    );
    check(
        json!({"apiVersion": "v1", "kind": "Pod", "events": ["update"], "object": "none"}),
        "k.object: unknown value \"none\" (known: full, metadata)\n\
         k.events[0]: unknown value \"update\" (known: added, modified, deleted)",
    );
}

#[test]
fn the_metadata_of_a_component_says_the_same() {
    let pairs = [("apiVersion", "v1"), ("kind", "Pod"), ("namespaces", "a, b"), ("events", "added")];
    let metadata: Metadata = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let mut problems = Problems::new();
    let config = Config::from_metadata(&metadata, &mut problems).unwrap();
    assert_eq!(config.scope, Scope::These(vec!["a".to_owned(), "b".to_owned()]));
    let metadata: Metadata = [("kinds".to_owned(), "Pod".to_owned())].into();
    assert!(Config::from_metadata(&metadata, &mut problems).is_none());
    assert!(problems.to_string().contains("unknown field \"kinds\" (did you mean \"kind\"?"), "{problems}");
}

fn object(uid: &str, version: &str, created: &str) -> Json {
    json!({"metadata": {
        "name": uid, "namespace": "shop", "uid": uid, "resourceVersion": version, "creationTimestamp": created,
        "managedFields": [{"manager": "kubectl"}],
    }, "spec": {"replicas": 3}})
}

fn terms(api_version: &str) -> Terms {
    let [source, ty] = ["/shop/cluster/rollouts", DEFAULT_TYPE].map(str::to_owned);
    Terms {
        source,
        ty,
        api_version: api_version.to_owned(),
        kind: "Deployment".to_owned(),
        plural: "deployments".to_owned(),
    }
}

#[test]
fn a_change_is_an_event_that_tells_which_object() {
    let web = object("web", "7", "2024-05-01T00:00:00Z");
    let seen = "2024-05-02T00:00:00Z";
    let event = read(Change::Added, web.clone(), &terms("apps/v1"), seen).unwrap();
    assert_eq!((event.id(), event.source()), ("web/7/added", "/shop/cluster/rollouts"));
    assert_eq!(event.ty(), "events.openfunction.io.kubernetes.added");
    let attribute = |name: &str| event.attribute(name).map(|value| value.text().into_owned());
    assert_eq!(attribute("subject").as_deref(), Some("/apis/apps/v1/namespaces/shop/deployments/web"));
    assert_eq!(attribute("time").as_deref(), Some("2024-05-01T00:00:00Z"));
    assert_eq!(attribute("apiversion").as_deref(), Some("apps/v1"));
    assert_eq!(attribute("kind").as_deref(), Some("Deployment"));
    assert_eq!(attribute("name").as_deref(), Some("web"));
    assert_eq!(attribute("namespace").as_deref(), Some("shop"));
    let data: Json = serde_json::from_slice(event.data().unwrap().bytes()).unwrap();
    assert_eq!((&data["kind"], &data["spec"]["replicas"]), (&json!("Deployment"), &json!(3)));
    assert_eq!(data["metadata"].get("managedFields"), None);
    // The same state is another event when it is gone; the core group has a path of its own.
    let event = read(Change::Deleted, web, &terms("v1"), seen).unwrap();
    assert_eq!(event.id(), "web/7/deleted");
    let attribute = |name: &str| event.attribute(name).map(|value| value.text().into_owned());
    assert_eq!(attribute("subject").as_deref(), Some("/api/v1/namespaces/shop/deployments/web"));
    assert_eq!(attribute("time").as_deref(), Some(seen));
}

/// The changes, as words and names.
fn found(changes: &[(Change, Json)]) -> Vec<(&'static str, String)> {
    changes.iter().map(|(change, object)| (change.word(), Identity::of(object).name)).collect()
}

const OLD: &str = "2024-05-01T00:00:00Z";
const NEW: &str = "2024-06-01T00:00:00Z";
const BEFORE: Before<'_> = Before { version: "10", time: "2024-05-15T00:00:00.5Z" };

#[test]
fn what_changed_in_a_gap_is_told_by_a_list_when_everything_was_known() {
    let mut known = Known { complete: true, ..Known::default() };
    for uid in ["same", "changed", "gone"] {
        known.note(Change::Added, Identity::of(&object(uid, "3", OLD)));
    }
    known.note(Change::Deleted, Identity::of(&object("never", "4", OLD)));
    let list = vec![object("changed", "12", OLD), object("new", "11", NEW), object("same", "3", OLD)];
    let changes = known.compare(list.clone(), "13", BEFORE);
    let expected = [("added", "new"), ("modified", "changed"), ("deleted", "gone")];
    assert_eq!(found(&changes), expected.map(|(change, name)| (change, name.to_owned())));
    assert_eq!(Identity::of(&changes[2].1).version, "13");
    assert_eq!(found(&known.compare(list, "13", BEFORE)), []);
}

#[test]
fn what_changed_in_a_gap_is_told_by_version_and_age_after_a_restart() {
    let mut known = Known::default();
    let list = vec![object("old", "9", OLD), object("changed", "12", OLD), object("new", "11", NEW)];
    let changes = known.compare(list, "13", BEFORE);
    assert_eq!(
        found(&changes),
        [("added", "new"), ("modified", "changed")].map(|(change, name)| (change, name.to_owned()))
    );
    // From now on everything is known.
    let changes = known.compare(vec![object("old", "9", OLD)], "20", BEFORE);
    assert_eq!(found(&changes).len(), 2);
}
