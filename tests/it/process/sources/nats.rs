//! NATS, a real server: core subjects and streams, every login, refusals, and whoever goes away in the middle.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::consumer::pull;
use async_nats::jetstream::{self, Context, stream};

use super::{source, trigger};
use crate::support::{NatsServer, Penstock, Receiver, Run, eventually, free_port, sink};

/// A pair of keys (of nobody): the public one, and the seed of the other.
const USER_KEY: &str = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4";
const USER_SEED: &str = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY";

/// A flow from the event `orders` (the inside of a YAML flow mapping) to a receiver.
fn write_flow(folder: &Path, settings: &str, receiver: &Receiver) {
    let yaml = source("nats")
        + &format!("    orders: {{{settings}}}\n")
        + &trigger("all", &["orders"], &[sink(&receiver.uri("/"))]);
    std::fs::write(folder.join("flow.yaml"), yaml).unwrap();
}

async fn listening(process: &Penstock) {
    eventually("it listens", || async { process.log().contains("listening to NATS") }).await;
}

/// The stream `ORDERS` of the subjects `orders.>`.
async fn stream(server: &NatsServer) -> Context {
    let context = jetstream::new(async_nats::connect(server.url()).await.unwrap());
    let settings = stream::Config {
        name: "ORDERS".to_owned(),
        subjects: vec!["orders.>".to_owned()],
        ..stream::Config::default()
    };
    context.create_stream(settings).await.unwrap();
    context
}

/// A consumer whose messages come again soon.
async fn consumer(context: &Context) {
    let settings = pull::Config {
        durable_name: Some("shop".to_owned()),
        filter_subject: "orders.*".to_owned(),
        ack_wait: Duration::from_secs(1),
        ..pull::Config::default()
    };
    context.create_consumer_on_stream(settings, "ORDERS").await.unwrap();
}

/// Publishes until the server has confirmed it.
async fn publish(context: &Context, id: impl std::fmt::Display) {
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Msg-Id", id.to_string());
    eventually("it is confirmed", || async {
        let sent = context.publish_with_headers("orders.paid", headers.clone(), "{\"n\":1}".into()).await;
        match sent {
            Ok(confirmed) => confirmed.await.is_ok(),
            Err(_) => false,
        }
    })
    .await;
}

