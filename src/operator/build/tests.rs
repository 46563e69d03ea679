//! What objects come to.

use serde_json::{Map, Value as Json, json};

use super::*;
use crate::api::event_bus::BusSpec;
use crate::api::event_source::EventSourceSpec;
use crate::operator::settings::Settings;
use crate::operator::sinks::Sinks;

fn settings() -> Settings {
    Settings {
        image: "example/penstock:1".to_owned(),
        namespaces: Vec::new(),
        domain: "cluster.local".to_owned(),
        keda_http: "http://interceptor.keda:8080".to_owned(),
        workers: 1,
        identity: "me".to_owned(),
        lease: None,
    }
}

fn owner(kind: &'static str, name: &str) -> Owner {
    Owner {
        kind: kind.to_owned(),
        namespace: "default".to_owned(),
        name: name.to_owned(),
        objects: vec![(kind, name.to_owned(), "uid".to_owned())],
    }
}

fn bus(spec: Json) -> Bus {
    let spec: BusSpec = serde_json::from_value(spec).unwrap();
    Bus { namespace: "default".to_owned(), name: "default".to_owned(), spec }
}

fn jetstream() -> Bus {
    bus(json!({"jetstream": {"url": "nats://nats:4222"}, "dedupWindow": "1m"}))
}

fn listening(spec: Json, bus: &Bus) -> Result<Listening, String> {
    let typed: EventSourceSpec = serde_json::from_value(spec).unwrap();
    let raw: Map<String, Json> = crate::layout::object(&typed);
    event_source(&owner("EventSource", "shop"), &raw, &typed, bus, &settings())
}

fn find<'a>(children: &'a [Child], kind: &str, name: &str) -> &'a Json {
    let found = children.iter().find(|child| child.resource.kind == kind && child.name == name);
    &found.unwrap_or_else(|| panic!("no {kind} {name} in {children:#?}")).object
}

fn setting<'a>(component: &'a Json, name: &str) -> &'a Json {
    let metadata = component["spec"]["metadata"].as_array().unwrap();
    metadata.iter().find(|entry| entry["name"] == name).unwrap_or(&Json::Null)
}

fn read_plan(children: &[Child], workload: &str) -> Json {
    serde_json::from_str(find(children, "ConfigMap", workload)["data"]["plan.json"].as_str().unwrap()).unwrap()
}

#[test]
fn an_event_source_comes_to_components_a_plan_a_service_and_a_deployment() {
    let spec = json!({
        "http": {"orders": {"port": 8081, "bearer": {"secretKeyRef": {"name": "hook", "key": "token"}}}},
        "cron": {"tick": {"schedule": "@hourly", "attributes": {"type": "tick"}}},
        "logLevel": "2",
    });
    let Listening { children, topics, addresses, .. } = listening(spec, &jetstream()).unwrap();
    let orders = find(&children, "Component", "eventsource-shop.orders");
    assert_eq!(orders["spec"]["type"], "pubsub.eventsource.http");
    assert_eq!(orders["scopes"], json!(["eventsource-shop"]));
    assert_eq!(setting(orders, "source")["value"], "/default/shop/orders");
    assert_eq!(setting(orders, "bearer")["secretKeyRef"], json!({"name": "hook", "key": "token"}));
    let bus = find(&children, "Component", "eventsource-shop-bus");
    assert_eq!(
        (&setting(bus, "bus")["value"], &setting(bus, "url")["value"]),
        (&json!("default.default"), &json!("nats://nats:4222"))
    );
    assert_eq!(setting(bus, "dedupWindow")["value"], "1m");

    let plan = read_plan(&children, "eventsource-shop");
    assert_eq!(plan["bus"]["component"], "eventsource-shop-bus");
    let tick = plan["feeds"].as_array().unwrap().iter().find(|feed| feed["event"] == "tick").unwrap();
    assert_eq!((&tick["to"], &tick["attributes"]), (&json!("default-shop-tick"), &json!({"type": "tick"})));

    let service = find(&children, "Service", "eventsource-shop");
    assert_eq!(service["spec"]["ports"][0]["port"], 8081);
    assert_eq!(addresses[0].url, "http://eventsource-shop.default.svc.cluster.local:8081/orders");
    assert_eq!(topics.len(), 2);

    let deployment = find(&children, "Deployment", "eventsource-shop");
    let template = &deployment["spec"]["template"];
    let container = &template["spec"]["containers"][0];
    assert_eq!(container["image"], "example/penstock:1");
    let args = json!([
        "intake",
        "--plan",
        "/etc/penstock/plan.json",
        "--kind",
        "eventbus.jetstream,eventsource.cron,eventsource.http"
    ]);
    assert_eq!(container["args"], args);
    let annotations = &template["metadata"]["annotations"];
    assert_eq!(
        (&annotations["dapr.io/app-id"], &annotations["dapr.io/pluggable-components"]),
        (&json!("eventsource-shop"), &json!("penstock"))
    );
    assert!(container["env"].as_array().unwrap().contains(&json!({"name": "PENSTOCK_LOG", "value": "debug"})));
    for (label, value) in service["spec"]["selector"].as_object().unwrap() {
        assert_eq!(template["metadata"]["labels"][label], *value);
        assert_eq!(deployment["spec"]["selector"]["matchLabels"][label], *value);
    }
    assert_eq!(deployment["metadata"]["ownerReferences"][0]["controller"], true);
}

