use std::io::{Cursor, empty};

use super::*;

/// The line that begins every object.
const API: &str = "apiVersion: events.openfunction.io/v1alpha1\n";

/// What is printed for `text`, without the name of standard input; whether it is right.
fn printed(text: &str) -> (bool, Vec<String>) {
    let mut out = Vec::new();
    let mut stdin = Cursor::new(text.as_bytes().to_vec());
    let right = run(&["-".into()], Format::Text, &mut stdin, &mut out).unwrap();
    let lines = String::from_utf8(out).unwrap();
    (right, lines.lines().map(|line| line.replace("standard input:", "")).collect())
}

/// The findings in an object of `kind` with this spec, in the second line and below.
fn check(kind: &str, spec: &str, expected: &[&str]) {
    let indented = spec.replace('\n', "\n  ");
    let text = format!("{API}kind: {kind}\nmetadata: {{name: x}}\nspec:\n  {indented}\n");
    let (right, mut lines) = printed(&text);
    lines.pop();
    let label = if kind == "ClusterEventBus" { format!("{kind} x: ") } else { format!("{kind} default/x: ") };
    let lines: Vec<String> = lines.iter().map(|line| line.replacen(&label, "", 1)).collect();
    assert_eq!(lines, expected, "{text}");
    assert_eq!(right, expected.iter().all(|line| line.contains(": warning: ")), "{text}");
}

fn print_paths(paths: &[&str], format: Format) -> (bool, String) {
    let mut out = Vec::new();
    let paths: Vec<PathBuf> =
        paths.iter().map(|path| format!("{}/{path}", env!("CARGO_MANIFEST_DIR")).into()).collect();
    let right = run(&paths, format, &mut empty(), &mut out).unwrap();
    (right, String::from_utf8(out).unwrap())
}

#[test]
fn the_documents_of_the_proposal_are_right_as_they_are() {
    let (right, text) = print_paths(&["examples/proposal"], Format::Text);
    assert!(right, "{text}");
    assert!(
        text.ends_with("3 objects are right: 1 EventSource, 1 EventBus, 1 Trigger (3 warnings in 3 files)\n"),
        "{text}"
    );
    let (right, text) = print_paths(&["examples/quickstart"], Format::Text);
    assert!(right, "{text}");
}

#[test]
fn the_shapes_of_openfunction_are_right() {
    let (right, lines) = printed(include_str!("openfunction.yaml"));
    assert!(right && lines.iter().all(|line| line.contains("warning")), "{lines:#?}");
}

#[test]
fn several_errors_in_one_file_are_sorted_by_place() {
    let (right, lines) = printed(include_str!("wrong.yaml"));
    assert!(!right);
    let expected: Vec<&str> = include_str!("wrong.txt").lines().collect();
    assert_eq!(lines, expected);
}

#[test]
fn event_sources_are_judged() {
    let kinds = "http, cron, kafka, mqtt, nats, redis, rabbitmq, s3, kubernetes";
    check(
        "EventSource",
        "eventBus: default",
        &[&format!("4:1: spec: needs at least one event (under one of {kinds})")],
    );
    check(
        "EventSource",
        "workload: function\nhttp: {a: {}}\nbuild: {}",
        &[
            "5:3: warning: spec.workload: counts in a cluster only",
            "7:3: warning: spec.build: has no effect: the image of the workload is Penstock's own",
        ],
    );
    check(
        "EventSource",
        "workload: job\nhttp: {a: {}}\nlogLevel: \"3\"",
        &["5:3: spec.workload: unknown value \"job\" (known: deployment, function)"],
    );
    check(
        "EventSource",
        "http: {a: {attributes: {id: x}}}",
        &["5:14: spec.http.a.attributes: attribute id: every event needs its own"],
    );
    check(
        "EventSource",
        "cron: {a: {schedule: \"@every 5s\"}}\nhttp: {a: {}}",
        &["5:10: spec.cron.a: \"a\" is an event of http already: both would share a topic"],
    );
    check(
        "EventSource",
        "http: {a: }",
        &["5:10: spec.http.a: expected an object, found nothing (an object without settings is {})"],
    );
    check(
        "EventSource",
        "kubernetes: {a: {apiVersion: v1, kind: Pod, events: [gone]}}",
        &["5:56: spec.kubernetes.a.events[0]: unknown value \"gone\" (known: added, modified, deleted)"],
    );
}

