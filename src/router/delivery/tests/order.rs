//! Delivery that keeps an event at its place.

use super::*;
use crate::router::route::{Breaker, Rate};

#[tokio::test(start_paused = true)]
async fn what_fails_is_waited_for_at_its_place() {
    let desk = desk();
    let sink = TestSink::good().first(vec![Answer::fail(FaultKind::Unavailable); 4]);
    let to = desk.destination(&sink, slow_policy());
    let took = task::stopwatch();
    desk.delivery.deliver_in_order(&to, &event("1"), fresh()).await.unwrap();
    assert_eq!((sink.attempts(), took()), (5, Duration::from_secs(5 + 10 + 20 + 40)));
    assert!(desk.bus.published("g-retry").is_empty());
}

#[tokio::test(start_paused = true)]
async fn attempts_and_refusals_end_it_with_the_dead_letters() {
    let check = async |kind: FaultKind, attempts: usize, reason: &str| {
        let desk = desk();
        let sink = TestSink::failing(kind);
        let to = desk.destination(&sink, Policy { attempts: 3, ..slow_policy() });
        desk.delivery.deliver_in_order(&to, &event("1"), fresh()).await.unwrap();
        let letter = &desk.bus.published("shop-dlq")[0];
        assert_eq!((sink.attempts(), text(letter, letter::REASON).as_str()), (attempts, reason));
    };
    check(FaultKind::Unavailable, 3, "attempts").await;
    check(FaultKind::Rejected, 1, "rejected").await;
}

#[tokio::test(start_paused = true)]
async fn limits_make_it_wait_at_its_place() {
    let desk = desk();
    let sink = TestSink::good();
    let rate = Rate { requests: 1, unit: SECOND * 60 };
    let to = desk.destination(&sink, Policy { rate: Some(rate), ..slow_policy() });
    let took = task::stopwatch();
    for id in ["1", "2"] {
        desk.delivery.deliver_in_order(&to, &event(id), fresh()).await.unwrap();
    }
    assert_eq!((sink.ids(), took()), (vec!["1".to_owned(), "2".to_owned()], SECOND * 60));
    let broken = TestSink::good().first(vec![Answer::fail(FaultKind::Unavailable); 3]);
    let breaker = Breaker { failures: 1, open_for: SECOND * 30 };
    let to = desk.destination(&broken, Policy { attempts: 2, breaker: Some(breaker), ..slow_policy() });
    let took = task::stopwatch();
    desk.delivery.deliver_in_order(&to, &event("3"), fresh()).await.unwrap();
    assert_eq!((broken.ids(), broken.attempts()), (vec!["3".to_owned()], 4));
    assert!(took() >= SECOND * 90, "{:?}", took());
    assert!(desk.bus.published("g-retry").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_the_wait_and_the_event_is_not_done() {
    let desk = desk();
    let to = desk.destination(&TestSink::failing(FaultKind::Unavailable), slow_policy());
    let event = event("1");
    let delivering = desk.delivery.deliver_in_order(&to, &event, fresh());
    let stopping = async {
        task::sleep(SECOND).await;
        desk.delivery.shutdown.request();
    };
    let (delivered, ()) = tokio::join!(delivering, stopping);
    assert_eq!(delivered.unwrap_err().kind(), FaultKind::Closed);
}
