//! The suite on Redis streams, on a real server; and what can happen to one.

mod cluster;
mod sentinel;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use penstock::api::event_bus::RedisBus;
use penstock::api::secret::Unresolved;
use penstock::api::{FieldPath, Problems, Secret, client::Tls};
use penstock::buses::redis::Redis;
use penstock::buses::redis::config::{Config, Keep};
use penstock::event::{Data, Draft};
use penstock::fault::{Fault, FaultKind};
use penstock::flow::{Bus, Position, Published, Store, Topic};
use penstock::task;

use super::outage::{child_that_holds, hold, publish_stubbornly, receive_until, stand_still};
use super::{Backend, PATIENCE, ack_all, event, ids, numbers, outgoing, publish, subscribe, take, topic};
use crate::support::RedisServer;

/// Where the child finds the server; set by the parent alone.
const CHILD_ADDRESS: &str = "PENSTOCK_TEST_CHILD_REDIS";

struct Server(RedisServer);

impl Server {
    fn start() -> Self {
        Self(RedisServer::start(&[]))
    }

    async fn bus(&self) -> Arc<Redis> {
        Arc::new(Redis::open(config(&self.0.address())).await.unwrap())
    }
}

fn config(address: &str) -> Config {
    parse(&RedisBus { address: Some(address.to_owned()), ..RedisBus::default() })
}

fn parse(raw: &RedisBus) -> Config {
    let mut problems = Problems::new();
    let config = Config::parse(raw, &FieldPath::root(), &Unresolved, &mut problems);
    assert!(problems.is_empty(), "{problems}");
    config.of_bus("default", "test")
}

fn key(topic: &Topic) -> String {
    format!("penstock:default:test:{{{topic}}}")
}

