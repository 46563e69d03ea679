//! `/explain` on the admin port of the running process.

use crate::support::{Client, Receiver, Run, eventually, free_port};

/// A webhook `/`, and a Trigger whose subscriber `large` wants large totals, and `all` everything.
fn write(folder: &std::path::Path, port: u16, uri: &str) {
    let yaml = format!(
        "apiVersion: events.openfunction.io/v1alpha1
kind: EventSource
metadata: {{name: clients}}
spec: {{http: {{post: {{path: /, port: {port}}}}}}}
---
apiVersion: events.openfunction.io/v1alpha1
kind: Trigger
metadata: {{name: one}}
spec:
  eventSources:
    - {{name: post, eventSourceName: clients, eventName: post}}
    - {{name: large, eventSourceName: clients, eventName: post, filters: {{data: [{{path: secret, type: string, value: [\"^never$\"]}}]}}}}
  subscribers:
    - {{name: all, condition: post, sink: {{uri: \"{uri}\"}}}}
    - {{name: large, condition: large, sink: {{uri: \"{uri}\"}}}}
"
    );
    std::fs::write(folder.join("flow.yaml"), yaml).unwrap();
}

/// What is told of an event that was posted and delivered, with these arguments.
async fn explained(arguments: &[&str]) -> (u16, String, String, serde_json::Value) {
    let (folder, receiver) = (tempfile::tempdir().unwrap(), Receiver::start().await);
    let port = free_port();
    write(folder.path(), port, &receiver.uri("/sink"));
    let process = Run::new(folder.path()).with(arguments.iter().copied()).start().await;
    let client = Client::new();
    let answer = client.event(&format!("http://127.0.0.1:{port}/"), "a/1", "t", "{\"secret\": \"hidden words\"}").await;
    assert_eq!(answer.unwrap().code, 202);
    let story = process.admin("/explain/a%2F1");
    eventually("the event is delivered", || async {
        receiver.count() > 0
            && client.get(&story).await.is_ok_and(|answer| {
                answer.code == 404 && answer.body.contains("--journal") || answer.body.contains("is delivered")
            })
    })
    .await;
    let told = client.get(&story).await.unwrap();
    let list = client.get(&process.admin("/explain")).await.unwrap();
    let json = client.send(http::Method::GET, &story, &[("accept", "application/json")], "").await.unwrap();
    let json = serde_json::from_str(&json.body).unwrap_or_default();
    assert_eq!(client.get(&process.admin("/explain/never")).await.unwrap().code, 404);
    assert_eq!(client.get(&process.admin("/explained")).await.unwrap().code, 404);
    assert_eq!(process.stop().await, Some(0));
    (told.code, told.body, list.body, json)
}

#[tokio::test]
async fn the_running_process_tells_what_it_decided_on_an_event_and_why() {
    let (code, told, list, json) = explained(&["--quiet"]).await;
    assert_eq!(code, 200);
    for line in [
        "event a/1 of type t from /tests",
        "Trigger default/one\n  input post: accepts it\n    yes: no filter",
        "input large: filters it out\n    no: data secret is",
        "subscriber all: gets it at http://127.0.0.1:",
        "subscriber large: does not get it (needs large)",
        "what was decided:",
        "comes on topic default-clients-post",
        "is delivered to default/one/all at http://127.0.0.1:",
        "with 200, attempt 1",
    ] {
        assert!(told.contains(line), "{line}: {told}");
    }
    assert!(!told.contains("hidden"), "the data was not asked for: {told}");
    assert!(list.contains("a/1 is delivered to default/one/all"), "{list}");
    assert_eq!(json["attributes"]["type"], "t");
    assert_eq!(json["topics"][0], "default-clients-post");
    assert_eq!((&json["steps"][0]["step"], &json["steps"][1]["step"]), (&"received".into(), &"delivered".into()));
    assert!(!json.to_string().contains("hidden"), "{json}");
}

#[tokio::test]
async fn values_of_data_are_told_when_asked_for_and_nothing_when_no_journal_is_kept() {
    let (_, told, _, _) = explained(&["--show-data"]).await;
    assert!(told.contains("no: data secret is \"hidden words\", wanted"), "{told}");
    let (code, told, list, _) = explained(&["--journal", "0"]).await;
    assert_eq!(code, 404);
    assert!(told.contains("no journal is kept") && list.contains("no journal is kept"), "{told}{list}");
}

#[tokio::test]
async fn what_waits_to_be_joined_is_told() {
    let (folder, receiver) = (tempfile::tempdir().unwrap(), Receiver::start().await);
    let port = free_port();
    write(folder.path(), port, &receiver.uri("/sink"));
    let flow = folder.path().join("flow.yaml");
    let text = std::fs::read_to_string(&flow).unwrap();
    std::fs::write(&flow, text.replace("condition: large,", "condition: post && large,")).unwrap();
    let process = Run::new(folder.path()).start().await;
    let client = Client::new();
    let answer = client.event(&format!("http://127.0.0.1:{port}/"), "half", "t", "{\"secret\": \"x\"}").await.unwrap();
    assert_eq!(answer.code, 202);
    let story = process.admin("/explain/half");
    eventually("it is held", || async {
        let told = client.get(&story).await.unwrap().body;
        told.contains("waits for others for default/one/large")
            && told.contains("default/one/large holds half as post since")
    })
    .await;
    let told = client.get(&story).await.unwrap().body;
    assert!(told.contains("subscriber large: notes it as post (joins events: post && large)"), "{told}");
    assert_eq!(process.stop().await, Some(0));
}
