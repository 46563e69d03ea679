use serde_json::{Value as Json, json};

use super::config::{CLIENT_SETTINGS, Config, Rebalance};
use crate::api::client::Mechanism;
use crate::api::secret::Unresolved;
use crate::api::{FieldPath, Problems};

fn parse(settings: &Json) -> (Config, Problems) {
    let raw = serde_json::from_value(settings.clone()).unwrap();
    let mut problems = Problems::new();
    let config = Config::parse(&raw, "orders", &FieldPath::root().field("k"), &Unresolved, &mut problems);
    (config, problems)
}

/// Settings with `more` added to what is always needed, and the problems that are expected.
fn check(more: &Json, expected: &[&str]) -> Config {
    let mut settings = json!({"url": "kafka:9092", "topic": "t"});
    for (name, value) in more.as_object().unwrap() {
        settings[name] = value.clone();
    }
    let (config, problems) = parse(&settings);
    assert_eq!(problems.to_string().lines().collect::<Vec<_>>(), expected, "{more}");
    config
}

#[test]
fn the_words_of_the_proposal_are_read() {
    let config = check(
        &json!({"jsonBody": true, "consumerGroup": {"groupName": "g", "oldest": true, "rebalanceStrategy": "sticky"},
               "connectionBackoff": {"duration": "10s", "steps": 5, "factor": 2, "jitter": 0.2}}),
        &[],
    );
    assert_eq!(config.brokers[0].to_string(), "kafka:9092");
    assert_eq!((config.group.as_deref(), config.oldest, config.rebalance), (Some("g"), true, Rebalance::Sticky));
    assert!(config.json_body);
    assert_eq!(config.backoff.steps, Some(5));
}

#[test]
fn the_words_of_openfunction_are_read() {
    let (config, problems) = parse(&json!({
        "brokers": "a:9092,b:9092", "topic": "t", "authRequired": true, "saslUsername": "me", "saslPassword": "secret",
        "maxMessageBytes": 1_048_576, "scaleOption": {"consumerGroup": "kept", "lagThreshold": "20"},
    }));
    assert!(problems.is_empty(), "{problems}");
    assert_eq!(problems.warnings().len(), 1, "the plain password is warned of");
    assert_eq!((config.brokers.len(), config.group.as_deref(), config.lag_threshold), (2, Some("kept"), 20));
    let sasl = config.sasl.unwrap();
    assert_eq!((sasl.mechanism, sasl.username.expose(), sasl.password.expose()), (Mechanism::Plain, "me", "secret"));
    assert_eq!(check(&json!({"authRequired": false}), &[]).sasl, None);
}

#[test]
fn what_contradicts_or_is_out_of_range_is_refused() {
    check(&json!({"url": null}), &["k: needs \"brokers\" or \"url\": host:port, comma separated"]);
    check(&json!({"brokers": "kafka:9092"}), &[]);
    check(
        &json!({"brokers": "other:1"}),
        &["k.url: \"kafka:9092\" and brokers \"other:1\" are two words for one thing"],
    );
    check(&json!({"topic": null}), &["k.topic: required (text) and missing"]);
    check(
        &json!({"topic": "a b"}),
        &[
            "k.topic: \"a b\" is not the name of a Kafka topic (letters, digits, dots, dashes and underscores, at most 249)",
        ],
    );
    check(&json!({"partition": -1}), &["k.partition: must not be negative: -1"]);
    check(
        &json!({"consumerGroup": {"rebalanceStrategy": "fair"}}),
        &["k.consumerGroup.rebalanceStrategy: unknown value \"fair\" (known: range, roundrobin, sticky)"],
    );
    check(
        &json!({"authRequired": true}),
        &["k.saslUsername: authentication needs saslUsername and saslPassword, or a sasl block"],
    );
    check(
        &json!({"saslUsername": "me"}),
        &["k.saslPassword: authentication needs saslUsername and saslPassword, or a sasl block"],
    );
    check(&json!({"maxMessageBytes": 10}), &["k.maxMessageBytes: must be 1000 to 1000000000, not 10"]);
    let secret = json!({"env": "X"});
    check(
        &json!({"sasl": {"mechanism": "GSSAPI", "username": secret, "password": secret}, "saslUsername": "me"}),
        &[
            "k.sasl: excludes saslUsername and saslPassword",
            "k.sasl.mechanism: unknown value \"GSSAPI\" (known: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512)",
        ],
    );
    check(&json!({"tls": {"cert": secret}}), &["k.tls: \"cert\" needs \"key\""]);
}

#[test]
fn only_settings_that_lose_nothing_are_passed_on() {
    let config = check(&json!({"config": {"fetch.min.bytes": "1", "client.rack": "a"}}), &[]);
    assert_eq!(config.client.len(), 2);
    let mut problems =
        parse(&json!({"url": "a:1", "topic": "t", "config": {"enable.auto.commit": "true"}})).1.into_vec();
    let refused = problems.remove(0);
    assert_eq!(refused.path.as_str(), "k.config[\"enable.auto.commit\"]");
    assert_eq!(refused.message, "\"enable.auto.commit\" cannot be set here");
    assert!(CLIENT_SETTINGS.is_sorted());
}
