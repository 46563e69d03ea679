//! Delayed delivery.

use std::collections::BTreeMap;
use std::time::Duration;

use penstock::flow::{Deduplicate, Outgoing, Published};
use penstock::task;

use super::{Backend, PATIENCE, event, ids, publish, skipped, subscribe, take, topic};

const DELAY: Duration = Duration::from_millis(400);

pub async fn a_delayed_event_arrives_after_its_delay_and_not_before(backend: &dyn Backend) {
    let topic = topic("delayed");
    let bus = backend.open().await;
    if !bus.capability().delayed {
        return skipped("no delayed delivery");
    }
    let mut subscriber = subscribe(&*bus, &topic, "g", 10).await;
    let elapsed = task::stopwatch();
    let delayed = |id: &str, delay| Outgoing { event: event(id), delay: Some(delay), deduplicate: Deduplicate::Event };
    let batch = vec![delayed("later", DELAY * 2), delayed("soon", DELAY)];
    for answer in bus.publish(&topic, batch).await {
        assert_eq!(answer.unwrap(), Published::Delayed);
    }
    if bus.capability().deduplicated {
        let again = bus.publish(&topic, vec![delayed("soon", DELAY)]).await;
        assert_eq!(again[0].clone().unwrap(), Published::Duplicate);
    }
    publish(&*bus, &topic, ["now".to_owned()]).await;
    // A member that joins slowly may find several of them.
    let (mut taken, mut arrived) = (Vec::new(), BTreeMap::new());
    while taken.len() < 3 {
        let next = task::within(PATIENCE, subscriber.next()).await;
        let next = next.unwrap_or_else(|| panic!("nothing came after {arrived:?}")).unwrap();
        arrived.extend(ids(&next).into_iter().map(|id| (id, elapsed())));
        taken.extend(next);
    }
    assert!(arrived.contains_key("now"), "{arrived:?}");
    assert!(arrived["soon"] >= DELAY && arrived["later"] >= DELAY * 2, "{arrived:?}");
}

pub async fn a_delayed_event_survives_a_restart(backend: &dyn Backend) {
    let topic = topic("delayed-restart");
    let bus = backend.open().await;
    if !bus.capability().delayed {
        return skipped("no delayed delivery");
    }
    let elapsed = task::stopwatch();
    let long = DELAY * 5;
    let batch = [("1", long), ("2", long), ("3", DELAY / 100)];
    let batch =
        batch.map(|(id, delay)| Outgoing { event: event(id), delay: Some(delay), deduplicate: Deduplicate::Never });
    for answer in bus.publish(&topic, batch.into()).await {
        assert_eq!(answer.unwrap(), Published::Delayed);
    }
    bus.close().await.unwrap();
    let bus = backend.open().await;
    let mut subscriber = subscribe(&*bus, &topic, "g", 10).await;
    let mut taken = task::within(PATIENCE, subscriber.next()).await.expect("the short delay ends").unwrap();
    // Where opening the bus took longer than the long delay, all were due and any may be the first.
    assert!(ids(&taken) == ["3"] || elapsed() >= long, "{:?} came after {:?}", ids(&taken), elapsed());
    let missing = 3 - taken.len();
    taken.extend(take(&mut *subscriber, missing).await);
    assert!(elapsed() >= long, "they came after {:?}", elapsed());
    let mut received = ids(&taken);
    received.retain(|id| id != "3");
    assert_eq!(received, ["1", "2"], "of one moment, they come as they were published");
}
