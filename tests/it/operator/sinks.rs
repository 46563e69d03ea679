//! Sinks are found where the cluster has them, and looked for while it has not.

use serde_json::json;

use super::objects::FLOW;
use super::pod::Pod;
use super::rig::{COMPONENT, EVENT_SOURCE, Rig, TRIGGER, settled};
use crate::support::{Client, NatsServer, Receiver, eventually, free_port};

fn sink_of(reference: &str) -> String {
    FLOW.replace("sink: {uri: 'http://ship:8080/'}", &format!("ref: {reference}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_found_when_it_comes_and_events_are_held_until_then() {
    let rig = Rig::new("services").await;
    let operator = rig.operator().start().await;
    rig.apply(&sink_of("{apiVersion: v1, kind: Service, name: fn}")).await;
    let message = rig.says(TRIGGER, "ship", "SinksResolved", "False Unresolved").await;
    assert!(message.starts_with("events for it are held: Service") && message.ends_with("there is none"), "{message}");
    settled(&operator).await;
    let held = rig.plan("trigger-ship").await["sinks"][0].clone();
    assert!(held["unresolved"].is_string() && held["uri"].is_null(), "{held}");

    rig.apply("{apiVersion: v1, kind: Service, metadata: {name: fn}, spec: {ports: [{port: 8080}], selector: {a: b}}}")
        .await;
    rig.says(TRIGGER, "ship", "SinksResolved", "True Resolved").await;
    let uri = format!("http://fn.{}.svc.cluster.local:8080", rig.namespace);
    eventually("the plan has the address", || async { rig.plan("trigger-ship").await["sinks"][0]["uri"] == uri }).await;
    eventually("the status has the address", || async {
        rig.get(TRIGGER, "ship").await["status"]["subscribers"][0]["sink"] == uri
    })
    .await;
    rig.delete(super::rig::SERVICE, "fn").await;
    rig.says(TRIGGER, "ship", "SinksResolved", "False Unresolved").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_operator_makes_itself_is_a_sink_like_any_other() {
    let rig = Rig::new("own").await;
    let _operator = rig.operator().start().await;
    // The Trigger is there first: a flow that feeds another one.
    let flow = sink_of("{apiVersion: v1, kind: Service, name: eventsource-shop}");
    let parts: Vec<&str> = flow.split("---").collect();
    rig.apply(parts[0]).await;
    rig.apply(parts[2]).await;
    rig.says(TRIGGER, "ship", "SinksResolved", "False Unresolved").await;
    rig.apply(parts[1]).await;
    rig.says(TRIGGER, "ship", "SinksResolved", "True Resolved").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_addressable_of_any_kind_is_followed() {
    let rig = Rig::new("addressables").await;
    let _operator = rig.operator().start().await;
    rig.apply(&sink_of("{apiVersion: serving.knative.dev/v1, kind: Service, name: fn}")).await;
    rig.says(TRIGGER, "ship", "SinksResolved", "False Unresolved").await;
    rig.apply(
        "{apiVersion: serving.knative.dev/v1, kind: Service, metadata: {name: fn}, spec: {template: {spec: {containers: [{image: x}]}}}}",
    )
    .await;
    let knative = ("serving.knative.dev", "v1", "Service", "services");
    for url in ["http://fn.example", "http://fn.moved"] {
        let status = json!({"status": {"address": {"url": url}}});
        rig.api(knative)
            .patch_status("fn", &kube::api::PatchParams::default(), &kube::api::Patch::Merge(&status))
            .await
            .unwrap();
        eventually("the plan follows the address", || async {
            rig.plan("trigger-ship").await["sinks"][0]["uri"] == url
        })
        .await;
    }
    rig.says(TRIGGER, "ship", "SinksResolved", "True Resolved").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_is_used_or_copied_and_never_from_elsewhere() {
    let rig = Rig::new("components").await;
    let _operator = rig.operator().start().await;
    rig.apply(
        "{apiVersion: dapr.io/v1alpha1, kind: Component, metadata: {name: mail}, spec: {type: bindings.http, version: v1, metadata: [{name: url, value: 'http://x'}]}, scopes: [other]}",
    )
    .await;
    rig.apply(&sink_of("{apiVersion: dapr.io/v1alpha1, kind: Component, name: mail}")).await;
    rig.says(TRIGGER, "ship", "SinksResolved", "True Resolved").await;
    eventually("a copy is in scope", || async { rig.find(COMPONENT, "trigger-ship-sink.mail").await.is_some() }).await;
    let copy = rig.get(COMPONENT, "trigger-ship-sink.mail").await;
    assert_eq!((&copy["scopes"], &copy["spec"]["type"]), (&json!(["trigger-ship"]), &json!("bindings.http")));
    assert_eq!(rig.plan("trigger-ship").await["sinks"][0]["component"], "trigger-ship-sink.mail");

    let elsewhere = sink_of("{apiVersion: dapr.io/v1alpha1, kind: Component, name: mail, namespace: elsewhere}");
    rig.apply(&elsewhere).await;
    let message = rig.says(TRIGGER, "ship", "SinksResolved", "False Unresolved").await;
    assert!(message.ends_with("daprd loads Components of its own namespace only"), "{message}");
    eventually("the copy is gone", || async { rig.find(COMPONENT, "trigger-ship-sink.mail").await.is_none() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bus_that_names_a_component_waits_for_it_and_gives_each_workload_one_like_it() {
    let rig = Rig::new("foreign").await;
    let _operator = rig.operator().start().await;
    let jetstream = FLOW.lines().find(|line| line.contains("jetstream")).unwrap();
    rig.apply(&FLOW.replace(jetstream, "spec: {component: {name: broker}}")).await;
    let message = rig.says(TRIGGER, "ship", "BusReady", "False NotFound").await;
    assert!(message.ends_with("/broker: there is none"), "{message}");
    let broker = "{apiVersion: dapr.io/v1alpha1, kind: Component, metadata: {name: broker}, scopes: [other], \
                  spec: {type: pubsub.redis, version: v1, metadata: [{name: redisHost, value: HOST}]}}";
    for host in ["one:6379", "two:6379"] {
        rig.apply(&broker.replace("HOST", &format!("'{host}'"))).await;
        rig.says(TRIGGER, "ship", "BusReady", "True Found").await;
        rig.says(EVENT_SOURCE, "shop", "BusReady", "True Found").await;
        eventually("the workloads' own are like it", || async {
            let of =
                async |workload: &str| rig.find(COMPONENT, workload).await.map(|object| object["spec"].to_string());
            let all = [of("trigger-ship-bus").await, of("eventsource-shop-bus").await];
            all.iter()
                .all(|spec| spec.as_ref().is_some_and(|spec| spec.contains("pubsub.redis") && spec.contains(host)))
        })
        .await;
    }
    rig.apply(&broker.replace("pubsub.redis", "state.redis").replace("HOST", "'x'")).await;
    let message = rig.says(TRIGGER, "ship", "BusReady", "False BusInvalid").await;
    assert!(message.ends_with("\"state.redis\" is no pub/sub component"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_of_the_http_add_on_is_followed_and_reached_by_its_host() {
    let (rig, nats, interceptor) = (Rig::new("http").await, NatsServer::start(""), Receiver::start().await);
    let port = free_port();
    let _operator = rig.operator().with(["--keda-http", &interceptor.uri("")]).start().await;
    let flow = |sink: &str| {
        sink_of(sink).replace("port: 8081", &format!("port: {port}")).replace(
            "{url: 'nats://nats:4222', password: {secretKeyRef: {name: nats, key: password}}, user: {secretKeyRef: {name: nats, key: user}}}",
            &format!("{{url: '{}'}}", nats.url()),
        )
    };
    // The definitions are the add-on's own.
    rig.apply(
        "{apiVersion: http.keda.sh/v1alpha1, kind: HTTPScaledObject, metadata: {name: fn}, spec: {hosts: ['*.example', fn.example], scaleTargetRef: {name: fn, service: fn, port: 80}}}",
    )
    .await;
    rig.apply(&flow("{apiVersion: http.keda.sh/v1alpha1, kind: HTTPScaledObject, name: fn}")).await;
    rig.says(TRIGGER, "ship", "SinksResolved", "True Resolved").await;
    eventually("the plan names the host", || async {
        let Some(_) = rig.find(super::rig::CONFIG_MAP, "trigger-ship").await else { return false };
        rig.plan("trigger-ship").await["sinks"][0]["headers"] == json!({"host": "fn.example"})
    })
    .await;

    // What replaces it, with a route that goes elsewhere later.
    let route = |rules: &str| {
        format!(
            "{{apiVersion: http.keda.sh/v1beta1, kind: InterceptorRoute, metadata: {{name: fn}}, spec: {{target: {{service: fn, port: 80}}, scalingMetric: {{concurrency: {{targetValue: 10}}}}, rules: {rules}}}}}"
        )
    };
    rig.apply(&route("[{hosts: [fn.new], paths: [{value: /in}], headers: [{name: X-Team, value: a}]}]")).await;
    rig.apply(&flow("{apiVersion: http.keda.sh/v1beta1, kind: InterceptorRoute, name: fn}")).await;
    let host = |host: &'static str| {
        let rig = &rig;
        move || async move { rig.plan("trigger-ship").await["sinks"][0]["headers"]["host"] == host }
    };
    eventually("the plan names the route's host", host("fn.new")).await;
    eventually("the status says how it is asked", || async {
        rig.get(TRIGGER, "ship").await["status"]["subscribers"][0]["sink"]
            == format!("{} (Host: fn.new)", interceptor.uri("/in"))
    })
    .await;
    rig.apply(&route("[{hosts: ['*.new']}]")).await;
    let message = rig.says(TRIGGER, "ship", "SinksResolved", "False Unresolved").await;
    assert!(message.contains("InterceptorRoute") && message.contains("all its hosts are patterns"), "{message}");
    rig.apply(&route("[{hosts: [fn.newer], paths: [{value: /in}], headers: [{name: X-Team, value: a}]}]")).await;
    eventually("the plan follows the route", host("fn.newer")).await;

    let (_intake, _router) = (Pod::start(&rig, "eventsource-shop").await, Pod::start(&rig, "trigger-ship").await);
    let posted = Client::new().event(&format!("http://127.0.0.1:{port}/orders"), "1", "order", "{}").await.unwrap();
    assert_eq!(posted.code, 202, "{}", posted.body);
    eventually("the interceptor has the event", || async { !interceptor.seen().is_empty() }).await;
    let seen = interceptor.seen().remove(0);
    assert_eq!((seen.path.as_str(), seen.header("host"), seen.header("x-team")), ("/in", "fn.newer", "a"));
    assert_eq!(seen.header("ce-id"), "1");
}
