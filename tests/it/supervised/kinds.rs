//! Every kind of source and bus, through daprd.

use std::sync::atomic::{AtomicU32, Ordering};

use async_nats::jetstream::{self, stream};
use rumqttc::QoS;

use super::flow::through_daprd;
use crate::support::{
    ADMIN, ApiServer, Client, Minio, Mosquitto, NatsServer, Penstock, RabbitMq, Receiver, RedisServer, Run, eventually,
    free_port,
};

/// A flow from one event of each kind of source over a bus (the inside of a YAML flow mapping) to a receiver.
fn flow(bus: &str, sources: &[(&str, String)], receiver: &Receiver) -> String {
    let sources: Vec<String> =
        sources.iter().map(|(kind, settings)| format!("  {kind}: {{from-{kind}: {{{settings}}}}}\n")).collect();
    format!(
        "apiVersion: events.openfunction.io/v1alpha1
kind: EventBus
metadata: {{name: default}}
spec: {{{bus}}}
---
apiVersion: events.openfunction.io/v1alpha1
kind: EventSource
metadata: {{name: all}}
spec:
{}  sink: {{uri: \"{}\"}}
",
        sources.concat(),
        receiver.uri("/")
    )
}

async fn says(process: &Penstock, what: &str) {
    eventually(what, || async { process.log().contains(what) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_source_feeds_a_bus_on_a_broker_through_daprd() {
    let (nats, redis, mosquitto) = (NatsServer::start(""), RedisServer::start(&[]), Mosquitto::start());
    let (rabbit, hook, webhook) = (RabbitMq::start(|_| String::new()).await, free_port(), free_port());
    let minio = Minio::posting(&format!("http://127.0.0.1:{webhook}/from-s3"), "hook-token").await;
    minio.make_bucket("photos").await;
    minio.notify("photos", &["s3:ObjectCreated:*"]).await;
    let context = jetstream::new(async_nats::connect(nats.url()).await.unwrap());
    let subjects = vec!["orders.>".to_owned()];
    context.create_stream(stream::Config { name: "ORDERS".to_owned(), subjects, ..Default::default() }).await.unwrap();
    let sources = [
        ("http", format!("port: {hook}")),
        ("cron", "schedule: \"@every 1s\"".to_owned()),
        ("mqtt", format!("url: \"{}\", topic: t, connectionBackoff: {{duration: 1000000000}}", mosquitto.url())),
        ("nats", format!("url: \"{}\", subject: orders.>, jetstream: {{stream: ORDERS}}", nats.url())),
        ("redis", format!("redisHost: \"{}\", fromBeginning: true", redis.address())),
        ("rabbitmq", format!("url: \"amqp://guest:guest@127.0.0.1:{}\", queue: orders", rabbit.port)),
        ("s3", format!("mode: webhook, port: {webhook}, bearer: {{env: S3_TOKEN}}, bucket: photos")),
    ];
    let buses = [
        format!("jetstream: {{url: \"{}\"}}, retention: {{age: 1h}}", nats.url()),
        format!("redis: {{address: \"{}\"}}, dedupWindow: 1m", redis.address()),
    ];
    for bus in buses {
        let (folder, receiver) = (tempfile::tempdir().unwrap(), Receiver::start().await);
        std::fs::write(folder.path().join("flow.yaml"), flow(&bus, &sources, &receiver)).unwrap();
        let process = Run::new(folder.path()).with(through_daprd()).env("S3_TOKEN", "hook-token").start().await;
        says(&process, "subscribed at the MQTT broker").await;
        says(&process, "consuming from RabbitMQ").await;
        mosquitto.publish("t", QoS::AtLeastOnce, ["{}".to_owned()]).await;
        rabbit.publish("", "orders", [(lapin::BasicProperties::default(), "{}".to_owned())]).await;
        context.publish("orders.paid", "{}".into()).await.unwrap().await.unwrap();
        minio.put("photos", "a.jpg", "x").await;
        let client = redis::Client::open(format!("redis://{}", redis.address())).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let added: redis::RedisResult<String> =
            redis::cmd("XADD").arg("from-redis").arg("*").arg("data").arg("{}").query_async(&mut connection).await;
        added.unwrap();
        let uri = format!("http://127.0.0.1:{hook}/from-http");
        eventually("the webhook takes an event", || async {
            Client::new().event(&uri, "one", "hooked", "{}").await.is_ok_and(|answer| answer.code == 202)
        })
        .await;
        let kinds = ["cron", "mqtt", "nats", "redis", "rabbitmq"].map(|kind| format!("events.openfunction.io.{kind}"));
        let wanted = kinds.into_iter().chain(["hooked".to_owned(), "com.amazonaws.s3.ObjectCreated:Put".to_owned()]);
        for ty in wanted {
            eventually(&format!("an event of the type {ty} arrives"), || async {
                receiver.seen().iter().any(|seen| seen.header("ce-type") == ty)
            })
            .await;
        }
        // What they are called without daprd.
        let seen = receiver.seen();
        let mqtt = seen.iter().find(|seen| seen.header("ce-type").ends_with("mqtt")).unwrap();
        assert_eq!(mqtt.header("ce-source"), "/default/all/from-mqtt");
        assert_eq!(process.stop().await, Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_of_a_cluster_are_watched_through_daprd() {
    let (server, receiver, folder) = (ApiServer::shared().await, Receiver::start().await, tempfile::tempdir().unwrap());
    // Another one than that of the kubeconfig.
    let namespace = server.namespace("through-daprd").await;
    let yaml = format!(
        "apiVersion: events.openfunction.io/v1alpha1
kind: EventSource
metadata: {{name: look, namespace: {namespace}}}
spec:
  kubernetes: {{maps: {{apiVersion: v1, kind: ConfigMap, labelSelector: look=yes}}}}
  sink: {{uri: \"{}\"}}
",
        receiver.uri("/")
    );
    std::fs::write(folder.path().join("flow.yaml"), yaml).unwrap();
    let kubeconfig = server.kubeconfig(ADMIN).display().to_string();
    let process = Run::new(folder.path()).with(through_daprd()).env("KUBECONFIG", kubeconfig).start().await;
    // A watch begins some time after everything is ready.
    let made = AtomicU32::new(0);
    eventually("an object is an event", || async {
        let name = format!("look-{}", made.fetch_add(1, Ordering::Relaxed));
        let map = format!("{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {name}, labels: {{look: 'yes'}}}}}}");
        let out = server.kubectl(&["create", "-n", &namespace, "-f", "-"], &map).await;
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        !receiver.seen().is_empty()
    })
    .await;
    let seen = receiver.seen().remove(0);
    assert_eq!(seen.header("ce-type"), "events.openfunction.io.kubernetes.added");
    assert_eq!(
        (seen.header("ce-namespace"), seen.header("ce-source")),
        (namespace.as_str(), &*format!("/{namespace}/look/maps"))
    );
    assert_eq!(process.stop().await, Some(0));
}
