//! The sidecar room alone, against a real daprd with its own components and ours.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use penstock::event::{Data, Draft, Event};
use penstock::fault::FaultKind;
use penstock::flow::{
    Bus as _, Deduplicate, Expect, Group, Outgoing, Sink as _, Start, Store as _, Subscription, Topic, Write,
};
use penstock::sidecar::{Address, Binding, Bus, Connection, Frames, PubSub, Settings, Sidecar, Store};
use penstock::task::{self, Clock};
use tempfile::TempDir;

use crate::support::{Daprd, Penstock, Process, Receiver, Run};

fn component(name: &str, ty: &str, metadata: &str) -> String {
    format!(
        "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {{name: {name}}}\n\
         spec: {{type: {ty}, version: v1, metadata: [{metadata}]}}\n"
    )
}

/// daprd with these Components, and ours beside it.
struct Pod {
    folder: TempDir,
    daprd: Daprd,
    running: Vec<Process>,
    components: Option<Penstock>,
}

impl Pod {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let daprd = Daprd::new(&folder.path().join("resources"), &folder.path().join("s"));
        Self { folder, daprd, running: Vec::new(), components: None }
    }

    fn with(self, name: &str, ty: &str, metadata: &str) -> Self {
        self.daprd.resource(name, &component(name, ty, metadata));
        self
    }

    async fn start(mut self) -> Self {
        let folder: &Path = self.folder.path();
        self.components = Some(Run::component(folder, &folder.join("s")).start().await);
        self.running.push(self.daprd.start().await);
        self
    }

    fn connect(&self, token: Option<&str>) -> Connection {
        let address = Address::parse(&format!("127.0.0.1:{}", self.daprd.grpc_port())).unwrap();
        Connection::new(Sidecar { address, token: token.map(str::to_owned) }).unwrap()
    }

    fn bus(&self, name: &str, frames: Frames) -> Bus {
        Bus::new(self.connect(None), name, Settings::new(frames), Clock::system())
    }
}

fn topic() -> Topic {
    Topic::new("orders").unwrap()
}

fn subscription() -> Subscription {
    Subscription { topic: topic(), group: Group::new("g").unwrap(), start: Start::Earliest, max_in_flight: 100 }
}

fn event(id: &str) -> Event {
    Draft::new(id, "/shop", "order")
        .with("time", "2026-01-02T03:04:05.678Z")
        .with("datacontenttype", "application/json")
        .with("subject", "orders/1")
        .with("count", 7)
        .with("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .data(Data::Text("{\"big\": 12345678901234567890, \"html\": \"<&>\"}"))
        .build()
        .unwrap()
}

