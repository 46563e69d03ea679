//! `workload: function`: `OpenFunction` runs what the operator would otherwise run itself.

use serde_json::{Value as Json, json};

use super::pod::Pod;
use super::rig::{COMPONENT, DEPLOYMENT, EVENT_SOURCE, Kind, Rig, SERVICE, TRIGGER, settled};
use crate::support::{Client, NatsServer, Receiver, RedisServer, eventually, free_port};

const FUNCTION: Kind = ("core.openfunction.io", "v1beta2", "Function", "functions");

fn flow(nats: &NatsServer, redis: &RedisServer, port: u16, sink: &str, workload: &str) -> String {
    format!(
        "apiVersion: events.openfunction.io/v1alpha1
kind: EventBus
metadata: {{name: default}}
spec: {{natsStreaming: {{natsURL: 'nats://tester:hidden@127.0.0.1:{}', natsStreamingClusterID: stan, subscriptionType: queue, durableSubscriptionName: d}}}}
---
apiVersion: events.openfunction.io/v1alpha1
kind: EventSource
metadata: {{name: shop}}
spec:
  {workload}
  http:
    orders: {{port: {port}}}
  redis:
    stock: {{redisHost: '{}', redisPassword: hidden-too, fromBeginning: true}}
---
apiVersion: events.openfunction.io/v1alpha1
kind: Trigger
metadata: {{name: ship}}
spec:
  {workload}
  eventSources: [{{name: orders, eventSourceName: shop, eventName: orders}}, {{name: stock, eventSourceName: shop, eventName: stock}}]
  subscribers: [{{name: ship, condition: orders || stock, sink: {{uri: '{sink}'}}}}]
",
        nats.port,
        redis.address()
    )
}

