//! Kafka, the real one: groups and single partitions, refusals, and whoever goes away in the middle.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

use super::{source, trigger};
use crate::support::{KafkaServer, PASSWORD, Penstock, Receiver, Run, Sent, USER, eventually, free_port, sink};

/// A flow from the event `orders` (the inside of a YAML flow mapping) to a receiver.
fn write_flow(folder: &Path, settings: &str, receiver: &Receiver) {
    let yaml = source("kafka")
        + &format!("    orders: {{{settings}}}\n")
        + &trigger("all", &["orders"], &[sink(&receiver.uri("/"))]);
    std::fs::write(folder.join("flow.yaml"), yaml).unwrap();
}

async fn consuming(process: &Penstock) {
    eventually("it consumes", || async { process.log().contains("consuming from Kafka") }).await;
}

/// An event in binary mode.
fn event(id: impl std::fmt::Display) -> Sent {
    let attributes = [("specversion", "1.0".to_owned()), ("id", id.to_string())];
    let more = [("source", "/tests".to_owned()), ("type", "com.example.k".to_owned())];
    let headers = attributes.into_iter().chain(more).map(|(name, text)| (format!("ce_{name}"), text)).collect();
    Sent { headers, key: String::new(), payload: "{\"n\":1}".to_owned() }
}

