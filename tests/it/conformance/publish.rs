//! Publishing: what goes in comes out, in order, once.

use std::collections::BTreeSet;

use penstock::event::{Data, Draft, Event, Value};
use penstock::fault::FaultKind;
use penstock::flow::{Deduplicate, Ordering, Outgoing, Published};
use penstock::task::{Group, Shutdown};

use super::{Backend, event, ids, numbers, outgoing, publish, skipped, subscribe, take, topic};

fn varied() -> Vec<Event> {
    let long = "ü".repeat(512 << 10);
    let bytes: Vec<u8> = (0..=255).collect();
    let full = Draft::new("1", "/shop/orders?x=1#y", "com.shop.order")
        .with("subject", "Bestellung/42 – 世界 🎉")
        .with("time", "2026-11-24T10:00:00.123456789+01:00")
        .with("datacontenttype", "application/json; charset=utf-8")
        .with("dataschema", Value::Uri("https://example.com/schema".into()))
        .with("flag", true)
        .with("off", false)
        .with("number", i32::MIN)
        .with("most", i32::MAX)
        .with("digest", Value::Bytes(bytes.clone().into()))
        .with("link", Value::UriRef("../other".into()))
        .with("empty", "");
    [
        full.clone().data(Data::Text("{\"total\": 1.0, \"a\":  [ ] }")),
        full.clone().with("id", "2").data(Data::Binary(&bytes)),
        full.clone().with("id", "3").data(Data::Text("")),
        full.clone().with("id", "4").data(Data::Binary(&[])),
        full.clone().with("id", "5"),
        Draft::new("6", "s", "t").data(Data::Text(&long)),
        Draft::new("7", "s", "t"),
    ]
    .map(|draft| draft.build().unwrap())
    .into()
}

pub async fn what_is_published_is_received_with_every_attribute_and_byte(backend: &dyn Backend) {
    let topic = topic("varied");
    let bus = backend.open().await;
    let events = varied();
    let mut early = subscribe(&*bus, &topic, "early", 100).await;
    for answer in bus.publish(&topic, events.iter().cloned().map(outgoing).collect()).await {
        assert!(matches!(answer, Ok(Published::At(_))), "{answer:?}");
    }
    // One group reads what was just published, one what is on disk after a restart.
    let received = take(&mut *early, events.len()).await;
    assert!(received.iter().zip(&events).all(|(received, event)| received.event.as_ref().unwrap() == event));
    drop((received, early));
    bus.close().await.unwrap();
    let bus = backend.open().await;
    let mut late = subscribe(&*bus, &topic, "late", 100).await;
    let received = take(&mut *late, events.len()).await;
    for (received, event) in received.iter().zip(&events) {
        let got = received.event.as_ref().unwrap();
        assert_eq!(got, event);
        assert_eq!(got.data_bytes(), event.data_bytes(), "the bytes of event {}", event.id());
        assert_eq!(got.time(), event.time());
        assert_eq!(received.attempt, 1);
    }
}

pub async fn positions_ascend_and_a_topic_keeps_its_order(backend: &dyn Backend) {
    let topic = topic("ordered");
    let bus = backend.open().await;
    let mut subscriber = subscribe(&*bus, &topic, "g", 10_000).await;
    let mut last = None;
    for start in (0..1000).step_by(100) {
        for published in publish(&*bus, &topic, numbers(start..start + 100)).await {
            let Published::At(position) = published else { panic!("{published:?}") };
            assert!(last < Some(position), "{last:?} then {position:?}");
            last = Some(position);
        }
    }
    let received = take(&mut *subscriber, 1000).await;
    assert!(received.is_sorted_by_key(|received| (received.position, received.appended)));
    if bus.capability().ordering == Ordering::Topic {
        assert_eq!(ids(&received), numbers(0..1000));
    }
}