#[test]
fn webhooks_of_one_port_agree() {
    let tls = "{cert: {file: c}, key: {file: k}}";
    check("EventSource", "http: {a: {path: /x}, b: {path: /x, port: 9000}, c: {}}", &[]);
    check(
        "EventSource",
        "http: {a: {path: /x}}\ns3: {b: {mode: webhook, path: /x}}",
        &["6:27: spec.s3.b.path: \"a\" has the path /x of port 8080 already"],
    );
    check(
        "EventSource",
        "http: {a: {path: /x}, b: {path: /x}}",
        &["5:29: spec.http.b.path: \"a\" has the path /x of port 8080 already"],
    );
    check(
        "EventSource",
        &format!("http: {{a: {{}}, b: {{tls: {tls}}}, c: {{port: 9000, tls: {tls}}}}}"),
        &["5:21: spec.http.b.tls: port 8080 has one TLS setting, and that of \"a\" is another"],
    );
}

#[test]
fn a_webhook_that_takes_more_than_the_bus_is_warned_of() {
    check("EventSource", "http: {a: {maxBodyBytes: 4088Ki}}", &[]);
    check(
        "EventSource",
        "http: {a: {maxBodyBytes: 8Mi}}",
        &["5:14: warning: spec.http.a.maxBodyBytes: larger than the bus takes (4Mi less 8Ki)"],
    );
}

#[test]
fn sinks_are_judged() {
    let check =
        |sink: &str, expected: &[&str]| check("EventSource", &format!("http: {{a: {{}}}}\nsink: {sink}"), expected);
    check("{uri: \"http://host/path\"}", &[]);
    check("{uri: \"log:\"}", &[]);
    check("{}", &["6:3: spec.sink: needs \"ref\" or \"uri\""]);
    check(
        "{uri: /path}",
        &[
            "6:10: spec.sink.uri: a path alone is no address (write \"ref\" beside it, or begin with http:// or https://)",
        ],
    );
    check("{uri: \"ftp://host\"}", &["6:10: spec.sink.uri: unknown scheme \"ftp\" (known: http, https, log)"]);
    check(
        "{uri: \"http://me:pw@host\"}",
        &["6:10: spec.sink.uri: must not hold a user or password: addresses are shown in logs and status"],
    );
    check("{ref: {apiVersion: v1, kind: Service}}", &["6:10: spec.sink.ref.name: required (text) and missing"]);
}

#[test]
fn buses_have_exactly_one_back_end() {
    let known = "nats, natsStreaming, jetstream, kafka, redis, embedded, component";
    let none = format!(
        "4:1: spec: needs exactly one back end (one of {known}; one without settings is written \"embedded: {{}}\")"
    );
    check("EventBus", "embedded: {}", &[]);
    check("EventBus", "topic: a", &[&none]);
    check("EventBus", "embedded:", &[&none]);
    check(
        "EventBus",
        "embedded: {}\nredis: {address: \"r:1\"}",
        &["5:3: spec.embedded: excludes \"redis\": exactly one back end is needed"],
    );
    check("EventBus", "nats: {}", &["5:3: spec.nats.native: required (an object) and missing"]);
    check("EventBus", "jetstream: {url: \"nats://n\"}", &[]);
    check(
        "EventBus",
        "component: {type: bindings.kafka}",
        &["5:15: spec.component.type: \"bindings.kafka\" is no pub/sub component (such as \"pubsub.rabbitmq\")"],
    );
    check(
        "EventBus",
        "component: {type: pubsub.kafka, metadata: [{name: brokers}]}\nretention: {age: 1h}",
        &[
            "5:46: spec.component.metadata[0]: needs \"value\" or \"secretKeyRef\"",
            "6:3: warning: spec.retention: has no effect: what the Component says counts",
        ],
    );
    check(
        "EventBus",
        "component: {name: a, type: pubsub.kafka}",
        &["5:24: spec.component.type: excludes \"name\": write one of them"],
    );
    check(
        "EventBus",
        "embedded: {}\nretention: {age: 1y, size: 10GB}",
        &[
            "6:15: spec.retention.age: \"1y\" is not a duration: write it like \"10s\", \"1h30m\" or \"PT10S\"",
            "6:24: spec.retention.size: \"10GB\" is not a size: write it like \"64Ki\", \"10Gi\" or \"1048576\"",
        ],
    );
    check(
        "ClusterEventBus",
        "embedded: {}\nallowedNamespaces: {from: Some}",
        &[
            "6:23: spec.allowedNamespaces.from: unknown value \"Some\" (did you mean \"Same\"? known: All, Same, Selector)",
        ],
    );
    check(
        "ClusterEventBus",
        "embedded: {}\nallowedNamespaces: {from: Selector}",
        &["6:3: spec.allowedNamespaces.selector: required with from: Selector, and missing"],
    );
}

