//! The same events and filters in the Go projects that the filters are like, in turns in one run.

use std::collections::HashMap;
use std::hint::black_box;
use std::io::Write as _;
use std::process::{Command, Stdio};

use penstock::event::codec::json;
use penstock::router::filter::Verdict;
use serde_json::{Value, json};

use super::{best, event, filter};

/// How many times as fast as the peer each is meant to be.
const GOALS: [(&str, f64); 3] = [("argo", 20.0), ("cesql", 10.0), ("knative", 5.0)];

/// A filter in our words and in those of the peer.
struct Case {
    name: &'static str,
    peer: &'static str,
    ours: Value,
    theirs: Value,
}

/// Measures both. Without the program of the peers there is nobody to measure beside.
pub fn compare(rounds: usize, quick: bool) {
    let Some(program) = std::env::var_os("PENSTOCK_PEERS").filter(|program| !program.is_empty()) else {
        println!("the Go peers are not measured: PENSTOCK_PEERS names no program (tests/tools/install.sh peers)");
        return;
    };
    let (event, cases) = (event(0), cases());
    let mut record = Vec::new();
    json::write(&event, &mut record);
    let asked: Vec<Value> =
        cases.iter().map(|case| json!({"name": case.name, "peer": case.peer, "filter": case.theirs})).collect();
    let calls = if quick { 1 } else { 20_000 };
    let input = json!({
        "event": serde_json::from_slice::<Value>(&record).expect("an event is JSON"),
        "calls": calls, "rounds": rounds, "cases": asked,
    });
    let theirs = run(&program, &input.to_string());
    for Case { name, peer, ours, .. } in cases {
        let filter = filter(&ours);
        assert_eq!(filter.evaluate(&event), Verdict::Yes, "{name}");
        let time = best(rounds, quick, || filter.evaluate(black_box(&event)) == Verdict::Yes);
        let (theirs, goal) = (theirs[name], GOALS.iter().find(|(of, _)| *of == peer).map_or(1.0, |(_, goal)| *goal));
        println!("{peer:<8} {name:<32} {theirs:>8.0} ns, here {time:>7.0} ns  x{:.1} (goal x{goal})", theirs / time);
    }
}

/// Nanoseconds an event, by the names of the cases.
fn run(program: &std::ffi::OsStr, input: &str) -> HashMap<String, f64> {
    let mut command = Command::new(program);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program of the peers starts");
    child.stdin.take().expect("it is piped").write_all(input.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "the peers failed");
    let text = String::from_utf8(output.stdout).expect("it prints text");
    let line = |line: &str| line.split_once('\t').and_then(|(name, time)| Some((name.to_owned(), time.parse().ok()?)));
    text.lines().filter_map(line).collect()
}

fn cases() -> Vec<Case> {
    let same = |name, peer, filter: Value| Case { name, peer, ours: filter.clone(), theirs: filter };
    let data = |name, item: Value| same(name, "argo", json!({"data": [item]}));
    let sql = |name, text: &str| Case { name, peer: "cesql", ours: json!([{"cesql": text}]), theirs: text.into() };
    let dialect =
        |name, filter: Value| Case { name, peer: "knative", ours: Value::from(vec![filter.clone()]), theirs: filter };
    let field = |name: &str| json!({"name": name, "path": format!("body.{name}")});
    let ty = super::type_of(0);
    vec![
        data("data, number", json!({"path": "body.total", "type": "number", "comparator": ">", "value": ["41.0"]})),
        data("data, literal", json!({"path": "body.bucket", "type": "string", "value": ["bucket-00000"]})),
        data("data, regex", json!({"path": "body.bucket", "type": "string", "value": ["^bucket-\\d+$"]})),
        data("data, query", json!({"path": "body.items.#(sku==\"sku-3\").count", "type": "number", "value": ["3"]})),
        same(
            "expr over three fields",
            "argo",
            json!({"exprs": [{
                "expr": "total > 41 && bucket =~ '^bucket-' && !(currency in ('USD', 'GBP'))",
                "fields": [field("total"), field("bucket"), field("currency")],
            }]}),
        ),
        sql("typical", "type LIKE 'com.example.%' AND EXISTS subject AND priority > 3"),
        sql(
            "eight parts",
            "id = '42' AND source = '/shop/orders' AND type LIKE '%.v0' AND NOT (subject IN ('a', 'b')) \
             AND LENGTH(subject) < 20 AND priority % 2 = 1 AND priority + 1 < 9 AND LEFT(subject, 7) = 'orders/'",
        ),
        dialect("exact", json!({"exact": {"type": ty}})),
        dialect("prefix", json!({"prefix": {"type": "com.example."}})),
        dialect("suffix", json!({"suffix": {"subject": "/42"}})),
        dialect(
            "all of three",
            json!({"all": [{"exact": {"type": ty}}, {"prefix": {"source": "/shop"}}, {"suffix": {"subject": "/42"}}]}),
        ),
        dialect("any, the second", json!({"any": [{"exact": {"type": "x"}}, {"prefix": {"source": "/shop"}}]})),
        dialect("not", json!({"not": {"exact": {"type": "x"}}})),
    ]
}
