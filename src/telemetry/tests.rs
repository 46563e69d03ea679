use super::*;

fn check(text: &str, line: &str) {
    assert!(text.lines().any(|known| known == line), "{line:?} is missing in\n{text}");
}

#[test]
fn names_help_units_and_outcome_words_are_as_documented() {
    let metrics = Metrics::new();
    metrics.intake("default", "shop", "orders").accepted.inc_by(3);
    let subscriber = metrics.subscriber("default/func1", "ship");
    subscriber.parked.inc();
    subscriber.took(Duration::from_millis(2));
    metrics.lag("default-shop-orders", "g", 7);
    metrics.progressed(1.5);
    let text = metrics.encode();
    check(
        &text,
        r#"penstock_intake_events_total{namespace="default",source="shop",event="orders",outcome="accepted"} 3"#,
    );
    check(
        &text,
        r#"penstock_intake_events_total{namespace="default",source="shop",event="orders",outcome="refused"} 0"#,
    );
    check(&text, r#"penstock_router_events_total{trigger="default/func1",subscriber="ship",outcome="parked"} 1"#);
    check(&text, r#"penstock_delivery_seconds_count{trigger="default/func1",subscriber="ship"} 1"#);
    check(&text, r#"penstock_delivery_seconds_bucket{le="0.0025",trigger="default/func1",subscriber="ship"} 1"#);
    check(&text, r#"penstock_consumer_lag{topic="default-shop-orders",group="g"} 7"#);
    check(&text, "penstock_last_progress_timestamp_seconds 1.5");
    check(&text, "# UNIT penstock_delivery_seconds seconds");
    check(&text, "# HELP penstock_router_events Events of each subscriber, by outcome.");
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn what_is_filtered_out_is_what_arrived_less_what_matched() {
    let metrics = Metrics::new();
    let topic = metrics.topic();
    topic.received(5);
    let input = metrics.input("default/func1", "big", &topic);
    topic.received(10);
    input.matched.inc_by(4);
    input.error("number");
    let text = metrics.encode();
    check(&text, r#"penstock_input_events_total{trigger="default/func1",input="big",outcome="received"} 10"#);
    check(&text, r#"penstock_input_events_total{trigger="default/func1",input="big",outcome="matched"} 4"#);
    check(&text, r#"penstock_input_events_total{trigger="default/func1",input="big",outcome="filtered"} 6"#);
    check(&text, r#"penstock_filter_errors_total{trigger="default/func1",input="big",cause="number"} 1"#);
    topic.received(1);
    check(
        &metrics.encode(),
        r#"penstock_input_events_total{trigger="default/func1",input="big",outcome="filtered"} 7"#,
    );
}

#[test]
fn events_are_in_flight_as_long_as_the_guard_lives() {
    let metrics = Metrics::new();
    let flying = metrics.in_flight().enter(3);
    check(&metrics.encode(), "penstock_events_in_flight 3");
    drop(flying);
    check(&metrics.encode(), "penstock_events_in_flight 0");
}

#[test]
fn only_work_that_does_not_move_is_a_stall() {
    let limit = Duration::from_secs(60);
    let metrics = Metrics::new();
    metrics.progressed(100.0);
    assert!(!metrics.is_stalled(1000.0, limit), "idle");
    metrics.backlog(1);
    assert!(metrics.is_stalled(1000.0, limit), "events wait and nothing moves");
    metrics.progressed(990.0);
    assert!(!metrics.is_stalled(1000.0, limit), "moving");
    metrics.backlog(0);
    let _flying = metrics.in_flight().enter(1);
    assert!(metrics.is_stalled(1051.0, limit), "an event in flight hangs");
}

#[test]
fn what_a_bus_lost_is_its_own_count() {
    let metrics = Metrics::new();
    for lost in [0, 3, 3, 7] {
        metrics.lost("default/default", lost);
        check(&metrics.encode(), &format!("penstock_bus_lost_events_total{{bus=\"default/default\"}} {lost}"));
    }
}
