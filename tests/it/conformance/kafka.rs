//! The suite on Kafka, on a real broker; and what can happen to one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use penstock::api::client::{Mechanism, Sasl, Tls};
use penstock::api::event_bus::KafkaBus;
use penstock::api::secret::Unresolved;
use penstock::api::{FieldPath, Problems, Secret};
use penstock::buses::kafka::Kafka;
use penstock::buses::kafka::config::Config;
use penstock::event::{Data, Draft, Event};
use penstock::fault::{Fault, FaultKind};
use penstock::flow::{Bus, Position, Published, Store, Topic};
use penstock::task::{self, Clock};

use super::outage::{child_that_holds, hold, publish_stubbornly, receive_until};
use super::{Backend, PATIENCE, ack_all, event, ids, numbers, outgoing, publish, subscribe, take, topic};
use crate::support::{KafkaServer, MAX_MESSAGE, PASSWORD, Sent, USER, free_port};

/// Where the child finds the broker; set by the parent alone.
const CHILD_ADDRESS: &str = "PENSTOCK_TEST_CHILD_KAFKA";

/// The broker that all share, and a bus of one's own on it.
struct Shared {
    server: Arc<KafkaServer>,
    name: String,
}

impl Shared {
    fn start() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        Self { server: KafkaServer::shared(), name }
    }

    async fn bus(&self) -> Arc<Kafka> {
        let config = config(&self.server.address(), 1).of_bus("default", &self.name);
        Arc::new(open(config).await.unwrap())
    }
}

async fn open(config: Config) -> Result<Kafka, Fault> {
    Kafka::open(config, Clock::system()).await
}

fn config(address: &str, partitions: i32) -> Config {
    // The shortest that the broker takes.
    let client = BTreeMap::from([("session.timeout.ms".to_owned(), "6000".to_owned())]);
    let raw = KafkaBus {
        brokers: address.to_owned(),
        partitions: Some(partitions),
        config: Some(client),
        ..KafkaBus::default()
    };
    let mut problems = Problems::new();
    let config = Config::parse(&raw, &FieldPath::root(), &Unresolved, &mut problems);
    assert!(problems.is_empty(), "{problems}");
    config.of_bus("default", "test")
}

#[async_trait]
impl Backend for Shared {
    async fn open_with_store(&self) -> (Arc<dyn Bus>, Arc<dyn Store>) {
        let bus = self.bus().await;
        (bus.clone(), bus)
    }

    async fn damage(&self, topic: &Topic, position: Position) -> bool {
        // A log does not change: the topic is made anew, with the same offsets. It has no groups yet.
        let (server, name) = (self.server.clone(), topic.as_str().to_owned());
        let read = task::blocking("read the topic", move || Ok(server.read(&name, 3))).await.unwrap();
        let damaged = read.into_iter().enumerate().map(|(offset, mut sent)| {
            if u64::try_from(offset).unwrap() == position.minor {
                sent.headers.retain(|(name, _)| name != "ce_id");
            }
            sent
        });
        self.server.delete_topic(topic.as_str()).await;
        self.server.create_topic(topic.as_str(), 1).await;
        self.server.send(topic.as_str(), damaged).await;
        true
    }
}

