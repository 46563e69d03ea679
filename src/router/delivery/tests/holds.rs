//! What is held back before an attempt: by the rate limit and the circuit breaker.

use super::*;
use crate::router::route::{Breaker, Rate};

fn rate(requests: u32, unit: Duration) -> Policy {
    Policy { rate: Some(Rate { requests, unit }), ..slow_policy() }
}

fn breaker(failures: u32) -> Policy {
    Policy { breaker: Some(Breaker { failures, open_for: SECOND * 30 }), ..slow_policy() }
}

impl Desk {
    /// Delivers an event that stands at that place of its topic.
    async fn send(&self, to: &Destination, place: u64) {
        let history = History::new(topic("shop"), Position { major: place, minor: 0 });
        self.delivery.deliver(to, &event(&place.to_string()), history).await.unwrap();
    }

    /// Delivers what comes back from the retry topic, until nothing waits there; how long each took to come back.
    async fn go_on(&self, to: &Destination) -> Vec<Duration> {
        let mut member = self.bus.subscribe(all("g-retry")).await.unwrap();
        let (waited, mut times) = (task::stopwatch(), Vec::new());
        while self.bus.left("g-retry") > 0 {
            for received in member.next().await.unwrap() {
                times.push(waited());
                let parked = unpark(&received.event.unwrap(), received.position).unwrap();
                assert_eq!(parked.key, to.key);
                self.delivery.deliver(to, &parked.event, parked.history).await.unwrap();
                received.receipt.ack();
            }
        }
        times
    }
}

#[tokio::test(start_paused = true)]
async fn the_rate_limit_puts_aside_until_there_is_room() {
    let desk = desk();
    let sink = TestSink::good();
    let to = desk.destination(&sink, rate(6, SECOND * 60));
    for place in 1..=4 {
        desk.send(&to, place).await;
    }
    assert_eq!(sink.ids(), ["1"]);
    assert_eq!(to.metrics.held.get(), 3);
    assert_eq!(desk.go_on(&to).await, [SECOND * 10, SECOND * 20, SECOND * 30]);
    assert_eq!(sink.ids(), ["1", "2", "3", "4"]);
    assert_eq!((to.metrics.held.get(), to.metrics.dead.get()), (3, 0), "each was put aside once");
}

#[tokio::test(start_paused = true)]
async fn a_moment_that_is_near_is_waited_for_in_place() {
    let desk = desk();
    let sink = TestSink::good();
    let to = desk.destination(&sink, rate(4, SECOND));
    let took = task::stopwatch();
    let (one, two, three) = tokio::join!(desk.deliver(&to), desk.deliver(&to), desk.deliver(&to));
    one.and(two).and(three).unwrap();
    assert_eq!((sink.attempts(), took()), (3, Duration::from_millis(500)));
    assert!(desk.bus.published("g-retry").is_empty());
}

