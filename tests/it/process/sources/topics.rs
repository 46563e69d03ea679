//! Ways beside and behind a Trigger: the direct sink of an `EventSource`, and chains through the bus.

use crate::support::{Client, Receiver, Run, eventually, free_port, sink};

use super::{hook, source, trigger};

#[tokio::test]
async fn a_direct_sink_gets_every_event_beside_the_triggers_of_the_bus() {
    let (folder, receiver, port) = (tempfile::tempdir().unwrap(), Receiver::start().await, free_port());
    let hooks = hook("one", port, "") + &hook("two", port, "");
    let direct = format!("  {}\n", sink(&receiver.uri("/direct")));
    let yaml = source("http") + &hooks + &direct + &trigger("one", &["one"], &[sink(&receiver.uri("/trigger"))]);
    std::fs::write(folder.path().join("flow.yaml"), yaml).unwrap();
    let process = Run::new(folder.path()).start().await;
    let client = Client::new();
    for event in ["one", "two"] {
        let answer = client.event(&format!("http://127.0.0.1:{port}/{event}"), event, "t", "{}").await.unwrap();
        assert_eq!(answer.code, 202, "{answer:?}");
    }
    eventually("all three deliveries are made", || async { receiver.count() >= 3 }).await;
    assert_eq!(process.stop().await, Some(0));
    let mut seen: Vec<_> =
        receiver.seen().iter().map(|seen| format!("{} {}", seen.path, seen.header("ce-id"))).collect();
    seen.sort();
    assert_eq!(seen, ["/direct one", "/direct two", "/trigger one"]);
}

#[tokio::test]
async fn a_subscriber_that_is_a_topic_feeds_the_triggers_of_that_topic() {
    let (folder, receiver, port) = (tempfile::tempdir().unwrap(), Receiver::start().await, free_port());
    let hooks = hook("raw", port, "") + &hook("clean", port, "");
    let yaml = source("http")
        + &hooks
        + &trigger("first", &["raw"], &["topic: default-clients-clean".to_owned()])
        + &trigger("second", &["clean"], &[sink(&receiver.uri("/second"))]);
    std::fs::write(folder.path().join("flow.yaml"), yaml).unwrap();
    let process = Run::new(folder.path()).start().await;
    let uri = format!("http://127.0.0.1:{port}/raw");
    let answer = Client::new().event(&uri, "e1", "com.example.raw", "{ \"n\": 1.0 }").await.unwrap();
    assert_eq!(answer.code, 202, "{answer:?}");
    eventually("the event comes through", || async { receiver.count() >= 1 }).await;
    assert_eq!(process.stop().await, Some(0));
    let seen = receiver.seen();
    assert_eq!(seen.len(), 1);
    let told = ["ce-id", "ce-source", "ce-type", "content-type"].map(|name| seen[0].header(name));
    assert_eq!(told, ["e1", "/tests", "com.example.raw", "application/json"]);
    assert_eq!(seen[0].body, "{ \"n\": 1.0 }");
}
