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

pub fn owner(kind: &'static str, name: &str) -> Owner {
    Owner {
        kind: kind.to_owned(),
        namespace: "default".to_owned(),
        name: name.to_owned(),
        objects: vec![(kind, name.to_owned(), "uid".to_owned())],
    }
}

pub fn bus(spec: Json) -> Bus {
    let spec: BusSpec = serde_json::from_value(spec).unwrap();
    Bus { namespace: "default".to_owned(), name: "default".to_owned(), spec }
}

pub fn jetstream() -> Bus {
    bus(json!({"jetstream": {"url": "nats://nats:4222"}, "dedupWindow": "1m"}))
}

pub fn listening(spec: Json, bus: &Bus) -> Result<Listening, String> {
    let typed: EventSourceSpec = serde_json::from_value(spec).unwrap();
    let raw: Map<String, Json> = crate::layout::object(&typed);
    event_source(&owner("EventSource", "shop"), &raw, &typed, bus, (&kinds(), &settings()))
}

fn kinds() -> Kinds {
    let kind = |group: &str, plural: &str, namespaced| Kind { group: group.into(), plural: plural.into(), namespaced };
    let key = |api_version: &str, kind: &str| (api_version.to_owned(), kind.to_owned());
    Kinds::from([
        (key("v1", "ConfigMap"), kind("", "configmaps", true)),
        (key("apps/v1", "Deployment"), kind("apps", "deployments", true)),
        (key("v1", "Node"), kind("", "nodes", false)),
    ])
}

pub fn find<'a>(children: &'a [Child], kind: &str, name: &str) -> &'a Json {
    let found = children.iter().find(|child| child.resource.kind == kind && child.name == name);
    &found.unwrap_or_else(|| panic!("no {kind} {name} in {children:#?}")).object
}

pub fn setting<'a>(component: &'a Json, name: &str) -> &'a Json {
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
fn plain_secrets_and_logins_go_into_secrets_of_the_owner() {
    let bus = bus(json!({"jetstream": {"url": "nats://u:hidden1@nats:4222"}}));
    let spec = json!({"redis": {"orders": {"redisHost": "r:6379", "redisPassword": "hidden2"}}, "mqtt": {"m": {"url": "mqtt://u:hidden3@m:1883", "topic": "t"}}});
    let children = listening(spec, &bus).unwrap().children;
    let of = |component: &str, key: &str| setting(find(&children, "Component", component), key)["secretKeyRef"].clone();
    for (component, key, value) in [
        ("eventsource-shop-bus", "url", "nats://u:hidden1@nats:4222"),
        ("eventsource-shop.orders", "redisPassword", "hidden2"),
        ("eventsource-shop.m", "url", "mqtt://u:hidden3@m:1883"),
    ] {
        let reference = of(component, key);
        assert_eq!(reference["key"], key);
        let secret = find(&children, "Secret", reference["name"].as_str().unwrap());
        assert_eq!((&secret["stringData"][key], &secret["immutable"]), (&json!(value), &json!(true)));
        assert_eq!(secret["metadata"]["ownerReferences"][0]["uid"], "uid");
    }
    let others: Vec<&Child> = children.iter().filter(|child| child.resource.kind != "Secret").collect();
    assert!(!others.iter().any(|child| child.object.to_string().contains("hidden")));
    assert!(!format!("{children:?}").contains("hidden"));

    // Another value is another Secret.
    let name = of("eventsource-shop.orders", "redisPassword")["name"].clone();
    let spec = json!({"redis": {"orders": {"redisHost": "r:6379", "redisPassword": "other"}}});
    let changed = listening(spec, &bus).unwrap().children;
    let changed = setting(find(&changed, "Component", "eventsource-shop.orders"), "redisPassword").clone();
    let changed = changed["secretKeyRef"]["name"].clone();
    assert_ne!(name, changed);

    let shared = Owner { kind: "Router".into(), ..owner("Trigger", "default") };
    assert!(bus.components(&shared, "router-default", None).unwrap_err().contains("behind a shared router"));
    let scaled = json!({"rabbitmq": {"q": {"url": "amqp://u:hidden@q:5672", "queue": "o", "scaleOption": {}}}});
    let refused = listening(scaled, &jetstream()).unwrap_err();
    assert!(refused.starts_with("spec.rabbitmq.q.scaleOption: the address has a login"), "{refused}");
}

