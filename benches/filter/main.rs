//! What filters cost for one event of 1 KiB: one data filter, then many inputs on one topic; then the same filters in
//! the Go projects that they are like, where `PENSTOCK_PEERS` names their program (`tests/tools/install.sh peers`).
//!
//! `cargo bench --bench filter` prints nanoseconds an event and the ratio to one input; without
//! `--bench` (as `cargo test --benches` runs it) everything runs once on little input.
#![expect(clippy::print_stdout, reason = "a benchmark prints its results")]

mod peers;

use std::hint::black_box;
use std::time::Duration;

use penstock::api::filter::Filters;
use penstock::api::{FieldPath, Problems};
use penstock::event::{Data, Draft, Event};
use penstock::flow::Topic;
use penstock::router::decision::{Decision, Observer, Unobserved};
use penstock::router::filter::{Filter, Verdict};
use penstock::router::journal::Journal;
use penstock::router::matching::Matcher;
use penstock::task::{Clock, stopwatch};
use serde_json::{Value, json};

/// The size of the payload of the events.
const PAYLOAD: usize = 1024;

fn main() {
    let has = |wanted: &str| std::env::args().any(|argument| argument == wanted);
    let quick = !has("--bench") || has("--test");
    let (sizes, rounds): (&[usize], usize) = if quick { (&[1, 20], 1) } else { (&[1, 1_000, 10_000], 7) };
    one_filter(rounds, quick);
    one_expression(rounds, quick);
    observed(rounds, quick);
    peers::compare(rounds, quick);
    many("distinct exact types", sizes, rounds, quick, |n| json!([{"exact": {"type": type_of(n)}}]));
    many(
        "distinct cesql on type",
        sizes,
        rounds,
        quick,
        |n| json!([{"cesql": format!("type = '{}' AND EXISTS subject AND priority > 3", type_of(n))}]),
    );
    many(
        "distinct literals on one path",
        sizes,
        rounds,
        quick,
        |n| json!({"data": [{"path": "body.bucket", "type": "string", "value": [format!("bucket-{n:05}")]}]}),
    );
    many(
        "distinct bounds, one of them met",
        sizes,
        rounds,
        quick,
        |n| json!({"data": [{"path": "body.total", "type": "number", "comparator": ">", "value": [(n + 41).to_string()]}]}),
    );
}

fn one_filter(rounds: usize, quick: bool) {
    let cases = [
        ("number >", json!({"path": "body.total", "type": "number", "comparator": ">", "value": ["41.0"]})),
        ("string, literal", json!({"path": "body.bucket", "type": "string", "value": ["bucket-00000"]})),
        ("string, regex", json!({"path": "body.bucket", "type": "string", "value": ["^bucket-\\d+$"]})),
        ("query", json!({"path": "body.items.#(sku==\"sku-3\").count", "type": "number", "value": ["3"]})),
    ];
    let event = event(0);
    for (name, item) in cases {
        let filter = filter(&json!({"data": [item]}));
        assert_eq!(filter.evaluate(&event), Verdict::Yes, "{name}");
        let time = best(rounds, quick, || filter.evaluate(black_box(&event)) == Verdict::Yes);
        println!("one data filter, {name:<32} {time:>8.0} ns/event");
    }
}

fn one_expression(rounds: usize, quick: bool) {
    let event = event(0);
    let cases = [
        ("typical", "type LIKE 'com.example.%' AND EXISTS subject AND priority > 3"),
        (
            "eight parts",
            "id = '42' AND source = '/shop/orders' AND type LIKE '%.v0' AND NOT (subject IN ('a', 'b')) \
          AND LENGTH(subject) < 20 AND priority % 2 = 1 AND priority + 1 < 9 AND LEFT(subject, 7) = 'orders/'",
        ),
    ];
    for (name, text) in cases {
        let filter = filter(&json!([{"cesql": text}]));
        assert_eq!(filter.evaluate(&event), Verdict::Yes, "{name}");
        let time = best(rounds, quick, || filter.evaluate(black_box(&event)) == Verdict::Yes);
        println!("one cesql expression, {name:<27} {time:>8.0} ns/event");
    }
    let field = |name: &str| json!({"name": name, "path": format!("body.{name}")});
    let expr = json!({"expr": "total > 41 && bucket =~ '^bucket-' && !(currency in ('USD', 'GBP'))",
        "fields": [field("total"), field("bucket"), field("currency")]});
    let filter = filter(&json!({"exprs": [expr]}));
    assert_eq!(filter.evaluate(&event), Verdict::Yes, "exprs");
    let time = best(rounds, quick, || filter.evaluate(black_box(&event)) == Verdict::Yes);
    println!("one expr over three fields {time:>31.0} ns/event");
    one_program(rounds, quick);
}

