//! `CloudEvents` on their way: nothing about them changes, and one event is one event.

use std::path::Path;

use serde_json::{Value, json};

use super::{Flow, hook, source, trigger};
use crate::support::{Client, Receiver, Run, Seen, eventually, free_port, sink};

/// JSON that any parser would write differently.
const DATA: &str =
    "{ \"a\" : 1.0,\t\"b\":[1 , 1.50],\n \"ü\":\"\\u00e9 é 🎉\", \"a\": 1E5, \"n\":123456789012345678901 }";

/// The attributes that every event here has beside its id.
fn attributes(id: &str) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": "/tests/ü?x=y", "type": "com.example.kept",
        "subject": "a b%€\"", "time": "2026-11-24T10:00:00.120Z", "dataschema": "https://example.com/schema",
        "partitionkey": "k 1", "comexampleother": "x",
    })
}

/// The same as headers, encoded as the HTTP binding has it (section 3.1.3.2).
fn headers(id: &str) -> Vec<(&str, &str)> {
    vec![
        ("ce-specversion", "1.0"),
        ("ce-id", id),
        ("ce-source", "/tests/%C3%BC?x=y"),
        ("ce-type", "com.example.kept"),
        ("ce-subject", "a%20b%25%E2%82%AC%22"),
        ("ce-time", "2026-11-24T10:00:00.120Z"),
        ("ce-dataschema", "https://example.com/schema"),
        ("ce-partitionkey", "k%201"),
        ("ce-comexampleother", "x"),
    ]
}

/// The JSON of an event; `data` are members with a comma before them.
fn structured(id: &str, data: &str) -> String {
    let text = attributes(id).to_string();
    format!("{}{data}}}", &text[..text.len() - 1])
}

/// A flow whose events go to `/binary` and `/structured`, in these modes.
async fn both_modes(folder: &Path, port: u16) -> (Receiver, crate::support::Penstock) {
    let receiver = Receiver::start().await;
    let subscribers = [
        sink(&receiver.uri("/binary")),
        format!("{}, delivery: {{format: structured}}", sink(&receiver.uri("/structured"))),
    ];
    let yaml = source("http") + &hook("post", port, "path: /") + &trigger("both", &["post"], &subscribers);
    std::fs::write(folder.join("flow.yaml"), yaml).unwrap();
    (receiver, Run::new(folder).start().await)
}

/// Checks one event in both modes: content type, data bytes, and how they stand in JSON.
fn check(seen: &[Seen], id: &str, content_type: &str, data: &[u8], member: &str) {
    let find = |what: &str, found: &dyn Fn(&Seen) -> bool| {
        let found: Vec<_> = seen.iter().filter(|request| found(request)).collect();
        assert_eq!(found.len(), 1, "{id} {what}");
        found[0]
    };
    let binary = find("in binary mode", &|request| request.path == "/binary" && request.header("ce-id") == id);
    let named = |name: &str| name.starts_with("ce-");
    let mut told: Vec<(&str, &str)> = binary
        .headers
        .keys()
        .map(|name| (name.as_str(), binary.header(name.as_str())))
        .filter(|(name, _)| named(name))
        .collect();
    let mut expected = headers(id);
    told.sort_unstable();
    expected.sort_unstable();
    assert_eq!(told, expected, "{id}");
    assert_eq!(binary.header("content-type"), content_type, "{id}");
    assert_eq!(binary.body, data, "{id}");

    let text = |request: &Seen| String::from_utf8(request.body.to_vec()).unwrap();
    let is_it = |request: &Seen| request.path == "/structured" && text(request).contains(&format!("\"id\":\"{id}\""));
    let structured = find("in structured mode", &is_it);
    assert_eq!(structured.header("content-type").split(';').next(), Some("application/cloudevents+json"));
    let text = text(structured);
    assert!(text.ends_with(&format!(",{member}}}")), "{text}");
    let mut object: serde_json::Map<String, Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(object.remove("datacontenttype"), Some(json!(content_type)), "{id}");
    object.retain(|name, _| !name.starts_with("data") || name == "dataschema");
    assert_eq!(Value::Object(object), attributes(id));
}