async fn connection(server: &RedisServer) -> redis::aio::MultiplexedConnection {
    let client = redis::Client::open(format!("redis://{}", server.address())).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

#[async_trait]
impl Backend for Server {
    async fn open_with_store(&self) -> (Arc<dyn Bus>, Arc<dyn Store>) {
        let bus = self.bus().await;
        (bus.clone(), bus)
    }

    async fn damage(&self, topic: &Topic, position: Position) -> bool {
        // Entries do not change: the stream is written anew, with the same ids. It has no groups yet.
        let mut connection = connection(&self.0).await;
        let stream = key(topic);
        let mut entries = redis::cmd("XRANGE");
        entries.arg(&stream).arg("-").arg("+");
        let entries: Vec<(String, Vec<Vec<u8>>)> = entries.query_async(&mut connection).await.unwrap();
        redis::cmd("DEL").arg(&stream).exec_async(&mut connection).await.unwrap();
        for (id, mut fields) in entries {
            if id == position.to_string() {
                fields[1].truncate(3);
            }
            let mut add = redis::cmd("XADD");
            add.arg(&stream).arg(id).arg(fields);
            add.exec_async(&mut connection).await.unwrap();
        }
        true
    }
}

super::suite!(Server::start());

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_server_that_writes_before_it_answers_is_durable() {
    for (arguments, durable) in
        [(&[][..], true), (&["--appendfsync", "everysec"][..], false), (&["--appendonly", "no"][..], false)]
    {
        let server = RedisServer::start(arguments);
        let bus = Redis::open(config(&server.address())).await.unwrap();
        assert_eq!(bus.capability().durable, durable, "{arguments:?}");
        bus.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_work_for_long_is_not_handed_out_again() {
    let server = Server::start();
    let short = Config { ack_wait: Duration::from_secs(1), ..config(&server.0.address()) };
    let bus = Redis::open(short).await.unwrap();
    let topic = topic("long");
    let mut holder = subscribe(&bus, &topic, "g", 10).await;
    publish(&bus, &topic, numbers(0..3)).await;
    let held = take(&mut *holder, 3).await;
    let mut other = subscribe(&bus, &topic, "g", 10).await;
    let more = task::within(Duration::from_secs(4), other.next()).await;
    assert!(more.is_none(), "{more:?}");
    ack_all(held);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retention_deletes_what_is_too_much() {
    let server = Server::start();
    let keep = Keep { bytes: Some(64 << 10), ..Keep::default() };
    let bus = Redis::open(config(&server.0.address()).keeping(keep)).await.unwrap();
    let topic = topic("kept");
    publish(&bus, &topic, numbers(0..5000)).await;
    let mut connection = connection(&server.0).await;
    crate::support::eventually("the oldest events are deleted", || {
        let mut connection = connection.clone();
        let mut length = redis::cmd("XLEN");
        length.arg(key(&topic));
        async move { length.query_async::<usize>(&mut connection).await.unwrap() < 4000 }
    })
    .await;
    let mut newest = redis::cmd("XREVRANGE");
    newest.arg(key(&topic)).arg("+").arg("-").arg("COUNT").arg(1);
    let newest: Vec<(String, Vec<Vec<u8>>)> = newest.query_async(&mut connection).await.unwrap();
    assert_eq!(newest.len(), 1, "the newest stays");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_takes_nothing_holds_no_more_bytes_than_it_may() {
    let (server, topic) = (Server::start(), topic("large"));
    let bus = server.bus().await;
    let stopped = subscribe(&*bus, &topic, "g", 100).await;
    let data = vec![7; 1 << 20];
    for id in numbers(0..40) {
        let event = Draft::new(&id, "/conformance", "large").data(Data::Binary(&data)).build().unwrap();
        bus.publish(&topic, vec![outgoing(event)]).await.remove(0).unwrap();
    }
    // What one member holds, the other cannot get: 8 MiB, and one fetch that had begun.
    let mut other = subscribe(&*bus, &topic, "g", 100).await;
    let mut seen = BTreeSet::new();
    receive_until(&mut *other, &mut seen, PATIENCE, |seen| seen.len() >= 40 - 16).await;
    drop(stopped);
    receive_until(&mut *other, &mut seen, PATIENCE, |seen| seen.len() == 40).await;
}

/// Not a test but the process that is killed: it takes events, says so, and does nothing more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started, and killed, by its parent"]
#[expect(clippy::disallowed_methods, reason = "the parent can hand over an address in no other way")]
async fn child() {
    let config = Config { ack_wait: Duration::from_secs(1), ..config(&std::env::var(CHILD_ADDRESS).unwrap()) };
    let bus = Redis::open(config).await.unwrap();
    hold(&bus, &topic("dead")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_process_held_goes_to_the_others() {
    let server = Server::start();
    let config = Config { ack_wait: Duration::from_secs(1), ..config(&server.0.address()) };
    let bus = Redis::open(config).await.unwrap();
    let topic = topic("dead");
    publish(&bus, &topic, numbers(0..10)).await;
    let path = "conformance::redis::child";
    let (mut child, held) = child_that_holds(path, CHILD_ADDRESS, &server.0.address()).await;
    assert_eq!(held.len(), 10);
    let mut subscriber = subscribe(&bus, &topic, "g", 100).await;
    publish(&bus, &topic, ["new".to_owned()]).await;
    let first = take(&mut *subscriber, 1).await;
    assert_eq!(ids(&first), ["new"], "what the living hold is theirs");
    ack_all(first);
    child.start_kill().unwrap();
    child.wait().await.unwrap();
    let received = take(&mut *subscriber, 10).await;
    assert_eq!(ids(&received), numbers(0..10));
    assert!(received.iter().all(|received| received.attempt == 2));
    ack_all(received);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_loses_nothing_confirmed_and_readers_go_on() {
    let mut server = RedisServer::start(&[]);
    let bus = Redis::open(config(&server.address())).await.unwrap();
    let topic = topic("outage");
    let mut subscriber = subscribe(&bus, &topic, "g", 20).await;
    let mut seen = BTreeSet::new();
    for round in 0..3 {
        let name = |number: usize| format!("{round}-{number:03}");
        for number in 0..100 {
            publish_stubbornly(&bus, &topic, &name(number)).await;
        }
        let received = take(&mut *subscriber, 20).await;
        seen.extend(ids(&received));
        ack_all(received);
        let held = take(&mut *subscriber, 20).await;
        server.kill();
        let fault = bus.publish(&topic, vec![outgoing(event("lost"))]).await.remove(0).unwrap_err();
        assert!(fault.is_retryable(), "{fault:?}");
        assert!(bus.ailment().is_some());
        seen.extend(ids(&held));
        ack_all(held);
        server.run();
        publish_stubbornly(&bus, &topic, &name(100)).await;
        let all = |seen: &BTreeSet<String>| (0..=100).all(|number| seen.contains(&name(number)));
        receive_until(&mut *subscriber, &mut seen, PATIENCE, all).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stands_still_is_told_in_time_and_waited_for() {
    let server = RedisServer::start(&[]);
    let bus = Redis::open(config(&server.address())).await.unwrap();
    stand_still(&bus, || server.pause(), || server.resume()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_forgot_everything_is_used_anew() {
    let server = Server::start();
    let bus = server.bus().await;
    let topic = topic("forgotten");
    let mut subscriber = subscribe(&*bus, &topic, "g", 50).await;
    publish(&*bus, &topic, ["1".to_owned()]).await;
    ack_all(take(&mut *subscriber, 1).await);
    redis::cmd("FLUSHALL").exec_async(&mut connection(&server.0).await).await.unwrap();
    publish(&*bus, &topic, ["2".to_owned()]).await;
    assert_eq!(ids(&take(&mut *subscriber, 1).await), ["2"]);
}

async fn refused(config: Config) -> Fault {
    let opened = task::within(Duration::from_secs(20), Box::pin(Redis::open(config))).await;
    opened.expect("an answer comes, whatever it is").err().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_used_is_told_at_once() {
    let server = RedisServer::start(&["--requirepass", "right", "--user", "weak", "on", ">right", "~none", "+ping"]);
    let with = |username: Option<&str>, password: &str| Config {
        username: username.map(Secret::new),
        password: Some(Secret::new(password)),
        ..config(&server.address())
    };
    Redis::open(with(None, "right")).await.unwrap().close().await.unwrap();
    let check = |fault: &Fault, kind: FaultKind| assert_eq!(fault.kind(), kind, "{fault:?}");
    let wrong = refused(with(None, "hunter2")).await;
    check(&wrong, FaultKind::Denied);
    assert!(!wrong.chain().contains("hunter2"), "{}", wrong.chain());
    check(&refused(config(&server.address())).await, FaultKind::Denied);
    let tls = Config { tls: Some(Tls::default()), ..with(None, "right") };
    check(&refused(tls).await, FaultKind::Unavailable);
    let nobody = config(&format!("127.0.0.1:{}", crate::support::free_port()));
    check(&refused(nobody).await, FaultKind::Unavailable);
    // A login that may not do what is needed is told by whoever needs it, and not asked again.
    let weak = Redis::open(with(Some("weak"), "right")).await;
    let fault = match weak {
        Ok(bus) => bus.publish(&topic("t"), vec![outgoing(event("1"))]).await.remove(0).unwrap_err(),
        Err(fault) => fault,
    };
    check(&fault, FaultKind::Denied);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_is_checked() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (cert, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let file = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(file("cert"), &cert).unwrap();
    std::fs::write(file("key"), &key).unwrap();
    let port = crate::support::free_port();
    let _server = RedisServer::start(&[
        "--tls-port",
        &port.to_string(),
        "--tls-cert-file",
        &file("cert"),
        "--tls-key-file",
        &file("key"),
        "--tls-ca-cert-file",
        &file("cert"),
        "--tls-auth-clients",
        "no",
    ]);
    let with = |tls: Tls| Config { tls: Some(tls), ..config(&format!("127.0.0.1:{port}")) };
    let fault = refused(with(Tls::default())).await;
    assert_eq!(fault.kind(), FaultKind::Unavailable, "{fault:?}");
    let other = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap().cert.pem();
    refused(with(Tls { ca: Some(Secret::new(other)), ..Tls::default() })).await;
    let bus = Redis::open(with(Tls { ca: Some(Secret::new(cert)), ..Tls::default() })).await.unwrap();
    assert!(matches!(publish(&bus, &topic("t"), ["1".to_owned()]).await[0], Published::At(_)));
    bus.close().await.unwrap();
}
