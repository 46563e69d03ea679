//! Sources as Dapr apps use them.

use serde_json::json;

use super::Pod;
use crate::support::{Client, Reply, eventually, free_port};

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_answered_what_the_app_made_of_its_event() {
    let pod = Pod::new(|number, _| Reply::code(if number == 0 { 500 } else { 200 })).await;
    let port = free_port();
    let component = format!(
        "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {{name: hooks}}\n\
         spec: {{type: pubsub.eventsource.http, version: v1, metadata: [{{name: port, value: {port}}}, \
         {{name: attributes.source, value: /shop}}, {{name: attributes.region, value: eu}}]}}\n"
    );
    pod.daprd.resource("hooks", &component);
    pod.subscribe("hooks", "shop");
    let (_component, _daprd) = pod.start().await;
    let (client, uri) = (Client::new(), format!("http://127.0.0.1:{port}/hooks"));
    let refused = client.event(&uri, "one", "paid", "{\"total\": 1}").await.unwrap();
    assert_eq!((refused.code, refused.headers.contains_key("retry-after")), (503, true), "{}", refused.body);
    let kept = client.event(&uri, "one", "paid", "{\"total\": 1}").await.unwrap();
    assert_eq!(kept.code, 202, "{}", kept.body);
    let event = pod.received("/shop", 2).await.remove(1);
    assert_eq!((&event["id"], &event["type"], &event["source"]), (&json!("one"), &json!("paid"), &json!("/shop")));
    assert_eq!(event["region"], "eu");
    assert_eq!(event["data_base64"], "eyJ0b3RhbCI6IDF9");

    let answer = pod.daprd.publish("hooks", "shop", "application/json", b"1").await;
    assert_eq!(answer.0, 500);
    assert!(answer.1.contains("it can only be subscribed to"), "{}", answer.1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tick_that_was_not_handled_comes_again_as_the_same_event() {
    let pod = Pod::new(|number, _| Reply::code(if number == 0 { 500 } else { 200 })).await;
    pod.daprd.resource(
        "timer",
        "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: timer}\n\
         spec: {type: pubsub.eventsource.cron, version: v1, \
         metadata: [{name: schedule, value: '@every 1s'}, {name: data, value: '{\"task\": \"report\"}'}]}\n",
    );
    pod.subscribe("timer", "ticks");
    let (_component, _daprd) = pod.start().await;
    let ticks = pod.received("/ticks", 3).await;
    assert_eq!(ticks[0]["id"], ticks[1]["id"]);
    assert_ne!(ticks[1]["id"], ticks[2]["id"]);
    assert_eq!(ticks[0]["type"], "events.openfunction.io.cron");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_kinds_that_are_asked_for_are_served() {
    let pod = Pod::new(|_, _| Reply::code(200)).await;
    let component = pod.component().with(["--kind", "eventsource.cron,eventsource.http"]).start().await;
    let sockets = pod.path("sockets");
    let there = |kind| super::socket(&sockets, kind);
    assert!(there("eventsource.cron") && there("eventsource.http") && !there("eventbus.embedded"));
    // What SIGKILL leaves behind is no obstacle.
    component.kill().await;
    assert!(there("eventsource.cron"));
    let component = pod.component().start().await;
    eventually("all sockets are there", || async { there("eventbus.embedded") }).await;
    let (code, log) = pod.component().spawn().log_when_ended().await;
    assert_eq!(code, Some(1));
    assert!(log.contains("another process listens there"), "{log}");
    assert_eq!(component.stop().await, Some(0));
    assert!(!there("eventsource.cron"));
}