super::suite!(Shared::start());

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_write_one_store_and_neither_overwrites_the_other() {
    use penstock::flow::{Expect, Store, Write};
    let shared = Shared::start();
    let (one, two) = (shared.bus().await, shared.bus().await);
    let put = |value: String, expect| Write { key: "n".into(), value: Some(value.into()), expect };
    let mut revision = one.write(vec![put("0".to_owned(), Expect::Absent)]).await.unwrap()[0];
    for round in 0..6 {
        let (first, second) = if round % 2 == 0 { (&one, &two) } else { (&two, &one) };
        assert_eq!(first.get(b"n").await.unwrap().unwrap().revision, revision);
        let next = first.write(vec![put(round.to_string(), Expect::Revision(revision))]).await.unwrap()[0];
        let late = second.write(vec![put("late".to_owned(), Expect::Revision(revision))]).await.unwrap_err();
        assert_eq!(late.kind(), FaultKind::Conflict, "{late:?}");
        let found = second.get(b"n").await.unwrap().unwrap();
        assert_eq!((found.revision, &found.value[..]), (next, round.to_string().as_bytes()));
        revision = next;
    }
    // Another process finds it all.
    let three = shared.bus().await;
    assert_eq!(three.get(b"n").await.unwrap().unwrap().revision, revision);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_partition_is_read_by_itself_and_what_is_no_event_holds_up_nobody() {
    let shared = Shared::start();
    let bus = open(config(&shared.server.address(), 3).of_bus("default", &shared.name)).await.unwrap();
    let topic = topic("parts");
    assert_eq!(bus.parts(&topic).await.unwrap(), 3);
    let batch = (0..90).map(|n| outgoing(keyed(&n.to_string(), &(n % 10).to_string())));
    let published: Vec<_> = bus.publish(&topic, batch.collect()).await.into_iter().map(Result::unwrap).collect();
    let (mut count, mut seen) = (0, BTreeSet::new());
    for part in 0..3 {
        let topic = topic.part(part);
        let Some(end) = bus.end(&topic).await.unwrap().position else { continue };
        let mut reader = bus.read(&topic, None).await.unwrap();
        let mut last = None;
        while last < Some(end) {
            for read in task::within(PATIENCE, reader.next()).await.expect("events come").unwrap() {
                assert!(read.position.major == u64::from(part) && last < Some(read.position));
                last = Some(read.position);
                let number: usize = read.event.unwrap().id().parse().unwrap();
                assert_eq!(published[number], Published::At(read.position));
                seen.insert(number);
                count += 1;
            }
        }
        // A transaction ends with a mark, or was rolled back: neither is an event.
        shared.server.transact(topic.whole().as_str(), i32::try_from(part).unwrap(), &["told"], true).await;
        let told = task::within(PATIENCE, reader.next()).await.expect("events come").unwrap();
        shared.server.transact(topic.whole().as_str(), i32::try_from(part).unwrap(), &["one", "two"], false).await;
        let passed = async {
            while bus.end(&topic).await.unwrap().position != Some(told[0].position) {
                task::sleep(Duration::from_millis(20)).await;
            }
        };
        assert!(task::within(PATIENCE, passed).await.is_some(), "the end is one that a reader reaches");
    }
    assert_eq!((count, seen.len()), (90, 90));
    // Times of senders are in no order.
    shared.server.create_topic("unstamped", 1).await;
    let unstamped = Topic::new("unstamped").unwrap();
    let fault = bus.end(&unstamped).await.unwrap_err();
    assert!(fault.kind() == FaultKind::Unsupported && fault.chain().contains("LogAppendTime"), "{}", fault.chain());
    bus.close().await.unwrap();
}

fn keyed(id: &str, key: &str) -> Event {
    Draft::new(id, "/conformance", "test.event").with("partitionkey", key).data(Data::Text("{}")).build().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_a_key_stay_in_order_while_processes_share_the_partitions() {
    let server = KafkaServer::shared();
    let topic = topic("keys");
    let config = config(&server.address(), 4);
    let (one, two) = (open(config.clone()).await.unwrap(), open(config).await.unwrap());
    let mut first = subscribe(&one, &topic, "g", 1000).await;
    let mut second = subscribe(&two, &topic, "g", 1000).await;
    let mut seen: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let mut both = [0, 0];
    let mut distinct = BTreeSet::new();
    let mut count = 0;
    // Until both have taken part: the second waits for the first to give partitions up.
    while distinct.len() < count || count < 400 || both.contains(&0) {
        if distinct.len() == count {
            let batch = (count..count + 100).map(|n| outgoing(keyed(&n.to_string(), &(n % 10).to_string())));
            assert!(one.publish(&topic, batch.collect()).await.iter().all(Result::is_ok));
            count += 100;
        }
        let (who, next) = tokio::select! {
            next = first.next() => (0, next),
            next = second.next() => (1, next),
            () = task::sleep(PATIENCE) => panic!("{} of {count} events came", distinct.len()),
        };
        let next = next.unwrap();
        both[who] += next.len();
        for id in ids(&next) {
            let number: usize = id.parse().unwrap();
            // A rebalance may bring again what was not settled yet.
            if distinct.insert(number) {
                seen.entry(number % 10).or_default().push(number);
            }
        }
        ack_all(next);
    }
    assert!(seen.values().all(|numbers| numbers.is_sorted()), "{seen:?}");
    one.close().await.unwrap();
    two.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_write_is_an_event_or_becomes_one() {
    let shared = Shared::start();
    let bus = shared.bus().await;
    shared.server.create_topic("others", 1).await;
    let structured = Sent {
        headers: vec![("content-type".to_owned(), "application/cloudevents+json".to_owned())],
        payload: r#"{"specversion":"1.0","id":"3","source":"s","type":"t","data":{"a":1}}"#.to_owned(),
        ..Sent::default()
    };
    let plain = Sent { key: "k".to_owned(), payload: "text".to_owned(), ..Sent::default() };
    shared.server.send("others", [structured, plain]).await;
    // A topic that is there is taken as it is.
    let mut subscriber = subscribe(&*bus, &topic("others"), "g", 10).await;
    let received = take(&mut *subscriber, 2).await;
    assert_eq!(ids(&received), ["3", "others/0/1"]);
    let opaque = received[1].event.as_ref().unwrap();
    assert_eq!((opaque.ty(), opaque.subject()), ("events.openfunction.io.kafka", Some("k")));
    assert!(bus.capability().max_event_bytes > MAX_MESSAGE - (32 << 10));
    bus.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_two_make_at_once_can_be_used_by_both() {
    let shared = Shared::start();
    let (one, two) = (shared.bus().await, shared.bus().await);
    for round in 0..5 {
        let topic = topic(&format!("raced-{round}"));
        let (mut subscriber, sent) =
            tokio::join!(subscribe(&*one, &topic, "g", 10), publish(&*two, &topic, ["1".to_owned()]));
        assert!(matches!(sent[0], Published::At(_)));
        // One round is enough to see that what was sent comes.
        if round == 0 {
            ack_all(take(&mut *subscriber, 1).await);
        }
    }
    one.close().await.unwrap();
    two.close().await.unwrap();
}

/// Not a test but the process that is killed: it takes events, says so, and does nothing more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started, and killed, by its parent"]
#[expect(clippy::disallowed_methods, reason = "the parent can hand over an address in no other way")]
async fn child() {
    let bus = open(config(&std::env::var(CHILD_ADDRESS).unwrap(), 1)).await.unwrap();
    hold(&bus, &topic("dead")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_process_held_goes_to_the_others() {
    let server = KafkaServer::shared();
    let bus = open(config(&server.address(), 1)).await.unwrap();
    let topic = topic("dead");
    publish(&bus, &topic, numbers(0..10)).await;
    let path = "conformance::kafka::child";
    let (mut child, held) = child_that_holds(path, CHILD_ADDRESS, &server.address()).await;
    assert_eq!(held.len(), 10);
    let mut subscriber = subscribe(&bus, &topic, "g", 100).await;
    child.start_kill().unwrap();
    child.wait().await.unwrap();
    let received = take(&mut *subscriber, 10).await;
    assert_eq!(ids(&received), numbers(0..10));
    ack_all(received);
    bus.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_stands_still_or_is_killed_loses_nothing_confirmed_and_readers_go_on() {
    let mut server = KafkaServer::start();
    let bus = open(config(&server.address(), 1)).await.unwrap();
    let topic = topic("outage");
    let mut subscriber = subscribe(&bus, &topic, "g", 20).await;
    let mut seen = BTreeSet::new();
    for round in 0..3 {
        let name = |number: usize| format!("{round}-{number:03}");
        publish(&bus, &topic, (0..100).map(name)).await;
        let received = take(&mut *subscriber, 20).await;
        seen.extend(ids(&received));
        ack_all(received);
        let held = task::within(PATIENCE, subscriber.next()).await.expect("events keep coming").unwrap();
        if round == 0 {
            server.pause();
        } else {
            server.kill();
        }
        let answer = task::within(PATIENCE, bus.publish(&topic, vec![outgoing(event("lost"))])).await;
        let fault = answer.expect("publishing answers").remove(0).unwrap_err();
        assert!(fault.is_retryable(), "{fault:?}");
        seen.extend(ids(&held));
        ack_all(held);
        if round == 0 {
            // Connections are made, and nobody answers.
            let silent = refused(config(&server.address(), 1)).await;
            assert_eq!(silent.kind(), FaultKind::Unavailable, "{silent:?}");
            server.resume();
        } else {
            assert!(bus.ailment().is_some());
            server.run();
        }
        publish_stubbornly(&bus, &topic, &name(100)).await;
        let all = |seen: &BTreeSet<String>| (0..=100).all(|number| seen.contains(&name(number)));
        receive_until(&mut *subscriber, &mut seen, PATIENCE * 2, all).await;
    }
    bus.close().await.unwrap();
}

async fn refused(config: Config) -> Fault {
    let opened = task::within(Duration::from_secs(30), Box::pin(open(config))).await;
    opened.expect("an answer comes, whatever it is").err().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_used_is_told_at_once() {
    let server = KafkaServer::shared();
    let at = |port: u16| config(&format!("127.0.0.1:{port}"), 1);
    let login = |mechanism, username: &str, password: &str| Config {
        sasl: Some(Sasl { mechanism, username: Secret::new(username), password: Secret::new(password) }),
        ..at(server.sasl_port)
    };
    let check = |fault: &Fault, kind: FaultKind| assert_eq!(fault.kind(), kind, "{fault:?}");
    for mechanism in [Mechanism::Plain, Mechanism::ScramSha256] {
        let bus = open(login(mechanism, USER, PASSWORD)).await.unwrap();
        publish(&bus, &topic("logins"), ["1".to_owned()]).await;
        bus.close().await.unwrap();
        let wrong = refused(login(mechanism, USER, "hunter2")).await;
        check(&wrong, FaultKind::Denied);
        assert!(!wrong.chain().contains("hunter2"), "{}", wrong.chain());
    }
    // A login that may not do what is needed is told by whoever needs it, and not asked again.
    let weak = open(login(Mechanism::Plain, "weak", PASSWORD)).await.unwrap();
    let fault = weak.publish(&topic("guarded-bus"), vec![outgoing(event("1"))]).await.remove(0).unwrap_err();
    check(&fault, FaultKind::Denied);
    let trust =
        |ca: &str| Config { tls: Some(Tls { ca: Some(Secret::new(ca)), ..Tls::default() }), ..at(server.tls_port) };
    let bus = open(trust(&server.authority)).await.unwrap();
    assert!(matches!(publish(&bus, &topic("tls"), ["1".to_owned()]).await[0], Published::At(_)));
    bus.close().await.unwrap();
    let other = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap().cert.pem();
    check(&refused(trust(&other)).await, FaultKind::Denied);
    check(&refused(trust("no PEM")).await, FaultKind::Malformed);
    check(&refused(at(free_port())).await, FaultKind::Unavailable);
    // Who does not speak TLS or does not log in is hung up on.
    check(&refused(at(server.tls_port)).await, FaultKind::Unavailable);
    check(&refused(at(server.sasl_port)).await, FaultKind::Unavailable);
}
