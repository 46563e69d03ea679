//! A bus as a state store.

use futures_util::TryStreamExt as _;
use http::Method;
use serde_json::{Value as Json, json};

use super::Pod;
use super::brokers::components;
use crate::support::{Answer, Client, NatsServer, RedisServer, Reply, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_bus_keeps_state_with_etags_and_transactions() {
    let pod = Pod::new(|_, _| Reply::code(200)).await;
    pod.daprd.resource("state", &super::BUS.replace("name: bus", "name: state").replace("pubsub.", "state."));
    let (_component, _daprd) = pod.start().await;
    let client = Client::new();
    let send = |method: Method, path: &str, body: Json| {
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

/// Values that end, over a bus of this kind; `keys` tells what is in its store.
async fn ends(kind: &str, key: &str, value: &str, keys: impl AsyncFn() -> Vec<String>) {
    let pod = Pod::new(|_, _| Reply::code(200)).await;
    components(&pod, kind, key, value);
    let (component, daprd) = pod.start().await;
    let client = Client::new();
    let save = async |path: &str, body: Json| {
        let (uri, json) = (pod.daprd.http(&format!("/v1.0/state/state{path}")), [("content-type", "application/json")]);
        let saved = client.send(Method::POST, &uri, &json, body.to_string()).await.unwrap();
        assert_eq!(saved.code, 204, "{body}: {}", saved.body);
    };
    let get = async |key: &str| client.get(&pod.daprd.http(&format!("/v1.0/state/state/{key}"))).await.unwrap();
    let ends = |answer: &Answer| answer.headers.contains_key("metadata.ttlexpiretime");
    let lasting = |key: &str, value: u8, seconds: &str| json!({"key": key, "value": value, "metadata": {"ttlInSeconds": seconds}});
    save("", json!([lasting("brief", 1, "1"), lasting("long", 1, "3600"), {"key": "kept", "value": 1}])).await;
    save("/transaction", json!({"operations": [{"operation": "upsert", "request": lasting("another", 1, "1")}]})).await;
    let (long, kept) = (get("long").await, get("kept").await);
    assert!(ends(&long) && !ends(&kept), "{long:?} {kept:?}");
    eventually("the values of a second are over", || async {
        get("brief").await.code == 204 && get("another").await.code == 204
    })
    .await;
    let (uri, asked) = (pod.daprd.http("/v1.0/state/state/bulk"), json!({"keys": ["brief", "long"]}));
    let found = client.send(Method::POST, &uri, &[("content-type", "application/json")], asked.to_string()).await;
    let found: Json = serde_json::from_str(&found.unwrap().body).unwrap();
    assert!(found[0].get("data").is_none() && found[1]["data"] == 1, "{found}");
    // What is over is in nobody's way, and what is written again has the new end, or none.
    let first = json!({"key": "brief", "value": 2, "options": {"concurrency": "first-write"}, "metadata": {"ttlInSeconds": "1"}});
    save("", json!([first])).await;
    save("", json!([lasting("long", 2, "-1")])).await;
    assert!(!ends(&get("long").await));
    eventually("it is over again", || async { get("brief").await.code == 204 }).await;

    // The next process deletes what ended before.
    daprd.kill().await;
    assert_eq!(component.stop().await, Some(0));
    let (_component, _daprd) = pod.start().await;
    eventually("nothing is left of what is over", || async {
        let keys = keys().await;
        let has = |name: &str| keys.iter().any(|key| key.contains(name));
        !has("brief") && !has("another") && has("kept") && has("long")
    })
    .await;
    assert_eq!((get("long").await.body.as_str(), get("kept").await.body.as_str()), ("2", "1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn values_end_on_jetstream() {
    let server = NatsServer::start("");
    let context = async_nats::jetstream::new(async_nats::connect(server.url()).await.unwrap());
    let keys = async || {
        let buckets: Vec<String> = context.stream_names().try_collect().await.unwrap();
        let mut keys = Vec::new();
        for bucket in buckets.iter().filter(|name| name.starts_with("KV_")) {
            let bucket = context.get_stream(bucket).await.unwrap();
            let subjects = bucket.info_with_subjects(">").await.unwrap().try_collect::<Vec<_>>().await.unwrap();
            for (subject, _) in subjects {
                // One that was deleted leaves a marker for a while.
                let last = bucket.get_last_raw_message_by_subject(&subject).await;
                keys.extend(last.is_ok_and(|last| last.headers.get("KV-Operation").is_none()).then_some(subject));
            }
        }
        keys
    };
    ends("jetstream", "url", &server.url(), keys).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_end_on_redis() {
    let server = RedisServer::start(&[]);
    let client = redis::Client::open(format!("redis://{}", server.address())).unwrap();
    let keys = async || {
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let names: redis::RedisResult<Vec<String>> = redis::cmd("KEYS").arg("*").query_async(&mut connection).await;
        let mut keys = Vec::new();
        for name in names.unwrap() {
            // Of another type than a hash: no answer.
            let fields: redis::RedisResult<Vec<String>> =
                redis::cmd("HKEYS").arg(name).query_async(&mut connection).await;
            keys.extend(fields.unwrap_or_default());
        }
        keys
    };
    ends("redis", "address", &server.address(), keys).await;
}