#[test]
fn every_back_end_has_a_component_or_a_word_why_not() {
    let spec = || json!({"http": {"orders": {}}});
    let ty = |written: Json| {
        let children = listening(spec(), &bus(written)).map(|listening| listening.children)?;
        let component = find(&children, "Component", "eventsource-shop-bus");
        let kinds =
            find(&children, "Deployment", "eventsource-shop")["spec"]["template"]["spec"]["containers"][0]["args"][4]
                .clone();
        Ok::<_, String>((component["spec"]["type"].clone(), kinds, setting(component, "url")["value"].clone()))
    };
    let native = json!({"nats": {"native": {"natsURL": "nats://n:4222", "natsStreamingClusterID": "c", "subscriptionType": "topic"}}});
    let ours = json!("eventbus.jetstream,eventsource.http");
    assert_eq!(ty(native).unwrap(), (json!("pubsub.eventbus.jetstream"), ours.clone(), json!("nats://n:4222")));
    let streaming = json!({"natsStreaming": {"natsURL": "nats://n:4222", "subscriptionType": "queue", "durableSubscriptionName": "d"}});
    assert_eq!(ty(streaming).unwrap().1, ours);
    let foreign =
        json!({"component": {"type": "pubsub.azure.servicebus.topics", "metadata": [{"name": "url", "value": "x"}]}});
    assert_eq!(ty(foreign).unwrap(), (json!("pubsub.azure.servicebus.topics"), json!("eventsource.http"), json!("x")));
    assert!(ty(json!({"embedded": {}})).unwrap_err().contains("an embedded bus is inside one process"));
    assert_eq!(ty(json!({"kafka": {"brokers": "k:9092"}})).unwrap().0, json!("pubsub.eventbus.kafka"));
    let late = json!({"natsStreaming": {"natsURL": "nats://n:4222", "ackWaitTime": "1m"}});
    assert!(ty(late).unwrap_err().contains("spec.natsStreaming.ackWaitTime: cannot be said to a component"));
}

#[test]
fn secrets_are_referred_to_or_refused() {
    let check = |secret: Json, expected: &str| {
        let refused = listening(json!({"http": {"orders": {"bearer": secret}}}), &jetstream()).unwrap_err();
        assert!(refused.contains(expected), "{refused}");
    };
    check(json!({"env": "TOKEN"}), "spec.http.orders.bearer: env and file are for one machine");
    check(json!({}), "in a cluster, use secretKeyRef");
}

#[test]
fn a_template_overrides_what_is_built() {
    let template = json!({"spec": {"nodeSelector": {"disk": "fast"}, "containers": [
        {"name": "penstock", "resources": {"limits": {"memory": "64Mi"}}, "env": [{"name": "PENSTOCK_LOG", "value": "trace"}]}]}});
    let spec = json!({"http": {"orders": {}}, "template": template});
    let children = listening(spec, &jetstream()).unwrap().children;
    let pod = &find(&children, "Deployment", "eventsource-shop")["spec"]["template"]["spec"];
    assert_eq!(pod["nodeSelector"]["disk"], "fast");
    let container = &pod["containers"][0];
    assert_eq!(
        (&container["resources"]["limits"]["memory"], &container["args"][0]),
        (&json!("64Mi"), &json!("intake"))
    );
    assert!(container["env"].as_array().unwrap().contains(&json!({"name": "PENSTOCK_LOG", "value": "trace"})));
}

