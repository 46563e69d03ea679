//! `penstock run` on Kafka.

use http::Method;

use crate::support::{Client, KafkaServer, Receiver, Reply, Run, eventually, free_port};

#[tokio::test(flavor = "multi_thread")]
async fn events_and_schedules_go_through_a_real_kafka() {
    let server = KafkaServer::shared();
    // The first delivery fails: the event is put aside, on Kafka, and comes again.
    let receiver = Receiver::answering(|number, _| Reply::code(if number == 0 { 500 } else { 200 })).await;
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let documents = format!(
        "apiVersion: events.openfunction.io/v1alpha1\nkind: EventBus\nmetadata: {{name: default, namespace: run}}\nspec:\n  \
         topic: run\n  kafka: {{brokers: \"{}\", partitions: 2, config: {{session.timeout.ms: \"6000\"}}}}\n\
         ---\napiVersion: events.openfunction.io/v1alpha1\nkind: EventSource\nmetadata: {{name: s, namespace: run}}\nspec:\n  \
         sink: {{uri: \"{}\"}}\n  http:\n    orders: {{port: {port}}}\n  cron:\n    tick: {{schedule: \"@every 1s\"}}\n",
        server.address(),
        receiver.uri("")
    );
    std::fs::write(folder.path().join("all.yaml"), documents).unwrap();
    let run = Run::new(folder.path());
    let arrived = |id: &str| receiver.seen().iter().filter(|seen| seen.header("ce-id") == id).count();
    let ticks = || receiver.seen().iter().filter(|seen| seen.header("ce-type").ends_with("cron")).count();
    let mut before = 0;
    for id in ["1", "2"] {
        let process = run.start().await;
        let headers = [("ce-specversion", "1.0"), ("ce-id", id), ("ce-source", "s"), ("ce-type", "t")];
        let uri = format!("http://127.0.0.1:{port}/orders");
        let answer = Client::new().send(Method::POST, &uri, &headers, "{}").await.unwrap();
        assert_eq!(answer.code, 202, "{answer:?}");
        eventually("the event is delivered", || async { arrived(id) > 0 }).await;
        eventually("the schedule is kept", || async { ticks() > before }).await;
        before = ticks();
        // What a killed process held is read by the next one.
        if id == "1" { process.kill().await } else { assert_eq!(process.stop().await, Some(0)) }
    }
}
