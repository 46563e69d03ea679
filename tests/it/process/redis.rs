//! `penstock run` on Redis.

use std::collections::BTreeSet;

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

/// What the stream's group has not acknowledged.
async fn pending(connection: &redis::aio::MultiplexedConnection) -> usize {
    let mut command = redis::cmd("XPENDING");
    command.arg("orders").arg("shop");
    let (count, ..): (usize, redis::Value, redis::Value, redis::Value) =
        command.query_async(&mut connection.clone()).await.unwrap();
    count
}

#[tokio::test]
async fn a_stream_is_read_and_acknowledged_only_after_the_bus_has_its_events() {
    let mut server = RedisServer::start(&[]);
    let (folder, receiver) = (tempfile::tempdir().unwrap(), Receiver::start().await);
    let documents = format!(
        "apiVersion: events.openfunction.io/v1alpha1\nkind: EventSource\nmetadata: {{name: s}}\nspec:\n  \
         sink: {{uri: \"{}\"}}\n  redis:\n    orders: {{redisHost: \"{}\", consumerGroup: shop, fromBeginning: true}}\n",
        receiver.uri(""),
        server.address()
    );
    std::fs::write(folder.path().join("all.yaml"), documents).unwrap();
    let connect = async |server: &RedisServer| {
        let client = redis::Client::open(format!("redis://{}", server.address())).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    };
    let add = async |connection: &redis::aio::MultiplexedConnection, fields: &[(&str, &str)]| {
        let mut command = redis::cmd("XADD");
        command.arg("orders").arg("*").arg(fields);
        command.query_async::<String>(&mut connection.clone()).await.unwrap()
    };
    let connection = connect(&server).await;
    let sent = r#"{"specversion":"1.0","id":"own","source":"s","type":"t","data":{"a":1}}"#;
    add(&connection, &[("data", sent)]).await;
    let fields = add(&connection, &[("a", "1"), ("b", "x")]).await;
    let process = Run::new(folder.path()).start().await;
    let arrived = async |count: usize| {
        // One that was not acknowledged in time may come twice.
        let ids = || receiver.seen().iter().map(|seen| seen.header("ce-id").to_owned()).collect::<BTreeSet<String>>();
        eventually("the events are delivered", || async { ids().len() >= count }).await;
        ids().into_iter().collect::<Vec<_>>()
    };
    assert_eq!(arrived(2).await, [format!("orders/{fields}"), "own".to_owned()]);
    eventually("everything is acknowledged", || async { pending(&connection).await == 0 }).await;

    // The server dies and comes back: the source finds it again.
    server.kill();
    server.run();
    let connection = connect(&server).await;
    let text = add(&connection, &[("text", "hello")]).await;
    assert_eq!(arrived(3).await, [format!("orders/{fields}"), format!("orders/{text}"), "own".to_owned()]);
    eventually("everything is acknowledged", || async { pending(&connection).await == 0 }).await;
    assert_eq!(process.stop().await, Some(0));
}
