//! What happens to events that were not acknowledged, and to those that were.

use std::time::Duration;

use penstock::fault::{Fault, FaultKind, Retry};
use penstock::flow::Published;
use penstock::task;

use super::{Backend, ack_all, ids, numbers, publish, skipped, subscribe, take, topic};

pub async fn settled_events_stay_settled_after_a_restart_and_others_return(backend: &dyn Backend) {
    let topic = topic("restart");
    let bus = backend.open().await;
    publish(&*bus, &topic, numbers(0..10)).await;
    let mut subscriber = subscribe(&*bus, &topic, "g", 100).await;
    let mut received = take(&mut *subscriber, 10).await;
    let rest = received.split_off(6);
    ack_all(received);
    bus.close().await.unwrap();
    drop(rest);

    let bus = backend.open().await;
    let mut subscriber = subscribe(&*bus, &topic, "g", 100).await;
    publish(&*bus, &topic, numbers(10..12)).await;
    assert_eq!(ids(&take(&mut *subscriber, 6).await), numbers(6..12));
}

pub async fn out_of_order_acknowledgements_survive_a_restart(backend: &dyn Backend) {
    let topic = topic("gaps");
    let bus = backend.open().await;
    publish(&*bus, &topic, numbers(0..20)).await;
    let mut subscriber = subscribe(&*bus, &topic, "g", 100).await;
    let mut kept = Vec::new();
    for (number, received) in take(&mut *subscriber, 20).await.into_iter().enumerate().rev() {
        if number % 3 == 1 {
            kept.push(received);
        } else {
            received.receipt.ack();
        }
    }
    bus.close().await.unwrap();
    drop(kept);

    let bus = backend.open().await;
    let mut subscriber = subscribe(&*bus, &topic, "g", 100).await;
    publish(&*bus, &topic, ["end".to_owned()]).await;
    assert_eq!(ids(&take(&mut *subscriber, 8).await), ["1", "4", "7", "10", "13", "16", "19", "end"]);
}

pub async fn a_refused_event_returns_after_its_pause_with_its_attempt(backend: &dyn Backend) {
    const PAUSE: Duration = Duration::from_millis(300);
    let topic = topic("refused");
    let bus = backend.open().await;
    let mut subscriber = subscribe(&*bus, &topic, "g", 10).await;
    publish(&*bus, &topic, ["1".to_owned()]).await;
    for attempt in [1, 3, 5] {
        let received = take(&mut *subscriber, 1).await;
        assert_eq!((ids(&received), received[0].attempt), (vec!["1".to_owned()], attempt));
        let fault = Fault::new(FaultKind::Throttled, "deliver", "busy").with_retry(Retry::After(PAUSE));
        let elapsed = task::stopwatch();
        for received in received {
            received.receipt.nack(fault.clone());
        }
        // Others are not held up by the one that waits.
        let other = format!("other-{attempt}");
        publish(&*bus, &topic, [other.clone()]).await;
        let between = take(&mut *subscriber, 1).await;
        assert_eq!(ids(&between), [other]);
        ack_all(between);
        let again = take(&mut *subscriber, 1).await;
        assert!(elapsed() >= PAUSE, "it came back after {:?}", elapsed());
        assert_eq!(again[0].attempt, attempt + 1);
        // Refused without a pause, it is back at once for the next turn.
        let fault = fault.with_retry(Retry::After(Duration::ZERO));
        for received in again {
            received.receipt.nack(fault.clone());
        }
    }
}

pub async fn a_dropped_receipt_returns_the_event_at_once(backend: &dyn Backend) {
    let topic = topic("dropped");
    let bus = backend.open().await;
    let mut subscriber = subscribe(&*bus, &topic, "g", 10).await;
    publish(&*bus, &topic, numbers(0..3)).await;
    drop(take(&mut *subscriber, 3).await);
    let again = take(&mut *subscriber, 3).await;
    assert_eq!(ids(&again), numbers(0..3));
    assert!(again.iter().all(|received| received.attempt == 2));
}

pub async fn cancelling_next_loses_nothing(backend: &dyn Backend) {
    let topic = topic("cancelled");
    let bus = backend.open().await;
    publish(&*bus, &topic, numbers(0..200)).await;
    let mut subscriber = subscribe(&*bus, &topic, "g", 1000).await;
    // Cancelled at its first await, wherever that is, and then a little later each time.
    let mut seen = Vec::new();
    for micros in 0..100 {
        if let Some(received) = task::within(Duration::from_micros(micros), subscriber.next()).await {
            seen.extend(received.unwrap());
            break;
        }
    }
    seen.extend(take(&mut *subscriber, 200 - seen.len()).await);
    let mut found: Vec<usize> = ids(&seen).iter().map(|id| id.parse().unwrap()).collect();
    found.sort_unstable();
    assert_eq!(found, (0..200).collect::<Vec<_>>());
}

pub async fn poison_costs_only_itself(backend: &dyn Backend) {
    let topic = topic("poison");
    let bus = backend.open().await;
    let published = publish(&*bus, &topic, numbers(0..3)).await;
    let Published::At(position) = published[1] else { panic!("{published:?}") };
    bus.close().await.unwrap();
    if !backend.damage(&topic, position).await {
        return skipped("the storage cannot be reached");
    }
    let bus = backend.open().await;
    let mut subscriber = subscribe(&*bus, &topic, "g", 10).await;
    let mut received = take(&mut *subscriber, 3).await;
    let poison = received.remove(1);
    assert_eq!(ids(&received), ["0", "2"]);
    assert_eq!(poison.event.as_ref().unwrap_err().fault.kind(), FaultKind::Malformed);
    poison.receipt.ack();
    ack_all(received);
    publish(&*bus, &topic, ["3".to_owned()]).await;
    assert_eq!(ids(&take(&mut *subscriber, 1).await), ["3"]);
}