#[test]
fn what_a_plan_says_of_the_bus_holds_no_secret() {
    let bus = bus(json!({"jetstream": {"url": "nats://u:hidden@n:4222"}, "topic": "x"}));
    let plan = crate::layout::router_plan(crate::layout::Router {
        bus: "b",
        group: "g",
        event_bus: bus.event_bus(),
        triggers: Vec::new(),
        state: None,
        sinks: Vec::new(),
    });
    assert_eq!(plan["eventBus"]["spec"], json!({"topic": "x"}));
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
        scaler: Vec::new(),
        log_level: None,
        template: None,
    };
    let children = router(&owner, routed.clone(), &settings()).unwrap();
    let plan = read_plan(&children, "trigger-ship");
    assert_eq!(
        (&plan["group"], &plan["eventBus"]["name"], &plan["eventBus"]["spec"]),
        (&json!("default.ship"), &json!("default"), &json!({}))
    );
    assert_eq!(plan["sinks"][0]["uri"], "http://s");
    // The state store is that of the same bus.
    assert_eq!(plan["state"], json!({"component": "trigger-ship-state"}));
    let spec_of = |name: &str| find(&children, "Component", name)["spec"].clone();
    let (bus, state) = (spec_of("trigger-ship-bus"), spec_of("trigger-ship-state"));
    assert_eq!(
        (&bus["type"], &state["type"]),
        (&json!("pubsub.eventbus.jetstream"), &json!("state.eventbus.jetstream"))
    );
    let mut expected = bus["metadata"].as_array().unwrap().clone();
    expected.push(json!({"name": "keyPrefix", "value": "none"}));
    assert_eq!(state["metadata"], json!(expected));
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
    assert_eq!(read_plan(&children, "trigger-ship")["eventBus"]["spec"], json!({}));
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
fn a_function_stands_in_the_place_of_a_deployment_and_its_scaler() {
    let redis = json!({"redisHost": "r:6379", "redisPassword": {"secretKeyRef": {"name": "r", "key": "p"}},
        "scaleOption": {"lagThreshold": "5", "pollingInterval": 7, "minReplicaCount": 0, "maxReplicaCount": 3,
            "advanced": {"restoreToOriginalReplicaCount": true}}});
    let template = json!({"metadata": {"annotations": {"dapr.io/pluggable-components": "penstock,other"}}, "spec": {"containers": [
        {"name": "penstock", "image": "mine/penstock:2"}, {"name": "other", "image": "x"}]}});
    let spec = json!({"redis": {"orders": redis}, "template": template});
    let made = listening(spec, &jetstream()).unwrap().children;
    let pod = find(&made, "Deployment", "eventsource-shop")["spec"]["template"]["spec"].clone();
    let children = functions(&owner("EventSource", "shop"), made).unwrap();
    assert!(!children.iter().any(|child| ["Deployment", "ScaledObject"].contains(&child.resource.kind.as_str())));
    let spec = &find(&children, "Function", "eventsource-shop-fn")["spec"];
    let serving = &spec["serving"];
    assert_eq!(spec["image"], "mine/penstock:2");
    assert_eq!(
        serving["triggers"],
        json!({"dapr": [{"name": "eventsource-shop.orders", "type": "pubsub.eventsource.redis"}]})
    );
    assert_eq!(
        serving["outputs"],
        json!([{"dapr": {"name": "eventsource-shop-bus", "type": "pubsub.eventbus.jetstream"}}])
    );
    let annotation = |name: &str| serving["annotations"][name].as_str().unwrap();
    assert_eq!(annotation("dapr.io/app-id"), "eventsource-shop");
    assert_eq!(annotation("dapr.io/pluggable-components"), "function,other");
    assert_eq!((annotation("openfunction.io/dapr-service-mode"), annotation("dapr.io/app-port")), ("sidecar", "0"));
    assert!(serving["labels"]["app.kubernetes.io/managed-by"].is_null());
    let [function, other] = serving["template"]["containers"].as_array().unwrap().as_slice() else {
        panic!("{serving}")
    };
    assert_eq!(
        (&function["name"], &function["image"], &other["image"]),
        (&json!("function"), &Json::Null, &json!("x"))
    );
    assert_eq!((&function["args"], &function["env"]), (&pod["containers"][0]["args"], &pod["containers"][0]["env"]));
    let options = &serving["scaleOptions"];
    assert_eq!((&options["minReplicas"], &options["maxReplicas"]), (&json!(0), &json!(3)));
    let object = json!({"pollingInterval": 7, "advanced": {"restoreToOriginalReplicaCount": true}});
    assert_eq!(options["keda"]["scaledObject"], object);
    assert_eq!(options["keda"]["triggers"][0]["authenticationRef"]["name"], "eventsource-shop.orders");

    let scaler = json!({"spec": {"scaleTargetRef": {"name": "w"}, "idleReplicaCount": 0}});
    let owner = owner("Trigger", "w");
    let child = |known, body| Child::new(Resource::of(known), "w", &owner, "w", body);
    let resource = super::super::resource::SCALED_OBJECT;
    let children = vec![child(super::super::resource::DEPLOYMENT, json!({"spec": {}})), child(resource, scaler)];
    let refused = functions(&owner, children).unwrap_err();
    assert_eq!(refused, "spec.workload: a function cannot be scaled with idleReplicaCount");
}

