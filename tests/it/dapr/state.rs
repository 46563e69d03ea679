//! A bus as a state store.

use http::Method;
use serde_json::json;

use super::Pod;
use crate::support::{Answer, Client, Reply};

#[tokio::test(flavor = "multi_thread")]
async fn a_bus_keeps_state_with_etags_and_transactions() {
    let pod = Pod::new(|_, _| Reply::code(200)).await;
    pod.daprd.resource("state", &super::BUS.replace("name: bus", "name: state").replace("pubsub.", "state."));
    let (_component, _daprd) = pod.start().await;
    let client = Client::new();
    let send = |method: Method, path: &str, body: serde_json::Value| {
        let (client, uri) = (client.clone(), pod.daprd.http(&format!("/v1.0/state/state{path}")));
        async move {
            let json = [("content-type", "application/json")];
            client.send(method, &uri, &json, body.to_string()).await.unwrap()
        }
    };
    let etag = |answer: &Answer| answer.headers["etag"].to_str().unwrap().to_owned();

    let saved = send(Method::POST, "", json!([{"key": "a", "value": 1}, {"key": "b", "value": {"x": 2}}])).await;
    assert_eq!(saved.code, 204, "{}", saved.body);
    let first = client.get(&pod.daprd.http("/v1.0/state/state/a")).await.unwrap();
    assert_eq!((first.code, first.body.as_str()), (200, "1"));

    let with = |etag: &str, value: i32| json!([{"key": "a", "value": value, "etag": etag, "options": {"concurrency": "first-write"}}]);
    assert_eq!(send(Method::POST, "", with(&etag(&first), 2)).await.code, 204);
    let stale = send(Method::POST, "", with(&etag(&first), 3)).await;
    assert_eq!(stale.code, 409, "{}", stale.body);

    let operations = json!({"operations": [
        {"operation": "upsert", "request": {"key": "c", "value": 3}},
        {"operation": "delete", "request": {"key": "b"}},
    ]});
    let done = send(Method::POST, "/transaction", operations).await;
    assert_eq!(done.code, 204, "{}", done.body);
    let found = send(Method::POST, "/bulk", json!({"keys": ["a", "b", "c"]})).await;
    let found: serde_json::Value = serde_json::from_str(&found.body).unwrap();
    let values: Vec<_> = found.as_array().unwrap().iter().map(|item| item.get("data").cloned()).collect();
    assert_eq!(values, [Some(json!(2)), None, Some(json!(3))]);
}
