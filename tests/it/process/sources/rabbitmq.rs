//! `RabbitMQ`, the real one: queues and exchanges, refusals, and whoever goes away in the middle.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use lapin::BasicProperties;
use lapin::options::{QueueDeclareOptions, QueuePurgeOptions};
use lapin::types::{AMQPValue, FieldTable};

use super::{source, trigger};
use crate::support::{Penstock, RabbitMq, Receiver, Run, eventually, sink};

/// A flow from the event `orders` (the inside of a YAML flow mapping) to a receiver.
fn write_flow(folder: &Path, settings: &str, receiver: &Receiver) {
    let yaml = source("rabbitmq")
        + &format!("    orders: {{{settings}}}\n")
        + &trigger("all", &["orders"], &[sink(&receiver.uri("/"))]);
    std::fs::write(folder.join("flow.yaml"), yaml).unwrap();
}

async fn consuming(process: &Penstock) {
    eventually("it consumes", || async { process.log().contains("consuming from RabbitMQ") }).await;
}

/// A message whose id is that of its event.
fn message(id: impl std::fmt::Display) -> (BasicProperties, String) {
    (BasicProperties::default().with_message_id(id.to_string().into()), "{\"n\":1}".to_owned())
}

fn delivered(receiver: &Receiver) -> HashSet<String> {
    receiver.seen().iter().map(|seen| seen.header("ce-id").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_become_events_and_refusals_end_the_process_with_the_reason() {
    let key = rcgen::KeyPair::generate().unwrap();
    let cert = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap();
    let tls_port = crate::support::free_port();
    let broker = RabbitMq::start(|folder| {
        std::fs::write(folder.join("cert.pem"), cert.pem()).unwrap();
        std::fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
        let path = |name: &str| folder.join(name).display().to_string();
        format!(
            "listeners.ssl.1 = 127.0.0.1:{tls_port}\nssl_options.certfile = {}\nssl_options.keyfile = {}\n\
             ssl_options.cacertfile = {}\nssl_options.verify = verify_none",
            path("cert.pem"),
            path("key.pem"),
            path("cert.pem")
        )
    })
    .await;

    // An exchange that is not there yet, over TLS; wrapped, binary and structured messages.
    let (folder, receiver) = (tempfile::tempdir().unwrap(), Receiver::start().await);
    let exchange = "exchange: {name: shop, type: topic, routingKeys: [order.*]}";
    write_flow(
        folder.path(),
        &format!("url: \"amqps://127.0.0.1:{tls_port}\", tls: {{ca: {{env: AMQP_CA}}}}, {exchange}"),
        &receiver,
    );
    let process = Run::new(folder.path()).env("AMQP_CA", cert.pem()).start().await;
    consuming(&process).await;
    let mut headers = FieldTable::default();
    for (name, text) in [("specversion", "1.0"), ("id", "binary"), ("source", "/x"), ("type", "y")] {
        headers.insert(format!("cloudEvents:{name}").into(), AMQPValue::LongString(text.into()));
    }
    let binary = BasicProperties::default().with_headers(headers).with_content_type("text/plain".into());
    let structured = BasicProperties::default().with_content_type("application/cloudevents+json".into());
    let event = r#"{"specversion":"1.0","id":"structured","source":"/x","type":"y","data":1}"#;
    let messages = [message("wrapped"), (binary, "hi".to_owned()), (structured, event.to_owned())];
    broker.publish("shop", "order.paid", messages).await;
    eventually("all are delivered", || async { receiver.count() >= 3 }).await;
    assert_eq!(process.stop().await, Some(0));
    let seen = receiver.seen();
    let find = |id: &str| seen.iter().find(|seen| seen.header("ce-id") == id).unwrap();
    let wrapped = find("wrapped");
    assert_eq!(wrapped.header("ce-type"), "events.openfunction.io.rabbitmq");
    assert_eq!((wrapped.header("ce-source"), wrapped.header("ce-subject")), ("/default/clients/orders", "order.paid"));
    assert_eq!((find("binary").header("ce-type"), find("binary").header("content-type")), ("y", "text/plain"));
    assert_eq!(find("structured").header("ce-source"), "/x");
    // What arrives meanwhile is there after the next start.
    broker.publish("shop", "order.paid", [message("later")]).await;
    let process = Run::new(folder.path()).env("AMQP_CA", cert.pem()).start().await;
    eventually("it is delivered", || async { delivered(&receiver).contains("later") }).await;
    assert_eq!(process.stop().await, Some(0));
    let other = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap().cert.pem();
    let (code, log) = Run::new(folder.path()).env("AMQP_CA", other).spawn().log_when_ended().await;
    assert!(code == Some(1) && log.contains("TLS cannot be agreed on"), "{log}");

    let refused = async |settings: String, reason: &str| {
        write_flow(folder.path(), &settings, &receiver);
        let run = Run::new(folder.path()).env("AMQP_USER", "guest").env("AMQP_PASSWORD", "hunter2");
        let (code, log) = run.spawn().log_when_ended().await;
        assert_eq!(code, Some(1), "{log}");
        assert!(log.contains(reason) && !log.contains("hunter2"), "{log}");
    };
    let url = broker.url();
    let login = "username: {env: AMQP_USER}, password: {env: AMQP_PASSWORD}";
    refused(format!("url: \"{url}\", queue: q, {login}"), "the broker refuses the login").await;
    refused(format!("url: \"{url}/nowhere\", queue: q"), "is the virtual host there").await;
    refused(format!("url: \"{url}\", queue: nothing, declare: false"), "it is not there (queue nothing)").await;
    let exchange = "exchange: {name: shop, type: fanout}";
    refused(format!("url: \"{url}\", queue: q, {exchange}"), "it is there with other properties").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_confirmed_message_is_delivered_though_process_and_broker_are_killed() {
    let mut broker = RabbitMq::start(|_| String::new()).await;
    let (folder, receiver) = (tempfile::tempdir().unwrap(), Receiver::start().await);
    let backoff = "connectionBackoff: {duration: 100ms, cap: 500ms}";
    write_flow(folder.path(), &format!("url: \"{}\", queue: orders, prefetch: 10, {backoff}", broker.url()), &receiver);
    {
        // A queue that was made by somebody else is taken as it is.
        let (_connection, channel) = broker.channel().await;
        let mut arguments = FieldTable::default();
        arguments.insert("x-dead-letter-exchange".into(), AMQPValue::LongString("dead".into()));
        channel.queue_declare("orders".into(), QueueDeclareOptions::durable(), arguments).await.unwrap();
    }
    let run = Run::new(folder.path());
    let mut random = fastrand::Rng::with_seed(7);
    let mut count = 0;
    for _ in 0..8 {
        broker.publish("", "orders", (count..count + 100).map(message)).await;
        count += 100;
        let process = run.start().await;
        tokio::time::sleep(Duration::from_millis(random.u64(0..80))).await;
        process.kill().await;
    }
    let process = run.start().await;
    consuming(&process).await;
    broker.publish("", "orders", (count..count + 500).map(message)).await;
    count += 500;
    broker.kill();
    eventually("the loss is seen", || async { process.log().contains("no connection to RabbitMQ") }).await;
    broker.run().await;
    broker.publish("", "orders", (count..count + 100).map(message)).await;
    count += 100;
    let wanted: HashSet<String> = (0..count).map(|n| n.to_string()).collect();
    eventually("every message is delivered", || async { delivered(&receiver) == wanted }).await;
    // A stop waits for what is out: nothing is left in the queue.
    assert_eq!(process.stop().await, Some(0));
    let (_connection, channel) = broker.channel().await;
    assert_eq!(channel.queue_purge("orders".into(), QueuePurgeOptions::default()).await.unwrap(), 0);
}
