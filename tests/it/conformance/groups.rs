//! Consumer groups: who gets what, and how much.

use std::collections::BTreeSet;

use penstock::event::{Data, Draft};
use penstock::fault::FaultKind;
use penstock::flow::{Group, Start, Subscription};
use penstock::task;

use super::{Backend, PATIENCE, ack_all, ids, numbers, outgoing, publish, subscribe, take, topic};

pub async fn every_group_gets_everything_and_members_share(backend: &dyn Backend) {
    let topic = topic("shared");
    let bus = backend.open().await;
    let mut alone = subscribe(&*bus, &topic, "alone", 1000).await;
    let mut one = subscribe(&*bus, &topic, "pair", 50).await;
    let mut two = subscribe(&*bus, &topic, "pair", 50).await;
    publish(&*bus, &topic, numbers(0..100)).await;
    assert_eq!(ids(&take(&mut *alone, 100).await), numbers(0..100));
    // Each may hold 50, so that the pair holds all only if both take part.
    let (first, second) = tokio::join!(take(&mut *one, 50), take(&mut *two, 50));
    let both: BTreeSet<String> = ids(&first).into_iter().chain(ids(&second)).collect();
    assert_eq!(both.len(), 100, "an event went to both members");
}

pub async fn a_group_that_starts_latest_exists_from_then_on(backend: &dyn Backend) {
    let topic = topic("latest");
    let bus = backend.open().await;
    publish(&*bus, &topic, numbers(0..10)).await;
    let latest = Subscription {
        topic: topic.clone(),
        group: Group::new("late").unwrap(),
        start: Start::Latest,
        max_in_flight: 100,
    };
    drop(bus.subscribe(latest.clone()).await.unwrap());
    publish(&*bus, &topic, numbers(10..20)).await;
    bus.close().await.unwrap();

    let bus = backend.open().await;
    publish(&*bus, &topic, numbers(20..25)).await;
    let mut subscriber = bus.subscribe(latest).await.unwrap();
    assert_eq!(ids(&take(&mut *subscriber, 15).await), numbers(10..25));
}

pub async fn a_slow_member_is_never_handed_more_than_it_asked_for(backend: &dyn Backend) {
    let topic = topic("slow");
    let bus = backend.open().await;
    publish(&*bus, &topic, numbers(0..50)).await;
    let mut subscriber = subscribe(&*bus, &topic, "g", 3).await;
    let mut held = take(&mut *subscriber, 3).await;
    let mut seen = ids(&held);
    while seen.len() < 50 {
        held.remove(0).receipt.ack();
        // One is free, so one comes: two would be four in flight.
        held.extend(take(&mut *subscriber, 1).await);
        seen.push(ids(&held).pop().unwrap());
        assert_eq!(held.len(), 3);
    }
    assert_eq!(seen, numbers(0..50));
}

/// What a stopped reader costs in memory: the events that it may hold, however many wait.
pub async fn a_member_that_takes_nothing_holds_no_more_than_it_may(backend: &dyn Backend) {
    const WAITING: usize = 20_000;
    const MAY_HOLD: usize = 64;
    let topic = topic("stopped");
    let bus = backend.open().await;
    let stopped = subscribe(&*bus, &topic, "g", MAY_HOLD).await;
    let data = format!("\"{}\"", "x".repeat(1022));
    for start in (0..WAITING).step_by(500) {
        let event = |id: &String| Draft::new(id, "/conformance", "test.event").data(Data::Text(&data)).build().unwrap();
        let batch = numbers(start..start + 500).iter().map(|id| outgoing(event(id))).collect();
        for answer in bus.publish(&topic, batch).await {
            answer.unwrap();
        }
    }
    // What one member holds, the other cannot get.
    let mut other = subscribe(&*bus, &topic, "g", 1000).await;
    let mut seen = BTreeSet::new();
    let mut drain = async |least: usize| {
        while seen.len() < least {
            let next = task::within(PATIENCE, other.next()).await;
            let next = next.unwrap_or_else(|| panic!("{} of {least} events came", seen.len())).unwrap();
            seen.extend(ids(&next));
            ack_all(next);
        }
    };
    drain(WAITING - MAY_HOLD).await;
    drop(stopped);
    drain(WAITING).await;
}

pub async fn lag_counts_what_is_not_settled(backend: &dyn Backend) {
    let topic = topic("lag");
    let group = Group::new("g").unwrap();
    let bus = backend.open().await;
    assert_eq!(bus.lag(&topic, &group).await.unwrap_err().kind(), FaultKind::NotFound);
    let mut subscriber = subscribe(&*bus, &topic, "g", 100).await;
    assert_eq!(bus.lag(&topic, &group).await.unwrap(), 0);
    publish(&*bus, &topic, numbers(0..10)).await;
    assert_eq!(bus.lag(&topic, &group).await.unwrap(), 10);
    let mut received = take(&mut *subscriber, 10).await;
    received.pop().unwrap().receipt.ack();
    received.remove(4).receipt.ack();
    let settled = async {
        while bus.lag(&topic, &group).await.unwrap() != 8 {
            tokio::task::yield_now().await;
        }
    };
    task::within(PATIENCE, settled).await.expect("lag falls to 8");
}

pub async fn what_a_leaving_member_holds_goes_to_the_others(backend: &dyn Backend) {
    let topic = topic("leaving");
    let bus = backend.open().await;
    publish(&*bus, &topic, numbers(0..10)).await;
    let mut leaving = subscribe(&*bus, &topic, "g", 100).await;
    let mut held = take(&mut *leaving, 10).await;
    let mut staying = subscribe(&*bus, &topic, "g", 100).await;
    ack_all(held.drain(..3).collect());
    drop(leaving);
    let received = take(&mut *staying, 7).await;
    assert_eq!(ids(&received), numbers(3..10));
    assert!(received.iter().all(|received| received.attempt == 2));
    // The old receipts say nothing that counts against the new holder.
    drop(held);
    ack_all(received);
    publish(&*bus, &topic, ["after".to_owned()]).await;
    assert_eq!(ids(&take(&mut *staying, 1).await), ["after"]);
}

pub async fn a_late_group_reads_far_behind_in_order(backend: &dyn Backend) {
    let topic = topic("behind");
    let bus = backend.open().await;
    for start in (0..5000).step_by(1000) {
        publish(&*bus, &topic, numbers(start..start + 1000)).await;
    }
    let mut subscriber = subscribe(&*bus, &topic, "late", 700).await;
    let mut seen = Vec::new();
    while seen.len() < 5000 {
        let received = task::within(PATIENCE, subscriber.next()).await.expect("events keep coming").unwrap();
        seen.extend(ids(&received));
        ack_all(received);
    }
    assert_eq!(seen, numbers(0..5000));
}
