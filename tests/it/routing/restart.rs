//! What is left after a clean stop is what is there after the start.

use penstock::flow::{Bus, Group};
use penstock::task::{self, Shutdown};

use super::{Machine, TOPIC, TestSink, ids_on, pump, take_in, topic, until};

const EVENTS: usize = 500;

#[tokio::test]
async fn every_event_goes_through_once_and_a_restart_brings_none_back() {
    let sink = TestSink::new("http://a/", 0);
    let machine = Machine::new([sink.clone()]);
    for round in 0..2 {
        let bus = machine.bus().await;
        let (routing, sourcing) = (Shutdown::new(), Shutdown::new());
        let joined = machine.join(&bus, &["http://a/"], &routing).await;
        let mut tasks = task::Group::new(&sourcing);
        tasks.spawn(joined.run());
        let outlet = pump(&bus, &mut tasks);
        take_in(&outlet, round * EVENTS..(round + 1) * EVENTS).await;
        drop(outlet);
        until("all are delivered", async || sink.taken().len() == (round + 1) * EVENTS).await;
        routing.request();
        tasks.join().await.unwrap();
        assert_eq!(bus.lag(&topic(TOPIC), &Group::new("router").unwrap()).await.unwrap(), 0);
        bus.close().await.unwrap();
    }
    assert!(sink.taken().values().all(|times| *times == 1), "{:?}", sink.taken());
}

#[tokio::test]
async fn parked_events_are_delivered_after_the_restart() {
    let (good, bad) = (TestSink::new("http://good/", 0), TestSink::new("http://bad/", 100));
    let machine = Machine::new([good.clone(), bad.clone()]);
    let addresses = ["http://good/", "http://bad/"];
    let group = Group::new("router").unwrap();

    let bus = machine.bus().await;
    let routing = Shutdown::new();
    let joined = machine.join(&bus, &addresses, &routing).await;
    let mut tasks = task::Group::new(&Shutdown::new());
    tasks.spawn(joined.run());
    let outlet = pump(&bus, &mut tasks);
    take_in(&outlet, 0..EVENTS).await;
    drop(outlet);
    until("all are delivered or parked", async || bus.lag(&topic(TOPIC), &group).await.unwrap() == 0).await;
    routing.request();
    tasks.join().await.unwrap();
    assert_eq!((good.taken().len(), bad.taken().len()), (EVENTS, 0));
    bus.close().await.unwrap();
    drop(bus);

    bad.now_fails(0);
    let bus = machine.bus().await;
    let routing = Shutdown::new();
    let joined = machine.join(&bus, &addresses, &routing).await;
    let mut tasks = task::Group::new(&Shutdown::new());
    tasks.spawn(joined.run());
    until("the parked ones are delivered", async || bad.taken().len() == EVENTS).await;
    routing.request();
    tasks.join().await.unwrap();
    assert!(good.taken().values().all(|times| *times == 1), "who had them does not get them again");
    assert!(ids_on(&bus, &format!("{TOPIC}-dlq")).await.is_empty());
    bus.close().await.unwrap();
}

#[tokio::test]
async fn what_fails_for_good_is_with_the_dead_letters_and_nowhere_else() {
    let bad = TestSink::new("http://bad/", 100);
    let machine = Machine::new([bad.clone()]);
    let bus = machine.bus().await;
    let routing = Shutdown::new();
    let joined = machine.join(&bus, &["http://bad/"], &routing).await;
    let mut tasks = task::Group::new(&Shutdown::new());
    tasks.spawn(joined.run());
    let outlet = pump(&bus, &mut tasks);
    take_in(&outlet, 0..20).await;
    drop(outlet);
    let mut dead = Vec::new();
    until("all are dead", async || {
        dead.extend(ids_on(&bus, &format!("{TOPIC}-dlq")).await);
        dead.len() >= 20
    })
    .await;
    routing.request();
    tasks.join().await.unwrap();
    let group = Group::new("router").unwrap();
    assert_eq!(bus.lag(&topic("router-retry"), &group).await.unwrap(), 0);
    dead.sort_unstable();
    assert_eq!(dead, (0..20).collect::<Vec<_>>());
    bus.close().await.unwrap();
}
