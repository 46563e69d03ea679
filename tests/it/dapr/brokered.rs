//! Sources that listen to brokers and to object storage, as Dapr apps use them: the published Components.

use async_nats::jetstream::{self, stream};
use rumqttc::QoS;
use serde_json::{Value as Json, json};

use super::Pod;
use super::published::component;
use crate::support::{Minio, Mosquitto, NatsServer, RabbitMq, RedisServer, Reply, eventually, free_port};

/// An app that refuses the first event, subscribed to the Component of this name.
async fn pod(name: &str, yaml: &str) -> Pod {
    let pod = Pod::new(|number, _| Reply::code(if number == 0 { 500 } else { 200 })).await;
    pod.daprd.resource(name, yaml);
    pod.subscribe(name, "all");
    pod
}

/// The first event, which must come again after it was refused.
async fn first(pod: &Pod) -> Json {
    let mut events = pod.received("/all", 2).await;
    assert_eq!(events[0]["id"], events[1]["id"]);
    events.remove(1)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_mqtt_reaches_an_app() {
    let broker = Mosquitto::start();
    let yaml = component("eventsource.mqtt", &[("url", &broker.url()), ("topic", "sensors/+")]);
    let pod = pod("sensors", &yaml).await;
    let (component, _daprd) = pod.start().await;
    eventually("it listens", || async { component.log().contains("subscribed at the MQTT broker") }).await;
    broker.publish("sensors/kitchen", QoS::AtLeastOnce, [r#"{"t":21}"#.to_owned()]).await;
    let event = first(&pod).await;
    assert_eq!((&event["subject"], &event["source"]), (&json!("sensors/kitchen"), &json!("/sensors")));
    assert_eq!(event["type"], "events.openfunction.io.mqtt");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_rabbitmq_reaches_an_app() {
    let broker = RabbitMq::start(|_| String::new()).await;
    let yaml = component("eventsource.rabbitmq", &[("url", &broker.url())]);
    let pod = pod("orders", &yaml).await;
    let (component, _daprd) = pod.start().await;
    eventually("it listens", || async { component.log().contains("consuming from RabbitMQ") }).await;
    let properties = lapin::BasicProperties::default().with_message_id("one".into());
    broker.publish("", "orders", [(properties, "{}".to_owned())]).await;
    let event = first(&pod).await;
    assert_eq!((&event["id"], &event["type"]), (&json!("one"), &json!("events.openfunction.io.rabbitmq")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_of_redis_reaches_an_app() {
    let server = RedisServer::start(&[]);
    let yaml = component("eventsource.redis", &[("redisHost", &server.address())]);
    let pod = pod("orders", &yaml).await;
    let (_component, _daprd) = pod.start().await;
    let client = redis::Client::open(format!("redis://{}", server.address())).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let added: redis::RedisResult<String> =
        redis::cmd("XADD").arg("orders").arg("*").arg("data").arg("{}").query_async(&mut connection).await;
    let event = first(&pod).await;
    assert_eq!(event["id"], format!("orders/{}", added.unwrap()));
    assert_eq!(event["type"], "events.openfunction.io.redis");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_nats_reaches_an_app() {
    let server = NatsServer::start("");
    let context = jetstream::new(async_nats::connect(server.url()).await.unwrap());
    let subjects = vec!["orders.>".to_owned()];
    context.create_stream(stream::Config { name: "ORDERS".to_owned(), subjects, ..Default::default() }).await.unwrap();
    let yaml = component("eventsource.nats", &[("url", &server.url()), ("tls.insecureSkipVerify", "")]);
    let pod = pod("orders", &yaml).await;
    let (_component, _daprd) = pod.start().await;
    context.publish("orders.paid", "{}".into()).await.unwrap().await.unwrap();
    let event = first(&pod).await;
    assert_eq!((&event["id"], &event["subject"]), (&json!("ORDERS-1"), &json!("orders.paid")));
    assert_eq!(event["type"], "events.openfunction.io.nats");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notification_of_an_object_storage_reaches_an_app() {
    let port = free_port();
    let minio = Minio::posting(&format!("http://127.0.0.1:{port}/photos"), "hook-token").await;
    minio.make_bucket("photos").await;
    minio.notify("photos", &["s3:ObjectCreated:*"]).await;
    let yaml = component("eventsource.s3", &[("port", &port.to_string()), ("bearer", "hook-token")]);
    let pod = pod("photos", &yaml).await;
    let (_component, _daprd) = pod.start().await;
    minio.put("photos", "in/a.jpg", "x").await;
    let event = first(&pod).await;
    assert_eq!((&event["subject"], &event["source"]), (&json!("in%2Fa.jpg"), &json!("minio:s3.us-east-1.photos")));
    assert_eq!(event["type"], "com.amazonaws.s3.ObjectCreated:Put");
}
