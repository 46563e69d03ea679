//! What KEDA is told.

use serde_json::{Value as Json, json};

use super::*;
use crate::api::Problems;
use crate::api::trigger::TriggerSpec;
use crate::operator::build::tests::{bus, find, jetstream, listening, owner, setting};
use crate::operator::build::{Bus, Listening};
use crate::router::route::Trigger;

#[test]
fn keda_scales_by_what_the_source_reads() {
    let redis = json!({"redisHost": "r:6379", "redisPassword": {"secretKeyRef": {"name": "r", "key": "p"}}, "enableTLS": true,
        "scaleOption": {"lagThreshold": "5", "pollingInterval": 7, "minReplicaCount": 0, "maxReplicaCount": 3, "metadata": {"activationLagCount": "2"}}});
    let children = listening(json!({"redis": {"orders": redis.clone()}}), &jetstream()).unwrap().children;
    let component = find(&children, "Component", "eventsource-shop.orders");
    assert_eq!(setting(component, "stream")["value"], "orders");
    assert_eq!(setting(component, "consumerGroup")["value"], "penstock-default-shop-orders");
    let spec = &find(&children, "ScaledObject", "eventsource-shop")["spec"];
    let triggers = ["lagCount", "pendingEntriesCount"].map(|counted| {
        json!({
            "type": "redis-streams",
            "metadata": {"stream": "orders", "consumerGroup": "penstock-default-shop-orders", counted: "5",
                "enableTLS": "true", "address": "r:6379", "activationLagCount": "2"},
            "authenticationRef": {"name": "eventsource-shop.orders"},
        })
    });
    let expected = json!({
        "scaleTargetRef": {"name": "eventsource-shop"}, "pollingInterval": 7, "minReplicaCount": 0, "maxReplicaCount": 3,
        "advanced": {"restoreToOriginalReplicaCount": true},
        "triggers": triggers,
    });
    assert_eq!(*spec, expected);
    let targets = &find(&children, "TriggerAuthentication", "eventsource-shop.orders")["spec"]["secretTargetRef"];
    assert_eq!(*targets, json!([{"parameter": "password", "name": "r", "key": "p"}]));

    // A webhook beside it must be there all the time.
    let children = listening(json!({"http": {"hook": {}}, "redis": {"orders": redis}}), &jetstream()).unwrap().children;
    assert_eq!(find(&children, "ScaledObject", "eventsource-shop")["spec"]["minReplicaCount"], 1);

    let queue = json!({"url": "amqp://q:5672", "queue": "orders", "scaleOption": {"authRef": {"name": "mine", "kind": "ClusterTriggerAuthentication"}}});
    let children = listening(json!({"rabbitmq": {"orders": queue}}), &jetstream()).unwrap().children;
    let trigger = &find(&children, "ScaledObject", "eventsource-shop")["spec"]["triggers"][0];
    assert_eq!(
        trigger["metadata"],
        json!({"queueName": "orders", "protocol": "auto", "mode": "QueueLength", "value": "10"})
    );
    assert_eq!(trigger["authenticationRef"], json!({"name": "mine", "kind": "ClusterTriggerAuthentication"}));
}