fn outgoing(event: Event) -> Outgoing {
    Outgoing { event, delay: None, deduplicate: Deduplicate::Event }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pubsub_of_daprs_own_carries_events_unchanged_one_by_one() {
    let pod = Pod::new().with("memory", "pubsub.in-memory", "").start().await;
    let bus = pod.bus("memory", Frames::Off);
    let mut member = bus.subscribe(subscription()).await.unwrap();
    // This one publishes only when its subscribers have taken what was published before.
    let orders = topic();
    let publish = bus.publish(&orders, vec![outgoing(event("1")), outgoing(event("2"))]);
    let take = async {
        let mut seen = Vec::new();
        while seen.len() < 2 {
            for received in member.next().await.unwrap() {
                seen.push(received.event.unwrap());
                received.receipt.ack();
            }
        }
        seen
    };
    let (answers, mut seen) = tokio::join!(publish, take);
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    seen.sort_by(|one, other| one.id().cmp(other.id()));
    assert_eq!(seen, [event("1"), event("2")]);
    drop(member);
    bus.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_almost_too_large_passes_and_what_is_larger_is_refused_without_harm() {
    let pod = Pod::new().with("bus", "pubsub.eventbus.embedded", "").start().await;
    let bus = pod.bus("bus", Frames::On);
    let mut member = bus.subscribe(subscription()).await.unwrap();
    let sized =
        |id: &str, len: usize| Draft::new(id, "/shop", "order").data(Data::Binary(&vec![7; len])).build().unwrap();
    let largest = sized("largest", (3 << 20) - 100);
    let batch = vec![outgoing(sized("larger", 3 << 20)), outgoing(largest.clone()), outgoing(event("small"))];
    let answers = bus.publish(&topic(), batch).await;
    assert_eq!(answers[0].as_ref().unwrap_err().kind(), FaultKind::TooLarge);
    assert!(answers[1].is_ok() && answers[2].is_ok(), "{answers:?}");
    let mut seen = Vec::new();
    while seen.len() < 2 {
        for received in member.next().await.unwrap() {
            seen.push(received.event.unwrap());
            received.receipt.ack();
        }
    }
    assert_eq!(seen, [largest, event("small")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_that_was_not_settled_as_a_whole_comes_again_without_what_was() {
    let pod = Pod::new().with("bus", "pubsub.eventbus.embedded", "").start().await;
    let bus = pod.bus("bus", Frames::On);
    bus.publish(&topic(), vec![outgoing(event("1")), outgoing(event("2")), outgoing(event("3"))]).await;
    let mut member = bus.subscribe(subscription()).await.unwrap();
    let first = member.next().await.unwrap();
    assert_eq!(first.len(), 3);
    for (index, received) in first.into_iter().enumerate() {
        if index == 1 { drop(received) } else { received.receipt.ack() }
    }
    let again = member.next().await.unwrap();
    let ids: Vec<_> = again.iter().map(|received| received.event.as_ref().unwrap().id()).collect();
    assert_eq!(ids, ["2"]);
    assert!(again[0].attempt > 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn daprs_bindings_and_pubsubs_take_events() {
    let hook = Receiver::start().await;
    let url = format!("{{name: url, value: \"{}\"}}", hook.uri("/hook"));
    let pod = Pod::new().with("hook", "bindings.http", &url).with("memory", "pubsub.in-memory", "").start().await;
    let connection = pod.connect(None);
    let binding = Binding::new(connection.clone(), "hook", None, BTreeMap::new(), false);
    binding.deliver(&event("1")).await.unwrap();
    let seen = hook.seen().remove(0);
    assert_eq!(&*seen.body, event("1").data_bytes().unwrap());
    assert_eq!((seen.header("ce-id"), seen.header("content-type")), ("1", "application/json"));

    let bus = pod.bus("memory", Frames::Off);
    let mut member = bus.subscribe(subscription()).await.unwrap();
    PubSub::new(connection.clone(), "memory", "orders", BTreeMap::new()).deliver(&event("2")).await.unwrap();
    let received = member.next().await.unwrap().remove(0);
    assert_eq!(received.event.unwrap().id(), "2");
    received.receipt.ack();

    let missing = Binding::new(connection.clone(), "nothing", None, BTreeMap::new(), false);
    let fault = missing.deliver(&event("1")).await.unwrap_err();
    assert!(fault.is_retryable(), "it may be loaded a moment later: {fault:?}");
    let missing = PubSub::new(connection, "nothing", "orders", BTreeMap::new());
    let fault = missing.deliver(&event("1")).await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::NotFound, "{fault:?}");
}

async fn keeps_state(pod: &Pod, name: &str) {
    let store = Store::new(pod.connect(None), name);
    let write =
        |key: &'static str, value: &'static str, expect| Write { key: key.into(), value: Some(value.into()), expect };
    assert!(store.get(b"a||b").await.unwrap().is_none(), "{name}");
    let first = store.write(vec![write("a||b", "1", Expect::Absent)]).await.unwrap()[0];
    let found = store.get(b"a||b").await.unwrap().unwrap();
    assert_eq!((&found.value, found.revision), (&Bytes::from("1"), first), "{name}");
    let kind = |result: Result<_, penstock::fault::Fault>| result.map(|_: Vec<_>| ()).unwrap_err().kind();
    assert_eq!(kind(store.write(vec![write("a||b", "2", Expect::Absent)]).await), FaultKind::Conflict, "{name}");
    let second = store.write(vec![write("a||b", "2", Expect::Revision(first))]).await.unwrap()[0];
    let stale = vec![write("x", "1", Expect::Anything), write("a||b", "3", Expect::Revision(first))];
    assert_eq!(kind(store.write(stale).await), FaultKind::Conflict, "{name}");
    assert!(store.get(b"x").await.unwrap().is_none(), "{name}: all or nothing");
    let delete = Write { key: "a||b".into(), value: None, expect: Expect::Revision(second) };
    store.write(vec![delete, write("x", "1", Expect::Absent)]).await.unwrap();
    assert!(store.get(b"a||b").await.unwrap().is_none() && store.get(b"x").await.unwrap().is_some(), "{name}");
}

#[tokio::test(flavor = "multi_thread")]
async fn state_is_kept_with_versions_and_in_transactions() {
    let pod = Pod::new().with("state", "state.eventbus.embedded", "").start().await;
    keeps_state(&pod, "state").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_is_told_and_the_right_one_opens() {
    let mut pod = Pod::new();
    pod.daprd = pod.daprd.env("DAPR_API_TOKEN", "right");
    let pod = pod.start().await;
    assert_eq!(pod.connect(Some("wrong")).ready().await.unwrap_err().kind(), FaultKind::Denied);
    let about = pod.connect(Some("right")).ready().await.unwrap();
    assert_eq!(about.version, "1.18.1");
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_opened_again_after_a_reload_of_daprd_and_of_a_component() {
    let pod = Pod::new().with("bus", "pubsub.eventbus.embedded", "").start().await;
    let bus = Arc::new(pod.bus("bus", Frames::On));
    let mut member = bus.subscribe(subscription()).await.unwrap();
    let publish = async |id: &str| {
        while bus.publish(&topic(), vec![outgoing(event(id))]).await.remove(0).is_err() {
            task::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let changed = component("bus", "pubsub.eventbus.embedded", "{name: retention.age, value: 24h}");
    pod.daprd.resource("bus", &changed);
    publish("1").await;
    let received = member.next().await.unwrap().remove(0);
    assert_eq!(received.event.unwrap().id(), "1");
    // In flight while daprd begins anew: it waits for this answer, or for the end of the stream.
    pod.running[0].signal(rustix::process::Signal::HUP);
    received.receipt.ack();
    publish("2").await;
    let mut ids = Vec::new();
    while !ids.contains(&"2".to_owned()) {
        for received in member.next().await.unwrap() {
            ids.push(received.event.unwrap().id().to_owned());
            received.receipt.ack();
        }
    }
}