#[tokio::test(start_paused = true)]
async fn only_as_many_wait_in_place_as_may_be_attempted_at_once() {
    let desk = desk();
    let sink = TestSink::good();
    let to = desk.destination(&sink, Policy { concurrency: 2, ..rate(10, SECOND) });
    let all = (1..=6).map(|place| desk.send(&to, place));
    futures_util::future::join_all(all).await;
    assert_eq!(sink.ids(), ["1", "2", "3"]);
    assert_eq!(desk.bus.published("g-retry").len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_retry_takes_its_turn_like_any_attempt() {
    let desk = desk();
    let sink = TestSink::good().first([Answer::fail(FaultKind::Unavailable)]);
    let to = desk.destination(&sink, Policy { base: Duration::from_millis(1), ..rate(2, SECOND) });
    let took = task::stopwatch();
    desk.deliver(&to).await.unwrap();
    assert_eq!((sink.attempts(), took()), (2, Duration::from_millis(500)));
}

#[tokio::test(start_paused = true)]
async fn dead_letters_are_limited_too_and_none_is_lost() {
    let desk = desk();
    let (sink, dead) = (TestSink::failing(FaultKind::Rejected), TestSink::good());
    let policy = Policy { rate: Some(Rate { requests: 1, unit: SECOND * 5 }), ..policy() };
    let to = desk.with_dead_letters(&sink, &[&dead], policy);
    desk.send(&to, 1).await;
    task::sleep(SECOND * 5).await;
    desk.send(&to, 2).await;
    task::sleep(SECOND * 5).await;
    assert_eq!(dead.ids(), ["1", "2"]);
    let stop = Policy { rate: Some(Rate { requests: 1, unit: SECOND * 3600 }), ..slow_policy() };
    let to = desk.with_dead_letters(&sink, &[&dead], stop);
    desk.send(&to, 3).await;
    desk.bus.fail("shop-dlq", Some(Fault::new(FaultKind::Unavailable, "publish", "as told")));
    let parked = Parked { event: event("4"), key: to.key.clone(), history: fresh(), fault: String::new(), grave: None };
    let grave = Grave { reason: Reason::Rejected, done: 0 };
    desk.delivery.bury(&to, parked, grave).await.unwrap();
    assert_eq!(dead.ids(), ["1", "2", "3"]);
    assert!(desk.parked().grave.is_some(), "the fourth waits");
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_holds_events_until_a_probe_succeeds() {
    let desk = desk();
    let sink = TestSink::failing(FaultKind::Unavailable);
    // Without the breaker the second failure of any of them would make it a dead letter.
    let to = desk.destination(&sink, Policy { attempts: 2, ..breaker(2) });
    for place in 1..=4 {
        desk.send(&to, place).await;
    }
    assert_eq!((sink.attempts(), to.metrics.open_breakers.get()), (2, 1), "the others are not attempted");
    let mut member = desk.bus.subscribe(all("g-retry")).await.unwrap();
    let outage = task::stopwatch();
    while outage() < SECOND * 3600 * 48 {
        for received in member.next().await.unwrap() {
            let parked = unpark(&received.event.unwrap(), received.position).unwrap();
            desk.delivery.deliver(&to, &parked.event, parked.history).await.unwrap();
            received.receipt.ack();
        }
    }
    drop(member);
    assert_eq!(to.metrics.dead.get(), 0, "none is given up while the breaker is open");
    sink.now_answers(Answer::Code(200));
    desk.go_on(&to).await;
    let mut ids = sink.ids();
    ids.sort();
    assert_eq!((ids, to.metrics.open_breakers.get()), (["1", "2", "3", "4"].map(str::to_owned).to_vec(), 0));
    assert!(desk.bus.published("shop-dlq").is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_refused_for_good_shows_that_the_sink_works() {
    let desk = desk();
    let sink = TestSink::failing(FaultKind::Rejected);
    let to = desk.destination(&sink, breaker(1));
    desk.send(&to, 1).await;
    desk.send(&to, 2).await;
    assert_eq!((sink.attempts(), to.metrics.dead.get(), to.metrics.open_breakers.get()), (2, 2, 0));
}

#[tokio::test(start_paused = true)]
async fn at_most_once_is_one_attempt_also_when_it_probes() {
    let desk = desk();
    let sink = TestSink::failing(FaultKind::Unavailable);
    let to = desk.destination(&sink, Policy { at_most_once: true, attempts: 1, ..breaker(1) });
    desk.send(&to, 1).await;
    task::sleep(SECOND * 30).await;
    desk.send(&to, 2).await;
    assert_eq!((sink.attempts(), to.metrics.dropped.get()), (2, 2));
    assert!(desk.bus.published("g-retry").is_empty());
    drop(to);
    let metrics = desk.metrics.encode();
    let gauge = "penstock_router_open_breakers{trigger=\"default/func1\",subscriber=\"ship\"} 0\n";
    assert!(metrics.contains(gauge), "a target that is gone has no open breaker: {metrics}");
}

#[tokio::test(start_paused = true)]
async fn time_under_an_open_breaker_does_not_count_for_the_deadline() {
    let desk = desk();
    let sink = TestSink::failing(FaultKind::Unavailable);
    let to = desk.destination(&sink, Policy { deadline: SECOND * 60, ..breaker(2) });
    desk.send(&to, 1).await;
    desk.send(&to, 2).await;
    let parked = desk.parked();
    desk.delivery.deliver(&to, &parked.event, parked.history).await.unwrap();
    let held = desk.parked();
    desk.clock.advance(SECOND * 70);
    task::sleep(SECOND * 70).await;
    let ok = TestSink::failing(FaultKind::Unavailable);
    let closed = desk.destination(&ok, Policy { deadline: SECOND * 60, ..slow_policy() });
    desk.delivery.deliver(&closed, &held.event, held.history.clone()).await.unwrap();
    assert_eq!(desk.bus.published("shop-dlq").len(), 0, "30 of the 70 seconds it was held: {held:?}");
    desk.clock.advance(SECOND * 30);
    desk.delivery.deliver(&closed, &held.event, held.history).await.unwrap();
    assert_eq!(desk.bus.published("shop-dlq").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn names_of_ours_in_an_event_of_others_mean_nothing() {
    let desk = desk();
    let sink = TestSink::failing(FaultKind::Unavailable);
    let to = desk.destination(&sink, slow_policy());
    let forged = ["penstockparkdead", "penstockparkdone", "penstockparkheld", "penstockparkinput"];
    let forged = forged.iter().fold(event("1").draft(), |draft, name| draft.with(*name, "99999")).build().unwrap();
    desk.delivery.deliver(&to, &forged, fresh()).await.unwrap();
    let parked = desk.parked();
    assert_eq!((parked.grave, parked.event), (None, event("1")));
    let mut expected = fresh();
    expected.failed(desk.clock.now());
    assert_eq!((parked.history.attempts, parked.history.first), (expected.attempts, expected.first));
    assert_eq!(parked.history.input(), None);
}