#[test]
fn kafka_nats_and_rabbitmq_are_asked_with_the_names_of_the_source() {
    let secret = |key: &str| json!({"secretKeyRef": {"name": "s", "key": key}});
    let kafka = json!({"brokers": "a:9092, b:9092", "topic": "orders", "consumerGroup": {"oldest": true},
        "sasl": {"mechanism": "SCRAM-SHA-512", "username": secret("u"), "password": secret("p")},
        "tls": {"ca": secret("ca")}, "scaleOption": {"maxReplicaCount": 4}});
    let nats = json!({"url": "nats://n:4222", "subject": "a.>", "jetstream": {"stream": "A"},
        "scaleOption": {"natsServerMonitoringEndpoint": "n:8222", "queueGroup": "q"}});
    let queue = json!({"url": "amqp://q:5672", "queue": "o", "username": secret("u"), "password": secret("p"), "scaleOption": {}});
    let spec = json!({"kafka": {"k": kafka}, "nats": {"n": nats}, "rabbitmq": {"q": queue}});
    let Listening { children, warnings, .. } = listening(spec, &jetstream()).unwrap();
    assert_eq!(warnings, ["spec.nats.n.scaleOption.queueGroup: has no effect on nats"]);
    let spec = &find(&children, "ScaledObject", "eventsource-shop")["spec"];
    assert_eq!((&spec["maxReplicaCount"], &spec["minReplicaCount"]), (&json!(4), &Json::Null));
    let expected = json!([
        {"type": "kafka", "authenticationRef": {"name": "eventsource-shop.k"}, "metadata": {
            "bootstrapServers": "a:9092,b:9092", "topic": "orders", "consumerGroup": "penstock-default-shop-k",
            "lagThreshold": "10", "offsetResetPolicy": "earliest", "version": "2.1.0", "sasl": "scram_sha512", "tls": "enable"}},
        {"type": "nats-jetstream", "metadata": {
            "natsServerMonitoringEndpoint": "n:8222", "account": "$G", "stream": "A",
            "consumer": "penstock_default_shop_n", "lagThreshold": "10"}},
        {"type": "rabbitmq", "authenticationRef": {"name": "eventsource-shop.q"}, "metadata": {
            "queueName": "o", "protocol": "auto", "mode": "QueueLength", "value": "10", "host": "amqp://q:5672"}},
    ]);
    assert_eq!(spec["triggers"], expected);
    let targets = &find(&children, "TriggerAuthentication", "eventsource-shop.k")["spec"]["secretTargetRef"];
    let target = |parameter: &str, key: &str| json!({"parameter": parameter, "name": "s", "key": key});
    assert_eq!(*targets, json!([target("username", "u"), target("password", "p"), target("ca", "ca")]));
}

#[test]
fn the_group_that_an_option_names_is_the_group_of_the_source() {
    let kafka =
        json!({"brokers": "a:9092", "topic": "orders", "scaleOption": {"consumerGroup": "mine", "topic": "other"}});
    let children = listening(json!({"kafka": {"k": kafka}}), &jetstream()).unwrap().children;
    let component = find(&children, "Component", "eventsource-shop.k");
    assert_eq!(setting(component, "scaleOption.consumerGroup")["value"], "mine");
    assert!(setting(component, "consumerGroup.groupName").is_null());
    let metadata = &find(&children, "ScaledObject", "eventsource-shop")["spec"]["triggers"][0]["metadata"];
    assert_eq!((&metadata["consumerGroup"], &metadata["topic"]), (&json!("mine"), &json!("other")));
}

#[test]
fn a_scaler_that_cannot_be_is_told() {
    let refused = |spec: Json, expected: &str| {
        let refused = listening(spec, &jetstream()).unwrap_err();
        assert!(refused.starts_with(expected), "{refused}");
    };
    let nats = json!({"url": "nats://n:4222", "subject": "a.>", "jetstream": {"stream": "A"}, "scaleOption": {}});
    refused(json!({"nats": {"n": nats}}), "spec.nats.n.scaleOption: needs natsServerMonitoringEndpoint");
    let kafka = json!({"brokers": "k:9092", "topic": "t", "authRequired": true, "saslUsername": "me",
        "saslPassword": {"secretKeyRef": {"name": "k", "key": "p"}}, "scaleOption": {}});
    refused(json!({"kafka": {"k": kafka}}), "spec.kafka.k.scaleOption: KEDA takes its username from a Secret alone");

    let none = |spec: Json, expected: &str| {
        let listening = listening(spec, &jetstream()).unwrap();
        assert!(listening.warnings.iter().any(|warning| warning == expected), "{:?}", listening.warnings);
        assert!(listening.children.iter().all(|child| child.resource.kind != "ScaledObject"));
    };
    let option = json!({"maxReplicaCount": 3});
    for (kind, event) in [
        ("http", json!({"scaleOption": option})),
        ("cron", json!({"schedule": "@hourly", "scaleOption": option})),
        ("mqtt", json!({"url": "mqtt://m:1883", "topic": "t", "scaleOption": option})),
        ("s3", json!({"mode": "webhook", "scaleOption": option})),
    ] {
        let expected = format!("spec.{kind}.e.scaleOption: has no effect: there is no scaler of KEDA for {kind}");
        none(json!({kind: {"e": event}}), &expected);
    }
    let core = json!({"url": "nats://n:4222", "subject": "a", "scaleOption": option});
    none(
        json!({"nats": {"e": core}}),
        "spec.nats.e.scaleOption: has no effect: a core subject keeps nothing, so it has no lag",
    );
    let one = json!({"brokers": "k:9092", "topic": "t", "partition": 0, "scaleOption": option});
    none(
        json!({"kafka": {"e": one}}),
        "spec.kafka.e.scaleOption: has no effect: one partition alone is read without a consumer group",
    );
}

