//! Objects that the API server and `penstock check` judge alike.

/// A spec of each kind with these fields, and what else it needs.
fn source(fields: &str) -> (&'static str, String) {
    ("EventSource", format!("{{{fields}}}"))
}

fn bus(fields: &str) -> (&'static str, String) {
    ("EventBus", format!("{{{fields}}}"))
}

fn cluster_bus(fields: &str) -> (&'static str, String) {
    ("ClusterEventBus", format!("{{embedded: {{}}, {fields}}}"))
}

fn trigger(fields: &str) -> (&'static str, String) {
    ("Trigger", format!("{{{fields}}}"))
}

/// A Trigger of one input `a` and a subscriber with these fields.
fn subscriber(fields: &str) -> (&'static str, String) {
    let input = "eventSources: [{name: a, eventSourceName: s, eventName: e}]";
    ("Trigger", format!("{{{input}, subscribers: [{{{fields}}}]}}"))
}

/// An object, a part of the API server's reason to refuse it, and a part of that of `check`.
type Refused = ((&'static str, String), &'static str, &'static str);

/// What is refused by both.
pub fn refused() -> Vec<Refused> {
    [sources(), buses(), inputs(), subscribers()].concat()
}

fn sources() -> Vec<Refused> {
    let long = "x".repeat(64);
    let event = |name: &str| source(&format!("http: {{{name}: {{}}}}"));
    vec![
        (source("eventBus: b"), "needs at least one event", "needs at least one event"),
        (source("http: {}"), "needs at least one event", "needs at least one event"),
        (source("http: {a: {}}, cron: {a: {schedule: '@daily'}}"), "would share a topic", "would share a topic"),
        (event("-a"), "is not the name of an event", "is not the name of an event"),
        (event(&long), "is not the name of an event", "is not the name of an event"),
        (event("a/b"), "is not the name of an event", "is not the name of an event"),
        (source("http: {a: {prot: 1}}"), "unknown field \"spec.http.a.prot\"", "unknown field \"prot\""),
        (source("http: {a: {port: 70000}}"), "spec.http.a.port", "is not in the range 0 to 65535"),
        (
            source("http: {a: {}}, workload: job"),
            "supported values: \"deployment\", \"function\"",
            "known: deployment, function",
        ),
        (
            source("http: {a: {bearer: {}}}"),
            "exactly one of secretKeyRef, env and file",
            "exactly one of secretKeyRef, env and file",
        ),
        (
            source("http: {a: {bearer: {env: A, file: B}}}"),
            "exactly one of secretKeyRef, env and file",
            "exactly one of secretKeyRef, env and file",
        ),
        (
            source("http: {a: {signature: {scheme: svn, secret: {env: A}}}}"),
            "supported values: \"github\", \"stripe\", \"hmac\"",
            "known: github, stripe, hmac",
        ),
        (
            source("cron: {a: {schedule: '@daily', catchUp: newest}}"),
            "supported values: \"none\", \"last\", \"all\"",
            "known: none, last, all",
        ),
        (source("cron: {a: {}}"), "spec.cron.a.schedule: Required value", "schedule: required (text) and missing"),
        (source("kafka: {a: {topic: t}}"), "needs \"brokers\" or \"url\"", "needs \"brokers\" or \"url\""),
        (
            source("kafka: {a: {topic: t, url: 'a:1', brokers: 'b:1'}}"),
            "two words for one thing",
            "two words for one thing",
        ),
        (source("kafka: {a: {url: 'a:1'}}"), "needs \"topic\"", "topic: required (text) and missing"),
        (
            source("kafka: {a: {url: 'a:1', topic: t, consumerGroup: {rebalanceStrategy: best}}}"),
            "\"roundrobin\"",
            "known: range, roundrobin, sticky",
        ),
        (
            source(
                "kafka: {a: {url: 'a:1', topic: t, saslUsername: u, sasl: {mechanism: PLAIN, username: {env: U}, password: {env: P}}}}",
            ),
            "excludes saslUsername and saslPassword",
            "excludes saslUsername and saslPassword",
        ),
        (source("mqtt: {a: {url: 'mqtt://m:1883', topic: t, qos: 3}}"), "less than or equal to 2", "0 to 2"),
        (
            source("mqtt: {a: {url: 'mqtt://m:1883', topic: t, password: {env: P}}}"),
            "needs \"username\"",
            "needs \"username\"",
        ),
        (
            source("redis: {a: {redisHost: 'r:1', failover: true}}"),
            "needs \"sentinelMasterName\"",
            "needs \"sentinelMasterName\"",
        ),
        (
            source("rabbitmq: {a: {url: 'amqp://r'}}"),
            "needs \"queue\" or \"exchange\"",
            "needs \"queue\" or \"exchange\"",
        ),
        (source("http: {a: {}}, sink: {topic: t}"), "needs \"ref\" or \"uri\"", "needs \"ref\" or \"uri\""),
        (
            source("http: {a: {}}, sink: {ref: {kind: Service, name: x}}"),
            "spec.sink.ref.apiVersion: Required value",
            "apiVersion: required (text) and missing",
        ),
    ]
}

fn buses() -> Vec<Refused> {
    vec![
        (bus(""), "needs exactly one back end", "needs exactly one back end"),
        (bus("embedded: {}, redis: {address: 'r:1'}"), "exactly one back end", "exactly one back end"),
        (bus("nats: {}"), "native: required", "native: required"),
        (bus("redis: {}"), "\"address\" or \"sentinel\"", "\"address\" and \"sentinel\""),
        (
            bus("jetstream: {url: 'nats://n', storage: tape}"),
            "supported values: \"file\", \"memory\"",
            "known: file, memory",
        ),
        (bus("component: {type: bindings.http}"), "is no pub/sub component", "is no pub/sub component"),
        (bus("component: {version: v1}"), "one of them is needed", "\"name\" or \"type\" is needed"),
        (bus("component: {name: a, type: pubsub.b}"), "they exclude each other", "excludes \"name\""),
        (bus("component: {name: a, version: v1}"), "excludes \"name\"", "excludes \"name\""),
        (bus("embedded: {}, delivery: {format: text}"), "\"structured\"", "known: binary, structured"),
        (cluster_bus("allowedNamespaces: {from: Some}"), "\"Selector\"", "known: All, Same, Selector"),
        (
            cluster_bus("allowedNamespaces: {from: Selector}"),
            "required with from: Selector",
            "required with from: Selector",
        ),
    ]
}

fn inputs() -> Vec<Refused> {
    const SINK: &str = "subscribers: [{topic: t}]";
    const INPUT: &str = "eventSources: [{name: a, eventSourceName: s, eventName: e}]";
    let with = |one: &str, other: &str| format!("{one}, {other}");
    vec![
        (trigger(SINK), "needs at least one input", "needs at least one input"),
        (trigger(INPUT), "needs at least one subscriber", "needs at least one subscriber"),
        (trigger(&with(INPUT, "subscribers: []")), "needs at least one subscriber", "needs at least one subscriber"),
        (
            trigger(&with(&with(INPUT, SINK), "mode: quick")),
            "supported values: \"dedicated\", \"shared\"",
            "known: dedicated, shared",
        ),
        (
            trigger(&with(
                SINK,
                "eventSources: [{name: a, eventSourceName: s, eventName: e}, {name: a, eventSourceName: s, eventName: f}]",
            )),
            "Duplicate value",
            "already names another input",
        ),
        (
            trigger(&with(&with(INPUT, SINK), "inputs: {a: {eventSource: s, event: e}}")),
            "already names another input",
            "already names another input",
        ),
        (
            trigger(&with(SINK, "eventSources: [{name: '-a', eventSourceName: s, eventName: e}]")),
            "conditions cannot say the name",
            "conditions cannot say the name",
        ),
        (
            trigger(&with(SINK, "inputs: {'a b': {eventSource: s, event: e}}")),
            "conditions cannot say the name",
            "conditions cannot say the name",
        ),
        (
            trigger(&with(SINK, "inputs: {'true': {eventSource: s, event: e}}")),
            "conditions cannot say the name",
            "would read it as a constant",
        ),
        (
            trigger(&with(SINK, "eventSources: [{name: a, eventSourceName: s, eventName: e, transform: {}}]")),
            "needs \"jq\" or \"script\"",
            "needs \"jq\" or \"script\"",
        ),
    ]
}

fn subscribers() -> Vec<Refused> {
    vec![
        (subscriber("condition: a"), "where do its events go?", "where do its events go?"),
        (subscriber("topic: t, condition: b"), "no input is named", "no input is named"),
        (subscriber("topic: t, condition: '!(a||b) && a'"), "no input is named", "no input is named"),
        (subscriber("topic: t, name: Big"), "lower case letters", "lower case letters"),
        (
            subscriber("topic: t, name: x}, {topic: u, name: x"),
            "already names another subscriber",
            "already names another subscriber",
        ),
        (subscriber("sink: {}"), "needs \"ref\" or \"uri\"", "needs \"ref\" or \"uri\""),
        (
            subscriber(
                "ref: {apiVersion: v1, kind: Service, name: s}, sink: {ref: {apiVersion: v1, kind: Service, name: s}}",
            ),
            "which is short for it",
            "which is short for it",
        ),
        (subscriber("topic: t, deadLetterSink: {}"), "needs \"ref\" or \"uri\"", "needs \"ref\" or \"uri\""),
        (subscriber("topic: t, delivery: {}, retryStrategy: {}"), "excludes \"delivery\"", "excludes \"delivery\""),
        (subscriber("topic: t, delivery: {retry: 10001}"), "less than or equal to 10000", "0 to 10000"),
        (subscriber("topic: t, concurrency: 0"), "greater than or equal to 1", "1 to 10000"),
        (subscriber("topic: t, batch: {}"), "needs \"count\" or \"within\"", "needs \"count\" or \"within\""),
        (subscriber("topic: t, payload: first"), "supported values: \"all\", \"last\"", "known: all, last"),
        (
            subscriber("topic: t, correlate: {by: {}}"),
            "must name the key of each input",
            "must name the key of each input",
        ),
    ]
}

/// What is taken by both, near what is refused.
pub fn taken() -> Vec<(&'static str, String)> {
    vec![
        source("http: {a: {}}, eventBus: null, sink: null"),
        source("http: {A_b.c-9: {}}, cron: {b: {schedule: '@daily', data: [1, {x: y}]}}"),
        source("kafka: {a: {topic: t, url: 'a:1', brokers: 'a:1'}}"),
        source("http: {a: {}}, sink: {uri: 'log:'}, logLevel: '2'"),
        cluster_bus("allowedNamespaces: {from: Selector, selector: {matchLabels: {team: shop}}}"),
        subscriber("topic: t, name: null"),
        subscriber("topic: t, condition: \"( a\\n)||!!a\""),
        subscriber("ref: {apiVersion: dapr.io/v1alpha1, kind: Component, name: s}, sink: {topic: t}"),
        subscriber("topic: t}, {topic: u, name: a}, {topic: v, name: b"),
        trigger(
            "eventSources: [{name: order-created.v1, eventSourceName: s, eventName: e, filters: [{exact: {type: a}}]}], \
             inputs: {payment: {eventSource: s, event: f}}, \
             subscribers: [{topic: t, condition: order-created.v1 && !payment || payment}]",
        ),
    ]
}