/// The pod template that `OpenFunction` 1.2.0 makes of an asynchronous function.
fn template(function: &Json) -> Json {
    let serving = &function["spec"]["serving"];
    let metadata = &function["metadata"];
    assert!(!serving["triggers"]["dapr"].as_array().unwrap().is_empty(), "without one it would be a Knative service");
    let mut annotations = json!({
        "dapr.io/app-id": format!("{}-{}", metadata["name"].as_str().unwrap(), metadata["namespace"].as_str().unwrap()),
        "dapr.io/log-as-json": "true", "dapr.io/app-protocol": "grpc", "dapr.io/app-port": "8080",
    });
    for (name, value) in serving["annotations"].as_object().unwrap() {
        annotations[name] = value.clone();
    }
    let in_pod = annotations["openfunction.io/dapr-service-mode"] == "sidecar";
    annotations["dapr.io/enabled"] = if in_pod { "true" } else { "false" }.into();
    let mut pod = serving["template"].clone();
    let containers = pod["containers"].as_array_mut().unwrap();
    let container = containers.iter_mut().find(|container| container["name"] == "function").unwrap();
    container["image"] = function["spec"]["image"].clone();
    let port = json!({"name": "function-port", "containerPort": 8080, "protocol": "TCP"});
    container["ports"].as_array_mut().unwrap().push(port);
    for (name, value) in [("APP_PROTOCOL", "grpc"), ("FUNC_CONTEXT", "{}"), ("POD_NAMESPACE", "x")] {
        container["env"].as_array_mut().unwrap().push(json!({"name": name, "value": value}));
    }
    json!({"metadata": {"annotations": annotations, "labels": serving["labels"]}, "spec": pod})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_runs_what_a_deployment_would_and_plain_secrets_are_moved() {
    let login = "authorization: {user: tester, password: hidden}";
    let (rig, nats, receiver) = (Rig::new("functions").await, NatsServer::start(login), Receiver::start().await);
    let redis = RedisServer::start(&["--requirepass", "hidden-too"]);
    let port = free_port();
    let operator = rig.operator().start().await;
    let yaml = |workload: &str| flow(&nats, &redis, port, &receiver.uri("/in"), workload);
    rig.apply(&yaml("workload: function")).await;
    let message = rig.says(EVENT_SOURCE, "shop", "Deployed", "False Progressing").await;
    assert_eq!(message, "Function eventsource-shop-fn does not run yet");
    rig.says(TRIGGER, "ship", "Deployed", "False Progressing").await;
    settled(&operator).await;
    // Each was taken with fieldValidation=Strict.
    assert_eq!(rig.names(FUNCTION).await, ["eventsource-shop-fn", "trigger-ship-fn"]);
    assert!(rig.names(DEPLOYMENT).await.is_empty());

    // What is secret is in Secrets alone, and the condition warns of it.
    let (accepted, warned) = rig.condition(EVENT_SOURCE, "shop", "Accepted").await;
    assert!(accepted == "True Valid" && warned.contains("spec.redis.stock.redisPassword"), "{accepted}: {warned}");
    for child in rig.children().await {
        assert!(!child.to_string().contains("hidden"), "{child}");
    }

    let run = |name: &'static str, workload: &'static str| {
        let rig = &rig;
        async move { Pod::of(rig, workload, template(&rig.get(FUNCTION, name).await)).await }
    };
    let intake = run("eventsource-shop-fn", "eventsource-shop").await;
    let router = run("trigger-ship-fn", "trigger-ship").await;
    let service = rig.get(SERVICE, "eventsource-shop").await;
    for (label, value) in service["spec"]["selector"].as_object().unwrap() {
        assert_eq!(intake.template["metadata"]["labels"][label], *value);
    }
    let posted = Client::new().event(&format!("http://127.0.0.1:{port}/orders"), "1", "order", "{}").await.unwrap();
    assert_eq!(posted.code, 202, "{}", posted.body);
    let connection = redis::Client::open(format!("redis://:hidden-too@{}", redis.address())).unwrap();
    let mut connection = connection.get_multiplexed_async_connection().await.unwrap();
    let added: redis::RedisResult<String> =
        redis::cmd("XADD").arg("stock").arg("*").arg("data").arg("{}").query_async(&mut connection).await;
    added.unwrap();
    for ty in ["order", "events.openfunction.io.redis"] {
        eventually(&format!("an event of the type {ty} arrives"), || async {
            receiver.seen().iter().any(|seen| seen.path == "/in" && seen.header("ce-type") == ty)
        })
        .await;
    }
    drop((intake, router));

    for (name, kind, object) in [("eventsource-shop-fn", EVENT_SOURCE, "shop"), ("trigger-ship-fn", TRIGGER, "ship")] {
        let status = json!({"status": {"serving": {"state": "Running"}}});
        let patch = kube::api::Patch::Merge(&status);
        rig.api(FUNCTION).patch_status(name, &kube::api::PatchParams::default(), &patch).await.unwrap();
        rig.says(kind, object, "Ready", "True Available").await;
    }
    let components: Vec<Json> = rig.children().await.into_iter().filter(|child| child["kind"] == COMPONENT.2).collect();
    settled(&operator).await;

    // The other way to run it takes the Functions along, and leaves the rest as it is.
    rig.apply(&yaml("workload: deployment")).await;
    eventually("Deployments stand in their place", || async {
        rig.names(FUNCTION).await.is_empty() && rig.names(DEPLOYMENT).await == ["eventsource-shop", "trigger-ship"]
    })
    .await;
    settled(&operator).await;
    let after: Vec<Json> = rig.children().await.into_iter().filter(|child| child["kind"] == COMPONENT.2).collect();
    assert_eq!(components, after);

    let shared = yaml("workload: function").replace("  eventSources:", "  mode: shared\n  eventSources:");
    rig.apply(&shared).await;
    let message = rig.says(TRIGGER, "ship", "Accepted", "False NotSupported").await;
    assert!(message.starts_with("spec.workload: a shared router is a Deployment"), "{message}");
}
