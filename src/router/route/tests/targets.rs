use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::api::ObjectRef;

const SERVICE: &str = "serving.knative.dev/v1";

fn reference(api_version: &str, kind: &str, name: &str, namespace: &str) -> ObjectRef {
    ObjectRef {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        name: name.to_owned(),
        namespace: Some(namespace.to_owned()),
    }
}

#[test]
fn a_sink_is_an_address_a_log_a_component_or_an_object() {
    let check = |sink: Value, expected: Target| assert_eq!(good(json!({"sink": sink})).targets, [expected]);
    check(json!({"uri": "http://h:8080/p?q=1"}), Target::Http("http://h:8080/p?q=1".parse().unwrap()));
    check(json!({"uri": "https://[::1]:9/"}), Target::Http("https://[::1]:9/".parse().unwrap()));
    check(json!({"uri": "log:"}), Target::Log);
    check(
        json!({"ref": {"apiVersion": SERVICE, "kind": "Service", "name": "f"}}),
        Target::Object { reference: reference(SERVICE, "Service", "f", "default"), path: None },
    );
    check(
        json!({"ref": {"apiVersion": "v1", "kind": "Service", "name": "f", "namespace": "n"}, "uri": "in?x=1"}),
        Target::Object { reference: reference("v1", "Service", "f", "n"), path: Some("/in?x=1".to_owned()) },
    );
    check(
        json!({
            "ref": {"apiVersion": "dapr.io/v1alpha1", "kind": "Component", "name": "c"},
            "topic": "t", "operation": "create", "metadata": {"key": "k"}
        }),
        Target::Component {
            reference: reference("dapr.io/v1alpha1", "Component", "c", "default"),
            topic: Some("t".to_owned()),
            operation: Some("create".to_owned()),
            metadata: BTreeMap::from([("key".to_owned(), "k".to_owned())]),
        },
    );
}

#[test]
fn bad_addresses_are_refused() {
    let check = |uri: &str, expected: &str| {
        check_subscriber(json!({"sink": {"uri": uri}}), &[&format!("sink.uri: {expected}")]);
    };
    check("", "must not be empty");
    check("/path", "a path alone is no address (write \"ref\" beside it, or begin with http:// or https://)");
    check("sink:8080", "unknown scheme \"sink\" (known: http, https, log)");
    check("ftp://host", "unknown scheme \"ftp\" (known: http, https, log)");
    check("http:host", "needs a host: http://host/path");
    check("http:///path", "\"http:///path\" is not an address: invalid format");
    check("http://:80/", "needs a host: http://host/path");
    check("http://h:0/", "the port of \"http://h:0/\" must be 1 to 65535");
    check("http://h:99999/", "the port of \"http://h:99999/\" must be 1 to 65535");
    check("http://h/a b", "\"http://h/a b\" is not an address: invalid uri character");
    check("http://h/#top", "must not have a fragment (\"#...\"): it would never be sent");
    check("log:x", "nothing may follow \"log:\"");
    check("//host/x", "\"//host/x\" is neither an address nor a path: begin with http:// or one slash");
    check("a b", "\"a b\" is not a path: invalid uri character");
}

#[test]
fn a_password_in_an_address_is_refused_and_not_shown() {
    for uri in ["http://user:hunter2@host/", "https://hunter2@host", "http://a:hunter2 @host/"] {
        check_subscriber(
            json!({"sink": {"uri": uri}}),
            &["sink.uri: must not hold a user or password: addresses are shown in logs and status"],
        );
    }
}

#[test]
fn bad_references_are_refused() {
    let check = |reference: Value, expected: &[&str]| check_subscriber(json!({"sink": {"ref": reference}}), expected);
    check(
        json!({"apiVersion": "", "kind": "", "name": ""}),
        &[
            "sink.ref.apiVersion: \"\" is no version of an API (such as \"v1\" or \"serving.knative.dev/v1\")",
            "sink.ref.kind: must not be empty",
            "sink.ref.name: \"\" cannot name an object: lower case letters, digits, dashes and dots",
        ],
    );
    check(
        json!({"apiVersion": "a/b/c", "kind": "K", "name": "n", "namespace": "No.Ns"}),
        &[
            "sink.ref.apiVersion: \"a/b/c\" is no version of an API (such as \"v1\" or \"serving.knative.dev/v1\")",
            "sink.ref.namespace: \"No.Ns\" must be 1 to 63 lower case letters, digits and inner dashes",
        ],
    );
}

#[test]
fn settings_of_components_are_for_components() {
    let service = json!({"apiVersion": SERVICE, "kind": "Service", "name": "f"});
    let component = json!({"apiVersion": "dapr.io/v1alpha1", "kind": "Component", "name": "c"});
    check_subscriber(
        json!({"sink": {"ref": service, "topic": "t", "operation": "o", "metadata": {}}}),
        &[
            "sink.topic: is for dapr.io Components only",
            "sink.operation: is for dapr.io Components only",
            "sink.metadata: is for dapr.io Components only",
        ],
    );
    check_subscriber(
        json!({"sink": {"ref": component, "uri": "/path"}}),
        &["sink.uri: a dapr.io Component has no paths"],
    );
    check_subscriber(
        json!({"sink": {"ref": component, "topic": "", "operation": " "}}),
        &["sink.topic: must not be empty", "sink.operation: must not be empty"],
    );
    check_subscriber(json!({"sink": {"topic": "t"}}), &["sink: needs \"ref\" or \"uri\""]);
}

#[test]
fn a_whole_address_wins_over_a_reference_with_a_warning() {
    let service = json!({"apiVersion": SERVICE, "kind": "Service", "name": "f"});
    let (trigger, found) = parse(with_subscriber(json!({"sink": {"ref": service, "uri": "http://h/"}})));
    assert_eq!(found, ["warning: spec.subscribers[0].sink.ref: is not used: the sink's \"uri\" is a whole address"]);
    assert_eq!(trigger.subscribers[0].targets, [Target::Http("http://h/".parse().unwrap())]);
}