/// What scales the router of a Trigger over the events `orders` and `paid`.
fn scaled(spec: &Json, bus: &Bus) -> Result<Scaler, String> {
    let inputs = ["orders", "paid"].map(|event| json!({"name": event, "eventSourceName": "shop", "eventName": event}));
    let mut whole = json!({"eventSources": inputs, "subscribers": [{"name": "ship", "condition": "orders || paid", "sink": {"uri": "http://ship"}}]});
    for (field, value) in spec.as_object().unwrap() {
        whole[field] = value.clone();
    }
    let spec: TriggerSpec = serde_json::from_value(whole).unwrap();
    let trigger = Trigger::parse("default", "ship", &spec, &bus.defaults(), &mut Problems::new());
    let triggers = vec![(&trigger, spec.scale_option.as_ref())];
    let reader = Reader { workload: "trigger-ship", group: "default.ship", bus, triggers };
    router(&owner("Trigger", "ship"), &reader)
}

fn object(scaler: &Scaler) -> &Json {
    &find(&scaler.children, "ScaledObject", "trigger-ship")["spec"]
}

#[test]
fn a_router_is_scaled_by_its_consumers_and_by_what_waits() {
    let bus = bus(json!({"jetstream": {"url": "nats://n:4222"},
        "scaleOption": {"natsServerMonitoringEndpoint": "n:8222", "lagThreshold": "50", "cooldownPeriod": 60, "metadata": {"account": "A"}}}));
    let own = json!({"scaleOption": {"lagThreshold": "20", "maxReplicaCount": 8, "metadata": {"activationLagThreshold": "3"}}});
    let scaler = scaled(&own, &bus).unwrap();
    let lag = |stream: &str, consumer: &str, threshold: &str| {
        json!({"type": "nats-jetstream", "metadata": {"natsServerMonitoringEndpoint": "n:8222", "account": "A",
            "stream": stream, "consumer": consumer, "lagThreshold": threshold, "activationLagThreshold": "3"}})
    };
    let stream = "penstock__default_default";
    let mut waiting = lag("penstock__default_default_delayed", "mover", "1000000000");
    waiting["metadata"].as_object_mut().unwrap().remove("activationLagThreshold");
    let expected = json!({
        "scaleTargetRef": {"name": "trigger-ship"}, "cooldownPeriod": 60, "maxReplicaCount": 8,
        "advanced": {"restoreToOriginalReplicaCount": true},
        "triggers": [
            lag(stream, "default=ship@default-shop-orders", "20"),
            lag(stream, "default=ship@default-shop-paid", "20"),
            lag(stream, "default=ship@default=ship-retry", "20"),
            waiting,
        ],
    });
    assert_eq!(*object(&scaler), expected);
    assert_eq!((scaler.children.len(), scaler.warnings.len()), (1, 0), "the monitoring of NATS wants no login");
}

