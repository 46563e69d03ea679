//! `penstock run` on Redis.

use http::Method;

use crate::support::{Client, Receiver, RedisServer, Run, eventually, free_port};

#[tokio::test]
async fn events_go_through_a_real_redis() {
    let server = RedisServer::start(&[]);
    let (folder, receiver, port) = (tempfile::tempdir().unwrap(), Receiver::start().await, free_port());
    let documents = format!(
        "apiVersion: events.openfunction.io/v1alpha1\nkind: EventBus\nmetadata: {{name: default}}\nspec:\n  \
         redis: {{address: \"{}\"}}\n\
         ---\napiVersion: events.openfunction.io/v1alpha1\nkind: EventSource\nmetadata: {{name: s}}\nspec:\n  \
         sink: {{uri: \"{}\"}}\n  http:\n    orders: {{port: {port}}}\n",
        server.address(),
        receiver.uri("")
    );
    std::fs::write(folder.path().join("all.yaml"), documents).unwrap();
    let process = Run::new(folder.path()).start().await;
    let headers = [("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "s"), ("ce-type", "t")];
    let uri = format!("http://127.0.0.1:{port}/orders");
    let answer = Client::new().send(Method::POST, &uri, &headers, "{}").await.unwrap();
    assert_eq!(answer.code, 202, "{answer:?}");
    eventually("the event is delivered", || async { !receiver.seen().is_empty() }).await;
    assert_eq!(process.stop().await, Some(0));
}