fn one_program(rounds: usize, quick: bool) {
    let event = event(0);
    let script = "local body = event.body return body.total > 41 and body.bucket:find('^bucket%-') ~= nil";
    let of_data = "event.data.body.total > 41 && event.data.body.bucket.startsWith('bucket-')";
    let cases = [
        ("script over two fields", json!({"script": script})),
        ("cel over attributes", json!({"cel": "event.type.startsWith('com.example.') && event.priority > 3"})),
        ("cel over two fields", json!({"cel": of_data})),
    ];
    for (name, raw) in cases {
        let filter = filter(&raw);
        assert_eq!(filter.evaluate(&event), Verdict::Yes, "{name}");
        let time = best(rounds, quick, || filter.evaluate(black_box(&event)) == Verdict::Yes);
        println!("one {name:<44} {time:>8.0} ns/event");
    }
}

/// What it costs to tell two decisions about an event: nothing with nobody there, a copy with the journal.
fn observed(rounds: usize, quick: bool) {
    let (event, topic) = (event(0), Topic::new("default-shop-orders").expect("the name is legal"));
    let journal = Journal::new(4 << 20, Clock::system());
    let observers: [(&str, &dyn Observer); 2] = [("nobody", &Unobserved), ("the journal of 4 MiB", &journal)];
    for (name, observer) in observers {
        let delivered = Decision::Delivered {
            subscriber: "default/shop/ship",
            address: "http://ship.default.svc/",
            code: Some(202),
            attempt: 1,
            took: Duration::from_millis(3),
        };
        let tell = || {
            let observer = black_box(observer);
            for decision in [Decision::Received { topic: &topic }, delivered] {
                if observer.enabled() {
                    observer.decided(black_box(&event), &decision);
                }
            }
            true
        };
        let time = best(rounds, quick, tell);
        println!("two decisions, told to {name:<25} {time:>8.0} ns/event");
    }
}

fn many(name: &str, sizes: &[usize], rounds: usize, quick: bool, raw: impl Fn(usize) -> Value) {
    let mut one = None;
    for size in sizes {
        let matcher = Matcher::build((0..*size).map(|n| (n, filter(&raw(n)))).collect());
        let event = event(0);
        let accepted = |event: &Event| {
            let mut count = 0;
            matcher.matches(event, |_| count += 1, |_, _| {});
            count
        };
        assert_eq!(accepted(&event), 1, "{name}");
        let time = best(rounds, quick, || accepted(black_box(&event)) == 1);
        let first = *one.get_or_insert(time);
        println!("{size:>6} inputs, {name:<34} {time:>8.0} ns/event  x{:.2}", time / first);
    }
}

/// The best of some rounds, in nanoseconds a call: the machine's other work only ever adds.
fn best(rounds: usize, quick: bool, mut call: impl FnMut() -> bool) -> f64 {
    const CALLS: u32 = 20_000;
    let calls = if quick { 1 } else { CALLS };
    let mut best = Duration::MAX;
    for _ in 0..rounds {
        let watch = stopwatch();
        for _ in 0..calls {
            assert!(black_box(call()));
        }
        best = best.min(watch());
    }
    best.as_secs_f64() * 1e9 / f64::from(calls)
}

fn filter(raw: &Value) -> Filter {
    let raw: Filters = serde_json::from_value(raw.clone()).expect("filters always deserialize");
    let mut problems = Problems::new();
    let filter = Filter::compile(&raw, None, &FieldPath::root(), &mut problems);
    assert!(problems.is_empty(), "{problems}");
    filter
}

fn type_of(n: usize) -> String {
    format!("com.example.shop.order.created.v{n}")
}

/// An order as shops send them: the values looked at are in the middle of 1 KiB of JSON.
fn event(n: usize) -> Event {
    let items: Vec<_> =
        (0..6).map(|n| json!({"sku": format!("sku-{n}"), "name": "A thing that is sold", "count": n})).collect();
    let mut payload = json!({
        "id": "5f2b8c1e-7d34-4c1a-9a51-2f6f3b0c9d11",
        "customer": {"name": "Ada Lovelace", "mail": "ada@example.com", "address": {"city": "London", "zip": "W1"}},
        "body": {"items": items, "total": 42.0, "bucket": format!("bucket-{n:05}"), "currency": "EUR"},
        "note": "",
    });
    let missing = PAYLOAD.saturating_sub(payload.to_string().len());
    payload["note"] = "x".repeat(missing).into();
    Draft::new("42", "/shop/orders", type_of(n))
        .with("subject", "orders/42")
        .with("priority", 5)
        .with("time", "2026-11-24T10:00:00Z")
        .with("datacontenttype", "application/json")
        .data(Data::Text(&payload.to_string()))
        .build()
        .expect("the event is complete")
}
