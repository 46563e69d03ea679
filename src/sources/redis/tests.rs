use std::time::Duration;

use serde_json::{Value as Json, json};

use super::config::{Config, Topology};
use crate::api::secret::Unresolved;
use crate::api::{FieldPath, Problems};

/// Settings with `more` added to what is always needed, and what is expected to be said.
fn check(more: &Json, expected: &[&str]) -> Config {
    let mut settings = json!({"redisHost": "redis:6379"});
    for (name, value) in more.as_object().unwrap() {
        settings[name] = value.clone();
    }
    let raw = serde_json::from_value(settings).unwrap();
    let mut problems = Problems::new();
    let config = Config::parse(&raw, "orders", &FieldPath::root().field("r"), &Unresolved, &mut problems);
    let mut said: Vec<String> = problems.warnings().iter().map(|warning| format!("warning: {warning}")).collect();
    said.extend(problems.iter().map(ToString::to_string));
    assert_eq!(said, expected, "{more}");
    config
}

#[test]
fn the_event_names_the_stream_unless_it_is_named() {
    assert_eq!(check(&json!({}), &[]).stream, "orders");
    assert_eq!(check(&json!({"stream": "s", "redisPassword": ""}), &[]).stream, "s");
    check(&json!({"stream": ""}), &["r.stream: must not be empty"]);
    check(
        &json!({"redisHost": "redis"}),
        &["r.redisHost: \"redis\" is not host:port (such as \"kafka.default:9092\")"],
    );
}

#[test]
fn durations_have_the_forms_of_dapr() {
    let config =
        check(&json!({"readTimeout": "-1", "dialTimeout": "250", "writeTimeout": "3s", "processingTimeout": "0"}), &[]);
    assert_eq!(config.read_timeout, None);
    assert_eq!(config.dial_timeout, Some(Duration::from_millis(250)));
    assert_eq!(config.write_timeout, Some(Duration::from_secs(3)));
    assert_eq!(config.processing_timeout, None);
    assert_eq!(config.redeliver_interval, Some(Duration::from_secs(15)));
    let bad =
        |name: &str| format!("r.{name}: \"soon\" is not a duration: write it like \"10s\", \"1h30m\" or \"PT10S\"");
    for name in [
        "redeliverInterval",
        "processingTimeout",
        "redisMinRetryInterval",
        "redisMaxRetryInterval",
        "dialTimeout",
        "readTimeout",
        "writeTimeout",
    ] {
        check(&json!({name: "soon"}), &[&bad(name)]);
    }
    check(
        &json!({"redisMinRetryInterval": "2s", "redisMaxRetryInterval": "1s"}),
        &["r.redisMinRetryInterval: is longer than redisMaxRetryInterval"],
    );
}

#[test]
fn servers_belong_together_in_one_way() {
    assert_eq!(check(&json!({"redisType": "cluster"}), &[]).topology, Topology::Cluster);
    let sentinel = check(&json!({"failover": true, "sentinelMasterName": "m"}), &[]);
    assert_eq!(sentinel.topology, Topology::Sentinel("m".into()));
    check(&json!({"redisType": "ring"}), &["r.redisType: unknown value \"ring\" (known: node, cluster)"]);
    check(&json!({"failover": true}), &["r.failover: needs \"sentinelMasterName\""]);
    check(
        &json!({"sentinelMasterName": "m"}),
        &["warning: r.sentinelMasterName: has no effect without failover: true"],
    );
    check(&json!({"redisType": "cluster", "redisDB": 1}), &["r.redisDB: a cluster has only database 0"]);
    check(&json!({"redisDB": -1}), &["r.redisDB: must not be negative"]);
    check(&json!({"enableTLS": false, "tls": {}}), &["r.enableTLS: false contradicts the tls block"]);
    assert!(check(&json!({"enableTLS": true}), &[]).tls.is_some());
}

#[test]
fn retries_are_counted_and_pools_are_not_there() {
    assert_eq!(check(&json!({"redisMaxRetries": -1}), &[]).max_retries, 0);
    check(&json!({"redisMaxRetries": -2}), &["r.redisMaxRetries: must be -1 (never) or more, not -2"]);
    check(
        &json!({"poolSize": 10, "idleTimeout": "x"}),
        &[
            "warning: r.idleTimeout: has no effect: connections are not pooled",
            "warning: r.poolSize: has no effect: connections are not pooled",
            "r.idleTimeout: \"x\" is not a duration: write it like \"10s\", \"1h30m\" or \"PT10S\"",
        ],
    );
}
