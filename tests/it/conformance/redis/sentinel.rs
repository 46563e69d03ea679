//! A master, its replica, and a sentinel that puts one in the place of the other.

use std::collections::BTreeSet;

use penstock::api::event_bus::{RedisBus, SentinelSpec};
use penstock::buses::redis::Redis;
use penstock::flow::Bus as _;
use redis::FromRedisValue;

use super::super::outage::{publish_stubbornly, receive_until};
use super::super::{PATIENCE, ack_all, event, ids, outgoing, subscribe, take, topic};
use super::{config, connection, parse};
use crate::support::{RedisServer, Sentinel, eventually};

/// What the sentinel calls the master.
const NAME: &str = "events";

struct Guarded {
    master: RedisServer,
    replica: RedisServer,
    sentinel: Sentinel,
}

impl Guarded {
    /// Started, and the sentinel knows of both.
    async fn start() -> Self {
        let master = RedisServer::start(&["--repl-diskless-sync-delay", "0"]);
        let replica = replica_of(&master).await;
        let sentinel = Sentinel::start(NAME, &master);
        // It looks every ten seconds by itself, and does nothing for half a minute when its machine was too busy.
        for (name, millis) in [("INFO-PERIOD", 200), ("TILT-TRIGGER", 600_000)] {
            let mut set = redis::cmd("SENTINEL");
            set.arg("DEBUG").arg(name).arg(millis);
            set.exec_async(&mut sentinel.connection().await).await.unwrap();
        }
        eventually("the sentinel knows the replica", || async {
            let mut asked = redis::cmd("SENTINEL");
            asked.arg("REPLICAS").arg(NAME);
            let known: redis::Value = asked.query_async(&mut sentinel.connection().await).await.unwrap();
            let known: Vec<Vec<String>> = Vec::from_redis_value(known).unwrap_or_default();
            let is = |replica: &[String], name: &str, value: &str| replica.chunks(2).any(|pair| pair == [name, value]);
            known.iter().any(|replica| is(replica, "flags", "slave") && is(replica, "master-link-status", "ok"))
        })
        .await;
        Self { master, replica, sentinel }
    }

    async fn bus(&self) -> Redis {
        let sentinel = SentinelSpec { master: NAME.to_owned(), addresses: vec![self.sentinel.address()] };
        Redis::open(parse(&RedisBus { sentinel: Some(sentinel), ..RedisBus::default() })).await.unwrap()
    }

    /// Waits until the replica has everything that the master confirmed. Redis promises nothing of what it has not.
    async fn caught_up(&self) {
        eventually("the replica has everything", || async {
            info(&self.master, "master_repl_offset").await == info(&self.replica, "slave_repl_offset").await
        })
        .await;
    }
}

/// A server that has a copy of another, and follows it.
async fn replica_of(master: &RedisServer) -> RedisServer {
    let replica = RedisServer::start(&["--replicaof", "127.0.0.1", &master.port.to_string()]);
    eventually("the replica has a copy", || async { info(&replica, "master_link_status").await == "up" }).await;
    replica
}

/// One field of what a server says of its replication.
async fn info(server: &RedisServer, field: &str) -> String {
    let mut asked = redis::cmd("INFO");
    asked.arg("replication");
    let text: String = asked.query_async(&mut connection(server).await).await.unwrap();
    let found = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':').map(str::to_owned));
    found.unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_takes_over_goes_on_with_the_streams_that_are_open() {
    let mut guarded = Guarded::start().await;
    let bus = guarded.bus().await;
    let topic = topic("failover");
    let mut subscriber = subscribe(&bus, &topic, "g", 20).await;
    for number in 0..100 {
        publish_stubbornly(&bus, &topic, &number.to_string()).await;
    }
    let mut seen = BTreeSet::new();
    let received = take(&mut *subscriber, 20).await;
    seen.extend(ids(&received));
    ack_all(received);
    let held = take(&mut *subscriber, 20).await;
    guarded.caught_up().await;
    guarded.master.kill();
    let fault = bus.publish(&topic, vec![outgoing(event("refused"))]).await.remove(0).unwrap_err();
    assert!(fault.is_retryable(), "{fault:?}");
    seen.extend(ids(&held));
    ack_all(held);
    guarded.sentinel.fail_over(NAME).await;
    publish_stubbornly(&bus, &topic, "after").await;
    assert_eq!(info(&guarded.replica, "role").await, "master");
    let all = |seen: &BTreeSet<String>| (0..100).all(|number| seen.contains(&number.to_string()));
    receive_until(&mut *subscriber, &mut seen, PATIENCE, |seen| all(seen) && seen.contains("after")).await;
    bus.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_may_not_be_alone_confirms_nothing_without_its_replica() {
    let master = RedisServer::start(&["--repl-diskless-sync-delay", "0"]);
    let mut replica = replica_of(&master).await;
    let mut set = redis::cmd("CONFIG");
    set.arg("SET").arg("min-replicas-to-write").arg(1).arg("min-replicas-max-lag").arg(600);
    set.exec_async(&mut connection(&master).await).await.unwrap();
    let bus = Redis::open(config(&master.address())).await.unwrap();
    let topic = topic("alone");
    publish_stubbornly(&bus, &topic, "before").await;
    replica.kill();
    eventually("the master is alone", || async { info(&master, "connected_slaves").await == "0" }).await;
    let fault = bus.publish(&topic, vec![outgoing(event("alone"))]).await.remove(0).unwrap_err();
    assert!(fault.is_retryable(), "{fault:?}");
    replica.run();
    publish_stubbornly(&bus, &topic, "after").await;
    let mut subscriber = subscribe(&bus, &topic, "g", 20).await;
    assert_eq!(ids(&take(&mut *subscriber, 2).await), ["before", "after"]);
    bus.close().await.unwrap();
}