pub async fn many_publishers_lose_nothing(backend: &dyn Backend) {
    const PUBLISHERS: usize = 32;
    const EACH: usize = 50;
    let topic = topic("many");
    let bus = backend.open().await;
    let mut subscriber = subscribe(&*bus, &topic, "g", 10_000).await;
    let mut publishers = Group::new(&Shutdown::new());
    for publisher in 0..PUBLISHERS {
        let (bus, topic) = (bus.clone(), topic.clone());
        publishers.spawn(async move {
            for number in 0..EACH {
                publish(&*bus, &topic, [format!("{publisher}-{number}")]).await;
            }
            Ok(())
        });
    }
    let received = take(&mut *subscriber, PUBLISHERS * EACH).await;
    publishers.join().await.unwrap();
    let distinct: BTreeSet<String> = ids(&received).into_iter().collect();
    assert_eq!(distinct.len(), PUBLISHERS * EACH);
}

pub async fn an_event_that_is_too_large_costs_only_itself(backend: &dyn Backend) {
    let topic = topic("large");
    let bus = backend.open().await;
    let body = "x".repeat(bus.capability().max_event_bytes);
    let large = Draft::new("large", "s", "t").data(Data::Text(&body)).build().unwrap();
    let batch = [event("1"), large, event("2")].map(outgoing).into();
    let answers = bus.publish(&topic, batch).await;
    assert!(answers[0].is_ok() && answers[2].is_ok(), "{answers:?}");
    let fault = answers[1].clone().unwrap_err();
    assert_eq!((fault.kind(), fault.is_retryable()), (FaultKind::TooLarge, false));
    let mut subscriber = subscribe(&*bus, &topic, "g", 10).await;
    assert_eq!(ids(&take(&mut *subscriber, 2).await), ["1", "2"]);
}

pub async fn a_repeated_event_is_taken_once_per_attempt(backend: &dyn Backend) {
    let topic = topic("repeated");
    let bus = backend.open().await;
    if !bus.capability().deduplicated {
        return skipped("no deduplication");
    }
    let publish = |deduplicate| {
        let (bus, topic) = (bus.clone(), topic.clone());
        async move {
            let batch = [event("1"), event("1"), event("2")];
            let batch = batch.map(|event| Outgoing { event, delay: None, deduplicate });
            let answers = bus.publish(&topic, batch.into()).await;
            answers.into_iter().map(|answer| answer.unwrap() == Published::Duplicate).collect::<Vec<_>>()
        }
    };
    assert_eq!(publish(Deduplicate::Event).await, [false, true, false]);
    assert_eq!(publish(Deduplicate::Event).await, [true, true, true]);
    assert_eq!(publish(Deduplicate::Attempt(1)).await, [false, true, false]);
    assert_eq!(publish(Deduplicate::Attempt(2)).await, [false, true, false]);
    assert_eq!(publish(Deduplicate::Attempt(1)).await, [true, true, true]);
    assert_eq!(publish(Deduplicate::Never).await, [false, false, false]);
    bus.close().await.unwrap();

    let bus = backend.open().await;
    let again = Outgoing { event: event("1"), delay: None, deduplicate: Deduplicate::Event };
    assert_eq!(bus.publish(&topic, vec![again.clone()]).await[0].clone().unwrap(), Published::Duplicate);
    // Another topic is another matter.
    let other = super::topic("repeated-elsewhere");
    assert!(matches!(bus.publish(&other, vec![again]).await[0], Ok(Published::At(_))));
    let mut subscriber = subscribe(&*bus, &topic, "g", 100).await;
    assert_eq!(ids(&take(&mut *subscriber, 9).await), ["1", "2", "1", "2", "1", "2", "1", "1", "2"]);
}

pub async fn publishing_to_a_closed_bus_is_refused_and_subscribers_end(backend: &dyn Backend) {
    let topic = topic("closed");
    let bus = backend.open().await;
    let mut subscriber = subscribe(&*bus, &topic, "g", 10).await;
    let (next, closed) = tokio::join!(subscriber.next(), bus.close());
    closed.unwrap();
    assert!(next.unwrap().is_empty());
    assert!(subscriber.next().await.unwrap().is_empty());
    let answers = bus.publish(&topic, vec![outgoing(event("1")), outgoing(event("2"))]).await;
    assert_eq!(answers.len(), 2);
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap_err().kind() == FaultKind::Closed));
}
