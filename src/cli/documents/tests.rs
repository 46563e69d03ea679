use std::fs;
use std::io::{Cursor, empty};

use super::*;
use crate::cli::report::Severity;

/// What loading `text` from standard input reports, a finding a line.
fn report(text: &str) -> Vec<String> {
    let (_, report) = load(&["-".into()], &mut Cursor::new(text.as_bytes().to_vec()));
    lines(&report)
}

fn lines(report: &Report) -> Vec<String> {
    let mut out = Vec::new();
    report.write_lines(&mut out, false).unwrap();
    String::from_utf8(out).unwrap().lines().map(|line| line.replace("standard input:", "")).collect()
}

const BUS: &str =
    "apiVersion: events.openfunction.io/v1alpha1\nkind: EventBus\nmetadata: {name: default}\nspec:\n  embedded: {}\n";

#[test]
fn scalars_follow_the_core_schema() {
    let check = |text: &str, expected: Json| {
        assert_eq!(read_values(&format!("a: {text}\n")), [serde_json::json!({"a": expected})]);
    };
    check("5", 5.into());
    check("-5", (-5).into());
    check("+5", 5.into());
    check("0x1F", 31.into());
    check("0o17", 15.into());
    check("18446744073709551615", u64::MAX.into());
    check("2.5", 2.5.into());
    check("1e3", 1000.0.into());
    check(".5", 0.5.into());
    check("true", true.into());
    check("False", false.into());
    check("yes", "yes".into());
    check("on", "on".into());
    check("~", Json::Null);
    check("", Json::Null);
    check("'5'", "5".into());
    check("\"5\"", "5".into());
    check("!!str 5", "5".into());
    check("!!int 5", 5.into());
    check("10s", "10s".into());
    check("1.2.3", "1.2.3".into());
    check("2026-01-01", "2026-01-01".into());
    check("\"\\u00e4\"", "ä".into());
}

#[test]
fn what_tools_read_differently_is_refused() {
    let check = |text: &str, expected: &str| {
        let flaws: Vec<String> =
            yaml::read(text).1.into_iter().map(|flaw| format!("{}: {}", flaw.place, flaw.message)).collect();
        assert_eq!(flaws, [expected], "{text}");
    };
    check("a: 1\na: 2\n", "2:1: \"a\" is set twice (first in line 1)");
    check("a: 010\n", "1:4: 010 is octal to some readers and decimal to others: quote it, or drop the zeros");
    check("a: .inf\n", "1:4: .inf is a number that JSON does not have");
    check("a: !ruby/object 5\n", "1:4: unknown tag !ruby/object");
    check("a: !!int x\n", "1:4: \"x\" is not what its tag !!int says");
    check("[a]: b\n", "1:1: a key must be text");
}

#[test]
fn what_is_no_yaml_is_reported_with_its_place() {
    let check = |text: &str, expected: &str| {
        let lines = report(text);
        assert!(lines.len() == 1 && lines[0].starts_with(expected), "{text:?}: {lines:?}");
    };
    check("a:\n\tb: 1\n", "2:1: a tab where only spaces may indent");
    check("a:\n  b: 1\n\tc: 1\n", "3:1: a tab where only spaces may indent");
    check("a: [1, 2\nb: 3\n", "2:");
    check("a: *nowhere\n", "1:4: this is not YAML: ");
    check("a: b: c\n", "1:5: this is not YAML: ");
    check("a: \"open\n", "1:4: this is not YAML: ");
    check(&"[".repeat(200), "1:102: nested deeper than 100 levels");
}

#[test]
fn aliases_and_merge_keys_work_and_bombs_do_not() {
    let merged = read_values(
        "base: &base {retry: 1, timeout: 5s}\na: {<<: *base, retry: 2}\nb: {<<: [*base, {x: y}]}\nc: *base\n",
    );
    assert_eq!(merged[0]["a"], serde_json::json!({"retry": 2, "timeout": "5s"}));
    assert_eq!(merged[0]["b"], serde_json::json!({"retry": 1, "timeout": "5s", "x": "y"}));
    assert_eq!(merged[0]["c"], serde_json::json!({"retry": 1, "timeout": "5s"}));

    let mut bomb = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for level in 1..12 {
        let nine = vec![format!("*a{}", level - 1); 9].join(", ");
        bomb = format!("{bomb}a{level}: &a{level} [{nine}]\n");
    }
    let lines = report(&bomb);
    assert!(lines.len() == 1 && lines[0].ends_with("aliases copy more than 4 MiB"), "{lines:?}");
    let deep = format!("a: &a {}{}\nb: {}*a{}\n", "[".repeat(60), "]".repeat(60), "[".repeat(60), "]".repeat(60));
    assert_eq!(report(&deep), ["2:64: nested deeper than 100 levels"]);
    assert_eq!(report("a: &a [*a]\n"), ["1:8: an alias inside its own anchor"]);
    let flaw = yaml::read("a: {<<: 5}\n").1.remove(0);
    assert_eq!(flaw.message, "a merge key takes an object or a list of objects");
}

