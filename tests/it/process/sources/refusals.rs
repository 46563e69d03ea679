//! What is refused: with the right status and a text that helps, and nothing of it is delivered.

use http::Method;

use super::Flow;
use crate::support::{break_off, exchange};

/// The fence that is posted after what must not arrive.
const FENCE: &str = "fence";

async fn fence(flow: &Flow, path: &str) {
    let answer = flow.client.event(&flow.uri(path), FENCE, "com.example.fence", "{}").await.unwrap();
    assert_eq!(answer.code, 202, "{answer:?}");
}

#[tokio::test]
async fn what_claims_to_be_a_cloudevent_and_is_none_is_refused_with_the_reason() {
    const STRUCTURED: &[(&str, &str)] = &[("content-type", "application/cloudevents+json")];
    const BATCH: &[(&str, &str)] = &[("content-type", "application/cloudevents-batch+json")];
    let flow = Flow::start(&[("post", "path: /")]).await;
    let check = async |headers: &[(&str, &str)], body: &str, reason: &str| {
        let answer = flow.post("/", headers, body).await;
        assert_eq!(answer.code, 400, "{answer:?}");
        assert!(answer.body.contains(reason), "{answer:?}");
    };
    let version = ("ce-specversion", "1.0");
    let (id, source, ty) = (("ce-id", "bad"), ("ce-source", "/tests"), ("ce-type", "com.example.bad"));
    check(&[version, source, ty], "{}", "the required attribute id is missing").await;
    check(&[version, id, ty], "{}", "the required attribute source is missing").await;
    check(&[version, id, source], "{}", "the required attribute type is missing").await;
    check(&[id, source, ty], "{}", "the required attribute specversion is missing").await;
    check(&[("ce-specversion", "0.3"), id, source, ty], "{}", "specversion is \"0.3\", only \"1.0\" is supported")
        .await;
    check(&[version, id, source, ty, ("ce-time", "noon")], "{}", "time \"noon\" is not an RFC 3339 timestamp").await;
    check(&[version, id, source, ty, ("ce-x", "%C3%28")], "{}", "the ce-x header is not UTF-8").await;

    let event = |more: &str| format!(r#"{{"specversion":"1.0","id":"bad","source":"/tests","type":"t"{more}}}"#);
    let two = event(r#","data":1,"data_base64":"MQ==""#);
    check(STRUCTURED, &two, "both data and data_base64 are present").await;
    check(STRUCTURED, &event(r#","data_base64":"?""#), "data_base64 is not base64").await;
    check(STRUCTURED, &event(r#","Upper":1"#), "attribute name \"Upper\" is not made of lower-case letters").await;
    check(STRUCTURED, &event(",")[..20], "JSON cannot be read").await;
    // A batch with one bad event is refused as a whole.
    check(BATCH, &format!("[{},{two}]", event("")), "both data and data_base64 are present").await;

    fence(&flow, "/").await;
    flow.delivers_only(&[FENCE]).await;
}

#[tokio::test]
async fn bytes_that_no_client_sends_are_refused() {
    let flow = Flow::start(&[("post", "path: /, maxBodyBytes: 1Ki")]).await;
    let head = "POST / HTTP/1.1\r\nhost: penstock\r\nconnection: close\r\nce-specversion: 1.0\r\nce-id: bad\r\nce-source: /tests\r\n";

    let mut request = format!("{head}ce-type: t\r\nce-x: ").into_bytes();
    request.extend(b"\xC3\x28\r\ncontent-length: 2\r\n\r\n{}");
    let answer = exchange(flow.port, &request).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.contains("attribute x: the ce-x header is not UTF-8"), "{answer}");

    // Half a body, and the sender is gone.
    let answer = break_off(flow.port, format!("{head}ce-type: t\r\ncontent-length: 8\r\n\r\n{{}}").as_bytes()).await;
    assert!(!answer.starts_with("HTTP/1.1 2"), "{answer}");
    let chunked = format!("{head}ce-type: t\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{{}}\r\n");
    let answer = break_off(flow.port, chunked.as_bytes()).await;
    assert!(!answer.starts_with("HTTP/1.1 2"), "{answer}");

    // Over the limit without having said so before.
    let chunk = format!("401\r\n{}\r\n0\r\n\r\n", "x".repeat(0x401));
    let answer =
        exchange(flow.port, format!("{head}ce-type: t\r\ntransfer-encoding: chunked\r\n\r\n{chunk}").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");

    fence(&flow, "/").await;
    flow.delivers_only(&[FENCE]).await;
}

#[tokio::test]
async fn bodies_over_the_limit_and_bodies_that_must_be_json_are_refused() {
    let flow = Flow::start(&[("small", "maxBodyBytes: 1Ki, jsonBody: true")]).await;
    let named = |id: &'static str| [("webhook-id", id)];
    let json = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
    let answer = flow.post("/small", &named("large"), json(1025)).await;
    assert_eq!(answer.code, 413, "{answer:?}");
    assert!(answer.body.contains("1024"), "{answer:?}");
    let answer = flow.post("/small", &named("text"), "hello").await;
    assert_eq!(answer.code, 400, "{answer:?}");
    assert!(answer.body.starts_with("the body, which must be JSON, cannot be read"), "{answer:?}");
    assert_eq!(flow.post("/small", &named("just"), json(1024)).await.code, 202);
    let receiver = flow.delivers_only(&["just"]).await;
    assert_eq!(receiver.seen()[0].body.len(), 1024);
}

#[tokio::test]
async fn a_body_that_fits_the_webhook_but_not_the_bus_is_refused_and_is_no_dead_letter() {
    let flow = Flow::start(&[("post", "path: /, maxBodyBytes: 8Mi")]).await;
    let answer = flow.post("/", &[("webhook-id", "large")], "x".repeat(4 << 20)).await;
    assert_eq!((answer.code, answer.body.as_str()), (413, "the event is larger than the bus takes\n"));
    let metrics = flow.client.get(&flow.process.admin("/metrics")).await.unwrap().body;
    assert!(!metrics.lines().any(|line| line.contains("outcome=\"poison\"") && !line.ends_with(" 0")), "{metrics}");
    fence(&flow, "/").await;
    flow.delivers_only(&[FENCE]).await;
}

#[tokio::test]
async fn paths_and_methods_that_are_not_served_are_refused_and_options_shakes_hands() {
    let flow = Flow::start(&[("post", "path: /orders, methods: [POST, PUT]")]).await;
    for path in ["/", "/order", "/orders/", "/Orders"] {
        let answer = flow.client.event(&flow.uri(path), "lost", "t", "{}").await.unwrap();
        assert_eq!((answer.code, answer.body.as_str()), (404, "not found\n"), "{path}");
    }
    for method in [Method::GET, Method::PATCH, Method::DELETE] {
        let answer = flow.client.send(method.clone(), &flow.uri("/orders"), &[], "").await.unwrap();
        assert_eq!(answer.code, 405, "{method}");
        assert_eq!(answer.headers["allow"], "OPTIONS, POST, PUT", "{method}");
    }
    // CloudEvents, "Web Hooks for Event Delivery", section 4.
    let ask = [("webhook-request-origin", "events.example.com"), ("webhook-request-rate", "120")];
    let answer = flow.client.send(Method::OPTIONS, &flow.uri("/orders"), &ask, "").await.unwrap();
    assert_eq!(answer.code, 200, "{answer:?}");
    assert_eq!(answer.headers["webhook-allowed-origin"], "events.example.com");
    assert_eq!(answer.headers["webhook-allowed-rate"], "*");
    assert_eq!(answer.headers["allow"], "OPTIONS, POST, PUT");

    fence(&flow, "/orders?the=query&does=not#count").await;
    flow.delivers_only(&[FENCE]).await;
}
