use serde_json::json;

use super::*;

fn topic(name: &str) -> Target {
    Target::Topic(name.to_owned())
}

#[test]
fn a_subscriber_is_named_by_itself_or_by_its_position() {
    let (trigger, found) = parse(json!({
        "eventSources": [{"name": "a", "eventSourceName": "shop", "eventName": "orders"}],
        "subscribers": [
            {"condition": "a", "topic": "t"},
            {"name": "ship-2", "condition": "a", "topic": "t"},
            {"condition": "a", "topic": "t"}
        ]
    }));
    assert_eq!(found, [""; 0]);
    let ids: Vec<&str> = trigger.subscribers.iter().map(|subscriber| subscriber.id.as_str()).collect();
    assert_eq!(ids, ["default/func1/0", "default/func1/ship-2", "default/func1/2"]);
}

#[test]
fn bad_names_of_subscribers_are_refused() {
    let rule = "must be 1 to 63 lower case letters, digits and inner dashes";
    check_subscriber(json!({"name": ""}), &[&format!("name: \"\" {rule}")]);
    check_subscriber(json!({"name": "a/b"}), &[&format!("name: \"a/b\" {rule}")]);
    check_subscriber(json!({"name": "-a"}), &[&format!("name: \"-a\" {rule}")]);
    check(
        json!({
            "eventSources": [{"name": "a", "eventSourceName": "shop", "eventName": "orders"}],
            "subscribers": [{"name": "1", "condition": "a", "topic": "t"}, {"condition": "a", "topic": "t"}]
        }),
        &["spec.subscribers[1].name: \"1\" already names another subscriber \
           (a subscriber without a name is named by its position)"],
    );
}

#[test]
fn events_go_to_the_sink_and_to_the_topic() {
    let sink = Target::Http("http://sink/".parse().unwrap());
    assert_eq!(good(json!({"topic": "t"})).targets, [sink, topic("t")]);
    assert_eq!(good(json!({"sink": null, "topic": "t"})).targets, [topic("t")]);
    check_subscriber(
        json!({"topic": "a/b"}),
        &["topic: the topic must be letters, digits, dots, dashes and underscores, and '/' is none of them"],
    );
    check(
        with_subscriber(json!({"sink": null})),
        &["spec.subscribers[0]: needs \"sink\", \"ref\" or \"topic\": where do its events go?"],
    );
}

#[test]
fn a_reference_beside_the_condition_is_short_for_the_sinks() {
    let component = json!({"apiVersion": "dapr.io/v1alpha1", "kind": "Component", "name": "c"});
    let short = good(json!({"ref": component, "sink": {"topic": "t"}}));
    assert_eq!(short.targets, good(json!({"sink": {"ref": component, "topic": "t"}})).targets);
    assert_eq!(
        good(json!({"ref": component, "sink": null})).targets,
        good(json!({"sink": {"ref": component}})).targets
    );
    check_subscriber(
        json!({"ref": component, "sink": {"ref": component}}),
        &["sink.ref: excludes \"ref\" of the subscriber, which is short for it"],
    );
    check_subscriber(
        json!({"ref": {"apiVersion": "v1", "kind": "Service", "name": "A"}, "sink": null}),
        &["ref.name: \"A\" cannot name an object: lower case letters, digits, dashes and dots"],
    );
}

#[test]
fn dead_letters_go_where_the_nearest_says() {
    let targets = |targets: &[Target]| DeadLetter::Targets(targets.to_vec());
    assert_eq!(good(json!({})).dead_letter, DeadLetter::Generated);
    assert_eq!(good(json!({"deadLetterTopic": "t"})).dead_letter, targets(&[topic("t")]));
    assert_eq!(
        good(json!({"deadLetterTopic": "t", "deadLetterSink": {"uri": "log:"}})).dead_letter,
        targets(&[Target::Log, topic("t")])
    );
    assert_eq!(good(json!({"delivery": {"deadLetterTopic": "t"}})).dead_letter, targets(&[topic("t")]));
    let (trigger, found) = parse(with_subscriber(json!({
        "deadLetterTopic": "own", "delivery": {"deadLetterTopic": "of-delivery"}
    })));
    assert_eq!(
        found,
        ["warning: spec.subscribers[0].delivery: its dead letter target is not used: the subscriber has its own"]
    );
    assert_eq!(trigger.subscribers[0].dead_letter, targets(&[topic("own")]));
}

#[test]
fn events_must_not_come_back_to_the_same_subscriber() {
    check_subscriber(
        json!({"topic": "default-shop-orders", "deadLetterTopic": "default-shop-orders"}),
        &[
            "topic: the events would come back for ever: \"a\" reads this topic",
            "deadLetterTopic: the dead letters would come back for ever: \"a\" reads this topic",
        ],
    );
    // A chain is no loop: the second subscriber is fired by what the first one sends on.
    check(
        json!({
            "eventSources": [
                {"name": "a", "eventSourceName": "shop", "eventName": "orders"},
                {"name": "b", "eventSourceName": "shop", "eventName": "large"}
            ],
            "subscribers": [
                {"condition": "a", "topic": "default-shop-large"},
                {"condition": "b", "topic": "elsewhere"}
            ]
        }),
        &[],
    );
}

