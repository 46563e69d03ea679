//! Sinks that are Components of Dapr's own, among the files of the flow.

use std::fs;

use super::flow::through_daprd;
use crate::support::{Client, Receiver, RedisServer, Reply, Run, eventually, free_port, write_flow};

fn component(name: &str, ty: &str, key: &str, value: &str) -> String {
    format!(
        "---\napiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {{name: {name}}}\n\
         spec: {{type: {ty}, version: v1, metadata: [{{name: {key}, value: \"{value}\"}}]}}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_binding_is_invoked_and_what_it_refuses_goes_to_a_pub_sub() {
    let (server, port, folder) = (RedisServer::start(&[]), free_port(), tempfile::tempdir().unwrap());
    let receiver =
        Receiver::answering(|_, seen| Reply::code(if &*seen.body == b"{\"bad\":1}" { 400 } else { 200 })).await;
    let reference = |name: &str| format!("{{ref: {{apiVersion: dapr.io/v1alpha1, kind: Component, name: {name}}}");
    let subscriber = format!(
        "sink: {}, operation: post}}, deadLetterSink: {}}}, delivery: {{retry: 0}}",
        reference("hook"),
        reference("dead")
    );
    write_flow(folder.path(), port, &subscriber);
    let components = component("hook", "bindings.http", "url", &receiver.uri("/in"))
        + &component("dead", "pubsub.redis", "redisHost", &server.address());
    fs::write(folder.path().join("components.yaml"), components).unwrap();
    let process = Run::new(folder.path()).with(through_daprd()).start().await;
    let client = Client::new();
    for (id, data) in [("good", "{\"good\":1}"), ("bad", "{\"bad\":1}")] {
        eventually("an event is taken", || async {
            let uri = format!("http://127.0.0.1:{port}/");
            client.event(&uri, id, "t", data).await.is_ok_and(|answer| answer.code == 202)
        })
        .await;
    }
    eventually("the good one arrives", || async { receiver.seen().iter().any(|seen| &*seen.body == b"{\"good\":1}") })
        .await;
    // The topic is named after the Trigger and the subscriber.
    let client = redis::Client::open(format!("redis://{}", server.address())).unwrap();
    let connection = client.get_multiplexed_async_connection().await.unwrap();
    eventually("the bad one is a dead letter", || async {
        let mut order = redis::cmd("XRANGE");
        let entries: redis::Value =
            order.arg("one-sink-dlq").arg("-").arg("+").query_async(&mut connection.clone()).await.unwrap();
        format!("{entries:?}").contains("\\\"id\\\":\\\"bad\\\"")
    })
    .await;
    assert_eq!(process.stop().await, Some(0));
}