#[test]
fn triggers_are_judged_down_to_filters_and_conditions() {
    let inputs =
        "eventSources:\n- {name: a, eventSourceName: s, eventName: e, filters: FILTERS}\nsubscribers:\n- CONDITION";
    let found = |filters: &str, subscriber: &str| {
        let spec = inputs.replace("FILTERS", filters).replace("CONDITION", subscriber).replace('\n', "\n  ");
        let text = format!("{API}kind: Trigger\nmetadata: {{name: x}}\nspec:\n  {spec}\n");
        let mut lines = printed(&text).1;
        lines.pop();
        lines.iter().map(|line| line.replacen("Trigger default/x: ", "", 1)).collect::<Vec<_>>()
    };
    let sound = "{topic: t}";
    assert_eq!(
        found("{data: [{path: x, type: number, comparator: \">\", value: [\"5\"]}]}", sound),
        Vec::<String>::new()
    );
    let wrong = [
        found("{data: [{path: x, type: number, comparator: \"=>\", value: [\"5\"]}]}", sound),
        found("{data: [{path: x, type: number, value: [5]}]}", sound),
        found("{datas: []}", sound),
        found("{}", "{topic: t, condition: \"\"}"),
        found("{}", "{topic: t, condition: a && bb}"),
        found("{}", "{condition: a}"),
    ];
    assert_eq!(
        wrong.concat(),
        [
            "6:90: spec.eventSources[0].filters.data[0].comparator: unknown comparator \"=>\" (known: =, !=, >, >=, <, <=)",
            "6:98: spec.eventSources[0].filters.data[0].value[0]: expected text, found a number (quote it: \"5\")",
            "6:59: spec.eventSources[0].filters.datas: unknown field \"datas\" (did you mean \"data\"? known: data, dataLogicalOperator, exprs, exprLogicalOperator, context, time, script, cel, attributes)",
            "8:16: spec.subscribers[0].condition: expected a name, ! or (, found the end at column 1",
            "  ^",
            "8:16: spec.subscribers[0].condition: no input is named \"bb\", at column 6 (known: a)",
            "  a && bb",
            "       ^",
            "8:5: spec.subscribers[0]: needs \"sink\", \"ref\" or \"topic\": where do its events go?",
        ]
    );
}

/// Documents of one set, each `kind name spec`.
fn set(objects: &[(&str, &str, &str)]) -> Vec<String> {
    let object = |(kind, name, spec): &(&str, &str, &str)| {
        format!("{API}kind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}\n")
    };
    let mut lines = printed(&objects.iter().map(object).collect::<Vec<_>>().join("---\n")).1;
    lines.pop();
    lines
}

#[test]
fn what_a_document_names_is_looked_for_among_the_others() {
    let trigger = "{eventBus: bus, inputs: {a: {eventSource: shop, event: orders}, b: {eventSource: shp, event: x}}, subscribers: [{condition: a, topic: t}]}";
    let source = "{eventBus: bus, http: {order: {}}}";
    assert_eq!(set(&[("Trigger", "t", trigger)]), Vec::<String>::new(), "alone, nothing is expected to be there");
    assert_eq!(
        set(&[("Trigger", "t", trigger), ("EventSource", "shop", source), ("EventBus", "default", "{embedded: {}}")]),
        [
            "4:8: warning: Trigger default/t: spec.eventBus: no EventBus \"bus\" for namespace default among the documents (there: default)",
            "4:55: warning: Trigger default/t: spec.inputs.a.event: no event \"orders\" of EventSource default/shop among the documents (did you mean \"order\"?)",
            "4:75: warning: Trigger default/t: spec.inputs.b.eventSource: no EventSource default/shp among the documents (did you mean \"shop\"?)",
            "9:8: warning: EventSource default/shop: spec.eventBus: no EventBus \"bus\" for namespace default among the documents (there: default)",
        ]
    );
}

