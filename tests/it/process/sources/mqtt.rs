//! MQTT with a real Mosquitto: both versions of the protocol, every quality of service, and whoever
//! goes away in the middle.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rumqttc::v5;
use rumqttc::v5::mqttbytes::v5::PublishProperties;
use rumqttc::{AsyncClient, Event, MqttOptions, Outgoing, Packet, QoS};

use super::{source, trigger};
use crate::support::{Mosquitto, Penstock, Receiver, Run, eventually, free_port, sink};

/// A flow from the event `sensors` (the inside of a YAML flow mapping) to a receiver.
fn write_flow(folder: &Path, settings: &str, receiver: &Receiver) {
    let yaml = source("mqtt")
        + &format!("    sensors: {{{settings}}}\n")
        + &trigger("all", &["sensors"], &[sink(&receiver.uri("/"))]);
    std::fs::write(folder.join("flow.yaml"), yaml).unwrap();
}

/// Waits until the broker has taken the subscription.
async fn subscribed(process: &Penstock) {
    eventually("it has subscribed", || async { process.log().contains("subscribed at the MQTT broker") }).await;
}

/// A `CloudEvent` in structured mode, which MQTT 3.1.1 can carry too.
fn event(id: impl std::fmt::Display) -> String {
    format!(r#"{{"specversion":"1.0","id":"{id}","source":"/tests","type":"com.example.m","data":{{"n":1}}}}"#)
}

/// How often each id was delivered.
fn delivered(receiver: &Receiver) -> HashMap<String, usize> {
    let mut times = HashMap::new();
    for seen in receiver.seen() {
        *times.entry(seen.header("ce-id").to_owned()).or_default() += 1;
    }
    times
}

#[tokio::test]
async fn messages_of_every_quality_become_events_with_both_versions() {
    let broker = Mosquitto::start();
    for version in ["3.1.1", "5"] {
        for (level, qos) in [(0, QoS::AtMostOnce), (1, QoS::AtLeastOnce), (2, QoS::ExactlyOnce)] {
            let (folder, receiver) = (tempfile::tempdir().unwrap(), Receiver::start().await);
            let topic = format!("v{version}/q{level}");
            let settings =
                format!("url: \"{}\", topic: \"{topic}/+\", version: \"{version}\", qos: {level}", broker.url());
            write_flow(folder.path(), &settings, &receiver);
            let process = Run::new(folder.path()).start().await;
            subscribed(&process).await;
            broker.publish(&format!("{topic}/kitchen"), qos, [r#"{"t":21}"#.to_owned(), event("one")]).await;
            eventually("both are delivered", || async { receiver.count() >= 2 }).await;
            assert_eq!(process.stop().await, Some(0));
            let mut seen = receiver.seen();
            assert_eq!(seen.len(), 2, "{seen:?}");
            // No order is promised.
            seen.sort_by_key(|seen| seen.header("ce-id") == "one");
            assert_eq!(seen[0].header("ce-type"), "events.openfunction.io.mqtt");
            assert_eq!(seen[0].header("ce-source"), "/default/clients/sensors");
            assert_eq!(seen[0].header("ce-subject"), format!("{topic}/kitchen"));
            assert_eq!((seen[0].header("content-type"), &seen[0].body[..]), ("application/json", &br#"{"t":21}"#[..]));
            assert_eq!((seen[1].header("ce-id"), seen[1].header("ce-source")), ("one", "/tests"));
        }
    }
}

#[tokio::test]
async fn mqtt_5_carries_events_in_its_properties() {
    let broker = Mosquitto::start();
    let (folder, receiver) = (tempfile::tempdir().unwrap(), Receiver::start().await);
    write_flow(folder.path(), &format!("url: \"{}\", topic: t, version: \"5\"", broker.url()), &receiver);
    let process = Run::new(folder.path()).start().await;
    subscribed(&process).await;
    let (client, mut events) = v5::AsyncClient::new(v5::MqttOptions::new("publisher", "127.0.0.1", broker.port), 8);
    let pairs = [("specversion", "1.0"), ("id", "b"), ("source", "/x"), ("type", "y"), ("room", "küche")];
    let properties = PublishProperties {
        content_type: Some("text/plain".to_owned()),
        user_properties: pairs.map(|(name, text)| (name.to_owned(), text.to_owned())).into(),
        ..PublishProperties::default()
    };
    client.publish_with_properties("t", v5::mqttbytes::QoS::AtLeastOnce, false, "warm", properties).await.unwrap();
    let publishing = tokio::spawn(async move { while events.poll().await.is_ok() {} });
    eventually("it is delivered", || async { receiver.count() >= 1 }).await;
    let seen = receiver.seen().remove(0);
    assert_eq!((seen.header("ce-id"), seen.header("ce-type"), seen.header("ce-source")), ("b", "y", "/x"));
    assert_eq!((seen.header("ce-room"), seen.header("content-type")), ("k%C3%BCche", "text/plain"));
    assert_eq!(&seen.body[..], b"warm");
    assert_eq!(process.stop().await, Some(0));
    publishing.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_confirmed_message_is_delivered_though_the_process_is_killed() {
    const KILLS: usize = 15;
    for (version, level, qos) in [("3.1.1", 1, QoS::AtLeastOnce), ("5", 2, QoS::ExactlyOnce)] {
        let broker = Arc::new(Mosquitto::start());
        let (folder, receiver) = (tempfile::tempdir().unwrap(), Receiver::start().await);
        let settings = format!("url: \"{}\", topic: t, version: \"{version}\", qos: {level}", broker.url());
        write_flow(folder.path(), &settings, &receiver);
        let run = Run::new(folder.path());
        let process = run.start().await;
        // From here on the broker keeps the session.
        subscribed(&process).await;
        process.kill().await;
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, publisher) = (stop.clone(), broker.clone());
        let publishing = tokio::spawn(async move {
            let mut count = 0;
            while !stopped.load(Ordering::SeqCst) {
                publisher.publish("t", qos, (count..count + 20).map(event)).await;
                count += 20;
            }
            count
        });
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..KILLS {
            let process = run.start().await;
            tokio::time::sleep(Duration::from_millis(random.u64(0..100))).await;
            process.kill().await;
        }
        stop.store(true, Ordering::SeqCst);
        let count = publishing.await.unwrap();
        let process = run.start().await;
        let wanted: HashSet<String> = (0..count).map(|n| n.to_string()).collect();
        eventually("every message is delivered", || async {
            let seen: HashSet<String> = delivered(&receiver).into_keys().collect();
            wanted.is_subset(&seen)
        })
        .await;
        assert_eq!(process.stop().await, Some(0));
        assert!(delivered(&receiver).keys().all(|id| wanted.contains(id)));
    }
}

/// Leaves a session in which the broker waits for the end of a handshake of `QoS` 2.
async fn leave_half_way(broker: &Mosquitto, client_id: &str) {
    let mut options = MqttOptions::new(client_id, "127.0.0.1", broker.port);
    options.set_clean_session(false).set_manual_acks(true);
    let (client, mut events) = AsyncClient::new(options, 10);
    client.try_subscribe("t", QoS::ExactlyOnce).unwrap();
    loop {
        match events.poll().await.unwrap() {
            Event::Incoming(Packet::SubAck(_)) => broker.publish("t", QoS::ExactlyOnce, [event("before")]).await,
            Event::Incoming(Packet::Publish(publish)) => client.try_ack(&publish).unwrap(),
            Event::Outgoing(Outgoing::PubRec(_)) => return,
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_session_of_another_quality_is_gone_on_with() {
    let broker = Mosquitto::start();
    for version in ["3.1.1", "5"] {
        leave_half_way(&broker, version).await;
        let (folder, receiver) = (tempfile::tempdir().unwrap(), Receiver::start().await);
        let settings =
            format!("url: \"{}\", topic: t, version: \"{version}\", consumerID: \"{version}\", qos: 0", broker.url());
        write_flow(folder.path(), &settings, &receiver);
        let process = Run::new(folder.path()).start().await;
        subscribed(&process).await;
        broker.publish("t", QoS::AtMostOnce, [event("after")]).await;
        eventually("it is delivered", || async { delivered(&receiver).contains_key("after") }).await;
        assert_eq!(process.stop().await, Some(0));
    }
}

#[tokio::test]
async fn a_broker_that_goes_away_and_comes_back_is_waited_for() {
    for (version, level, qos) in [("3.1.1", 2, QoS::ExactlyOnce), ("5", 1, QoS::AtLeastOnce)] {
        let mut broker = Mosquitto::start();
        let (folder, receiver) = (tempfile::tempdir().unwrap(), Receiver::start().await);
        let backoff = "connectionBackoff: {duration: 100ms, cap: 500ms}";
        let settings = format!("url: \"{}\", topic: t, version: \"{version}\", qos: {level}, {backoff}", broker.url());
        write_flow(folder.path(), &settings, &receiver);
        broker.stop();
        let process = Run::new(folder.path()).start().await;
        eventually("it waits", || async { process.log().contains("no connection to the MQTT broker") }).await;
        broker.run();
        subscribed(&process).await;
        for round in 0..3 {
            broker.publish("t", qos, (0..100).map(|n| event(format!("{round}-{n}")))).await;
            broker.stop();
            broker.run();
        }
        eventually("every message is delivered", || async { delivered(&receiver).len() >= 300 }).await;
        assert_eq!(process.stop().await, Some(0));
        assert_eq!(delivered(&receiver).len(), 300);
    }
}

#[tokio::test]
async fn replicas_share_the_messages_of_a_group() {
    let broker = Mosquitto::start();
    let receiver = Receiver::start().await;
    let mut processes = Vec::new();
    let mut folders = Vec::new();
    for replica in ["a", "b"] {
        let folder = tempfile::tempdir().unwrap();
        let settings =
            format!("url: \"{}\", topic: t, version: \"5\", sharedGroup: g, consumerID: {replica}", broker.url());
        write_flow(folder.path(), &settings, &receiver);
        let process = Run::new(folder.path()).start().await;
        subscribed(&process).await;
        processes.push(process);
        folders.push(folder);
    }
    broker.publish("t", QoS::AtLeastOnce, (0..100).map(event)).await;
    eventually("every message is delivered", || async { delivered(&receiver).len() >= 100 }).await;
    for process in processes {
        assert_eq!(process.stop().await, Some(0));
    }
    let times = delivered(&receiver);
    assert!(times.len() == 100 && times.values().all(|times| *times == 1), "{times:?}");
}

#[tokio::test]
async fn a_wrong_password_ends_the_process_with_the_reason() {
    let broker = Mosquitto::start_for("sensors", "right");
    for version in ["3.1.1", "5"] {
        let (folder, receiver) = (tempfile::tempdir().unwrap(), Receiver::start().await);
        let login = "username: {env: MQTT_USER}, password: {env: MQTT_PASSWORD}";
        let settings = format!("url: \"{}\", topic: t, version: \"{version}\", {login}", broker.url());
        write_flow(folder.path(), &settings, &receiver);
        let run = |password: &str| Run::new(folder.path()).env("MQTT_USER", "sensors").env("MQTT_PASSWORD", password);
        let (code, log) = run("hunter2").spawn().log_when_ended().await;
        assert_eq!(code, Some(1), "{log}");
        assert!(log.contains("failed to connect to the MQTT broker: the broker refuses the login"), "{log}");
        assert!(!log.contains("hunter2"), "{log}");
        let process = run("right").start().await;
        subscribed(&process).await;
        assert_eq!(process.stop().await, Some(0));
    }
}

#[tokio::test]
async fn tls_is_spoken_with_a_broker_whose_authority_is_known_and_with_no_other() {
    let key = rcgen::KeyPair::generate().unwrap();
    let cert = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap();
    let broker = Mosquitto::start_with(|folder| {
        let (cert_file, key_file) = (folder.join("cert.pem"), folder.join("key.pem"));
        std::fs::write(&cert_file, cert.pem()).unwrap();
        std::fs::write(&key_file, key.serialize_pem()).unwrap();
        format!("allow_anonymous true\ncertfile {}\nkeyfile {}\n", cert_file.display(), key_file.display())
    });
    let (folder, receiver) = (tempfile::tempdir().unwrap(), Receiver::start().await);
    let url = format!("url: \"mqtts://127.0.0.1:{}\", topic: t", broker.port);
    write_flow(folder.path(), &format!("{url}, caCert: {{env: MQTT_CA}}"), &receiver);
    let process = Run::new(folder.path()).env("MQTT_CA", cert.pem()).start().await;
    subscribed(&process).await;
    assert_eq!(process.stop().await, Some(0));
    let other = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap().cert.pem();
    let (code, log) = Run::new(folder.path()).env("MQTT_CA", other).spawn().log_when_ended().await;
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("TLS cannot be agreed on"), "{log}");
}

#[tokio::test]
async fn without_a_broker_the_attempts_end_where_the_settings_say_so() {
    let (folder, receiver) = (tempfile::tempdir().unwrap(), Receiver::start().await);
    let backoff = "connectionBackoff: {duration: 10ms, steps: 3}";
    write_flow(folder.path(), &format!("url: \"mqtt://127.0.0.1:{}\", topic: t, {backoff}", free_port()), &receiver);
    let (code, log) = Run::new(folder.path()).spawn().log_when_ended().await;
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("the broker cannot be reached"), "{log}");
}