fn delivered(receiver: &Receiver) -> HashSet<String> {
    receiver.seen().iter().map(|seen| seen.header("ce-id").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_a_stream_become_events() {
    let server = NatsServer::start("");
    let context = stream(&server).await;
    let (folder, receiver) = (tempfile::tempdir().unwrap(), Receiver::start().await);
    // Published before anyone reads.
    context.publish("orders.paid", "{\"n\":1}".into()).await.unwrap().await.unwrap();
    write_flow(
        folder.path(),
        &format!("url: \"{}\", subject: orders.*, jetstream: {{stream: ORDERS}}", server.url()),
        &receiver,
    );
    let process = Run::new(folder.path()).start().await;
    publish(&context, "m1").await;
    let mut headers = HeaderMap::new();
    for (name, value) in [("specversion", "1.0"), ("id", "binary"), ("source", "/x"), ("type", "y")] {
        headers.insert(format!("ce-{name}"), value);
    }
    headers.insert("content-type", "text/plain");
    context.publish_with_headers("orders.new", headers, "hi".into()).await.unwrap().await.unwrap();
    let event = r#"{"specversion":"1.0","id":"structured","source":"/x","type":"y","data":1}"#;
    let mut headers = HeaderMap::new();
    headers.insert("content-type", "application/cloudevents+json");
    context.publish_with_headers("orders.new", headers, event.into()).await.unwrap().await.unwrap();
    eventually("all are delivered", || async { receiver.count() >= 4 }).await;
    // What was acknowledged is not brought again, to another process either.
    eventually("all are acknowledged", || async {
        let stream = context.get_stream("ORDERS").await.unwrap();
        let mut consumer = stream.get_consumer::<pull::Config>("penstock_default_clients_orders").await.unwrap();
        consumer.info().await.unwrap().num_ack_pending == 0
    })
    .await;
    assert_eq!(process.stop().await, Some(0));
    let process = Run::new(folder.path()).start().await;
    publish(&context, "last").await;
    eventually("the last is delivered", || async { delivered(&receiver).contains("last") }).await;
    assert_eq!(process.stop().await, Some(0));
    let seen = receiver.seen();
    assert_eq!(seen.len(), 5, "{:?}", delivered(&receiver));
    let find = |id: &str| seen.iter().find(|seen| seen.header("ce-id") == id).unwrap();
    let wrapped = find("ORDERS-1");
    assert_eq!(wrapped.header("ce-type"), "events.openfunction.io.nats");
    assert_eq!((wrapped.header("ce-source"), wrapped.header("ce-subject")), ("/default/clients/orders", "orders.paid"));
    assert_eq!((wrapped.header("content-type"), &wrapped.body[..]), ("application/json", &br#"{"n":1}"#[..]));
    assert_eq!(find("m1").header("ce-subject"), "orders.paid");
    assert_eq!((find("binary").header("ce-type"), find("binary").header("content-type")), ("y", "text/plain"));
    assert_eq!(find("structured").header("ce-source"), "/x");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_confirmed_message_is_delivered_though_the_process_is_killed() {
    const KILLS: usize = 10;
    let server = NatsServer::start("");
    let context = stream(&server).await;
    consumer(&context).await;
    let (folder, receiver) = (tempfile::tempdir().unwrap(), Receiver::start().await);
    let jetstream = "jetstream: {stream: ORDERS, durable: shop}";
    write_flow(folder.path(), &format!("url: \"{}\", subject: orders.*, {jetstream}", server.url()), &receiver);
    let run = Run::new(folder.path());
    let publishing = tokio::spawn(async move {
        for number in 0..1000 {
            publish(&context, number).await;
        }
    });
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..KILLS {
        let process = run.start().await;
        tokio::time::sleep(Duration::from_millis(random.u64(0..100))).await;
        process.kill().await;
    }
    publishing.await.unwrap();
    let process = run.start().await;
    let wanted: HashSet<String> = (0..1000).map(|number| number.to_string()).collect();
    eventually("every message is delivered", || async { wanted.is_subset(&delivered(&receiver)) }).await;
    assert_eq!(process.stop().await, Some(0));
    assert_eq!(delivered(&receiver), wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_away_and_comes_back_is_waited_for() {
    let mut server = NatsServer::start("");
    let context = stream(&server).await;
    consumer(&context).await;
    let (folder, receiver) = (tempfile::tempdir().unwrap(), Receiver::start().await);
    let backoff = "connectionBackoff: {duration: 100ms, cap: 500ms}";
    let jetstream = "jetstream: {stream: ORDERS, durable: shop}";
    let settings = format!("url: \"{}\", subject: orders.*, {jetstream}, {backoff}", server.url());
    write_flow(folder.path(), &settings, &receiver);
    server.kill();
    let process = Run::new(folder.path()).start().await;
    eventually("it waits", || async { process.log().contains("no connection to NATS; trying again") }).await;
    server.run();
    listening(&process).await;
    let mut wanted = HashSet::new();
    for round in 0..3 {
        for number in 0..50 {
            publish(&context, format!("{round}-{number}")).await;
            wanted.insert(format!("{round}-{number}"));
        }
        server.kill();
        server.run();
    }
    server.pause();
    server.resume();
    publish(&context, "last").await;
    wanted.insert("last".to_owned());
    eventually("every message is delivered", || async { wanted.is_subset(&delivered(&receiver)) }).await;
    assert_eq!(process.stop().await, Some(0));
    assert_eq!(receiver.count(), wanted.len(), "what came again was recognised");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_group_shares_a_core_subject() {
    let mut server = NatsServer::start("");
    let receiver = Receiver::start().await;
    let mut processes = Vec::new();
    for _ in 0..2 {
        let folder = tempfile::tempdir().unwrap();
        let backoff = "connectionBackoff: {duration: 100ms, cap: 500ms}";
        let settings = format!("url: \"{}\", subject: orders.*, queueGroup: shop, {backoff}", server.url());
        write_flow(folder.path(), &settings, &receiver);
        let process = Run::new(folder.path()).start().await;
        listening(&process).await;
        processes.push((process, folder));
    }
    let client = async_nats::connect(server.url()).await.unwrap();
    for _ in 0..100 {
        client.publish("orders.paid", "{}".into()).await.unwrap();
    }
    client.flush().await.unwrap();
    eventually("all are delivered", || async { receiver.count() >= 100 }).await;
    // A subscription is made again after an outage.
    server.kill();
    server.run();
    eventually("a message is delivered again", || async {
        let client = async_nats::connect(server.url()).await.unwrap();
        client.publish("orders.again", "{}".into()).await.unwrap();
        client.flush().await.unwrap();
        receiver.seen().iter().any(|seen| seen.header("ce-subject") == "orders.again")
    })
    .await;
    for (process, _) in processes {
        assert_eq!(process.stop().await, Some(0));
    }
    let seen = receiver.seen();
    assert_eq!(seen.iter().filter(|seen| seen.header("ce-subject") == "orders.paid").count(), 100);
    assert_eq!(delivered(&receiver).len(), seen.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_refuses_ends_the_process_with_the_reason() {
    let users = format!(
        "authorization {{ users = [
            {{user: shop, password: right}}
            {{nkey: {USER_KEY}}}
            {{user: guest, password: right, permissions: {{subscribe: [\"_INBOX.>\"]}}}}
        ] }}"
    );
    let server = NatsServer::start(&users);
    let (folder, receiver) = (tempfile::tempdir().unwrap(), Receiver::start().await);
    let run = |password: &str| {
        Run::new(folder.path()).env("NATS_USER", "shop").env("NATS_GUEST", "guest").env("NATS_PASSWORD", password)
    };
    let url = format!("url: \"{}\", subject: orders.paid", server.url());
    let login = "user: {env: NATS_USER}, password: {env: NATS_PASSWORD}";
    let ends = async |settings: &str, password: &str, expected: &str| {
        write_flow(folder.path(), settings, &receiver);
        let (code, log) = run(password).spawn().log_when_ended().await;
        assert_eq!(code, Some(1), "{log}");
        assert!(log.contains(expected), "{expected}: {log}");
        assert!(!log.contains("hunter2") && !log.contains("SUBAD"), "{log}");
    };
    let wrong_login = "failed to connect to NATS: the server refuses the login";
    ends(&format!("{url}, {login}"), "hunter2", wrong_login).await;
    ends(&format!("{url}, nkey: {{env: NATS_PASSWORD}}"), "SUBAD", wrong_login).await;
    let guest = "user: {env: NATS_GUEST}, password: {env: NATS_PASSWORD}";
    ends(&format!("{url}, {guest}"), "right", "Permissions Violation for Subscription to \"orders.paid\"").await;
    let missing = "there is no such stream on the server";
    ends(&format!("{url}, {login}, jetstream: {{stream: NONE}}"), "right", missing).await;

    let options = async_nats::ConnectOptions::with_user_and_password("shop".to_owned(), "right".to_owned());
    let context = jetstream::new(options.connect(server.url()).await.unwrap());
    let settings =
        stream::Config { name: "ORDERS".to_owned(), subjects: vec!["orders.*".to_owned()], ..Default::default() };
    context.create_stream(settings).await.unwrap();
    consumer(&context).await;
    let other = "it is there and reads \"orders.*\", not \"orders.paid\": name another durable";
    ends(&format!("{url}, {login}, jetstream: {{stream: ORDERS, durable: shop}}"), "right", other).await;

    write_flow(folder.path(), &format!("{url}, nkey: {{env: NATS_PASSWORD}}"), &receiver);
    let process = run(USER_SEED).start().await;
    listening(&process).await;
    assert_eq!(process.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_spoken_with_a_server_whose_authority_is_known_and_with_no_other() {
    let key = rcgen::KeyPair::generate().unwrap();
    let cert = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap();
    let files = tempfile::tempdir().unwrap();
    let (cert_file, key_file) = (files.path().join("cert.pem"), files.path().join("key.pem"));
    std::fs::write(&cert_file, cert.pem()).unwrap();
    std::fs::write(&key_file, key.serialize_pem()).unwrap();
    let tls = format!("tls {{ cert_file: \"{}\", key_file: \"{}\" }}", cert_file.display(), key_file.display());
    let server = NatsServer::start(&tls);
    let (folder, receiver) = (tempfile::tempdir().unwrap(), Receiver::start().await);
    let settings = format!("url: \"{}\", subject: s, tls: {{ca: {{env: NATS_CA}}}}", server.url());
    write_flow(folder.path(), &settings, &receiver);
    let process = Run::new(folder.path()).env("NATS_CA", cert.pem()).start().await;
    listening(&process).await;
    assert_eq!(process.stop().await, Some(0));
    let other = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap().cert.pem();
    let (code, log) = Run::new(folder.path()).env("NATS_CA", other).spawn().log_when_ended().await;
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("TLS cannot be agreed on"), "{log}");
}

#[tokio::test]
async fn without_a_server_the_attempts_end_where_the_settings_say_so() {
    let (folder, receiver) = (tempfile::tempdir().unwrap(), Receiver::start().await);
    let backoff = "connectionBackoff: {duration: 10ms, steps: 3}";
    write_flow(folder.path(), &format!("url: \"nats://127.0.0.1:{}\", subject: s, {backoff}", free_port()), &receiver);
    let (code, log) = Run::new(folder.path()).spawn().log_when_ended().await;
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("no server can be reached"), "{log}");
}
