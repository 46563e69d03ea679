//! Buses on real brokers as Components: what a plain Dapr app gets of them.

use http::Method;
use serde_json::json;

use super::Pod;
use crate::support::{Client, NatsServer, RedisServer, Reply};

/// A pub/sub and a state store on one bus.
pub fn components(pod: &Pod, kind: &str, key: &str, value: &str) {
    for (name, building_block) in [("bus", "pubsub"), ("state", "state")] {
        let yaml = format!(
            "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {{name: {name}}}\n\
             spec:\n  type: {building_block}.eventbus.{kind}\n  version: v1\n  metadata:\n  \
             - {{name: bus, value: main}}\n  - {{name: {key}, value: \"{value}\"}}\n"
        );
        pod.daprd.resource(name, &yaml);
    }
}

async fn serves_an_app(kind: &str, key: &str, value: &str) {
    let pod = Pod::new(|number, _| if number == 0 { Reply::code(500) } else { Reply::code(200) }).await;
    components(&pod, kind, key, value);
    pod.subscribe("bus", "orders");
    let (_component, _daprd) = pod.start().await;

    let published = pod.daprd.publish("bus", "orders", "application/json", br#"{"total": 250}"#).await;
    assert_eq!(published.0, 204, "{}", published.1);
    let events = pod.received("/orders", 2).await;
    assert_eq!((&events[1]["data"], &events[1]["id"]), (&json!({"total": 250}), &events[0]["id"]));

    let json = [("content-type", "application/json")];
    let body = json!([{"key": "a", "value": 1}]).to_string();
    let saved = Client::new().send(Method::POST, &pod.daprd.http("/v1.0/state/state"), &json, body).await.unwrap();
    assert_eq!(saved.code, 204, "{}", saved.body);
    let found = Client::new().get(&pod.daprd.http("/v1.0/state/state/a")).await.unwrap();
    assert_eq!((found.code, found.body.as_str()), (200, "1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bus_on_jetstream_serves_an_app() {
    let server = NatsServer::start("");
    serves_an_app("jetstream", "url", &server.url()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bus_on_redis_serves_an_app() {
    let server = RedisServer::start(&[]);
    serves_an_app("redis", "address", &server.address()).await;
}

#[cfg(feature = "kafka")]
#[tokio::test(flavor = "multi_thread")]
async fn a_bus_on_kafka_serves_an_app() {
    let server = crate::support::KafkaServer::shared();
    serves_an_app("kafka", "brokers", &server.address()).await;
}
