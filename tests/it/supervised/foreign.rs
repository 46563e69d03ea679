//! A bus that is one of Dapr's own pub/subs.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tempfile::TempDir;

use super::flow::through_daprd;
use crate::support::{Client, Receiver, RedisServer, Reply, Run, eventually, free_port, sink, write_flow};

/// The usual flow from a webhook on `port` to the receiver, on a bus with this block.
fn flow(port: u16, receiver: &Receiver, block: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    // However slow the machine is, nothing is given up.
    write_flow(folder.path(), port, &format!("{}, delivery: {{retry: 10000}}", sink(&receiver.uri("/"))));
    let bus = format!(
        "apiVersion: events.openfunction.io/v1alpha1\nkind: EventBus\nmetadata: {{name: default}}\n\
         spec: {{component: {block}}}\n"
    );
    fs::write(folder.path().join("bus.yaml"), bus).unwrap();
    folder
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
    let takes = Arc::new(AtomicBool::new(false));
    let open = Arc::clone(&takes);
    let receiver =
        Receiver::answering(move |_, _| Reply::code(if open.load(Ordering::SeqCst) { 200 } else { 503 })).await;
    let port = free_port();
    let folder = flow(port, &receiver, "{name: broker}");
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

    takes.store(true, Ordering::SeqCst);
    let process = run(folder.path()).start().await;
    for id in 0..5 {
        arrives(&receiver, id).await;
    }
    assert_eq!(process.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bus_may_be_described_where_it_is_named() {
    let (receiver, port) = (Receiver::start().await, free_port());
    let folder = flow(port, &receiver, "{type: pubsub.in-memory, version: v1}");
    let (process, client) = (run(folder.path()).start().await, Client::new());
    eventually("an event is taken", || post(&client, port, 1)).await;
    arrives(&receiver, 1).await;
    let seen = receiver.seen().remove(0);
    assert_eq!((seen.header("ce-type"), &*seen.body), ("t", &b"{}"[..]));
    assert_eq!(process.stop().await, Some(0));
}