#[test]
fn every_part_knows_its_place() {
    let (trees, _) = yaml::read(
        "---\na:\n  b: 1\n  c:\n    - x\n    - {d: 2, \"e.f\": 3}\n---\n# nothing\n---\nz: &z {y: 1}\nw: *z\n",
    );
    let root = FieldPath::root();
    let place = |tree: usize, path: &FieldPath| trees[tree].places.of(path).to_string();
    assert_eq!(trees.len(), 2);
    let list = root.field("a").field("c");
    assert_eq!(place(0, &root), "2:1");
    assert_eq!(place(0, &root.field("a").field("b")), "3:3");
    assert_eq!(place(0, &list.index(0)), "5:7");
    assert_eq!(place(0, &list.index(1).field("d")), "6:8");
    assert_eq!(place(0, &list.index(1).field("e.f")), "6:14");
    assert_eq!(place(0, &list.index(1).field("missing")), "6:7");
    assert_eq!(place(1, &root.field("w").field("y")), "11:1");
}

#[test]
fn json_is_read_as_it_is() {
    let json = "{\n\t\"apiVersion\": \"events.openfunction.io/v1alpha1\",\n\t\"kind\": \"EventBus\",\n\t\"metadata\": {\"name\": \"a\"},\n\t\"spec\": {\"embedded\": {}, \"topic\": \"\\u00e4\\/\\ud83d\\ude00\"}\n}\n";
    let (documents, report) = load(&["-".into()], &mut Cursor::new(json.as_bytes().to_vec()));
    assert_eq!(lines(&report), Vec::<String>::new());
    assert_eq!(documents.buses[0].spec.bus.topic.as_deref(), Some("ä/😀"));
}

#[test]
fn a_list_is_unfolded_and_its_items_keep_their_places() {
    let text = "apiVersion: v1\nkind: List\nitems:\n  - apiVersion: events.openfunction.io/v1alpha1\n    kind: EventBus\n    metadata: {name: a}\n    spec: {embeded: {}}\n";
    assert_eq!(
        report(text)[0].split(" (").next(),
        Some("7:12: EventBus default/a: spec.embeded: unknown field \"embeded\"")
    );
}

#[test]
fn envelopes_are_judged() {
    let check = |text: &str, expected: &[&str]| assert_eq!(report(text), expected, "{text}");
    let api = "apiVersion: events.openfunction.io/v1alpha1";
    let known = "known: EventSource, EventBus, ClusterEventBus, Trigger";
    check("just text\n", &["1:1: expected an object with apiVersion and kind, found text"]);
    check(
        "spec: {}\n",
        &[
            "1:1: apiVersion: required (text) and missing (write events.openfunction.io/v1alpha1)",
            &format!("1:1: kind: required (text) and missing ({known})"),
        ],
    );
    check(
        &format!("{api}\nkind: Triger\nmetadata: {{name: a}}\n"),
        &[&format!("2:1: Triger default/a: kind: unknown kind \"Triger\" (did you mean \"Trigger\"? {known})")],
    );
    check(
        "apiVersion: event.openfunction.io/v1alpha1\nkind: Trigger\n",
        &[
            "1:1: Trigger: apiVersion: unknown apiVersion \"event.openfunction.io/v1alpha1\" (known: events.openfunction.io/v1alpha1)",
        ],
    );
    check(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n",
        &[
            "1:1: warning: Deployment default/web: apiVersion: ignored: Deployment of apps/v1 is no object of events.openfunction.io",
        ],
    );
    check(
        &format!(
            "{api}\nkind: EventBus\nmetadata:\n  name: My_Bus\n  namespace: a.b\n  lables: {{}}\n  labels: {{a: 1}}\nspec: {{embedded: {{}}}}\nextra: 1\n"
        ),
        &[
            "4:3: EventBus a.b/My_Bus: metadata.name: \"My_Bus\" is not a name (lower-case letters, digits, '-' and '.', at most 253, with a letter or digit at both ends)",
            "5:3: EventBus a.b/My_Bus: metadata.namespace: \"a.b\" is not a namespace (lower-case letters, digits and '-', at most 63, with a letter or digit at both ends)",
            "6:3: EventBus a.b/My_Bus: metadata.lables: unknown field \"lables\" (did you mean \"labels\"?)",
            "7:12: EventBus a.b/My_Bus: metadata.labels.a: expected text, found a number (quote it)",
            "9:1: EventBus a.b/My_Bus: extra: unknown field \"extra\" (known: apiVersion, kind, metadata, spec, status)",
        ],
    );
    check(
        &format!("{api}\nkind: EventBus\nstatus: {{whatever: 1}}\n"),
        &[
            "1:1: EventBus: metadata.name: required (text) and missing",
            "1:1: EventBus: spec: required (an object) and missing",
        ],
    );
}

