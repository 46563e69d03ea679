//! A bus that is one of Dapr's own pub/subs.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;
use tokio::sync::Semaphore;

use super::flow::through_daprd;
use crate::support::{Client, Receiver, RedisServer, Reply, Run, eventually, free_port, sink, write_flow};

/// The usual flow from a webhook on `port` to the receiver, which is delivered to in this way, on a bus with this block.
fn flow(port: u16, receiver: &Receiver, delivery: &str, block: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write_flow(folder.path(), port, &format!("{}, delivery: {{{delivery}}}", sink(&receiver.uri("/"))));
    let bus = format!(
        "apiVersion: events.openfunction.io/v1alpha1\nkind: EventBus\nmetadata: {{name: default}}\n\
         spec: {{component: {block}}}\n"
    );
    fs::write(folder.path().join("bus.yaml"), bus).unwrap();
    folder
}

/// A bus on Redis as Dapr has it, where what was not taken comes again after a second.
fn redis_bus(server: &RedisServer) -> String {
    let settings = [("redisHost", server.address().as_str()), ("processingTimeout", "1s"), ("redeliverInterval", "1s")]
        .map(|(name, value)| format!("{{name: {name}, value: \"{value}\"}}"));
    format!("{{type: pubsub.redis, version: v1, metadata: [{}]}}", settings.join(", "))
}

fn run(folder: &Path) -> Run {
    let secrets = folder.join("secrets").display().to_string();
    Run::new(folder).with(through_daprd()).with(["--secrets-dir".to_owned(), secrets])
}

async fn post(client: &Client, port: u16, id: usize) -> bool {
    let uri = format!("http://127.0.0.1:{port}/");
    client.event(&uri, &id.to_string(), "t", "{}").await.is_ok_and(|answer| answer.code == 202)
}

async fn arrives(receiver: &Receiver, id: usize) {
    eventually(&format!("event {id} arrives"), || async {
        receiver.seen().iter().any(|seen| seen.header("ce-id") == id.to_string())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_of_the_files_is_a_bus_and_what_its_broker_has_survives_a_kill() {
    let server = RedisServer::start(&["--requirepass", "hunter2"]);
    // It answers when it is let.
    let gate = Arc::new(Semaphore::new(0));
    let shut = Arc::clone(&gate);
    let receiver = Receiver::answering(move |_, _| Reply { gate: Some(Arc::clone(&shut)), ..Reply::code(200) }).await;
    let port = free_port();
    // However slow the machine is, nothing is given up.
    let folder = flow(port, &receiver, "retry: 10000", "{name: broker}");
    let component = format!(
        "apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {{name: broker}}
spec:
  type: pubsub.redis
  version: v1
  metadata:
    - {{name: redisHost, value: \"{}\"}}
    - {{name: redisPassword, secretKeyRef: {{name: redis, key: password}}}}
    - {{name: processingTimeout, value: 1s}}
    - {{name: redeliverInterval, value: 1s}}
    - {{name: consumerID, value: somebody-else}}
scopes: [somebody-else]
",
        server.address()
    );
    fs::write(folder.path().join("component.yaml"), component).unwrap();
    fs::create_dir_all(folder.path().join("secrets/redis")).unwrap();
    fs::write(folder.path().join("secrets/redis/password"), "hunter2\n").unwrap();

    let (process, client) = (run(folder.path()).start().await, Client::new());
    for id in 0..5 {
        eventually("an event is taken", || post(&client, port, id)).await;
    }
    eventually("it is tried", || async { receiver.count() > 0 }).await;
    let told = fs::read_to_string(folder.path().join("data/dapr/resources/default.default.yaml")).unwrap();
    assert!(
        told.contains("type: pubsub.redis") && told.contains("name: consumerID\n      value: \"penstock\""),
        "{told}"
    );
    assert!(!told.contains("somebody-else") && !told.contains("hunter2"), "{told}");
    process.kill().await;

    gate.add_permits(Semaphore::MAX_PERMITS / 2);
    let process = run(folder.path()).start().await;
    for id in 0..5 {
        arrives(&receiver, id).await;
    }
    assert_eq!(process.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bus_may_be_described_where_it_is_named() {
    let (receiver, port) = (Receiver::start().await, free_port());
    let folder = flow(port, &receiver, "", "{type: pubsub.in-memory, version: v1}");
    let (process, client) = (run(folder.path()).start().await, Client::new());
    eventually("an event is taken", || post(&client, port, 1)).await;
    arrives(&receiver, 1).await;
    let seen = receiver.seen().remove(0);
    assert_eq!((seen.header("ce-type"), &*seen.body), ("t", &b"{}"[..]));
    assert_eq!(process.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_never_taken_is_tried_as_often_as_it_may_and_becomes_a_dead_letter() {
    let (server, port) = (RedisServer::start(&[]), free_port());
    let receiver = Receiver::answering(|_, seen| Reply::code(if seen.path == "/dead" { 200 } else { 503 })).await;
    // Longer pauses than those that are waited for where an event can be parked. What is handed back, this component drops.
    let delivery = format!("retry: 2, backoffDelay: PT1S, deadLetterSink: {{uri: \"{}\"}}", receiver.uri("/dead"));
    let folder = flow(port, &receiver, &delivery, &redis_bus(&server));
    let (process, client) = (run(folder.path()).start().await, Client::new());
    eventually("an event is taken", || post(&client, port, 1)).await;
    let dead = || receiver.seen().into_iter().find(|seen| seen.path == "/dead");
    eventually("it becomes a dead letter", || async { dead().is_some() }).await;
    let letter = dead().unwrap();
    assert_eq!((letter.header("ce-id"), letter.header("ce-penstockreason")), ("1", "attempts"));
    assert_eq!(letter.header("ce-penstockattempts"), "3");
    assert_eq!(process.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_put_on_such_a_bus_is_delivered_without_any_component_of_ours() {
    let (server, receiver) = (RedisServer::start(&[]), Receiver::start().await);
    let folder = flow(free_port(), &receiver, "", &redis_bus(&server));
    let yaml = fs::read_to_string(folder.path().join("flow.yaml")).unwrap();
    let (_, trigger) = yaml.split_once("---\n").unwrap();
    fs::write(folder.path().join("flow.yaml"), trigger).unwrap();
    let process = run(folder.path()).start().await;
    let client = redis::Client::open(format!("redis://{}", server.address())).unwrap();
    let mut add = redis::cmd("XADD");
    let event = r#"{"specversion":"1.0","id":"7","source":"/others","type":"t","data":{"a":1}}"#;
    add.arg("default-clients-post").arg("*").arg("data").arg(event);
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    add.exec_async(&mut connection).await.unwrap();
    arrives(&receiver, 7).await;
    let metrics = Client::new().get(&process.admin("/metrics")).await.unwrap().body;
    let restarts = "penstock_process_restarts_total";
    assert!(metrics.contains(&format!("{restarts}{{process=\"router\"}} 0")), "{metrics}");
    assert!(!metrics.contains("process=\"component\"") && !metrics.contains("process=\"intake\""), "{metrics}");
    assert_eq!(process.stop().await, Some(0));
}
