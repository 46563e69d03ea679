//! What KEDA is told of a router is true: each trigger names something that is there, on real brokers, and events that
//! wait are seen in one of them, whether anybody runs or not.

use serde_json::Value as Json;

use super::pod::Pod;
use super::rig::{EVENT_SOURCE, Rig, SCALED_OBJECT, TRIGGER, settled};
use crate::support::{Client, NatsServer, Receiver, RedisServer, Reply, eventually, free_port};

/// Asks for the lag that a trigger is of, as KEDA does; `None` when what it names is not there.
trait Broker {
    fn lag(&self, kind: &str, metadata: &Json) -> impl Future<Output = Option<u64>>;
}

fn text<'a>(metadata: &'a Json, field: &str) -> &'a str {
    metadata[field].as_str().unwrap_or_default()
}

/// A webhook, and a Trigger whose sink refuses, on a bus.
fn flow(bus: &str, port: u16, sink: &str) -> String {
    format!(
        "apiVersion: events.openfunction.io/v1alpha1
kind: EventBus
metadata: {{name: default}}
spec: {{{bus}}}
---
apiVersion: events.openfunction.io/v1alpha1
kind: EventSource
metadata: {{name: shop}}
spec:
  http:
    orders: {{port: {port}}}
---
apiVersion: events.openfunction.io/v1alpha1
kind: Trigger
metadata: {{name: ship}}
spec:
  scaleOption: {{lagThreshold: '5', maxReplicaCount: 4}}
  eventSources: [{{name: orders, eventSourceName: shop, eventName: orders}}]
  subscribers: [{{name: ship, sink: {{uri: '{sink}'}}, delivery: {{backoffDelay: PT4M}}}}]
"
    )
}

async fn what_waits_is_seen(rig: &Rig, bus: &str, broker: &impl Broker) {
    let (refusing, port) = (Receiver::answering(|_, _| Reply::code(503)).await, free_port());
    let operator = rig.operator().start().await;
    rig.apply(&flow(bus, port, &refusing.uri("/"))).await;
    rig.says(EVENT_SOURCE, "shop", "Deployed", "False Progressing").await;
    rig.says(TRIGGER, "ship", "Deployed", "False Progressing").await;
    settled(&operator).await;
    // Taken with fieldValidation=Strict by KEDA's own definitions.
    let spec = rig.get(SCALED_OBJECT, "trigger-ship").await["spec"].clone();
    assert_eq!((&spec["scaleTargetRef"]["name"], &spec["maxReplicaCount"]), (&"trigger-ship".into(), &4.into()));
    let triggers = spec["triggers"].as_array().unwrap().clone();
    let lags = || async {
        let mut lags = Vec::new();
        for trigger in &triggers {
            lags.push(broker.lag(text(trigger, "type"), &trigger["metadata"]).await);
        }
        lags
    };

    let _intake = Pod::start(rig, "eventsource-shop").await;
    let router = Pod::start(rig, "trigger-ship").await;
    eventually("everything that is named is there, and has no lag", || async {
        lags().await.iter().all(|lag| *lag == Some(0))
    })
    .await;
    let (client, uri) = (Client::new(), format!("http://127.0.0.1:{port}/orders"));
    assert_eq!(client.event(&uri, "first", "order", "{}").await.unwrap().code, 202);
    eventually("the sink refuses it", || async { refusing.count() > 0 }).await;
    let total = || async { lags().await.into_iter().map(Option::unwrap).sum::<u64>() };
    eventually("it is seen to wait", || async { total().await == 1 }).await;
    // Nobody runs: what waits stays seen, and so does what comes.
    drop(router);
    assert_eq!(client.event(&uri, "second", "order", "{}").await.unwrap().code, 202);
    eventually("both are seen to wait", || async { total().await == 2 }).await;
}

/// The port of its monitoring.
struct Nats(u16);

impl Broker for Nats {
    async fn lag(&self, kind: &str, metadata: &Json) -> Option<u64> {
        assert_eq!(kind, "nats-jetstream");
        assert_eq!(text(metadata, "natsServerMonitoringEndpoint"), format!("127.0.0.1:{}", self.0));
        let account = text(metadata, "account");
        let uri = format!("http://127.0.0.1:{}/jsz?acc={account}&consumers=true&config=true", self.0);
        let told: Json = serde_json::from_str(&Client::new().get(&uri).await.unwrap().body).unwrap();
        let named = |list: &Json, name: &str| list.as_array()?.iter().find(|one| one["name"] == name).cloned();
        let account = named(&told["account_details"], account)?;
        let stream = named(&account["stream_detail"], text(metadata, "stream"))?;
        let consumer = named(&stream["consumer_detail"], text(metadata, "consumer"))?;
        Some(consumer["num_pending"].as_u64().unwrap() + consumer["num_ack_pending"].as_u64().unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_on_jetstream_is_what_keda_asks_for() {
    let rig = Rig::new("lag-nats").await;
    let monitor = free_port();
    let nats = NatsServer::start(&format!("http: \"127.0.0.1:{monitor}\""));
    let bus = format!(
        "jetstream: {{url: '{}'}}, scaleOption: {{natsServerMonitoringEndpoint: '127.0.0.1:{monitor}'}}",
        nats.url()
    );
    what_waits_is_seen(&rig, &bus, &Nats(monitor)).await;
}

impl Broker for RedisServer {
    async fn lag(&self, kind: &str, metadata: &Json) -> Option<u64> {
        assert_eq!(text(metadata, "address"), self.address());
        let client = redis::Client::open(format!("redis://{}", self.address())).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        if kind == "redis" {
            let count = redis::cmd("ZCARD").arg(text(metadata, "listName")).query_async(&mut connection).await;
            return Some(count.unwrap());
        }
        assert_eq!(kind, "redis-streams");
        let (stream, group) = (text(metadata, "stream"), text(metadata, "consumerGroup"));
        let mut ask = redis::cmd("XINFO");
        ask.arg("GROUPS").arg(stream);
        // There is no such stream yet.
        let groups: Vec<std::collections::HashMap<String, redis::Value>> =
            ask.query_async(&mut connection).await.ok()?;
        let number = |value: &redis::Value| redis::from_redis_value::<u64>(value.clone()).unwrap();
        let is_ours = |found: &std::collections::HashMap<String, redis::Value>| {
            redis::from_redis_value::<String>(found["name"].clone()).unwrap() == group
        };
        let found = groups.iter().find(|found| is_ours(found))?;
        let counted = if metadata["lagCount"].is_null() { "pending" } else { "lag" };
        Some(number(&found[counted]))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_on_redis_is_what_keda_asks_for() {
    let (rig, redis) = (Rig::new("lag-redis").await, RedisServer::start(&[]));
    what_waits_is_seen(&rig, &format!("redis: {{address: '{}'}}", redis.address()), &redis).await;
}