#[test]
fn two_objects_of_one_name_are_refused_with_both_places() {
    assert_eq!(
        report(&format!("{BUS}---\n{BUS}")),
        ["9:12: EventBus default/default: metadata.name: there is one of this name already, at 1:1"]
    );
    let other = BUS.replace("name: default", "name: default, namespace: other");
    assert_eq!(report(&format!("{BUS}---\n{other}")), Vec::<String>::new());
}

#[test]
fn files_folders_and_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let object = |name: &str| BUS.replace("name: default", &format!("name: {name}"));
    fs::write(path("b.yaml"), object("b")).unwrap();
    fs::write(path("a.yml"), object("a")).unwrap();
    fs::write(path("c.json"), "{}").unwrap();
    fs::write(path("notes.txt"), "a: [").unwrap();
    fs::create_dir_all(path("below/empty")).unwrap();
    fs::write(path("below/d.yaml"), object("d")).unwrap();
    fs::write(path("latin1.yaml.bak"), [0xe4]).unwrap();

    let (documents, report) = load(&[folder.path().into(), path("a.yml")], &mut empty());
    let names: Vec<&str> = documents.buses.iter().map(|bus| bus.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(report.count(Severity::Error), 2, "{:?}", lines(&report));

    let missing = [path("nowhere.yaml"), path("below/empty"), path("latin1.yaml.bak")];
    let (_, report) = load(&missing, &mut empty());
    let found = lines(&report).join("\n").replace(folder.path().to_str().unwrap(), "DIR");
    assert_eq!(
        found,
        "DIR/below/empty: there is no *.yaml, *.yml or *.json in this folder (folders below it are not searched)\n\
         DIR/latin1.yaml.bak: not UTF-8 text\n\
         DIR/nowhere.yaml: cannot be read: No such file or directory (os error 2)"
    );
}

/// Any bytes, and any small damage to real documents, are read or refused, and never panic.
#[test]
fn damaged_text_never_panics() {
    let seeds = [
        BUS.to_owned(),
        "a: &x {b: [1, 2, {c: *x}]}\n<<: *x\n--- !!map\n? [k]\n: |\n  text\n  more\n...\n".to_owned(),
        "{\"a\": [1, 2.5e3, \"\\u00e4\", null], 'b': >-\n folded}\n".to_owned(),
    ];
    let mut random = fastrand::Rng::with_seed(7);
    for round in 0..6_000 {
        let mut bytes = if round % 5 == 0 {
            (0..random.usize(0..60)).map(|_| b" \n\t:-[]{}&*!|>'\"%@`,?#ab01.~<"[random.usize(0..29)]).collect()
        } else {
            seeds[random.usize(0..seeds.len())].clone().into_bytes()
        };
        for _ in 0..random.usize(0..6) {
            let at = random.usize(0..=bytes.len());
            match random.u8(0..3) {
                0 => bytes.insert(at, random.u8(..130)),
                1 if at < bytes.len() => drop(bytes.remove(at)),
                _ => bytes.truncate(at.max(bytes.len() / 2)),
            }
        }
        let (_, report) = load(&["-".into()], &mut Cursor::new(bytes));
        lines(&report);
    }
}
