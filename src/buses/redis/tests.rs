use std::time::Duration;

use serde_json::{Value as Json, json};

use super::config::{Config, Topology};
use crate::api::metadata::Metadata;
use crate::api::secret::Unresolved;
use crate::api::{FieldPath, Problems};

fn check(settings: &Json, expected: &[&str]) -> Config {
    let raw = serde_json::from_value(settings.clone()).unwrap();
    let mut problems = Problems::new();
    let config = Config::parse(&raw, &FieldPath::root().field("r"), &Unresolved, &mut problems);
    let found: Vec<String> = problems.iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect();
    assert_eq!(found, expected, "{settings}");
    config
}

#[test]
fn servers_belong_together_in_one_way() {
    assert_eq!(check(&json!({"address": "a:1"}), &[]).topology, Topology::Node);
    assert_eq!(check(&json!({"address": "a:1,b:1", "cluster": true}), &[]).topology, Topology::Cluster);
    let sentinel = json!({"master": "m", "addresses": ["s:26379", "t:26379"]});
    let config = check(&json!({"sentinel": sentinel}), &[]);
    assert_eq!((config.servers.len(), config.topology), (2, Topology::Sentinel("m".into())));

    check(&json!({}), &["r: \"address\" and \"sentinel\" are missing: one of them is needed"]);
    check(&json!({"address": "a:1", "sentinel": sentinel}), &["r: \"address\" and \"sentinel\" exclude each other"]);
    check(&json!({"address": "a:1,b:1"}), &["r.address: several servers need \"cluster: true\" or \"sentinel\""]);
    check(
        &json!({"sentinel": {"master": "", "addresses": ["x"]}, "cluster": true}),
        &[
            "r.sentinel: excludes \"cluster\"",
            "r.sentinel.master: must not be empty",
            "r.sentinel.addresses[0]: \"x\" is not host:port",
        ],
    );
}

#[test]
fn databases_and_logins_are_checked() {
    check(&json!({"address": "a:1", "db": -1}), &["r.db: must not be negative"]);
    check(&json!({"address": "a:1", "db": 2, "cluster": true}), &["r.db: a cluster has only database 0"]);
    check(&json!({"address": "a:1", "username": {"env": "U"}}), &["r.username: needs \"password\""]);
    check(
        &json!({"address": "a:1", "password": {}}),
        &["r.password: exactly one of secretKeyRef, env and file is needed"],
    );
}

#[test]
fn a_component_says_the_same_with_dots() {
    let metadata = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect::<Metadata>()
    };
    let mut problems = Problems::new();
    let pairs = [("address", "a:1"), ("password", "hunter2"), ("tls.ca", "pem"), ("dedupWindow", "1m")];
    let config = Config::from_metadata(&metadata(&pairs), &mut problems).unwrap();
    assert_eq!((config.password.unwrap().expose(), config.servers.len()), ("hunter2", 1));
    assert!(config.tls.unwrap().ca.is_some());
    assert_eq!((config.keep.dedup_window, config.keep.bytes), (Duration::from_secs(60), None));
    for (pairs, said) in [
        (vec![("adress", "a:1")], "spec.metadata.adress: unknown field \"adress\" (did you mean \"address\"?"),
        (
            vec![("address", "a:1"), ("tls.insecureSkipVerify", "true")],
            "spec.metadata.tls.insecureSkipVerify: cannot be had for Redis: name the server's authority in \"ca\"",
        ),
    ] {
        let mut problems = Problems::new();
        assert!(Config::from_metadata(&metadata(&pairs), &mut problems).is_none());
        assert!(problems.to_string().contains(said), "{problems}");
    }
}
