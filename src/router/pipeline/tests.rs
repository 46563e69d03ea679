use std::sync::Mutex;

use super::*;
use crate::api::trigger::TransformSpec;
use crate::api::{FieldPath, Problems};
use crate::event::{Data, Event};
use crate::fault::Retry;
use crate::flow::{Sink, letter};
use crate::router::decision::{Decision, Unobserved};
use crate::router::filter::{Filter, Transform};
use crate::router::route::{BusDefaults, DeadLetter, Input, Policy, Target, Trigger};
use crate::router::tests::{Answer, MemoryBus, TestSink, event, input, text, trigger};

const SECOND: Duration = Duration::from_secs(1);

/// A bus and the sinks that targets stand for, by address.
struct Bench {
    bus: MemoryBus,
    metrics: Arc<Metrics>,
    observer: Arc<dyn Observer>,
    settings: Settings,
    sinks: Mutex<Vec<TestSink>>,
}

impl Bench {
    fn new() -> Self {
        Self {
            bus: MemoryBus::new(),
            metrics: Arc::new(Metrics::new()),
            observer: Arc::new(Unobserved),
            settings: Settings::new(Group::new("g").unwrap()),
            sinks: Mutex::default(),
        }
    }

    /// The sink that answers to `address`.
    fn sink(&self, address: &str, always: Answer) -> TestSink {
        let sink = TestSink::new(address, always);
        self.sinks.lock().unwrap().push(sink.clone());
        sink
    }

    fn wire(&self, target: &Target) -> Result<Arc<dyn Sink>, Fault> {
        let address = target.to_string();
        let sinks = self.sinks.lock().unwrap();
        let sink = sinks.iter().find(|sink| sink.address() == address);
        let missing = || Fault::new(FaultKind::NotFound, "find the sink", address.clone());
        sink.map(|sink| Arc::new(sink.clone()) as Arc<dyn Sink>).ok_or_else(missing)
    }

    async fn join(&self, triggers: Vec<Trigger>, shutdown: &Shutdown) -> Joined {
        let plan = Plan::new(triggers, &|target, _| self.wire(target), &self.metrics).unwrap();
        let (metrics, observer) = (self.metrics.clone(), self.observer.clone());
        let bus = Arc::new(self.bus.clone());
        let router = Router::new(plan, self.settings.clone(), bus, metrics, observer, Clock::system(), shutdown);
        router.unwrap().join().await.unwrap()
    }

    /// Routes while `scene` plays, then stops.
    async fn route(&self, triggers: Vec<Trigger>, scene: impl Future<Output = ()>) {
        let shutdown = Shutdown::new();
        let joined = self.join(triggers, &shutdown).await;
        let scene = async {
            scene.await;
            shutdown.request();
        };
        let (routed, ()) = tokio::join!(joined.run(), scene);
        routed.unwrap();
    }

    async fn all_done(&self) {
        self.bus.until("every event is settled", |bus| bus.left("shop") == 0 && bus.left("g-retry") == 0).await;
    }
}

fn http(host: &str) -> Target {
    Target::Http(format!("http://{host}/").parse().unwrap())
}

fn policy() -> Policy {
    Policy { jitter: 0.0, ..Policy::default() }
}

fn one(host: &str) -> Trigger {
    trigger("t", vec![input("orders", "shop")], vec![("sub", &[0], vec![http(host)], policy())])
}