#[test]
fn a_bus_names_a_component_of_its_namespace_that_is_a_pubsub() {
    let bus = "apiVersion: events.openfunction.io/v1alpha1\nkind: EventBus\nmetadata: {name: default}\n\
               spec: {component: {name: broker}}\n";
    let component = |metadata: &str, ty: &str| {
        format!(
            "---\napiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {metadata}\nspec: {{type: {ty}, version: v1}}\n"
        )
    };
    let check = |more: &str, expected: &[&str]| {
        let mut lines = printed(&format!("{bus}{more}")).1;
        lines.pop();
        assert_eq!(lines, expected, "{more}");
    };
    check("", &[]);
    check(&component("{name: broker}", "pubsub.redis"), &[]);
    check(
        &component("{name: broker}", "state.redis"),
        &[
            "4:20: EventBus default/default: spec.component.name: Component default/broker: \"state.redis\" is no pub/sub component",
        ],
    );
    check(
        &component("{name: broker, namespace: other}", "pubsub.redis"),
        &[
            "4:20: warning: EventBus default/default: spec.component.name: no Component \"broker\" among the documents (there: other/broker)",
            "6:1: warning: Component other/broker: ignored: no EventBus names this Component (spec.component.name), and no sink refers to it",
        ],
    );
}

#[test]
fn joins_need_a_bus_that_is_read_again_in_order() {
    let trigger =
        "{inputs: {a: {eventSource: shop, event: a}, b: {eventSource: shop, event: b}}, subscribers: [{topic: t}]}";
    let join = ("Trigger", "t", trigger);
    assert_eq!(set(&[join]), [""; 0]);
    for bus in [
        "{embedded: {}}",
        "{jetstream: {url: \"nats://n\"}}",
        "{redis: {address: \"r:6379\"}}",
        "{kafka: {brokers: \"k:9092\"}}",
    ] {
        assert_eq!(set(&[join, ("EventBus", "default", bus)]), [""; 0], "{bus}");
    }
    let found = set(&[join, ("EventBus", "default", "{component: {type: pubsub.kafka}}")]);
    let refusal =
        "spec.subscribers[0]: joining or gathering events on this bus (embedded, jetstream, kafka, redis can) is not";
    assert!(found.iter().any(|line| line.contains(refusal)), "{found:?}");
}

#[test]
fn the_dead_letters_of_an_event_are_there_with_it() {
    let trigger =
        |event: &str| format!("{{inputs: {{a: {{eventSource: shop, event: {event}}}}}, subscribers: [{{topic: t}}]}}");
    let check = |bus: &str, event: &str, warned: bool| {
        let (trigger, source) = (trigger(event), ("EventSource", "shop", "{http: {orders: {}}}"));
        let lines = set(&[("Trigger", "t", &trigger), source, ("EventBus", "default", bus)]);
        assert_eq!(lines.len(), usize::from(warned), "{event}: {lines:?}");
    };
    check("{embedded: {}}", "orders-dlq", false);
    check("{embedded: {}}", "order-dlq", true);
    check("{embedded: {}}", "orders-dlq-dlq", true);
    // A topic that does not end in the event's name has its dead letters under another.
    check("{embedded: {}, topicTemplate: \"{event}-{eventSource}\"}", "orders-dlq", true);
}

#[test]
fn webhooks_of_several_sources_that_meet_are_for_a_cluster_only() {
    let one = ("EventSource", "one", "{http: {a: {path: /x}, b: {port: 9000}}}");
    let set_with = |spec: &str| set(&[one, ("EventSource", "two", spec)]);
    assert_eq!(
        set_with("{http: {a: {path: /y}, b: {path: /z, port: 9000}, c: {path: /x, port: 9001}}}"),
        Vec::<String>::new()
    );
    assert_eq!(
        set_with("{http: {c: {path: /x}, d: {path: /y, port: 9000, tls: {cert: {file: c}, key: {file: k}}}}}"),
        [
            "9:19: warning: EventSource default/two: spec.http.c.path: EventSource default/one has this path of port 8080 already; only in a cluster each has ports of its own",
            "9:56: warning: EventSource default/two: spec.http.d.tls: port 9000 has another TLS setting in EventSource default/one; only in a cluster each has ports of its own",
        ]
    );
}