#[test]
fn a_trigger_comes_to_a_bus_component_a_plan_and_a_deployment() {
    let spec = json!({"eventSources": [], "subscribers": []});
    let sinks = Sinks {
        plan: vec![json!({"ref": {"apiVersion": "v1", "kind": "Service", "name": "s"}, "uri": "http://s"})],
        copies: vec![(
            "trigger-ship-sink.mail".to_owned(),
            json!({"spec": {"type": "bindings.smtp"}, "scopes": ["trigger-ship"]}),
        )],
        ..Sinks::default()
    };
    let owner = owner("Trigger", "ship");
    let bus = jetstream();
    let routed = Routed {
        workload: "trigger-ship",
        group: "default.ship",
        bus: &bus,
        triggers: vec![trigger("default", "ship", &spec)],
        sinks: &sinks,
        log_level: None,
        template: None,
    };
    let children = router(&owner, routed.clone(), &settings()).unwrap();
    let plan = read_plan(&children, "trigger-ship");
    assert_eq!(
        (&plan["group"], &plan["eventBus"]["spec"]["jetstream"]["url"]),
        (&json!("default.ship"), &json!("nats://nats:4222"))
    );
    assert_eq!(plan["sinks"][0]["uri"], "http://s");
    assert_eq!(plan["triggers"][0]["name"], "ship");
    assert_eq!(find(&children, "Component", "trigger-ship-sink.mail")["spec"]["type"], "bindings.smtp");
    let container = &find(&children, "Deployment", "trigger-ship")["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(
        container["args"],
        json!(["router", "--plan", "/etc/penstock/plan.json", "--kind", "eventbus.jetstream"])
    );
    // Dapr's own component has one group, which must be this router's alone; what it says of itself is in no plan.
    let metadata = json!([{"name": "redisHost", "value": "r:6379"}, {"name": "consumerID", "value": "shared"}]);
    let spec = json!({"component": {"type": "pubsub.redis", "metadata": metadata}});
    let spec = serde_json::from_value(spec).unwrap();
    let foreign = Bus { namespace: "default".to_owned(), name: "default".to_owned(), spec };
    let children = router(&owner, Routed { bus: &foreign, ..routed }, &settings()).unwrap();
    let component = find(&children, "Component", "trigger-ship-bus");
    assert_eq!(setting(component, "consumerID")["value"], "default.ship");
    let told = read_plan(&children, "trigger-ship")["eventBus"]["spec"]["component"].clone();
    assert_eq!(told, json!({"type": "pubsub.redis"}));
}

#[test]
fn the_same_is_built_the_same() {
    let built =
        || listening(json!({"http": {"a": {}, "b": {}}, "cron": {"c": {"schedule": "@daily"}}}), &jetstream()).unwrap();
    assert_eq!(built(), built());
    let child = &built().children[0];
    assert!(child.is_there(&child.object));
}

#[test]
fn keda_scales_by_what_the_source_reads() {
    let redis = json!({"redisHost": "r:6379", "redisPassword": {"secretKeyRef": {"name": "r", "key": "p"}}, "enableTLS": true,
        "scaleOption": {"lagThreshold": "5", "pollingInterval": 7, "minReplicaCount": 0, "maxReplicaCount": 3, "metadata": {"activationLagCount": "2"}}});
    let children = listening(json!({"redis": {"orders": redis.clone()}}), &jetstream()).unwrap().children;
    let component = find(&children, "Component", "eventsource-shop.orders");
    assert_eq!(setting(component, "stream")["value"], "orders");
    assert_eq!(setting(component, "consumerGroup")["value"], "penstock-default-shop-orders");
    let spec = &find(&children, "ScaledObject", "eventsource-shop")["spec"];
    let expected = json!({
        "scaleTargetRef": {"name": "eventsource-shop"}, "pollingInterval": 7, "minReplicaCount": 0, "maxReplicaCount": 3,
        "triggers": [{
            "type": "redis-streams",
            "metadata": {"stream": "orders", "consumerGroup": "penstock-default-shop-orders", "lagCount": "5", "enableTLS": "true",
                "address": "r:6379", "activationLagCount": "2"},
            "authenticationRef": {"name": "eventsource-shop.orders"},
        }],
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
fn a_scaler_that_cannot_be_is_told() {
    let secret = json!({"secretKeyRef": {"name": "q", "key": "k"}});
    let queue =
        json!({"url": "amqp://q:5672", "queue": "o", "username": secret, "password": secret, "scaleOption": {}});
    let refused = listening(json!({"rabbitmq": {"orders": queue}}), &jetstream()).unwrap_err();
    assert!(refused.starts_with("spec.rabbitmq.orders.scaleOption: KEDA wants the login"), "{refused}");
    let listening =
        listening(json!({"http": {"hook": {"scaleOption": {"maxReplicaCount": 3}}}}), &jetstream()).unwrap();
    assert_eq!(listening.warnings, ["spec.http.hook.scaleOption: has no effect: there is no scaler of KEDA for http"]);
    assert!(listening.children.iter().all(|child| child.resource.kind != "ScaledObject"));
}

#[test]
fn what_a_source_is_called_is_had_by_nobody_else() {
    let spec = json!({
        "mqtt": {"m": {"url": "mqtt://m:1883", "topic": "t"}, "named": {"url": "mqtt://m:1883", "topic": "t", "consumerID": "mine"}},
        "rabbitmq": {"q": {"url": "amqp://q:5672", "exchange": {"name": "x"}}},
    });
    let children = listening(spec, &jetstream()).unwrap().children;
    let value = |name: &str, key: &str| setting(find(&children, "Component", name), key)["value"].clone();
    assert_eq!(value("eventsource-shop.m", "clientID"), "penstock-default-shop-m");
    assert_eq!(value("eventsource-shop.named", "clientID"), "mine");
    assert_eq!(value("eventsource-shop.q", "queue"), "penstock.default.shop.q");
}
