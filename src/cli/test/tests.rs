use super::*;

const FLOW: &str = r#"
apiVersion: events.openfunction.io/v1alpha1
kind: EventSource
metadata: {name: shop}
spec:
  http:
    orders: {port: 8080, attributes: {type: com.shop.order}}
    payments: {port: 8080}
---
apiVersion: events.openfunction.io/v1alpha1
kind: Trigger
metadata: {name: t}
spec:
  eventSources:
    - {name: order, eventSourceName: shop, eventName: orders}
    - {name: payment, eventSourceName: shop, eventName: payments}
    - {name: large, eventSourceName: shop, eventName: orders, filters: {data: [{path: n, type: number, comparator: ">", value: ["100"]}]}}
  subscribers:
    - {name: ship, condition: order && payment, sink: {uri: "http://ship"}}
    - {name: review, condition: large, ref: {apiVersion: v1, kind: Service, name: review}, delivery: {retry: 3, backoffDelay: PT10S}, deadLetterSink: {uri: "http://dead"}}
    - {name: copy, condition: large, topic: copies, delivery: {retry: 0}}
"#;

/// What is told of these cases, and whether all are as expected.
fn played(cases: &str) -> (String, Outcome) {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        vec![path]
    };
    let (files, tests) = (file("flow.yaml", FLOW), file("cases.yaml", cases));
    let junit = folder.path().join("report.xml");
    let options = Options { files, tests, only: None, junit: Some(junit.clone()), verbose: false };
    let mut out = Vec::new();
    let outcome = run(&options, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    if outcome != Outcome::Refused {
        let report = std::fs::read_to_string(junit).unwrap();
        assert_eq!(report.matches("<failure").count(), text.matches("  FAIL  ").count(), "{report}");
    }
    (text, outcome)
}

/// A case with these members beside its name.
fn case(members: &str) -> String {
    format!("cases:\n  - name: it\n{}\n", members.trim_matches('\n'))
}

#[test]
fn joins_retries_and_dead_letters_take_no_real_time_and_are_told_at_their_virtual_time() {
    let (text, outcome) = played(&case(
        r#"
    events:
      - {to: shop/orders, event: {id: a, data: {n: 5}}}
      - {to: shop/payments, at: 5h, event: {id: p, data: {paid: true}}}
      - {to: shop/orders, at: 6h, event: {id: b, data: {n: 500}}}
    answers:
      ship: [503, refused, {code: 429, retryAfter: 60}, timeout, 200]
      review: [503]
    expect:
      deliveries:
        - {to: ship, at: 5h1m..5h3m, attempt: 5, event: {type: events.openfunction.io.joined, data: {order: {type: com.shop.order, id: a}, payment: {id: p, subject: null}}}}
        - {to: copy, at: 6h, address: "topic:copies", event: {id: b}}
      deadLetters:
        - {of: t/review, at: 6h..7h, reason: attempts, attempts: 4, address: "http://dead/", event: {id: b, penstocksubscriber: review, data: {n: 500.0}}}
      held:
        - {by: ship, input: order, event: {id: b}}
"#,
    ));
    assert_eq!(outcome, Outcome::Done, "{text}");
    assert!(text.ends_with("  ok    it\n1 case: 1 as expected, 0 not\n"), "{text}");
}

#[test]
fn every_difference_is_told_with_what_was_seen_instead_and_what_happened() {
    let (text, outcome) = played(&case(
        r"
    events:
      - {to: shop/orders, event: {id: a, data: {n: 500, tags: [x]}}}
    expect:
      deliveries:
        - {to: copy, at: 1m, event: {id: a, gone: 1, data: {n: 501, tags: [y]}}}
        - {to: ship, event: {id: a}}
      held: []
",
    ));
    assert_eq!(outcome, Outcome::Unmet);
    for line in [
        "delivery to default/t/copy ([0] of those expected) is not as expected:",
        "  - at: 1m..1m1s\n          + at: 0s",
        "  - event.data.n: 501\n          + event.data.n: 500",
        "  - event.data.tags[0]: \"y\"\n          + event.data.tags[0]: \"x\"",
        "  - event.gone: 1\n          + event.gone is missing",
        "delivery to default/t/ship ([1] of those expected) is missing",
        "delivery to default/t/review at 0s was not expected\n          + attempt: 1, address: \"Service default/review (v1)\"",
        "event held by default/t/ship was not expected\n          + input: \"order\"",
        "what happened:",
        "a waits for others for default/t/ship",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
}

#[test]
fn the_same_case_is_played_in_the_same_way_each_time() {
    let cases = case(
        r"
    events: [{to: shop/orders, event: {data: {n: 500}}}]
    answers: {review: [500, 500, 200], copy: 200}
",
    );
    // The first line is the name of the file.
    let play = || played(&cases).0.split_once('\n').unwrap().1.to_owned();
    let first = play();
    assert_eq!(first.matches("was not expected").count(), 2, "{first}");
    for _ in 0..3 {
        assert_eq!(play(), first);
    }
}

#[test]
fn what_is_wrong_with_a_case_is_refused_and_names_what_is_known() {
    let check = |members: &str, expected: &str| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("flow.yaml");
        std::fs::write(&path, FLOW).unwrap();
        let (documents, _) = documents::load(&[path], &mut std::io::empty());
        let routes = Routes::of(&documents);
        let value = documents::read_values(&case(members)).remove(0)["cases"][0].take();
        let error = Case::read(value, &routes).unwrap_err();
        assert!(error.contains(expected), "{error}");
    };
    check("    event: []", "unknown field `event`, expected one of `name`, `start`, `events`");
    check("    events: [{to: shop/order}]", "events[0]: to: nobody listens to \"shop/order\" (did you mean");
    check("    events: [{to: shop}]", "events[0]: to: write it like hooks/orders");
    check("    events: [{to: shop/orders, at: soon}]", "events[0]: at: \"soon\" is not a duration");
    check("    events: [{to: shop/orders, event: {id: \"\"}}]", "events[0]: event: the required attribute id");
    check("    events: []\n    answers: {shop: 200}", "answers.shop: there is no subscriber \"shop\"");
    check(
        "    events: []\n    answers: {ship: never}",
        "answers.ship: unknown answer \"never\" (known: refused, timeout)",
    );
    check("    events: []\n    answers: {ship: 20}", "answers.ship: 20 is no status code");
    check("    events: []\n    expect: {held: [{by: ship, until: x}]}", "expect.held[0]: at: \"x\" is not a duration");
    check("    events: []\n    start: today", "start: ");
}
