//! Filters and transforms that are programs: the example of the docs, as a process, with events that they cannot judge.

use http::Method;

use crate::support::{Client, Receiver, Run, eventually, free_port};

const EXAMPLE: &str = include_str!("../../../examples/programs/flow.yaml");

#[tokio::test]
async fn scripts_and_cel_choose_events_and_what_they_cannot_judge_is_counted() {
    let (folder, receiver, port) = (tempfile::tempdir().unwrap(), Receiver::start().await, free_port());
    let yaml = EXAMPLE.replace("http://127.0.0.1:9000", &receiver.uri(""));
    let yaml = yaml.replace("port: 8080", &format!("port: {port}"));
    // A script that never ends for some events holds up neither them nor others.
    let yaml = yaml.replace("local total = 0\n", "local total = 0\n          while event.endless do end\n");
    assert!(yaml.contains("endless"), "{yaml}");
    std::fs::write(folder.path().join("flow.yaml"), yaml).unwrap();
    let process = Run::new(folder.path()).start().await;
    let client = Client::new();
    for (id, body) in [
        ("endless", r#"{"endless": true, "items": []}"#),
        ("broken", r#"{"items": [{"count": 11}]}"#),
        ("none", "{}"),
        ("small", r#"{"items": [{"count": 1, "price": 5}]}"#),
        ("dear", r#"{"items": [{"count": 1, "price": 60}, {"count": 1, "price": 50}]}"#),
        ("both", r#"{"items": [{"count": 20, "price": 60}]}"#),
    ] {
        let headers = [
            ("ce-specversion", "1.0"),
            ("ce-id", id),
            ("ce-source", "/shop"),
            ("ce-type", "com.shop.order"),
            ("content-type", "application/json"),
        ];
        let uri = format!("http://127.0.0.1:{port}/orders");
        assert_eq!(client.send(Method::POST, &uri, &headers, body).await.unwrap().code, 202, "{id}");
    }
    eventually("the chosen events arrive", || async { receiver.count() >= 6 }).await;
    let counted = |input: &str, cause: &str, count: u32| {
        format!(
            "penstock_filter_errors_total{{trigger=\"default/programs\",input=\"{input}\",cause=\"{cause}\"}} {count}"
        )
    };
    let expected = [
        counted("priced", "script", 2),
        counted("large", "too_costly", 1),
        counted("large", "script", 2),
        counted("bulky", "missing_value", 1),
    ];
    eventually("every event is judged", || async {
        let metrics = client.get(&process.admin("/metrics")).await.unwrap().body;
        expected.iter().all(|line| metrics.contains(line.as_str()))
    })
    .await;
    let mut seen: Vec<_> =
        receiver.seen().iter().map(|seen| format!("{} {}", seen.path, seen.header("ce-id"))).collect();
    seen.sort();
    assert_eq!(
        seen,
        ["/bulky both", "/bulky broken", "/large both", "/large dear", "/priced both", "/priced dear"],
        "{}",
        process.log()
    );
    let body = |path: &str, id: &str| {
        let seen = receiver.seen().into_iter().find(|seen| seen.path == path && seen.header("ce-id") == id).unwrap();
        String::from_utf8(seen.body.to_vec()).unwrap()
    };
    let items = r#"[{"count":1,"price":60},{"count":1,"price":50}]"#;
    assert_eq!(body("/priced", "dear"), format!(r#"{{"items":{items},"total":110}}"#));
    assert!(!body("/large", "dear").contains("total"));
    assert_eq!(process.stop().await, Some(0));
}