#[test]
fn a_router_on_redis_or_kafka_is_scaled_likewise() {
    let secret = |key: &str| json!({"secretKeyRef": {"name": "s", "key": key}});
    let redis = bus(json!({"redis": {"address": "r:6379", "password": secret("p"), "db": 2, "tls": {}}}));
    let scaler = scaled(&json!({"scaleOption": {}}), &redis).unwrap();
    let triggers = object(&scaler)["triggers"].as_array().unwrap().clone();
    let seen: Vec<(&str, &str)> = triggers
        .iter()
        .map(|trigger| {
            let metadata = &trigger["metadata"];
            assert_eq!((&metadata["address"], &metadata["databaseIndex"]), (&json!("r:6379"), &json!("2")));
            assert_eq!(metadata["enableTLS"], "true");
            assert_eq!(trigger["authenticationRef"], json!({"name": "trigger-ship-bus"}));
            let counted =
                ["lagCount", "pendingEntriesCount", "listLength"].into_iter().find(|count| !metadata[count].is_null());
            (metadata["stream"].as_str().or(metadata["listName"].as_str()).unwrap(), counted.unwrap())
        })
        .collect();
    let expected = [
        ("penstock::default.default:{default-shop-orders}", "lagCount"),
        ("penstock::default.default:{default-shop-orders}", "pendingEntriesCount"),
        ("penstock::default.default:{default-shop-paid}", "lagCount"),
        ("penstock::default.default:{default-shop-paid}", "pendingEntriesCount"),
        ("penstock::default.default:{default.ship-retry}", "lagCount"),
        ("penstock::default.default:{default.ship-retry}", "pendingEntriesCount"),
        ("penstock::default.default:{default.ship-retry}:delayed", "listLength"),
    ];
    assert_eq!(seen, expected);
    let targets = &find(&scaler.children, "TriggerAuthentication", "trigger-ship-bus")["spec"]["secretTargetRef"];
    assert_eq!(*targets, json!([{"parameter": "password", "name": "s", "key": "p"}]));

    let kafka = bus(json!({"kafka": {"brokers": "k:9092"}, "scaleOption": {"authRef": {"name": "mine"}}}));
    let scaler = scaled(&json!({}), &kafka).unwrap();
    let triggers = object(&scaler)["triggers"].as_array().unwrap().clone();
    let seen: Vec<(&str, &str)> = triggers
        .iter()
        .map(|trigger| {
            assert_eq!(trigger["authenticationRef"], json!({"name": "mine"}));
            (trigger["metadata"]["topic"].as_str().unwrap(), trigger["metadata"]["consumerGroup"].as_str().unwrap())
        })
        .collect();
    let expected = [
        ("default-shop-orders", "default.ship@default-shop-orders"),
        ("default-shop-paid", "default.ship@default-shop-paid"),
        ("default.ship-retry", "default.ship@default.ship-retry"),
        ("penstock..default.default.delayed", "penstock..default.default.mover"),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn a_router_that_joins_events_stays_and_is_alone() {
    let bus = bus(json!({"redis": {"address": "r:6379"}, "scaleOption": {"minReplicaCount": 0, "maxReplicaCount": 5}}));
    for subscriber in [
        json!({"condition": "orders && paid"}),
        json!({"condition": "orders && !paid", "hold": "10s"}),
        json!({"condition": "orders", "batch": {"count": 10, "within": "1m"}}),
        json!({"condition": "orders", "ordered": true}),
    ] {
        let mut subscriber = subscriber;
        subscriber["sink"] = json!({"uri": "http://ship"});
        let scaler = scaled(&json!({"subscribers": [subscriber]}), &bus).unwrap();
        let spec = object(&scaler);
        assert_eq!((&spec["minReplicaCount"], &spec["maxReplicaCount"]), (&json!(1), &json!(1)), "{subscriber}");
        assert!(scaler.warnings[0].starts_with("spec.scaleOption of EventBus default/default: one replica stays"));
    }
}

#[test]
fn routers_without_an_option_or_a_lag_are_not_scaled() {
    let plain = bus(json!({"jetstream": {"url": "nats://n:4222"}}));
    assert!(scaled(&json!({}), &plain).unwrap().children.is_empty());
    let refused = scaled(&json!({"scaleOption": {}}), &plain).unwrap_err();
    assert!(refused.starts_with("spec.scaleOption: needs natsServerMonitoringEndpoint"), "{refused}");
    let foreign = bus(json!({"component": {"type": "pubsub.rabbitmq"}}));
    let scaler = scaled(&json!({"scaleOption": {}}), &foreign).unwrap();
    assert!(scaler.children.is_empty());
    assert!(scaler.warnings[0].starts_with("spec.scaleOption: has no effect: no lag is known of pubsub.rabbitmq"));
    // OpenFunction's place for it.
    let streaming = bus(json!({"natsStreaming": {"natsURL": "nats://n:4222",
        "scaleOption": {"natsServerMonitoringEndpoint": "n:8222", "lagThreshold": "7"}}}));
    let scaler = scaled(&json!({}), &streaming).unwrap();
    assert_eq!(object(&scaler)["triggers"][0]["metadata"]["lagThreshold"], "7");
}
