//! `/explain` of a flow that runs through daprd.

use http::Method;

use super::children;
use super::flow::through_daprd;
use crate::support::{Client, Receiver, Run, eventually, free_port};

/// Two webhooks, each on a bus of its own, and a Trigger on each.
fn write(folder: &std::path::Path, port: u16, uri: &str) {
    let side = |bus: &str| {
        format!(
            "apiVersion: events.openfunction.io/v1alpha1
kind: EventBus
metadata: {{name: {bus}}}
spec: {{embedded: {{}}}}
---
apiVersion: events.openfunction.io/v1alpha1
kind: EventSource
metadata: {{name: of-{bus}}}
spec: {{eventBus: {bus}, http: {{post: {{path: /{bus}, port: {port}}}}}}}
---
apiVersion: events.openfunction.io/v1alpha1
kind: Trigger
metadata: {{name: on-{bus}}}
spec:
  eventBus: {bus}
  eventSources: [{{name: post, eventSourceName: of-{bus}, eventName: post}}]
  subscribers: [{{name: all, sink: {{uri: \"{uri}\"}}}}]
---
"
        )
    };
    std::fs::write(folder.join("flow.yaml"), [side("one"), side("two")].concat()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn all_routers_tell_as_one_what_they_decided_and_why() {
    let (folder, receiver, port) = (tempfile::tempdir().unwrap(), Receiver::start().await, free_port());
    write(folder.path(), port, &receiver.uri("/"));
    let process = Run::new(folder.path()).with(through_daprd()).start().await;
    let client = Client::new();
    let send = async |path: &str, id: &str| {
        let uri = format!("http://127.0.0.1:{port}/{path}");
        assert_eq!(client.event(&uri, id, "t", "{\"secret\": \"hidden\"}").await.unwrap().code, 202);
    };
    let tells = async |path: &str, lines: &[&str]| {
        eventually(&format!("{path} tells {lines:?}"), || async {
            let told = client.get(&process.admin(path)).await.unwrap();
            told.code == 200 && lines.iter().all(|line| told.body.contains(line))
        })
        .await;
    };
    send("one", "a/1").await;
    let lines = [
        "event a/1 of type t from /tests",
        "Trigger default/on-one\n  input post: accepts it",
        "comes on topic default-of-one-post",
        "is delivered to default/on-one/all at http://127.0.0.1:",
    ];
    tells("/explain/a%2F1", &lines).await;
    let told = client.get(&process.admin("/explain/a%2F1")).await.unwrap().body;
    assert!(!told.contains("hidden") && !told.contains("on-two"), "{told}");

    // On both buses: what both routers know is told.
    send("two", "a/1").await;
    tells("/explain/a%2F1", &["is delivered to default/on-one/all", "is delivered to default/on-two/all"]).await;
    send("two", "b").await;
    tells("/explain", &["the latest events; /explain/ID", " a/1 is delivered", " b is delivered"]).await;
    let list = client.get(&process.admin("/explain")).await.unwrap().body;
    assert!(list.lines().nth(1).is_some_and(|latest| latest.contains("  b is")), "{list}");
    let json = async |path: &str| {
        let answer = client.send(Method::GET, &process.admin(path), &[("accept", "application/json")], "").await;
        serde_json::from_str::<serde_json::Value>(&answer.unwrap().body).unwrap()
    };
    assert_eq!(json("/explain/a%2F1").await["topics"].as_array().unwrap().len(), 2);
    assert_eq!(json("/explain").await[0]["id"], "b");
    assert_eq!(client.get(&process.admin("/explain/never")).await.unwrap().code, 404);
    assert_eq!(client.get(&process.admin("/explained")).await.unwrap().code, 404);

    // What a router kept is gone with it; the other one tells on.
    children::find(process.pid(), "router").unwrap().kill();
    eventually("one of two is left", || async {
        let told = client.get(&process.admin("/explain/a%2F1")).await.unwrap().body;
        told.contains("on-one") != told.contains("on-two")
    })
    .await;
    assert_eq!(process.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_keeps_no_journal_says_so() {
    let (folder, receiver, port) = (tempfile::tempdir().unwrap(), Receiver::start().await, free_port());
    write(folder.path(), port, &receiver.uri("/"));
    let process = Run::new(folder.path()).with(through_daprd()).with(["--journal", "0"]).start().await;
    let told = Client::new().get(&process.admin("/explain")).await.unwrap();
    assert!(told.code == 404 && told.body.contains("no journal is kept"), "{told:?}");
    assert_eq!(process.stop().await, Some(0));
}