#[test]
fn settings_of_joins_that_change_nothing_are_warned_of() {
    check_subscriber(
        json!({
            "window": "24h", "negationWindow": "60s", "hold": "30s", "correlate": {"by": {"a": "data.id"}},
            "conditionsReset": [{"byTime": {"cron": "59 23 * * *", "timezone": "Europe/Berlin"}}]
        }),
        &[
            "warning: correlate: has no effect on a condition without && or !",
            "warning: window: has no effect on a condition without &&",
            "warning: conditionsReset: has no effect on a condition without &&",
            "warning: negationWindow: has no effect on a condition without !",
            "warning: hold: has no effect on a condition without !",
        ],
    );
}

#[test]
fn bad_settings_of_joins_are_refused() {
    let check = check_subscriber;
    check(
        json!({"window": "0s", "negationWindow": "x", "hold": "y", "payload": "first"}),
        &[
            "window: must be longer than zero",
            "negationWindow: \"x\" is not a duration: write it like \"10s\", \"1h30m\" or \"PT10S\"",
            "hold: \"y\" is not a duration: write it like \"10s\", \"1h30m\" or \"PT10S\"",
            "payload: unknown value \"first\" (known: all, last)",
        ],
    );
    check(
        json!({"conditionsReset": [
            {}, {"byTime": {"cron": "@daily"}}, {"byTime": {"cron": "99 * * * *"}},
            {"byTime": {"cron": "0 0 * * *", "timezone": "Mars/Base"}}
        ]}),
        &[
            "conditionsReset[0].byTime: is missing",
            "conditionsReset[1].byTime.cron: must have five fields: minute, hour, day of month, month, day of week",
            "conditionsReset[2].byTime.cron: \"99 * * * *\" is no schedule: Component error: Number out of bounds",
            "conditionsReset[3].byTime.timezone: \"Mars/Base\" is no time zone (an IANA name such as \"Europe/Berlin\")",
        ],
    );
    check(
        json!({"correlate": {"by": {"b": ""}, "maxKeys": 0}}),
        &[
            "correlate.by.b: \"\" names no attribute and no value in the data (an attribute such as subject, or data. and a path such as data.order.id)",
            "correlate.by.b: no input is named \"b\" (known: a)",
            "correlate.maxKeys: must be at least 1",
            "warning: correlate: has no effect on a condition without && or !",
        ],
    );
    check(json!({"batch": {}}), &["batch: needs \"count\" or \"within\""]);
    check(json!({"batch": {"count": 0, "within": "0"}}), &["batch.count: must be 1 to 500"]);
    check(json!({"batch": {"count": 501}}), &["batch.count: must be 1 to 500"]);
    check(json!({"batch": {"within": "0"}}), &["batch.within: must be longer than zero"]);
}

#[test]
fn answers_are_taken_from_http_sinks_when_asked_for() {
    assert!(good(json!({"reply": true, "topic": "copies"})).policy.reply);
    assert!(!good(json!({"reply": false})).policy.reply);
    check_subscriber(
        json!({"reply": true, "sink": null, "topic": "copies"}),
        &["warning: reply: has no effect: only HTTP sinks answer with events"],
    );
}

#[test]
fn parameters_are_compiled_with_the_names_of_the_inputs() {
    assert!(good(json!({"parameters": []})).body.is_none());
    assert!(good(json!({"parameters": [{"src": {"dependencyName": "a"}, "dest": "x"}]})).body.is_some());
    check_subscriber(
        json!({"parameters": [{"src": {"dependencyName": "b", "dataTemplate": "{{ end }}"}, "dest": "x"}]}),
        &[
            "parameters[0].src.dependencyName: no input is named \"b\" (known: a)",
            "parameters[0].src.dataTemplate: this end belongs to no if, with or range at column 1\n  {{ end }}\n  ^",
        ],
    );
}

#[test]
fn what_keeps_its_order_goes_the_way_of_joins() {
    let plain = good(json!({"ordered": false}));
    assert!(plain.join.is_none() && plain.fires == [0]);
    let ordered = good(json!({"ordered": true, "concurrency": 4}));
    assert!(ordered.fires.is_empty());
    assert!(ordered.join.is_some_and(|join| join.ordered));
}

#[test]
fn a_body_needs_to_know_its_input() {
    let parameters = json!([{"src": {"dependencyName": "a"}, "dest": "x"}]);
    good(json!({"ordered": true, "parameters": parameters}));
    check(
        json!({
            "eventSources": [
                {"name": "a", "eventSourceName": "shop", "eventName": "orders"},
                {"name": "b", "eventSourceName": "shop", "eventName": "large"}
            ],
            "subscribers": [
                {"condition": "a || b", "sink": {"uri": "http://sink/"}, "ordered": true, "parameters": parameters},
                {"condition": "a && b", "sink": {"uri": "http://sink/"}, "ordered": true, "parameters": parameters}
            ]
        }),
        &[
            "unsupported: spec.subscribers[0].parameters: building the body of events of several inputs that keep their \
           order is not supported by this version yet",
        ],
    );
}
