use super::*;
use crate::api::any::IntOrText;

fn path() -> FieldPath {
    FieldPath::root().field("x")
}

#[test]
fn endpoints_are_host_and_port() {
    let check = |text: &str, expected: &[&str]| {
        let mut problems = Problems::new();
        let found: Vec<String> = endpoints(text, &path(), &mut problems).iter().map(Endpoint::to_string).collect();
        assert_eq!(found, expected, "{text}: {problems}");
        problems.to_string()
    };
    assert_eq!(check("kafka.argo-events:9092", &["kafka.argo-events:9092"]), "");
    assert_eq!(check("a:1, b:2", &["a:1", "b:2"]), "");
    assert_eq!(check("[::1]:9092", &["[::1]:9092"]), "");
    assert_eq!(check("a", &[]), "x: \"a\" is not host:port (such as \"kafka.default:9092\")");
    assert_eq!(check("a:1,,b:0", &["a:1"]).lines().count(), 2);
    assert_eq!(check("kafka://a:1", &[]), "x: \"kafka://a:1\" has a scheme (write host:port, comma separated)");
    for bad in ["", ":1", "a:", "a:99999", "a b:1", "::1:2", "[::g]:1", "u@a:1"] {
        check(bad, &[]);
    }
}

#[test]
fn an_address_may_hold_a_password_that_is_never_shown() {
    let schemes = [("mqtt", 1883), ("mqtts", 8883)];
    let read = |text: &str| {
        let mut problems = Problems::new();
        (address(text, &schemes, &path(), &mut problems), problems)
    };
    let (found, problems) = read("mqtts://me:p%40ss@broker");
    assert!(problems.is_empty() && problems.warnings().len() == 1, "{problems}");
    assert_eq!(found.endpoint.unwrap().to_string(), "broker:8883");
    assert_eq!(found.user.unwrap().expose(), "me");
    assert_eq!(found.password.unwrap().expose(), "p@ss");
    assert_eq!(read("mqtt://h:7/").0.endpoint.unwrap().to_string(), "h:7");

    let refused = |text: &str| read(text).1.to_string();
    assert_eq!(refused("broker:1883"), "x: must begin with a scheme (such as \"mqtt://host:1883\")");
    assert_eq!(refused("mqt://h"), "x: unknown scheme \"mqt\" (did you mean \"mqtt\"? known: mqtt, mqtts)");
    assert_eq!(refused("mqtt://me:secret@"), "x: \"\" is not host:port (such as \"mqtt://host:1883\")");
}

#[test]
fn a_backoff_is_checked_and_has_defaults() {
    let spec = |duration: IntOrText, factor: f64| ConnectionBackoff {
        duration: Some(duration),
        factor: Some(factor),
        ..ConnectionBackoff::default()
    };
    let check = |spec: &ConnectionBackoff, expected: &str| {
        let mut problems = Problems::new();
        let backoff = Backoff::parse(Some(spec), &path(), &mut problems);
        assert_eq!(problems.to_string(), expected);
        backoff
    };
    let seed = check(&spec(IntOrText::Int(10_000_000_000), 2.0), "");
    assert_eq!((seed.base, seed.cap), (Duration::from_secs(10), Duration::from_secs(30)));
    let long = check(&spec(IntOrText::Text("1m".into()), 1.0), "");
    assert_eq!(long.cap, Duration::from_secs(60));
    check(
        &spec(IntOrText::Text("0s".into()), 0.5),
        "x.duration: must be longer than zero\nx.factor: must be 1 to 100, not 0.5",
    );
    check(
        &spec(IntOrText::Int(-1), f64::NAN),
        "x.duration: -1 is not a duration: it must not be negative\nx.factor: must be 1 to 100, not NaN",
    );
    check(&ConnectionBackoff { steps: Some(0), ..ConnectionBackoff::default() }, "x.steps: must be at least 1");
}

#[test]
fn scaling_is_checked() {
    let check = |spec: &ScaleOption, expected: &str| {
        let mut problems = Problems::new();
        let threshold = lag_threshold(Some(spec), &path(), &mut problems);
        assert_eq!(problems.to_string(), expected);
        threshold
    };
    assert_eq!(check(&ScaleOption { lag_threshold: Some("25".into()), ..ScaleOption::default() }, ""), 25);
    let bad = ScaleOption {
        min_replica_count: Some(5),
        max_replica_count: Some(2),
        polling_interval: Some(0),
        lag_threshold: Some("many".into()),
        ..ScaleOption::default()
    };
    let expected = "x.pollingInterval: must be at least 1, not 0\n\
        x.minReplicaCount: 5 is more than maxReplicaCount 2\n\
        x.lagThreshold: \"many\" is not a number of events (such as \"10\")";
    assert_eq!(check(&bad, expected), 10);
}
