//! Routers that are cut off in the middle, again and again, over sinks that fail at random.

use std::collections::BTreeSet;

use penstock::flow::{Bus, Group};
use penstock::task::{self, Shutdown};

use super::{Machine, TOPIC, TestSink, ids_on, pump, take_in, topic, until};

const ROUNDS: usize = 6;
const PER_ROUND: usize = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_however_often_the_router_is_cut_off() {
    let (steady, flaky) = (TestSink::new("http://steady/", 0), TestSink::new("http://flaky/", 40));
    let machine = Machine::new([steady.clone(), flaky.clone()]);
    let addresses = ["http://steady/", "http://flaky/"];
    for round in 0..ROUNDS {
        let bus = machine.bus().await;
        let joined = machine.join(&bus, &addresses, &Shutdown::new()).await;
        let mut routers = task::Group::new(&Shutdown::new());
        routers.spawn(joined.run());
        let mut intakes = task::Group::new(&Shutdown::new());
        let outlet = pump(&bus, &mut intakes);
        take_in(&outlet, round * PER_ROUND..(round + 1) * PER_ROUND).await;
        // In the middle: some are delivered, some in flight, some parked, some not even read.
        routers.abort().await;
        drop(outlet);
        intakes.join().await.unwrap();
        bus.close().await.unwrap();
    }

    let all: BTreeSet<usize> = (0..ROUNDS * PER_ROUND).collect();
    let bus = machine.bus().await;
    let routing = Shutdown::new();
    let joined = machine.join(&bus, &addresses, &routing).await;
    let mut routers = task::Group::new(&Shutdown::new());
    routers.spawn(joined.run());
    let group = Group::new("router").unwrap();
    let mut dead = BTreeSet::new();
    until("everything is delivered or dead", async || {
        dead.extend(ids_on(&bus, &format!("{TOPIC}-dlq")).await);
        let done = flaky.taken().into_keys().chain(dead.iter().copied()).collect::<BTreeSet<_>>();
        done == all && bus.lag(&topic(TOPIC), &group).await.unwrap() == 0
    })
    .await;
    routing.request();
    routers.join().await.unwrap();
    assert_eq!(steady.taken().keys().copied().collect::<BTreeSet<_>>(), all);
    bus.close().await.unwrap();
}
