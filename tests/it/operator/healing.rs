//! What goes wrong in a cluster is told, and heals by itself.

use std::sync::Arc;

use serde_json::json;

use super::objects::FLOW;
use super::rig::{DEPLOYMENT, EVENT_BUS, EVENT_SOURCE, Rig, TRIGGER, settled};
use crate::support::{ApiServer, apply_foreign_crds, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_bus_is_waited_for_and_kept_while_it_is_used() {
    let rig = Rig::new("buses").await;
    let operator = rig.operator().start().await;
    let rest = &FLOW[FLOW.find("---").unwrap()..];
    rig.apply(rest).await;
    let message = rig.says(TRIGGER, "ship", "BusReady", "False NotFound").await;
    assert!(message.starts_with("there is no EventBus \"default\" in namespace"), "{message}");
    settled(&operator).await;
    assert!(rig.names(DEPLOYMENT).await.is_empty());

    let embedded = "{apiVersion: events.openfunction.io/v1alpha1, kind: EventBus, metadata: {name: default}, spec: {embedded: {}}}";
    rig.apply(embedded).await;
    let message = rig.says(TRIGGER, "ship", "BusReady", "False NotSupported").await;
    assert!(message.contains("an embedded bus is inside one process"), "{message}");
    // It is held from the moment on that its users are counted.
    eventually("the bus counts who uses it", || async {
        rig.get(EVENT_BUS, "default").await["status"]["usedBy"] == json!({"eventSources": 1, "triggers": 1})
    })
    .await;
    rig.delete(EVENT_BUS, "default").await;
    rig.says(EVENT_BUS, "default", "Ready", "False InUse").await;
    let message = rig.condition(EVENT_BUS, "default", "Released").await.1;
    for user in ["EventSource", "shop", "Trigger", "ship"] {
        assert!(message.contains(user), "{message}");
    }
    rig.delete(TRIGGER, "ship").await;
    rig.delete(EVENT_SOURCE, "shop").await;
    eventually("the bus goes when nobody uses it", || async { rig.find(EVENT_BUS, "default").await.is_none() }).await;

    rig.apply(FLOW).await;
    rig.says(TRIGGER, "ship", "BusReady", "True Found").await;
    rig.says(TRIGGER, "ship", "Deployed", "False Progressing").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_without_dapr_is_a_condition_that_heals() {
    let rig = Rig::on(Arc::new(ApiServer::start().await), "bare").await;
    let _operator = rig.operator().start().await;
    rig.apply(FLOW).await;
    let message = rig.says(TRIGGER, "ship", "Deployed", "False KindMissing").await;
    assert!(message.contains("Component.dapr.io"), "{message}");
    assert!(rig.names(DEPLOYMENT).await.is_empty(), "a pod without its Components would only fail");
    apply_foreign_crds(&rig.client).await;
    rig.says(TRIGGER, "ship", "Deployed", "False Progressing").await;
    rig.says(EVENT_SOURCE, "shop", "Deployed", "False Progressing").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_cannot_be_read_does_not_stop_the_others() {
    let rig = Rig::new("strange").await;
    let _operator = rig.operator().start().await;
    // Right for the schema, and for no parser: a plain text may stand where a secret does.
    let strange = json!({
        "apiVersion": "events.openfunction.io/v1alpha1", "kind": "EventSource", "metadata": {"name": "strange"},
        "spec": {"mqtt": {"m": {"url": "mqtt://x:1883", "topic": "t", "caCert": 5}}},
    });
    rig.apply(&strange.to_string()).await;
    rig.apply(FLOW).await;
    rig.says(EVENT_SOURCE, "strange", "Accepted", "False Invalid").await;
    rig.says(EVENT_SOURCE, "shop", "Deployed", "False Progressing").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_operators_one_writes_and_the_other_takes_over() {
    let rig = Rig::new("leases").await;
    let operator = |name: &str| rig.operator().with(["--lease-namespace", rig.namespace.as_str(), "--identity", name]);
    let first = operator("first").start().await;
    eventually("the first one leads", || async { first.log().contains("this process leads") }).await;
    let second = operator("second").start().await;
    eventually("the second one waits", || async { second.log().contains("another process leads") }).await;
    rig.apply(FLOW).await;
    rig.says(TRIGGER, "ship", "Deployed", "False Progressing").await;
    rig.says(EVENT_SOURCE, "shop", "Deployed", "False Progressing").await;
    settled(&first).await;
    assert_eq!(super::rig::writes(&second).await, 0);
    let before = rig.children().await;
    assert_eq!(first.stop().await, Some(0));
    eventually("the second one leads", || async { second.log().contains("this process leads") }).await;
    assert_eq!(settled(&second).await, 0, "there was nothing left to do");
    rig.apply(&FLOW.replace("http://ship:8080/", "http://ship:8080/v2")).await;
    eventually("the second one writes", || async { rig.plan("trigger-ship").await.to_string().contains("/v2") }).await;
    assert_eq!(rig.children().await.len(), before.len());
}
