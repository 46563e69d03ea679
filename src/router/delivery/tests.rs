mod holds;
mod order;
mod replies;

use std::sync::Mutex;

use jiff::Timestamp;

use super::*;
use crate::flow::letter;
use crate::flow::{Position, Sink};
use crate::router::decision::Unobserved;
use crate::router::route::{Growth, Policy, StatusCodes};
use crate::router::tests::{Answer, MemoryBus, TestSink, event, text, topic};
use crate::telemetry::Metrics;

const SECOND: Duration = Duration::from_secs(1);

static ORDER: std::sync::LazyLock<Event> = std::sync::LazyLock::new(|| event("1"));

struct Desk {
    bus: MemoryBus,
    clock: Clock,
    delivery: Delivery,
    metrics: Metrics,
}

fn desk() -> Desk {
    desk_on(MemoryBus::new())
}

fn desk_on(bus: MemoryBus) -> Desk {
    let clock = Clock::manual("2026-11-24T10:00:00Z".parse().unwrap());
    let delivery = Delivery {
        bus: Arc::new(bus.clone()),
        retry_topic: topic("g-retry"),
        clock: clock.clone(),
        observer: Arc::new(Unobserved),
        shutdown: Shutdown::new(),
    };
    Desk { bus, clock, delivery, metrics: Metrics::new() }
}

impl Desk {
    fn destination(&self, sink: &TestSink, policy: Policy) -> Destination {
        self.with_dead_letters(sink, &[], policy)
    }

    fn with_dead_letters(&self, sink: &TestSink, dead: &[&TestSink], policy: Policy) -> Destination {
        let dead = dead.iter().map(|sink| Arc::new((*sink).clone()) as Arc<dyn Sink>).collect();
        Destination::new("default/func1/ship", "sink", Arc::new(sink.clone()), dead, policy, &self.metrics)
    }

    async fn deliver(&self, to: &Destination) -> Result<(), Fault> {
        self.delivery.deliver(to, &event("1"), fresh()).await
    }

    /// The latest parked event, as it comes back.
    fn parked(&self) -> Parked {
        let parked = self.bus.published("g-retry");
        unpark(parked.last().expect("an event is parked"), Position { major: 99, minor: 0 }).unwrap()
    }
}

fn fresh() -> History {
    History::new(topic("shop"), Position { major: 7, minor: 0 })
}

/// No jitter, so that times are exact.
fn policy() -> Policy {
    Policy { jitter: 0.0, ..Policy::default() }
}

/// Every failure is parked at once.
fn slow_policy() -> Policy {
    Policy { base: Duration::from_secs(5), ..policy() }
}

