//! Three masters that share the keys: the cases of the suite in which keys matter, and a node that goes away.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use penstock::api::event_bus::RedisBus;
use penstock::buses::redis::Redis;
use penstock::flow::{Bus, Position, Store, Topic};

use super::super::outage::{publish_stubbornly, receive_until};
use super::super::{Backend, PATIENCE, subscribe, topic};
use super::{connection, parse};
use crate::support::{RedisServer, eventually, free_port};

/// All keys of a cluster are in so many slots.
const SLOTS: usize = 16_384;

struct Cluster(Vec<RedisServer>);

impl Cluster {
    /// Started, and every node knows the others.
    async fn start() -> Self {
        let ports: [u16; 3] = std::array::from_fn(|_| free_port());
        let node = |bus: &u16| {
            RedisServer::start(&[
                "--cluster-enabled",
                "yes",
                "--cluster-announce-ip",
                "127.0.0.1",
                "--cluster-port",
                &bus.to_string(),
            ])
        };
        let nodes: Vec<RedisServer> = ports.iter().map(node).collect();
        for (index, node) in nodes.iter().enumerate() {
            let mut connection = connection(node).await;
            let (first, next) = (SLOTS * index / nodes.len(), SLOTS * (index + 1) / nodes.len());
            let mut slots = redis::cmd("CLUSTER");
            slots.arg("ADDSLOTSRANGE").arg(first).arg(next - 1);
            slots.exec_async(&mut connection).await.unwrap();
            let mut epoch = redis::cmd("CLUSTER");
            epoch.arg("SET-CONFIG-EPOCH").arg(index + 1);
            epoch.exec_async(&mut connection).await.unwrap();
            let mut meet = redis::cmd("CLUSTER");
            meet.arg("MEET").arg("127.0.0.1").arg(nodes[0].port).arg(ports[0]);
            if index > 0 {
                meet.exec_async(&mut connection).await.unwrap();
            }
        }
        let cluster = Self(nodes);
        eventually("every node knows the others", || cluster.is_whole()).await;
        cluster
    }

    async fn is_whole(&self) -> bool {
        for node in &self.0 {
            let mut asked = redis::cmd("CLUSTER");
            asked.arg("INFO");
            let info: String = asked.query_async(&mut connection(node).await).await.unwrap();
            if !info.contains("cluster_state:ok") || !info.contains("cluster_known_nodes:3") {
                return false;
            }
        }
        true
    }

    async fn bus(&self) -> Arc<Redis> {
        let addresses: Vec<String> = self.0.iter().map(RedisServer::address).collect();
        let raw = RedisBus { address: Some(addresses.join(",")), cluster: Some(true), ..RedisBus::default() };
        Arc::new(Redis::open(parse(&raw)).await.unwrap())
    }
}

#[async_trait]
impl Backend for Cluster {
    async fn open_with_store(&self) -> (Arc<dyn Bus>, Arc<dyn Store>) {
        let bus = self.bus().await;
        (bus.clone(), bus)
    }

    async fn damage(&self, _: &Topic, _: Position) -> bool {
        false
    }
}

crate::conformance::suite! { Cluster::start().await;
    publish::what_is_published_is_received_with_every_attribute_and_byte,
    publish::a_repeated_event_is_taken_once_per_attempt,
    groups::every_group_gets_everything_and_members_share,
    redelivery::settled_events_stay_settled_after_a_restart_and_others_return,
    delayed::a_delayed_event_survives_a_restart,
    reading::readers_read_all_in_order_from_where_they_want_and_take_nothing_from_groups,
    store::a_batch_is_written_as_a_whole_or_not_at_all,
    store::a_scan_answers_a_prefix_in_key_order,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_go_on_when_a_node_that_went_away_is_back() {
    let mut cluster = Cluster::start().await;
    let bus = cluster.bus().await;
    // So many topics that each node has some.
    let topics: Vec<Topic> = (0..12).map(|number| topic(&format!("orders-{number}"))).collect();
    let mut members = Vec::new();
    for topic in &topics {
        members.push(subscribe(&*bus, topic, "g", 20).await);
        publish_stubbornly(&*bus, topic, "before").await;
    }
    for node in 0..cluster.0.len() {
        let asked = redis::cmd("DBSIZE");
        let keys: usize = asked.query_async(&mut connection(&cluster.0[node]).await).await.unwrap();
        assert!(keys > 0, "the node {node} has no topic");
    }
    cluster.0[1].kill();
    cluster.0[1].run();
    for (topic, member) in topics.iter().zip(&mut members) {
        publish_stubbornly(&*bus, topic, "after").await;
        let mut seen = BTreeSet::new();
        let both = |seen: &BTreeSet<String>| seen.contains("before") && seen.contains("after");
        receive_until(&mut **member, &mut seen, PATIENCE, both).await;
    }
    bus.close().await.unwrap();
}