#[tokio::test]
async fn events_of_every_mode_arrive_with_every_attribute_and_the_very_bytes_of_their_data() {
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let (receiver, process) = both_modes(folder.path(), port).await;
    let (client, uri) = (Client::new(), format!("http://127.0.0.1:{port}/"));
    let send = async |headers: &[(&str, &str)], body: &[u8]| {
        let answer = client.send(http::Method::POST, &uri, headers, body).await.unwrap();
        assert_eq!(answer.code, 202, "{answer:?}");
    };
    for (id, content_type, body) in [
        ("b-json", "application/json", DATA.as_bytes()),
        ("b-text", "text/plain; charset=utf-8", "two\nlines ü ".as_bytes()),
        ("b-bytes", "application/octet-stream", b"\x00\x01\xFF".as_slice()),
    ] {
        let mut all = headers(id);
        all.push(("content-type", content_type));
        send(&all, body).await;
    }
    let json_member = format!("\"data\":{DATA}");
    let json = format!(",\"datacontenttype\":\"application/json\",{json_member}");
    let text = ",\"datacontenttype\":\"text/plain\",\"data\":\"a\\tb\"";
    let bytes = ",\"datacontenttype\":\"application/octet-stream\",\"data_base64\":\"AAH/\"";
    send(&[("content-type", "application/cloudevents+json")], structured("s-json", &json).as_bytes()).await;
    send(&[("content-type", "application/cloudevents+json; charset=UTF-8")], structured("s-text", text).as_bytes())
        .await;
    send(&[("content-type", "application/cloudevents+json")], structured("s-bytes", bytes).as_bytes()).await;
    let batch = format!("[ {},\n{} ]", structured("m-json", &json), structured("m-bytes", bytes));
    send(&[("content-type", "application/cloudevents-batch+json")], batch.as_bytes()).await;

    eventually("every event arrives in both modes", || async { receiver.count() >= 16 }).await;
    assert_eq!(process.stop().await, Some(0));
    let seen = receiver.seen();
    assert_eq!(seen.len(), 16);
    for id in ["b-json", "s-json", "m-json"] {
        check(&seen, id, "application/json", DATA.as_bytes(), &json_member);
    }
    for id in ["b-bytes", "s-bytes", "m-bytes"] {
        check(&seen, id, "application/octet-stream", b"\x00\x01\xFF", "\"data_base64\":\"AAH/\"");
    }
    let text = "\"data\":\"two\\nlines ü \"";
    check(&seen, "b-text", "text/plain; charset=utf-8", "two\nlines ü ".as_bytes(), text);
    check(&seen, "s-text", "text/plain", b"a\tb", "\"data\":\"a\\tb\"");
}

#[tokio::test]
async fn attributes_of_the_source_are_set_whatever_the_sender_said() {
    let hook = [("post", "path: /, attributes: {type: com.example.order, subject: orders, team: blue}")];
    let flow = Flow::start(&hook).await;
    assert_eq!(flow.client.event(&flow.uri("/"), "event", "com.example.other", "{}").await.unwrap().code, 202);
    let wrapped = [("webhook-id", "wrapped"), ("x-github-event", "push")];
    assert_eq!(flow.post("/", &wrapped, "{}").await.code, 202);
    let receiver = flow.delivers_only(&["event", "wrapped"]).await;
    for seen in receiver.seen() {
        let told = ["ce-type", "ce-subject", "ce-team"].map(|name| seen.header(name));
        assert_eq!(told, ["com.example.order", "orders", "blue"]);
        let source = if seen.header("ce-id") == "event" { "/tests" } else { "/default/clients/post" };
        assert_eq!(seen.header("ce-source"), source);
    }
}

#[tokio::test]
async fn an_event_posted_twice_is_confirmed_twice_and_delivered_once() {
    let flow = Flow::start(&[("post", "path: /")]).await;
    let post = async |id: &str, source: &str| {
        let headers = [("ce-specversion", "1.0"), ("ce-id", id), ("ce-source", source), ("ce-type", "t")];
        assert_eq!(flow.post("/", &headers, "{}").await.code, 202);
    };
    post("same", "/one").await;
    post("same", "/one").await;
    // Source and id together are the identity.
    post("same", "/two").await;
    post("same", "/one").await;
    post("then", "/one").await;
    let metrics = flow.client.get(&flow.process.admin("/metrics")).await.unwrap().body;
    let duplicates = metrics
        .lines()
        .find(|line| line.starts_with("penstock_intake_events_total") && line.contains("outcome=\"duplicate\""));
    assert!(duplicates.is_some_and(|line| line.ends_with(" 2")), "{metrics}");
    flow.delivers_only(&["same", "same", "then"]).await;
}

#[tokio::test]
async fn an_event_posted_again_after_a_crash_is_still_known() {
    let flow = Flow::start(&[("post", "path: /")]).await;
    assert_eq!(flow.client.event(&flow.uri("/"), "e1", "t", "{}").await.unwrap().code, 202);
    let Flow { folder, port, receiver, process, client } = flow;
    process.kill().await;
    let process = Run::new(folder.path()).start().await;
    assert_eq!(client.event(&format!("http://127.0.0.1:{port}/"), "e1", "t", "{}").await.unwrap().code, 202);
    // The delivery may be repeated by the crash; a second event on the bus it may not become.
    let metrics = client.get(&process.admin("/metrics")).await.unwrap().body;
    let count = |outcome: &str| {
        let outcome = format!("outcome=\"{outcome}\"");
        let line =
            metrics.lines().find(|line| line.starts_with("penstock_intake_events_total") && line.contains(&outcome));
        line.and_then(|line| line.rsplit(' ').next()).map(str::to_owned)
    };
    assert_eq!(count("duplicate").as_deref(), Some("1"), "{metrics}");
    assert_eq!(count("accepted").as_deref(), Some("0"), "{metrics}");
    eventually("the event is delivered", || async { receiver.count() > 0 }).await;
    assert_eq!(process.stop().await, Some(0));
}