#[tokio::test(start_paused = true)]
async fn every_class_of_fault_is_parked_or_dead_at_once() {
    let check = async |kind: FaultKind, parks: bool| {
        let desk = desk();
        let sink = TestSink::failing(kind);
        desk.deliver(&desk.destination(&sink, slow_policy())).await.unwrap();
        assert_eq!(sink.attempts(), 1, "{kind}");
        assert_eq!(desk.bus.published("g-retry").len(), usize::from(parks), "{kind}");
        assert_eq!(desk.bus.published("shop-dlq").len(), usize::from(!parks), "{kind}");
    };
    for kind in [
        FaultKind::Unavailable,
        FaultKind::Timeout,
        FaultKind::Throttled,
        FaultKind::NotFound,
        FaultKind::Conflict,
        FaultKind::Full,
        FaultKind::Closed,
        FaultKind::Internal,
    ] {
        check(kind, true).await;
    }
    for kind in
        [FaultKind::Rejected, FaultKind::Denied, FaultKind::TooLarge, FaultKind::Malformed, FaultKind::Unsupported]
    {
        check(kind, false).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_short_outage_is_ridden_out_in_place() {
    let desk = desk();
    let sink = TestSink::good().first([Answer::fail(FaultKind::Unavailable), Answer::fail(FaultKind::Unavailable)]);
    let took = task::stopwatch();
    desk.deliver(&desk.destination(&sink, policy())).await.unwrap();
    assert_eq!(sink.ids(), ["1"]);
    assert_eq!(took(), Duration::from_millis(600), "200 ms, then 400 ms");
    assert!(desk.bus.published("g-retry").is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_lasts_longer_than_the_budget_is_parked_and_comes_back_as_it_was() {
    let desk = desk();
    let sink = TestSink::failing(FaultKind::Unavailable);
    let took = task::stopwatch();
    desk.deliver(&desk.destination(&sink, policy())).await.unwrap();
    assert_eq!(sink.attempts(), 3);
    assert!(took() <= IN_PLACE);
    let raw = &desk.bus.published("g-retry")[0];
    for (name, _) in raw.attributes() {
        assert!(name.len() <= 20, "{name} is longer than CloudEvents advises");
    }
    let parked = desk.parked();
    assert_eq!(parked.event, event("1"));
    assert_eq!(parked.key, "default/func1/ship#sink");
    assert_eq!((parked.history.attempts, parked.history.parks), (3, 1));
    assert_eq!(parked.history.first, Some(desk.clock.now()));
    assert_eq!(parked.history.topic, topic("shop"));
    assert!(parked.fault.starts_with("failed to post the event: as told"), "{}", parked.fault);
    assert_eq!(parked.grave, None);
}

#[tokio::test(start_paused = true)]
async fn one_event_is_parked_for_many_and_again_and_again() {
    let desk = desk();
    let sink = TestSink::failing(FaultKind::Unavailable);
    let one = Destination::new("d/t/one", "sink", Arc::new(sink.clone()), Vec::new(), slow_policy(), &desk.metrics);
    let two = Destination::new("d/t/two", "sink", Arc::new(sink.clone()), Vec::new(), slow_policy(), &desk.metrics);
    desk.deliver(&one).await.unwrap();
    desk.deliver(&two).await.unwrap();
    assert_eq!(desk.bus.published("g-retry").len(), 2, "neither is a duplicate of the other");
    let again = desk.parked();
    desk.delivery.deliver(&two, &again.event, again.history).await.unwrap();
    assert_eq!(desk.bus.published("g-retry").len(), 3, "the next attempt is no duplicate of the last");
    desk.deliver(&one).await.unwrap();
    assert_eq!(desk.bus.published("g-retry").len(), 3, "a redelivery parks the same copy");
    let replayed = History::new(topic("shop"), Position { major: 8, minor: 0 });
    desk.delivery.deliver(&one, &event("1"), replayed).await.unwrap();
    assert_eq!(desk.bus.published("g-retry").len(), 4, "a replay parks another");
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_honoured_up_to_the_cap() {
    let check = async |asked: u64, expected: u64| {
        let desk = desk();
        let fault = Fault::new(FaultKind::Throttled, "post", "slow down");
        let fault = fault.with_retry(Retry::After(Duration::from_secs(asked)));
        let sink = TestSink::new("http://busy", Answer::Fail(fault));
        desk.deliver(&desk.destination(&sink, slow_policy())).await.unwrap();
        let mut member = desk.bus.subscribe(all("g-retry")).await.unwrap();
        let waited = task::stopwatch();
        let received = member.next().await.unwrap();
        assert_eq!((received.len(), waited()), (1, Duration::from_secs(expected)));
    };
    check(60, 60).await;
    check(1, 5).await;
    check(86_400, 300).await;
}

fn all(name: &str) -> crate::flow::Subscription {
    let group = crate::flow::Group::new("g").unwrap();
    crate::flow::Subscription { topic: topic(name), group, start: crate::flow::Start::Earliest, max_in_flight: 100 }
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_tells_everything() {
    let desk = desk();
    let refused = Fault::new(FaultKind::Rejected, "post the event", "400 Bad Request")
        .with_code(400)
        .with_body("<html>\r\n\u{7}no</html>");
    let sink = TestSink::new("http://ship", Answer::Fail(refused));
    let dead = TestSink::good();
    desk.deliver(&desk.with_dead_letters(&sink, &[&dead], policy())).await.unwrap();
    let letter = &dead.taken()[0];
    let decoded = data_encoding::BASE64.decode(text(letter, "knativeerrordata").as_bytes()).unwrap();
    assert_eq!(String::from_utf8(decoded).unwrap(), "<html>   no</html>");
    for (name, value) in [
        ("id", "1"),
        ("subject", "orders/1"),
        ("knativeerrordest", "http://ship"),
        ("knativeerrorcode", "400"),
        (letter::REASON, "rejected"),
        (letter::ATTEMPTS, "1"),
        (letter::FIRST, "2026-11-24T10:00:00Z"),
        (letter::LAST, "2026-11-24T10:00:00Z"),
        (letter::TRIGGER, "default/func1"),
        (letter::SUBSCRIBER, "ship"),
        (letter::TOPIC, "shop"),
        (letter::FAULT, "failed to post the event: 400 Bad Request"),
    ] {
        assert_eq!(text(letter, name), value, "{name}");
    }
    assert_eq!(letter.data(), event("1").data());
    assert!(letter.attributes().all(|(name, _)| name.len() <= 20 && !name.starts_with("penstockpark")));
    assert!(desk.bus.published("shop-dlq").is_empty(), "it has a dead letter sink of its own");
}

#[tokio::test(start_paused = true)]
async fn attempts_and_deadline_bound_it() {
    let check = async |attempts: u32, age: Duration, reason: &str| {
        let desk = desk();
        let mut history = fresh();
        (history.attempts, history.first) = (attempts, Some(desk.clock.now()));
        desk.clock.advance(age);
        let sink = TestSink::failing(FaultKind::Unavailable);
        let to = desk.destination(&sink, slow_policy());
        desk.delivery.deliver(&to, &event("1"), history).await.unwrap();
        let letters = desk.bus.published("shop-dlq");
        assert_eq!(letters.first().map(|letter| text(letter, letter::REASON)).unwrap_or_default(), reason);
        assert_eq!(desk.bus.published("g-retry").len(), usize::from(reason.is_empty()));
    };
    check(9, SECOND, "").await;
    check(10, SECOND, "attempts").await;
    check(1, Duration::from_secs(24 * 3600), "deadline").await;
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_that_cannot_be_written_is_parked_until_it_can() {
    let desk = desk();
    let sink = TestSink::failing(FaultKind::Rejected);
    let (down, up) = (TestSink::failing(FaultKind::Unavailable), TestSink::good());
    let to = desk.with_dead_letters(&sink, &[&down, &up], policy());
    desk.deliver(&to).await.unwrap();
    assert_eq!(up.ids(), ["1"]);
    let parked = desk.parked();
    let grave = parked.grave.expect("it is a letter");
    assert_eq!(grave.reason, Reason::Rejected);

    desk.clock.advance(Duration::from_secs(30 * 24 * 3600));
    desk.delivery.bury(&to, parked, grave).await.unwrap();
    assert_eq!(desk.bus.published("g-retry").len(), 2, "however old it is");

    down.now_answers(Answer::Code(200));
    let parked = desk.parked();
    let grave = parked.grave.unwrap();
    desk.delivery.bury(&to, parked, grave).await.unwrap();
    assert_eq!(text(&down.taken()[0], letter::REASON), "rejected");
    assert!(down.taken()[0].attributes().all(|(name, _)| !name.starts_with("penstockpark")));
    assert_eq!(up.ids(), ["1"], "who has it does not get it again");
    assert_eq!(sink.attempts(), 1, "it is given up, so it is not attempted again");
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_sink_that_refuses_for_good_is_passed_over() {
    let desk = desk();
    let dead = TestSink::failing(FaultKind::Rejected);
    let to = desk.with_dead_letters(&TestSink::failing(FaultKind::Rejected), &[&dead], policy());
    desk.deliver(&to).await.unwrap();
    assert_eq!(desk.bus.published("shop-dlq").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn when_nothing_can_keep_it_the_bus_is_told_to_hand_it_out_again_later() {
    let desk = desk();
    let down = Fault::new(FaultKind::Unavailable, "publish", "the bus is down");
    desk.bus.fail("g-retry", Some(down.clone()));
    desk.bus.fail("shop-dlq", Some(down));
    let busy = desk.destination(&TestSink::failing(FaultKind::Unavailable), slow_policy());
    assert_eq!(desk.deliver(&busy).await.unwrap_err().retry(), Retry::After(Duration::from_secs(5)));
    let refused = desk.destination(&TestSink::failing(FaultKind::Rejected), slow_policy());
    assert!(matches!(desk.deliver(&refused).await.unwrap_err().retry(), Retry::After(_)));
}

#[tokio::test(start_paused = true)]
async fn a_bus_that_cannot_delay_hands_it_out_again_instead() {
    let desk = desk_on(MemoryBus::with(|capability| capability.delayed = false));
    let to = desk.destination(&TestSink::failing(FaultKind::Unavailable), slow_policy());
    assert_eq!(desk.deliver(&to).await.unwrap_err().retry(), Retry::After(Duration::from_secs(5)));
    let history = fresh().handed_out(11);
    desk.delivery.deliver(&to, &event("1"), history).await.unwrap();
    assert_eq!(text(&desk.bus.published("shop-dlq")[0], letter::REASON), "attempts");
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_too_large_to_park_is_given_up_with_its_data_cut() {
    let desk = desk_on(MemoryBus::with(|capability| capability.max_event_bytes = 2048));
    let data = "x".repeat(1900);
    let large = event("1").draft().data(crate::event::Data::Text(&data)).build().unwrap();
    let to = desk.destination(&TestSink::failing(FaultKind::Unavailable), slow_policy());
    desk.delivery.deliver(&to, &large, fresh()).await.unwrap();
    let letter = &desk.bus.published("shop-dlq")[0];
    assert_eq!(text(letter, letter::CUT), "1900");
    assert!(letter.record().len() <= 2048);
    assert!(letter.data_bytes().unwrap().len() > 500);
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_hangs_or_panics_has_failed_like_any_other() {
    for (answer, fault) in [(Answer::Hang, "no answer within 30s"), (Answer::Panic, "the sink panicked")] {
        let desk = desk();
        let sink = TestSink::new("http://odd", answer);
        desk.deliver(&desk.destination(&sink, slow_policy())).await.unwrap();
        let parked = desk.parked();
        assert_eq!(parked.history.attempts, 1);
        assert!(parked.fault.contains(fault), "{}", parked.fault);
    }
}

#[tokio::test(start_paused = true)]
async fn the_list_of_allowed_codes_decides() {
    let check = async |answer: Answer, delivered: bool| {
        let desk = desk();
        let sink = TestSink::new("http://codes", answer);
        let success = StatusCodes::Only(vec![200, 404]);
        desk.deliver(&desk.destination(&sink, Policy { success, ..slow_policy() })).await.unwrap();
        assert_eq!(desk.bus.published("g-retry").len(), usize::from(!delivered));
    };
    let not_found = Fault::new(FaultKind::NotFound, "post", "404").with_code(404);
    check(Answer::Code(200), true).await;
    check(Answer::Code(204), false).await;
    check(Answer::Fail(not_found), true).await;
    check(Answer::fail(FaultKind::Unavailable), false).await;
}

#[tokio::test(start_paused = true)]
async fn at_most_once_is_one_attempt_and_nothing_is_kept() {
    let desk = desk();
    let sink = TestSink::failing(FaultKind::Unavailable);
    let policy = Policy { at_most_once: true, attempts: 1, ..policy() };
    desk.deliver(&desk.destination(&sink, policy)).await.unwrap();
    assert_eq!(sink.attempts(), 1);
    assert!(desk.bus.published("g-retry").is_empty() && desk.bus.published("shop-dlq").is_empty());
}

#[tokio::test(start_paused = true)]
async fn no_more_attempts_at_once_than_allowed() {
    let desk = desk();
    let sink = TestSink::new("http://slow", Answer::Slow(Duration::from_millis(10)));
    let to = desk.destination(&sink, Policy { concurrency: 3, ..policy() });
    let all = (0..20).map(|id| {
        let event = event(&id.to_string());
        let (desk, to) = (&desk, &to);
        async move { desk.delivery.deliver(to, &event, fresh()).await }
    });
    assert!(futures_util::future::join_all(all).await.iter().all(Result::is_ok));
    assert_eq!((sink.taken().len(), sink.peak()), (20, 3));
    assert!(desk.bus.published("g-retry").is_empty(), "a healthy sink is waited for");
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_long_for_a_sink_that_hangs() {
    let desk = desk();
    let sink = TestSink::new("http://hang", Answer::Slow(Duration::from_secs(20)));
    let to = desk.destination(&sink, Policy { concurrency: 1, ..policy() });
    let took = task::stopwatch();
    let waiting = async {
        desk.deliver(&to).await.unwrap();
        assert_eq!(took(), gate::PATIENCE);
        desk.deliver(&to).await.unwrap();
        assert_eq!(took(), gate::PATIENCE, "the next one does not even wait");
        assert_eq!(desk.parked().history.attempts, 0, "waiting costs no attempt");
    };
    let (first, ()) = tokio::join!(desk.deliver(&to), waiting);
    first.unwrap();
    sink.now_answers(Answer::Code(200));
    desk.deliver(&to).await.unwrap();
    assert_eq!(sink.taken().len(), 2, "once there is room it is taken again");
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_hangs_is_only_probed_until_it_answers() {
    let desk = desk();
    let sink = TestSink::new("http://hang", Answer::Hang);
    let to = desk.destination(&sink, Policy { concurrency: 10, ..policy() });
    let ten = async || {
        let all = (0..10).map(|_| desk.delivery.deliver(&to, &ORDER, fresh()));
        assert!(futures_util::future::join_all(all).await.iter().all(Result::is_ok));
    };
    ten().await;
    assert_eq!(sink.attempts(), 10, "how could it be known before");
    ten().await;
    assert_eq!(sink.attempts(), 12);
    sink.now_answers(Answer::Code(200));
    ten().await;
    assert_eq!(sink.attempts(), 22, "the first answer opens the way again");
}

#[tokio::test(start_paused = true)]
async fn no_retry_in_place_once_the_stop_is_asked_for() {
    let desk = desk();
    let sink = TestSink::failing(FaultKind::Unavailable);
    let to = desk.destination(&sink, policy());
    let stop = async {
        task::sleep(Duration::from_millis(50)).await;
        desk.delivery.shutdown.request();
    };
    let took = task::stopwatch();
    let (result, ()) = tokio::join!(desk.deliver(&to), stop);
    result.unwrap();
    assert_eq!((sink.attempts(), took()), (1, Duration::from_millis(50)), "the pause is cut short");
    assert_eq!(desk.parked().history.attempts, 1);
}

#[test]
fn pauses_follow_the_policy() {
    let check = |growth: Growth, failures: u32, random: f64, expected: u64| {
        let policy = Policy { growth, jitter: 0.5, cap: Duration::from_secs(1), attempts: 100, ..Policy::default() };
        let fault = Fault::new(FaultKind::Unavailable, "post", "");
        let now = Timestamp::UNIX_EPOCH;
        let next = schedule::next(&policy, failures, now, now, &fault, random);
        assert_eq!(next, Next::Pause(Duration::from_millis(expected)), "{growth:?} {failures}");
    };
    check(Growth::Exponential(2.0), 1, 0.0, 200);
    check(Growth::Exponential(2.0), 3, 0.0, 800);
    check(Growth::Exponential(2.0), 4, 0.0, 1000);
    check(Growth::Exponential(2.0), 1, 1.0, 300);
    check(Growth::Linear, 1, 0.0, 200);
    check(Growth::Linear, 3, 0.0, 600);
    check(Growth::Linear, 99, 0.0, 1000);
}

#[test]
fn a_busy_sink_defers_longer_and_longer_until_the_deadline() {
    let check = |age: i64, expected: Next| {
        let now = Timestamp::from_second(age).unwrap();
        assert_eq!(schedule::deferral(&policy(), Timestamp::UNIX_EPOCH, now, 0.0), expected);
    };
    check(0, Next::Pause(SECOND));
    check(20, Next::Pause(Duration::from_secs(10)));
    check(7200, Next::Pause(Duration::from_secs(300)));
    check(86_401, Next::GiveUp(Reason::Deadline));
}

/// Writes down every decision.
#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl Observer for Notes {
    fn enabled(&self) -> bool {
        true
    }

    fn decided(&self, event: &Event, decision: &Decision<'_>) {
        let word = match decision {
            Decision::Delivered { attempt, code, .. } => format!("delivered {attempt} {code:?}"),
            Decision::Retrying { attempt, pause, .. } => format!("retrying {attempt} {pause:?}"),
            Decision::Parked { attempts, due, .. } => format!("parked {attempts} {due:?}"),
            Decision::Dead { reason, to, .. } => format!("dead {} {to}", reason.as_str()),
            other => format!("{other:?}"),
        };
        self.0.lock().unwrap().push(format!("{}: {word}", event.id()));
    }
}

#[tokio::test(start_paused = true)]
async fn every_step_is_told_to_the_observer() {
    let mut desk = desk();
    let notes = Arc::new(Notes::default());
    desk.delivery.observer = notes.clone();
    let sink = TestSink::good().first([Answer::fail(FaultKind::Unavailable)]);
    desk.deliver(&desk.destination(&sink, policy())).await.unwrap();
    let refused = TestSink::failing(FaultKind::Rejected);
    desk.deliver(&desk.destination(&refused, policy())).await.unwrap();
    let down = TestSink::failing(FaultKind::Unavailable);
    desk.deliver(&desk.destination(&down, slow_policy())).await.unwrap();
    assert_eq!(
        *notes.0.lock().unwrap(),
        ["1: retrying 1 200ms", "1: delivered 2 Some(200)", "1: dead rejected shop-dlq", "1: parked 1 5s",]
    );
}

proptest::proptest! {
    #[test]
    fn whatever_is_parked_comes_back_as_it_was(
        id in "\\PC{1,300}",
        tenant in "\\PC*",
        number in proptest::num::i32::ANY,
        data in proptest::collection::vec(proptest::num::u8::ANY, 0..200),
        rounds in 1_u32..4,
        message in ".*",
    ) {
        let draft = crate::event::Draft::new(&*id, "/shop", "order").with("tenant", &*tenant).with("number", number);
        let event = draft.data(crate::event::Data::detect(&data)).build().unwrap();
        let fault = Fault::new(FaultKind::Unavailable, "post", message);
        let mut history = fresh();
        history.failed(Timestamp::UNIX_EPOCH);
        let mut tickets = std::collections::BTreeSet::new();
        let mut current = event.clone();
        for round in 1..=rounds {
            let parked = history.park(&current, "ns/t/s#sink", &fault).unwrap();
            tickets.insert(parked.id().to_owned());
            let back = unpark(&parked, Position::default()).unwrap();
            proptest::prop_assert_eq!(&back.event, &event);
            proptest::prop_assert_eq!((back.history.attempts, back.history.parks), (1, round));
            (current, history) = (back.event, back.history);
        }
        proptest::prop_assert_eq!(tickets.len(), 1, "each copy follows the last under one id");
    }
}