fn delivered(receiver: &Receiver) -> HashMap<String, usize> {
    let mut times = HashMap::new();
    for seen in receiver.seen() {
        *times.entry(seen.header("ce-id").to_owned()).or_default() += 1;
    }
    times
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_become_events_whatever_they_are() {
    let broker = KafkaServer::shared();
    broker.create_topic("shapes", 1).await;
    let plain = Sent { key: "k1".to_owned(), payload: "{\"total\": 1.0}".to_owned(), ..Sent::default() };
    let structured = Sent {
        headers: vec![("content-type".to_owned(), "application/cloudevents+json".to_owned())],
        payload: r#"{"specversion":"1.0","id":"structured","source":"/x","type":"y","data":1}"#.to_owned(),
        ..Sent::default()
    };
    broker.send("shapes", [plain, event("binary"), structured]).await;
    let (folder, receiver) = (tempfile::tempdir().unwrap(), Receiver::start().await);
    // The block of the proposal.
    let settings = format!(
        "url: \"{}\", topic: shapes, jsonBody: true, consumerGroup: {{groupName: g1, oldest: true, rebalanceStrategy: sticky}}",
        broker.address()
    );
    write_flow(folder.path(), &settings, &receiver);
    let process = Run::new(folder.path()).start().await;
    eventually("all are delivered", || async { receiver.count() >= 3 }).await;
    assert_eq!(process.stop().await, Some(0));
    let seen = receiver.seen();
    let find = |id: &str| seen.iter().find(|seen| seen.header("ce-id") == id).unwrap();
    let wrapped = find("shapes/0/0");
    assert_eq!(wrapped.header("ce-type"), "events.openfunction.io.kafka");
    assert_eq!((wrapped.header("ce-source"), wrapped.header("ce-subject")), ("/default/clients/orders", "k1"));
    assert_eq!((wrapped.header("content-type"), &wrapped.body[..]), ("application/json", &b"{\"total\": 1.0}"[..]));
    assert_eq!((find("binary").header("ce-source"), find("structured").header("ce-source")), ("/tests", "/x"));
    assert_eq!(broker.committed("g1", "shapes", 1), HashMap::from([(0, 3)]));

    // What arrives meanwhile is there after the next start, and nothing else is.
    broker.send("shapes", [event("later")]).await;
    let process = Run::new(folder.path()).start().await;
    eventually("it is delivered", || async { receiver.count() >= 4 }).await;
    assert_eq!(process.stop().await, Some(0));
    assert_eq!(delivered(&receiver).get("later"), Some(&1));
    assert_eq!(receiver.count(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_group_begins_where_it_is_told_and_one_partition_can_be_read_alone() {
    let broker = KafkaServer::shared();
    broker.create_topic("begin", 3).await;
    let keyed = |id: &str, key: &str| Sent { key: key.to_owned(), ..event(id) };
    let early: Vec<Sent> = (0..30).map(|n| keyed(&format!("early-{n}"), &n.to_string())).collect();
    broker.send("begin", early).await;
    let (folder, receiver) = (tempfile::tempdir().unwrap(), Receiver::start().await);
    write_flow(folder.path(), &format!("brokers: \"{}\", topic: begin", broker.address()), &receiver);
    let process = Run::new(folder.path()).start().await;
    consuming(&process).await;
    broker.send("begin", (0..30).map(|n| keyed(&format!("late-{n}"), &n.to_string()))).await;
    eventually("all that are new are delivered", || async { receiver.count() >= 30 }).await;
    assert_eq!(process.stop().await, Some(0));
    assert!(delivered(&receiver).keys().all(|id| id.starts_with("late")), "a new group begins at the newest message");
    let group = "penstock-default-clients-orders";
    assert_eq!(broker.committed(group, "begin", 3).values().sum::<i64>(), 60);

    let (folder, receiver) = (tempfile::tempdir().unwrap(), Receiver::start().await);
    let one = format!(
        "url: \"{}\", topic: begin, partition: 1, consumerGroup: {{groupName: alone, oldest: true}}",
        broker.address()
    );
    write_flow(folder.path(), &one, &receiver);
    let process = Run::new(folder.path()).start().await;
    let wanted = usize::try_from(broker.committed(group, "begin", 3)[&1]).unwrap();
    eventually("the partition is delivered", || async { receiver.count() >= wanted }).await;
    assert_eq!(process.stop().await, Some(0));
    assert_eq!(receiver.count(), wanted);
    let alone = broker.committed("alone", "begin", 3);
    assert_eq!(alone.get(&1).copied(), i64::try_from(wanted).ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_share_partitions_and_take_over_those_of_the_dead() {
    let broker = KafkaServer::shared();
    broker.create_topic("replicas", 4).await;
    let receiver = Receiver::start().await;
    let start = async || {
        let folder = tempfile::tempdir().unwrap();
        let group = "consumerGroup: {groupName: pair, oldest: true, rebalanceStrategy: sticky}";
        let client = "config: {session.timeout.ms: \"6000\", heartbeat.interval.ms: \"500\"}";
        write_flow(
            folder.path(),
            &format!("url: \"{}\", topic: replicas, {group}, {client}", broker.address()),
            &receiver,
        );
        let process = Run::new(folder.path()).start().await;
        consuming(&process).await;
        (folder, process)
    };
    let keyed = |n: usize| Sent { key: n.to_string(), ..event(n) };
    let (_one, first) = start().await;
    let (_two, second) = start().await;
    broker.send("replicas", (0..200).map(keyed)).await;
    // Partitions move while messages come.
    let (_three, third) = start().await;
    broker.send("replicas", (200..400).map(keyed)).await;
    first.kill().await;
    broker.send("replicas", (400..600).map(keyed)).await;
    let wanted: HashSet<String> = (0..600).map(|n| n.to_string()).collect();
    eventually("every message is delivered", || async {
        let seen: HashSet<String> = delivered(&receiver).into_keys().collect();
        wanted.is_subset(&seen)
    })
    .await;
    for process in [second, third] {
        assert_eq!(process.stop().await, Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_end_the_process_with_the_reason_and_logins_and_tls_are_taken() {
    let broker = KafkaServer::shared();
    broker.create_topic("guarded", 1).await;
    let (folder, receiver) = (tempfile::tempdir().unwrap(), Receiver::start().await);
    let run = |settings: &str, user: &str, password: &str| {
        write_flow(folder.path(), settings, &receiver);
        Run::new(folder.path()).env("KAFKA_USER", user).env("KAFKA_PASSWORD", password)
    };
    let (plain, sasl, tls) = (broker.port, broker.sasl_port, broker.tls_port);
    let at = |port: u16, topic: &str| format!("url: \"127.0.0.1:{port}\", topic: {topic}");
    let login = |mechanism: &str| {
        format!("sasl: {{mechanism: {mechanism}, username: {{env: KAFKA_USER}}, password: {{env: KAFKA_PASSWORD}}}}")
    };

    for mechanism in ["PLAIN", "SCRAM-SHA-256"] {
        let process = run(&format!("{}, {}", at(sasl, "guarded"), login(mechanism)), USER, PASSWORD).start().await;
        consuming(&process).await;
        assert_eq!(process.stop().await, Some(0));
    }
    // OpenFunction's words.
    let flat = format!("{}, authRequired: true, saslUsername: {USER}, saslPassword: {PASSWORD}", at(sasl, "guarded"));
    let process = run(&flat, "", "").start().await;
    consuming(&process).await;
    assert_eq!(process.stop().await, Some(0));
    let trust = format!("{}, tls: {{ca: {{env: KAFKA_CA}}}}", at(tls, "guarded"));
    let process = run(&trust, "", "").env("KAFKA_CA", &broker.authority).start().await;
    consuming(&process).await;
    assert_eq!(process.stop().await, Some(0));

    let refused = async |run: Run, reason: &str| {
        let (code, log) = run.spawn().log_when_ended().await;
        assert_eq!(code, Some(1), "{log}");
        assert!(log.contains(reason) && !log.contains("hunter2"), "{log}");
    };
    for mechanism in ["PLAIN", "SCRAM-SHA-256"] {
        let wrong = run(&format!("{}, {}", at(sasl, "guarded"), login(mechanism)), USER, "hunter2");
        refused(wrong, "the broker refuses the login").await;
    }
    let unknown = run(&format!("{}, {}", at(sasl, "guarded"), login("SCRAM-SHA-512")), USER, PASSWORD);
    refused(unknown, "failed to connect to Kafka").await;
    let weak = run(&format!("{}, {}", at(sasl, "guarded"), login("PLAIN")), "weak", PASSWORD);
    refused(weak, "the broker does not permit it for this topic").await;
    refused(run(&at(plain, "nothing"), "", ""), "the topic is not there").await;
    refused(run(&format!("{}, partition: 5", at(plain, "guarded")), "", ""), "the topic has no partition 5").await;
    let other = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap().cert.pem();
    refused(run(&trust, "", "").env("KAFKA_CA", other), "TLS cannot be agreed on").await;
    // Whoever may come back is waited for, as often as the settings allow.
    let backoff = "connectionBackoff: {duration: 10ms, steps: 2}";
    refused(run(&format!("{}, {backoff}", at(free_port(), "guarded")), "", ""), "no broker can be reached").await;
    refused(run(&format!("{}, {backoff}", at(tls, "guarded")), "", ""), "failed to connect to Kafka").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_confirmed_message_is_delivered_though_process_and_broker_are_killed() {
    let mut broker = KafkaServer::start();
    broker.create_topic("orders", 2).await;
    let (folder, receiver) = (tempfile::tempdir().unwrap(), Receiver::start().await);
    let group = "consumerGroup: {groupName: killed, oldest: true}";
    let settings = "config: {session.timeout.ms: \"6000\"}, connectionBackoff: {duration: 100ms, cap: 500ms}";
    write_flow(folder.path(), &format!("url: \"{}\", topic: orders, {group}, {settings}", broker.address()), &receiver);
    let run = Run::new(folder.path());
    let keyed = |n: usize| Sent { key: n.to_string(), ..event(n) };
    let mut random = fastrand::Rng::with_seed(7);
    let mut count = 0;
    for _ in 0..4 {
        broker.send("orders", (count..count + 100).map(keyed)).await;
        count += 100;
        let process = run.start().await;
        tokio::time::sleep(Duration::from_millis(random.u64(0..1000))).await;
        process.kill().await;
    }
    let process = run.start().await;
    consuming(&process).await;
    broker.send("orders", (count..count + 500).map(keyed)).await;
    count += 500;
    broker.kill();
    eventually("the loss is seen", || async { process.log().contains("no Kafka broker can be reached") }).await;
    broker.run();
    broker.send("orders", (count..count + 100).map(keyed)).await;
    count += 100;
    let wanted: HashSet<String> = (0..count).map(|n| n.to_string()).collect();
    eventually("every message is delivered", || async {
        let seen: HashSet<String> = delivered(&receiver).into_keys().collect();
        wanted.is_subset(&seen)
    })
    .await;
    // A stop waits for what is out: nothing is left uncommitted.
    assert_eq!(process.stop().await, Some(0));
    let committed = broker.committed("killed", "orders", 2);
    assert_eq!(committed.values().sum::<i64>(), i64::try_from(count).unwrap());
}
