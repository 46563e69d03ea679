//! `penstock run` on NATS `JetStream`, in the three forms in which a bus can ask for it.

use http::Method;

use crate::support::{Client, NatsServer, Receiver, Run, eventually, free_port};

#[tokio::test]
async fn events_go_through_a_real_server_whatever_block_names_it() {
    let server = NatsServer::start("");
    let url = server.url();
    let streaming = format!("natsURL: \"{url}\", natsStreamingClusterID: c, subscriptionType: queue");
    for (name, block) in [
        ("jetstream", format!("jetstream: {{url: \"{url}\"}}")),
        ("native", format!("nats: {{native: {{{streaming}}}}}")),
        ("streaming", format!("natsStreaming: {{{streaming}, ackWaitTime: 5s}}")),
    ] {
        let (folder, receiver, port) = (tempfile::tempdir().unwrap(), Receiver::start().await, free_port());
        let sink = receiver.uri("");
        let documents = format!(
            "apiVersion: events.openfunction.io/v1alpha1\nkind: EventBus\nmetadata: {{name: {name}}}\nspec:\n  {block}\n\
             ---\napiVersion: events.openfunction.io/v1alpha1\nkind: EventSource\nmetadata: {{name: s}}\nspec:\n  \
             eventBus: {name}\n  sink: {{uri: \"{sink}\"}}\n  http:\n    orders: {{port: {port}}}\n"
        );
        std::fs::write(folder.path().join("all.yaml"), documents).unwrap();
        let process = Run::new(folder.path()).start().await;
        let headers = [("ce-specversion", "1.0"), ("ce-id", name), ("ce-source", "s"), ("ce-type", "t")];
        let uri = format!("http://127.0.0.1:{port}/orders");
        let answer = Client::new().send(Method::POST, &uri, &headers, "{}").await.unwrap();
        assert_eq!(answer.code, 202, "{answer:?}");
        eventually("the event is delivered", || async { !receiver.seen().is_empty() }).await;
        assert_eq!(process.stop().await, Some(0));
    }
}