#[test]
fn a_function_that_routes_is_triggered_by_its_bus_alone() {
    let (bus, sinks) = (jetstream(), Sinks::default());
    let routed = Routed {
        workload: "trigger-ship",
        group: "default.ship",
        bus: &bus,
        triggers: Vec::new(),
        sinks: &sinks,
        scaler: Vec::new(),
        log_level: None,
        template: None,
    };
    let owner = owner("Trigger", "ship");
    let children = functions(&owner, router(&owner, routed, &settings()).unwrap()).unwrap();
    assert_eq!(find(&children, "Component", "trigger-ship-state")["spec"]["type"], "state.eventbus.jetstream");
    let serving = &find(&children, "Function", "trigger-ship-fn")["spec"]["serving"];
    let bus = json!({"name": "trigger-ship-bus", "type": "pubsub.eventbus.jetstream"});
    assert_eq!((&serving["triggers"], &serving["outputs"]), (&json!({"dapr": [bus]}), &Json::Null));
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

#[test]
fn who_watches_objects_has_an_account_that_may_do_so_in_its_namespace() {
    let spec = json!({"kubernetes": {
        "maps": {"apiVersion": "v1", "kind": "ConfigMap"},
        "rollouts": {"apiVersion": "apps/v1", "kind": "Deployment", "namespaces": ["default", "other"]},
        "nodes": {"apiVersion": "v1", "kind": "Node"},
    }});
    let Listening { children, warnings, .. } = listening(spec, &jetstream()).unwrap();
    let granted =
        |group: &str, plural: &str| json!({"apiGroups": [group], "resources": [plural], "verbs": ["list", "watch"]});
    let role = find(&children, "Role", "eventsource-shop");
    assert_eq!(role["rules"], json!([granted("", "configmaps"), granted("apps", "deployments")]));
    let binding = find(&children, "RoleBinding", "eventsource-shop");
    assert_eq!(
        (&binding["roleRef"]["name"], &binding["subjects"][0]["namespace"]),
        (&json!("eventsource-shop"), &json!("default"))
    );
    let pod = &find(&children, "Deployment", "eventsource-shop")["spec"]["template"]["spec"];
    assert_eq!(pod["serviceAccountName"], "eventsource-shop");
    let told = |path: &str, plural: &str| {
        format!(
            "{path}: outside of namespace default nothing is granted here: let somebody bind the account default/eventsource-shop to a role with list and watch on {plural}"
        )
    };
    assert_eq!(
        warnings,
        [told("spec.kubernetes.nodes", "nodes"), told("spec.kubernetes.rollouts", "deployments.apps")]
    );
    let maps = find(&children, "Component", "eventsource-shop.maps");
    assert_eq!(
        (&maps["spec"]["type"], &setting(maps, "ownNamespace")["value"]),
        (&json!("pubsub.eventsource.kubernetes"), &json!("default"))
    );

    let children = listening(json!({"http": {"orders": {}}}), &jetstream()).unwrap().children;
    assert!(!children.iter().any(|child| child.resource.kind == "ServiceAccount"));
}

#[test]
fn how_far_a_schedule_has_come_is_kept_on_the_bus_where_that_can_be() {
    let spec = || json!({"cron": {"tick": {"schedule": "@hourly"}}});
    let kept = |written: Json| {
        let Listening { children, warnings, .. } = listening(spec(), &bus(written)).unwrap();
        (setting(find(&children, "Component", "eventsource-shop.tick"), "stateBus")["value"].clone(), warnings)
    };
    assert_eq!(kept(json!({"redis": {"redisHost": "r:6379"}})), (json!("default.default"), Vec::new()));
    for bus in [json!({"kafka": {"brokers": "k:9092"}}), json!({"component": {"type": "pubsub.redis", "metadata": []}})]
    {
        let (kept, warnings) = kept(bus);
        assert!(kept.is_null());
        assert_eq!(
            warnings,
            ["spec.cron.tick: how far it has come is kept while the pod lives: the bus has no place for it"]
        );
    }
}