#[test]
fn a_bus_of_the_cluster_says_who_may_use_it() {
    let bus = |allowed: &str| format!("{{embedded: {{}}, allowedNamespaces: {allowed}}}");
    let check = |allowed: &str, name: &str, expected: &[&str]| {
        let source = format!("{{eventBus: {name}, http: {{a: {{}}}}}}");
        let trigger =
            format!("{{eventBus: {name}, inputs: {{a: {{eventSource: s, event: a}}}}, subscribers: [{{topic: t}}]}}");
        let own = ("EventBus", "own", "{embedded: {}}");
        let objects = [
            ("ClusterEventBus", "all", &*bus(allowed)),
            own,
            ("EventSource", "s", &source),
            ("Trigger", "t", &trigger),
        ];
        assert_eq!(set(&objects), expected, "{allowed}");
    };
    let same = "ClusterEventBus \"all\" does not let namespace default in (its allowedNamespaces.from is Same, and it is in no namespace itself)";
    check("{}", "all", &[]);
    check("{from: All}", "all", &[]);
    check("{from: Same}", "own", &[]);
    check(
        "{from: Same}",
        "all",
        &[
            &format!("14:8: EventSource default/s: spec.eventBus: {same}"),
            &format!("19:8: Trigger default/t: spec.eventBus: {same}"),
        ],
    );
    check(
        "{from: Selector, selector: {matchLabels: {a: b}}}",
        "all",
        &[
            "4:42: warning: ClusterEventBus all: spec.allowedNamespaces.from: the labels of namespaces are known in a cluster only",
        ],
    );
}

#[test]
fn topics_that_meet_are_refused() {
    let one = ("EventSource", "a-b", "{http: {c: {}}}");
    let other = ("EventSource", "a", "{http: {b-c: {}}}");
    let meet = set(&[one, other]);
    assert_eq!(meet.len(), 1, "{meet:?}");
    assert!(meet[0].contains("would share the topic \"default-a-b-c\""), "{meet:?}");
    let elsewhere = ("EventSource", "a", "{eventBus: other, http: {b-c: {}}}");
    assert_eq!(set(&[one, elsewhere]), Vec::<String>::new());
}

#[test]
fn nothing_to_check_is_not_right() {
    let (right, lines) = printed("# nothing\n");
    assert!(!right);
    assert_eq!(lines, ["there is no object of events.openfunction.io: nothing wrong in 1 file"]);
    let (right, lines) = printed("apiVersion: v1\nkind: Service\nmetadata: {name: a}\n");
    assert!(!right);
    assert_eq!(lines.len(), 2);
    let (right, text) = print_paths(&["no/such/file.yaml"], Format::Text);
    assert!(!right);
    assert!(text.ends_with("1 error in no file\n"), "{text}");
}

#[test]
fn programs_read_json() {
    let mut stdin =
        Cursor::new(format!("{API}kind: EventBus\nmetadata: {{name: x}}\nspec: {{topic: 5}}\n").into_bytes());
    let mut out = Vec::new();
    assert!(!run(&["-".into()], Format::Json, &mut stdin, &mut out).unwrap());
    let result: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!((&result["ok"], &result["errors"], &result["objects"]), (&false.into(), &2.into(), &1.into()));
    assert_eq!(
        result["findings"][1],
        serde_json::json!({
            "severity": "error", "file": "standard input", "line": 4, "column": 8, "object": "EventBus default/x",
            "path": "spec.topic", "message": "expected text, found a number", "help": "quote it: \"5\"",
        })
    );
}

#[test]
fn colours_are_for_terminals() {
    let text = print_paths(&["examples/proposal/eventbus.yaml"], Format::Coloured).1;
    assert!(text.contains("\u{1b}[33mwarning\u{1b}[0m: "), "{text}");
    assert!(!print_paths(&["examples/proposal/eventbus.yaml"], Format::Text).1.contains('\u{1b}'));
}

/// Right documents with lines taken out, doubled, cut or moved to another indent: judged, never a panic.
#[test]
fn damaged_documents_never_panic() {
    let text = format!("{}---\n{}", include_str!("openfunction.yaml"), include_str!("wrong.yaml"));
    let lines: Vec<&str> = text.lines().collect();
    let mut random = fastrand::Rng::with_seed(3);
    for _ in 0..400 {
        let mut damaged: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        for _ in 0..random.usize(1..6) {
            let at = random.usize(0..damaged.len());
            match random.u8(0..5) {
                0 => drop(damaged.remove(at)),
                1 => damaged.insert(at, damaged[at].clone()),
                2 => damaged[at] = format!("  {}", damaged[at]),
                3 => damaged[at] = damaged[at].replace(':', ": 5 #"),
                _ => {
                    let length = random.usize(0..=damaged[at].len());
                    damaged[at].truncate(length);
                }
            }
        }
        printed(&damaged.join("\n"));
    }
}
