use std::io::Cursor;

use super::*;
use crate::cli::documents;

fn printed() -> String {
    let mut out = Vec::new();
    run(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn the_manifest_is_what_the_binary_prints() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/crd/events.openfunction.io.yaml");
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        kept == printed(),
        "the schemas have changed: cargo run -- crd > manifests/crd/events.openfunction.io.yaml"
    );
}

#[test]
fn what_is_printed_is_the_definitions_again_when_it_is_read() {
    let read = documents::read_values(&printed());
    assert_eq!(read, crd::definitions());
}

#[test]
fn text_is_quoted_where_a_reader_could_take_it_for_something_else() {
    let check = |text: &str, expected: &str| assert_eq!(scalar(text), expected);
    check("EventSource", "EventSource");
    check("events.openfunction.io/v1alpha1", "events.openfunction.io/v1alpha1");
    check("", "\"\"");
    check("No", "\"No\"");
    check("y", "\"y\"");
    check("1.2", "\"1.2\"");
    check("a: b", "\"a: b\"");
    check("say \"x\"", "\"say \\\"x\\\"\"");
    let mut out = Vec::new();
    let value = serde_json::json!({"a": [{"b": 1, "c": [2, []]}, "x"], "d": {}});
    write_node(&value, 0, false, &mut Cursor::new(&mut out)).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), "a:\n  - b: 1\n    c:\n      - 2\n      - []\n  - x\nd: {}\n");
}