#[tokio::test(start_paused = true)]
async fn events_reach_their_sinks_and_only_then_are_settled() {
    let bench = Bench::new();
    let sink = bench.sink("http://a/", Answer::Slow(SECOND));
    bench.bus.put("shop", event("1"));
    bench
        .route(vec![one("a")], async {
            task::sleep(Duration::from_millis(900)).await;
            assert_eq!(bench.bus.left("shop"), 1, "the sink does not have it yet");
            bench.all_done().await;
        })
        .await;
    assert_eq!(sink.ids(), ["1"]);
    assert_eq!(bench.bus.returned(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_several_inputs_accept_is_delivered_once() {
    let bench = Bench::new();
    let sink = bench.sink("http://a/", Answer::Code(200));
    let inputs = vec![input("a", "shop"), input("b", "shop")];
    let either = trigger("t", inputs, vec![("sub", &[0, 1], vec![http("a")], policy())]);
    bench.bus.put("shop", event("1"));
    bench.route(vec![either], bench.all_done()).await;
    assert_eq!(sink.ids(), ["1"]);
}

#[tokio::test(start_paused = true)]
async fn of_a_sink_and_a_topic_only_the_one_that_failed_is_tried_again() {
    let bench = Bench::new();
    let sink = bench.sink("http://a/", Answer::fail(FaultKind::Unavailable));
    let copy = bench.sink("topic:copy", Answer::Code(200));
    let both = vec![http("a"), Target::Topic("copy".to_owned())];
    let trigger = trigger("t", vec![input("orders", "shop")], vec![("sub", &[0], both, policy())]);
    bench.bus.put("shop", event("1"));
    bench
        .route(vec![trigger], async {
            bench.bus.until("it is parked", |bus| bus.left("shop") == 0).await;
            assert_eq!(bench.bus.left("g-retry"), 1);
            sink.now_answers(Answer::Code(200));
            bench.all_done().await;
        })
        .await;
    assert_eq!((sink.taken(), copy.taken()), (vec![event("1")], vec![event("1")]));
    assert_eq!(copy.attempts(), 1);
    let counted = bench.metrics.encode();
    for (outcome, count) in [("matched", 1), ("delivered", 2)] {
        let line = format!("subscriber=\"sub\",outcome=\"{outcome}\"}} {count}\n");
        assert!(counted.contains(&line), "{line}{counted}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_sink_that_hangs_does_not_stop_its_topic() {
    let bench = Bench::new();
    bench.sink("http://hang/", Answer::Hang);
    let good = bench.sink("http://good/", Answer::Code(200));
    let subscriber = vec![("sub", &[0_usize] as &[usize], vec![http("hang")], policy())];
    let hanging = trigger("hanging", vec![input("orders", "shop")], subscriber);
    let events = 5000;
    for id in 0..events {
        bench.bus.put("shop", event(&id.to_string()));
    }
    let took = task::stopwatch();
    bench
        .route(vec![hanging, one("good")], async {
            while good.taken().len() < events {
                task::sleep(Duration::from_millis(10)).await;
            }
            assert!(took() < Duration::from_secs(5), "took {:?}", took());
        })
        .await;
    assert!(bench.bus.left("g-retry") >= events - 200, "what the hanging sink is owed is kept");
}

#[tokio::test(start_paused = true)]
async fn poison_costs_only_itself() {
    let bench = Bench::new();
    let sink = bench.sink("http://a/", Answer::Code(200));
    bench.bus.put("shop", event("1"));
    bench.bus.put_poison("shop", b"\xFFno event");
    bench.bus.put("shop", event("2"));
    bench.route(vec![one("a")], bench.all_done()).await;
    assert_eq!(sink.ids(), ["1", "2"]);
    let letter = &bench.bus.published("shop-dlq")[0];
    assert_eq!(letter.data_bytes().unwrap(), b"\xFFno event".as_slice());
    assert_eq!((letter.ty(), text(letter, letter::REASON).as_str()), (letter::POISON_TYPE, "poison"));
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_sink_is_a_failure_of_that_event() {
    let bench = Bench::new();
    let sink = bench.sink("http://a/", Answer::Panic);
    bench.bus.put("shop", event("1"));
    bench
        .route(vec![one("a")], async {
            bench.bus.until("it is parked", |bus| bus.left("shop") == 0).await;
            sink.now_answers(Answer::Code(200));
            bench.bus.put("shop", event("2"));
            bench.all_done().await;
        })
        .await;
    let mut ids = sink.ids();
    ids.sort();
    assert_eq!(ids, ["1", "2"]);
}

#[tokio::test(start_paused = true)]
async fn parked_events_survive_a_restart_and_find_the_changed_address() {
    let bench = Bench::new();
    bench.sink("http://old/", Answer::fail(FaultKind::Unavailable));
    let new = bench.sink("http://new/", Answer::Code(200));
    bench.bus.put("shop", event("1"));
    bench.route(vec![one("old")], bench.bus.until("it is parked", |bus| bus.left("shop") == 0)).await;
    assert_eq!(bench.bus.left("g-retry"), 1);
    bench.route(vec![one("new")], bench.all_done()).await;
    assert_eq!(new.taken(), [event("1")]);
}

#[tokio::test(start_paused = true)]
async fn a_parked_event_whose_subscriber_is_gone_goes_to_the_dead_letters() {
    let bench = Bench::new();
    bench.sink("http://a/", Answer::fail(FaultKind::Unavailable));
    bench.bus.put("shop", event("1"));
    bench.route(vec![one("a")], bench.bus.until("it is parked", |bus| bus.left("shop") == 0)).await;
    bench.route(vec![], bench.all_done()).await;
    let letter = &bench.bus.published("shop-dlq")[0];
    assert_eq!(text(letter, letter::REASON), "unsubscribed");
    assert_eq!((text(letter, letter::TRIGGER), text(letter, letter::SUBSCRIBER)), ("ns/t".into(), "sub".into()));
    assert_eq!((letter.id(), text(letter, letter::ATTEMPTS).as_str()), ("1", "3"));
}

#[tokio::test(start_paused = true)]
async fn what_was_never_parked_does_not_loop_on_the_retry_topic() {
    let bench = Bench::new();
    bench.bus.put("g-retry", event("stray"));
    bench.route(vec![], bench.all_done()).await;
    assert_eq!(bench.bus.published("g-retry-dlq").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_whole_way_down_to_the_dead_letters_takes_all_attempts() {
    let bench = Bench::new();
    let sink = bench.sink("http://a/", Answer::fail(FaultKind::Unavailable));
    bench.bus.put("shop", event("1"));
    bench.route(vec![one("a")], bench.bus.until("it is dead", |bus| bus.left("shop-dlq") == 1)).await;
    assert_eq!(sink.attempts(), 11);
    let letter = &bench.bus.published("shop-dlq")[0];
    assert_eq!((letter.id(), text(letter, letter::ATTEMPTS).as_str()), ("1", "11"));
    assert_eq!(bench.bus.left("g-retry"), 0);
}

#[tokio::test(start_paused = true)]
async fn while_the_bus_cannot_keep_it_an_event_is_handed_out_again_but_not_in_a_hot_loop() {
    let bench = Bench::new();
    let sink = bench.sink("http://a/", Answer::fail(FaultKind::Unavailable));
    bench.bus.fail("g-retry", Some(Fault::new(FaultKind::Unavailable, "publish", "down")));
    bench.bus.put("shop", event("1"));
    bench
        .route(vec![one("a")], async {
            task::sleep(60 * SECOND).await;
            assert_eq!(bench.bus.left("shop"), 1);
            assert!((10..200).contains(&sink.attempts()), "{} attempts in a minute", sink.attempts());
            bench.bus.fail("g-retry", None);
            sink.now_answers(Answer::Code(200));
            bench.all_done().await;
        })
        .await;
    assert_eq!(sink.ids(), ["1"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_in_flight_finishes_within_the_grace_period() {
    let bench = Bench::new();
    let sink = bench.sink("http://a/", Answer::Slow(10 * SECOND));
    bench.bus.put("shop", event("1"));
    let took = task::stopwatch();
    bench.route(vec![one("a")], task::sleep(SECOND)).await;
    assert_eq!((sink.ids(), took()), (vec!["1".to_owned()], 10 * SECOND));
    assert_eq!((bench.bus.left("shop"), bench.bus.returned()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn what_does_not_finish_in_time_is_handed_out_again_after_the_restart() {
    let bench = Bench::new();
    let sink = bench.sink("http://a/", Answer::Hang);
    bench.bus.put("shop", event("1"));
    let took = task::stopwatch();
    bench.route(vec![one("a")], task::sleep(SECOND)).await;
    assert_eq!(took(), SECOND + bench.settings.grace);
    assert_eq!((bench.bus.left("shop"), bench.bus.returned()), (1, 1));
    sink.now_answers(Answer::Code(200));
    bench.route(vec![one("a")], bench.all_done()).await;
    assert_eq!(sink.ids(), ["1"]);
}

#[tokio::test(start_paused = true)]
async fn a_router_that_is_dropped_settles_nothing() {
    let bench = Bench::new();
    bench.sink("http://a/", Answer::Hang);
    bench.bus.put("shop", event("1"));
    let joined = bench.join(vec![one("a")], &Shutdown::new()).await;
    assert!(task::within(SECOND, joined.run()).await.is_none());
    bench.bus.until("its receipt is dropped", |bus| bus.returned() == 1).await;
    assert_eq!(bench.bus.left("shop"), 1);
}

#[tokio::test(start_paused = true)]
async fn no_more_in_flight_than_allowed() {
    let mut bench = Bench::new();
    (bench.settings.parallelism, bench.settings.max_in_flight) = (1, 10);
    let sink = bench.sink("http://a/", Answer::Slow(SECOND));
    for id in 0..35 {
        bench.bus.put("shop", event(&id.to_string()));
    }
    bench.route(vec![one("a")], bench.all_done()).await;
    assert_eq!(sink.taken().len(), 35);
    assert!(sink.peak() < 20, "{} at once: at most one batch beyond the limit", sink.peak());
    let text = bench.metrics.encode();
    assert!(text.contains("penstock_events_in_flight 0"), "{text}");
    assert!(text.contains(r#"penstock_router_events_total{trigger="ns/t",subscriber="sub",outcome="matched"} 35"#));
    assert!(text.contains(r#"penstock_router_events_total{trigger="ns/t",subscriber="sub",outcome="delivered"} 35"#));
    assert!(text.contains(r#"penstock_input_events_total{trigger="ns/t",input="orders",outcome="received"} 35"#));
}

#[test]
fn what_cannot_be_wired_is_refused() {
    let bench = Bench::new();
    bench.sink("http://a/", Answer::Code(200));
    let check = |triggers: Vec<Trigger>, kind: FaultKind| {
        let plan = Plan::new(triggers, &|target, _| bench.wire(target), &bench.metrics);
        assert_eq!(plan.err().unwrap().kind(), kind);
    };
    check(vec![one("nowhere")], FaultKind::NotFound);
    check(vec![one("a"), one("a")], FaultKind::Conflict);
}

#[tokio::test]
async fn joins_without_a_store_are_refused() {
    let bench = Bench::new();
    bench.sink("http://a/", Answer::Code(200));
    let input = |name: &str| serde_json::json!({"name": name, "eventSourceName": "shop", "eventName": name});
    let subscribers = serde_json::json!([{"condition": "a && b", "sink": {"uri": "http://a/"}}]);
    let spec = serde_json::json!({"eventSources": [input("a"), input("b")], "subscribers": subscribers});
    let mut problems = Problems::new();
    let spec = serde_json::from_value(spec).unwrap();
    let joins = Trigger::parse("ns", "t", &spec, &BusDefaults::named("default"), &mut problems);
    assert!(problems.is_empty(), "{problems}");
    let plan = Plan::new(vec![joins], &|target, _| bench.wire(target), &bench.metrics).unwrap();
    let (bus, metrics, observer) = (Arc::new(bench.bus.clone()), bench.metrics.clone(), bench.observer.clone());
    let (settings, shutdown) = (bench.settings.clone(), Shutdown::new());
    let router = Router::new(plan, settings, bus, metrics, observer, Clock::system(), &shutdown).unwrap();
    assert_eq!(router.join().await.err().unwrap().kind(), FaultKind::Unsupported);
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_has_its_own_dead_letters() {
    let bench = Bench::new();
    bench.sink("http://a/", Answer::fail(FaultKind::Rejected));
    let lost = bench.sink("http://lost/", Answer::Code(200));
    let mut trigger = one("a");
    trigger.subscribers[0].dead_letter = DeadLetter::Targets(vec![http("lost")]);
    bench.bus.put("shop", event("1"));
    bench.route(vec![trigger], bench.all_done()).await;
    assert_eq!(lost.ids(), ["1"]);
    assert!(bench.bus.published("shop-dlq").is_empty());
}

/// Counts the kinds of decisions.
#[derive(Default)]
struct Notes(Mutex<Vec<&'static str>>);

impl Observer for Notes {
    fn enabled(&self) -> bool {
        true
    }

    fn decided(&self, _event: &Event, decision: &Decision<'_>) {
        let word = match decision {
            Decision::Received { .. } => "received",
            Decision::Unmatched { .. } => "unmatched",
            Decision::Filtered { input: "orders", undecided: false, .. } => "filtered orders",
            Decision::Filtered { input: "payments", undecided: false, .. } => "filtered payments",
            Decision::Untransformed { input: "orders", cause: "script", .. } => "not transformed",
            Decision::Delivered { .. } => "delivered",
            Decision::Parked { .. } => "parked",
            Decision::Replayed { attempts: 1, .. } => "replayed",
            Decision::Returned { .. } => "returned",
            _ => "other",
        };
        self.0.lock().unwrap().push(word);
    }
}

#[tokio::test(start_paused = true)]
async fn the_way_of_an_event_can_be_followed() {
    let mut bench = Bench::new();
    let notes = Arc::new(Notes::default());
    bench.observer = notes.clone();
    let slow_down = Fault::new(FaultKind::Throttled, "post", "").with_retry(Retry::After(5 * SECOND));
    let sink = bench.sink("http://a/", Answer::Fail(slow_down));
    bench.bus.put("shop", event("1"));
    bench
        .route(vec![one("a")], async {
            bench.bus.until("it is parked", |bus| bus.left("shop") == 0).await;
            sink.now_answers(Answer::Code(200));
            bench.all_done().await;
        })
        .await;
    assert_eq!(*notes.0.lock().unwrap(), ["received", "parked", "replayed", "delivered"]);
}

/// An input that takes the events whose type is one of these.
fn typed(name: &str, types: &[&str]) -> Input {
    let exact: Vec<_> = types.iter().map(|ty| serde_json::json!({"exact": {"type": ty}})).collect();
    let filters = serde_json::from_value(serde_json::json!([{ "any": exact }])).unwrap();
    let mut problems = Problems::default();
    let filter = Filter::compile(&filters, None, &FieldPath::root(), &mut problems);
    assert!(problems.is_empty(), "{problems:?}");
    Input { filter, ..input(name, "shop") }
}

#[tokio::test(start_paused = true)]
async fn of_many_triggers_those_get_an_event_whose_filter_takes_it() {
    let bench = Bench::new();
    let sink = bench.sink("http://a/", Answer::Code(200));
    // Enough for the index; each wants two types, so each event has two takers.
    let triggers = (0..40).map(|number| {
        let types = [format!("t{number}"), format!("t{}", (number + 1) % 40)];
        let types: Vec<&str> = types.iter().map(String::as_str).collect();
        let subscriber = ("sub", &[0_usize] as &[usize], vec![http("a")], policy());
        trigger(&format!("trigger{number}"), vec![typed("orders", &types)], vec![subscriber])
    });
    for number in 0..40 {
        let ty = format!("t{number}");
        bench.bus.put("shop", event(&number.to_string()).draft().with("type", ty).build().unwrap());
    }
    bench.bus.put("shop", event("nobody's"));
    bench.route(triggers.collect(), bench.all_done()).await;
    let mut ids = sink.ids();
    ids.sort();
    let mut expected: Vec<String> = (0..40).flat_map(|number| [number.to_string(), number.to_string()]).collect();
    expected.sort();
    assert_eq!(ids, expected);
    let text = bench.metrics.encode();
    for (outcome, count) in [("received", 41), ("matched", 2), ("filtered", 39)] {
        let input = format!(r#"{{trigger="ns/trigger7",input="orders",outcome="{outcome}"}} {count}"#);
        assert!(text.contains(&input), "{input} is missing");
    }
}

#[tokio::test(start_paused = true)]
async fn who_did_not_want_an_event_is_told_too() {
    let mut bench = Bench::new();
    let notes = Arc::new(Notes::default());
    bench.observer = notes.clone();
    bench.sink("http://a/", Answer::Code(200));
    let inputs = vec![typed("payments", &["payment"]), typed("orders", &["order"])];
    let trigger = trigger("t", inputs, vec![("sub", &[0, 1], vec![http("a")], policy())]);
    bench.bus.put("shop", event("1"));
    bench.bus.put("shop", event("2").draft().with("type", "other").build().unwrap());
    bench.route(vec![trigger], bench.all_done()).await;
    let mut told = notes.0.lock().unwrap().clone();
    told.sort_unstable();
    let expected =
        ["delivered", "filtered orders", "filtered payments", "filtered payments", "received", "received", "unmatched"];
    assert_eq!(told, expected);
}

/// An input that changes its events by a script, and takes those that have `keep` then.
fn changed(name: &str, script: &str) -> Input {
    let mut problems = Problems::default();
    let raw = TransformSpec { script: Some(script.to_owned()), ..TransformSpec::default() };
    let transform = Transform::compile(&raw, &FieldPath::root(), &mut problems);
    let filters = serde_json::from_value(serde_json::json!({"script": "return event.keep == true"})).unwrap();
    let filter = Filter::compile(&filters, None, &FieldPath::root(), &mut problems);
    assert!(problems.is_empty(), "{problems:?}");
    Input { transform, filter, ..input(name, "shop") }
}

#[tokio::test(start_paused = true)]
async fn a_transform_changes_what_the_filter_sees_and_the_subscribers_get() {
    let mut bench = Bench::new();
    let notes = Arc::new(Notes::default());
    bench.observer = notes.clone();
    let [a, b, c] = ["http://a/", "http://b/", "http://c/"].map(|address| bench.sink(address, Answer::Code(200)));
    // Its first event is parked, and comes back as it was changed.
    let c = c.first([Answer::fail(FaultKind::Unavailable)]);
    let inputs = vec![
        changed("orders", "event.n = event.n + 1 event.keep = event.n > 1 return event"),
        typed("payments", &["order"]),
        changed("rest", "return {keep = true}"),
    ];
    let subscribers = vec![
        // The first input that accepts an event says what of it is delivered.
        ("first", &[0_usize, 1] as &[usize], vec![http("a")], policy()),
        ("plain", &[1], vec![http("b")], policy()),
        ("rest", &[2], vec![http("c")], Policy { base: 2 * SECOND, ..policy() }),
    ];
    let put = |id: &str, json: &'static str| {
        let event = event(id);
        bench.bus.put("shop", event.draft().with("type", "order").data(Data::Text(json)).build().unwrap());
    };
    put("1", r#"{"n": 1}"#);
    put("2", r#"{"n": 0}"#);
    put("3", r#"{"text": "no number"}"#);
    bench.route(vec![trigger("t", inputs, subscribers)], bench.all_done()).await;
    let data = |sink: &TestSink| {
        let events = sink.taken().into_iter().map(|event| match event.data() {
            Some(Data::Text(text)) => serde_json::from_str::<serde_json::Value>(text).unwrap(),
            _ => serde_json::Value::Null,
        });
        let mut events: Vec<_> = events.collect();
        events.sort_by_key(|data| data["n"].as_u64().unwrap_or(9));
        events
    };
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    let raw = [json(r#"{"n":0}"#), json(r#"{"n":1}"#), json(r#"{"text":"no number"}"#)];
    assert_eq!(data(&a), [raw[0].clone(), json(r#"{"keep":true,"n":2}"#), raw[2].clone()]);
    assert_eq!(data(&b), raw);
    assert_eq!(data(&c), vec![json(r#"{"keep":true}"#); 3]);
    let told = notes.0.lock().unwrap();
    let count = |word: &str| told.iter().filter(|told| **told == word).count();
    assert_eq!((count("filtered orders"), count("not transformed")), (1, 1), "{told:?}");
    let text = bench.metrics.encode();
    assert!(text.contains(r#"filter_errors_total{trigger="ns/t",input="orders",cause="script"} 1"#), "{text}");
}

#[tokio::test(start_paused = true)]
async fn on_a_bus_that_cannot_delay_events_come_back_until_they_are_given_up() {
    let mut bench = Bench::new();
    bench.bus = MemoryBus::with(|capability| capability.delayed = false);
    let sink = bench.sink("http://a/", Answer::fail(FaultKind::Unavailable));
    let policy = Policy { attempts: 4, base: 2 * SECOND, ..policy() };
    let trigger = trigger("t", vec![input("orders", "shop")], vec![("sub", &[0], vec![http("a")], policy)]);
    bench.bus.put("shop", event("1"));
    bench.route(vec![trigger], bench.bus.until("it is dead", |bus| bus.left("shop-dlq") == 1)).await;
    assert_eq!((bench.bus.left("shop"), sink.attempts()), (0, 4));
}

#[tokio::test(start_paused = true)]
async fn a_body_is_built_of_the_event_of_its_input_also_after_parking() {
    let bench = Bench::new();
    let sink = bench.sink("http://a/", Answer::fail(FaultKind::Unavailable));
    let inputs = vec![input("a", "shop"), input("b", "bank")];
    let mut either = trigger("t", inputs, vec![("sub", &[0, 1], vec![http("a")], policy())]);
    let specs: Vec<crate::api::trigger::ParameterSpec> = serde_json::from_value(serde_json::json!([
        {"src": {"dependencyName": "a", "dataKey": "total", "useRawData": true}, "dest": "a"},
        {"src": {"dependencyName": "b", "dataKey": "total", "value": "none"}, "dest": "b"}
    ]))
    .unwrap();
    let mut problems = Problems::new();
    let body = crate::router::body::Body::compile(&specs, &["a", "b"], &FieldPath::root(), &mut problems);
    either.subscribers[0].body = body;
    bench.bus.put("shop", event("1"));
    bench.bus.put("bank", event("2"));
    bench
        .route(vec![either], async {
            bench.bus.until("both are parked", |bus| bus.left("shop") + bus.left("bank") == 0).await;
            for parked in bench.bus.published("g-retry") {
                assert_eq!(parked.data(), event("1").data(), "parked as it came");
            }
            sink.now_answers(Answer::Code(200));
            bench.all_done().await;
        })
        .await;
    let body = |id: &str| {
        let taken = sink.taken().into_iter().find(|event| event.id() == id).unwrap();
        assert!(taken.attributes().all(|(name, _)| !name.starts_with("penstock")));
        String::from_utf8(taken.data_bytes().unwrap().to_vec()).unwrap()
    };
    assert_eq!((body("1"), body("2")), (r#"{"a":1.0,"b":"none"}"#.to_owned(), r#"{"b":"1"}"#.to_owned()));
}
