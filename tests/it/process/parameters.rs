//! Bodies that are built from events: the example of the docs, as a process with a real receiver.

use http::Method;

use crate::support::{Client, Receiver, Reply, Run, eventually, free_port};

const EXAMPLE: &str = include_str!("../../../examples/parameters/flow.yaml");

const HEADERS: [(&str, &str); 4] =
    [("ce-specversion", "1.0"), ("ce-source", "/shop"), ("ce-type", "order"), ("content-type", "application/json")];

async fn post(uri: &str, id: &str, subject: Option<&str>, body: &str) {
    let headers: Vec<_> =
        HEADERS.into_iter().chain([("ce-id", id)]).chain(subject.map(|subject| ("ce-subject", subject))).collect();
    assert_eq!(Client::new().send(Method::POST, uri, &headers, body).await.unwrap().code, 202, "{id}");
}

#[tokio::test]
async fn parameters_build_the_body_and_what_they_cannot_build_is_a_dead_letter_as_it_came() {
    let (folder, port, dead) = (tempfile::tempdir().unwrap(), free_port(), Receiver::start().await);
    // The first attempt of each event fails: what is parked must be built again when it comes back.
    let receiver = Receiver::answering(|n, _| match n {
        0 => Reply { headers: vec![("retry-after", "1".to_owned())], ..Reply::code(503) },
        _ => Reply::code(200),
    })
    .await;
    let yaml = EXAMPLE
        .replace(
            "http://127.0.0.1:9000/chat\"}",
            &format!("{}\"}}\n      deadLetterSink: {{uri: \"{}\"}}", receiver.uri("/chat"), dead.uri("/dead")),
        )
        .replace("port: 8080", &format!("port: {port}"));
    std::fs::write(folder.path().join("flow.yaml"), yaml).unwrap();
    let process = Run::new(folder.path()).start().await;
    let uri = format!("http://127.0.0.1:{port}/orders");
    let order = r#"{"customer": {"name": "kai"}, "total": 50.10, "token": "NDI=", "items": [{"sku": "kb", "count": 2}, {"sku": "ms", "count": 1}]}"#;
    post(&uri, "small", None, r#"{"token": "Nw=="}"#).await;
    post(&uri, "good", Some("orders/7"), order).await;
    eventually("it is delivered", || async { receiver.count() == 2 }).await;
    let seen = &receiver.seen()[1];
    assert_eq!((seen.header("ce-id"), seen.header("content-type")), ("good", "application/json"));
    assert_eq!(
        String::from_utf8(seen.body.to_vec()).unwrap(),
        r#"{"text":"Kai ordered 2x KB, 1x MS","fields":{"skus":["kb","ms"],"about":["orders/7"],"total":"50.1 EUR"}}"#
    );
    let without_items = r#"{"customer": {"name": "kai"}, "token": "NDI="}"#;
    post(&uri, "incomplete", None, without_items).await;
    eventually("it is a dead letter", || async { dead.count() == 1 }).await;
    let letter = &dead.seen()[0];
    assert_eq!(letter.body, without_items, "the event, not a body that was built of it");
    assert_eq!((letter.header("ce-id"), letter.header("ce-penstockreason")), ("incomplete", "rejected"));
    let fault = letter.header("ce-penstockfault");
    assert!(fault.contains("parameters[1]") && fault.contains("items.#.sku"), "{fault}");
    assert_eq!(process.stop().await, Some(0));
}

/// A Trigger over orders and payments with one subscriber (its settings, and the lines of its parameters); events are
/// posted, and what is delivered is the body.
async fn delivered(settings: &str, parameters: &[&str], events: &[(&str, &str)]) -> String {
    let (folder, port, receiver) = (tempfile::tempdir().unwrap(), free_port(), Receiver::start().await);
    let parameters: Vec<String> = parameters.iter().map(|line| format!("        - {line}\n")).collect();
    let parameters = parameters.concat();
    let yaml = format!(
        "apiVersion: events.openfunction.io/v1alpha1
kind: EventSource
metadata: {{name: shop}}
spec: {{http: {{orders: {{port: {port}}}, payments: {{port: {port}}}}}}}
---
apiVersion: events.openfunction.io/v1alpha1
kind: Trigger
metadata: {{name: both}}
spec:
  eventSources:
    - {{name: order, eventSourceName: shop, eventName: orders}}
    - {{name: payment, eventSourceName: shop, eventName: payments}}
  subscribers:
    - {settings}
      sink: {{uri: \"{}\"}}
      parameters:
{parameters}",
        receiver.uri("/ship")
    );
    std::fs::write(folder.path().join("flow.yaml"), yaml).unwrap();
    let process = Run::new(folder.path()).start().await;
    for (number, (event, body)) in events.iter().enumerate() {
        post(&format!("http://127.0.0.1:{port}/{event}"), &number.to_string(), None, body).await;
    }
    eventually("it is delivered", || async { receiver.count() == 1 }).await;
    assert_eq!(process.stop().await, Some(0));
    String::from_utf8(receiver.seen()[0].body.to_vec()).unwrap()
}

#[tokio::test]
async fn parameters_pick_from_all_events_of_a_join() {
    let parameters = [
        "{src: {dependencyName: order, dataKey: id, useRawData: true}, dest: order}",
        "{src: {dependencyName: payment, dataTemplate: 'paid {{ .Input.amount }}'}, dest: payment}",
        "{src: {dependencyName: payment, contextKey: type}, dest: by}",
    ];
    let events = [("orders", r#"{"id": 7}"#), ("payments", r#"{"amount": 12.50}"#)];
    let body = delivered("name: ship", &parameters, &events).await;
    assert_eq!(body, r#"{"order":7,"payment":"paid 12.5","by":"order"}"#);
}

#[tokio::test]
async fn parameters_pick_from_all_events_of_a_batch_or_the_last() {
    let events = [("orders", r#"{"id": 7}"#), ("payments", r#"{"amount": 12.50}"#), ("orders", r#"{"id": 8}"#)];
    let parameters = [
        "{src: {dependencyName: order, dataKey: '#.id', useRawData: true}, dest: orders}",
        "{src: {dependencyName: order, dataKey: 1.id, useRawData: true}, dest: second}",
        "{src: {dependencyName: payment, dataTemplate: '{{ range .Input }}{{ .amount }};{{ end }}'}, dest: paid}",
    ];
    let batch = "condition: order || payment\n      batch: {count: 3}";
    let body = delivered(batch, &parameters, &events).await;
    assert_eq!(body, r#"{"orders":[7,8],"second":8,"paid":"12.5;"}"#);
    let last = ["{src: {dependencyName: order, dataKey: id, useRawData: true}, dest: order}"];
    let body = delivered(&format!("{batch}\n      payload: last"), &last, &events).await;
    assert_eq!(body, r#"{"order":8}"#);
}
