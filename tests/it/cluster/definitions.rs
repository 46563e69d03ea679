//! The definitions of our kinds on a real API server: what was published applies as it is, what is wrong is
//! refused with its reason, and `penstock check` agrees in both.

use std::fs;
use std::path::Path;

use kube::Client;
use kube::api::{Api, PostParams};
use penstock::api::event_bus::EventBus;
use penstock::api::event_source::EventSource;
use penstock::api::trigger::Trigger;
use serde::de::DeserializeOwned;

use crate::published::{blocks, root};
use crate::support::{ADMIN, ApiServer, apply_foreign_crds, apply_own_crds, output};

/// What the API server says to an object of ours that is only tried: nothing, or why it is refused.
async fn tried(client: &Client, namespace: &str, kind: &str, yaml: String) -> Result<(), String> {
    let place = match kind {
        "EventSource" => format!("namespaces/{namespace}/eventsources"),
        "EventBus" => format!("namespaces/{namespace}/eventbus"),
        "ClusterEventBus" => "clustereventbus".to_owned(),
        _ => format!("namespaces/{namespace}/triggers"),
    };
    let uri = format!("/apis/events.openfunction.io/v1alpha1/{place}?dryRun=All&fieldValidation=Strict");
    let request = http::Request::post(uri).header("content-type", "application/yaml").body(yaml.into_bytes()).unwrap();
    client.request_text(request).await.map(drop).map_err(|fault| fault.to_string())
}

/// What `penstock check` says: nothing, or why it is refused.
async fn checked(folder: &Path, yaml: &str) -> Result<(), String> {
    let file = folder.join("case.yaml");
    fs::write(&file, yaml).unwrap();
    let out = output(["check".as_ref(), file.as_os_str()]).await;
    if out.status.code() == Some(0) { Ok(()) } else { Err(String::from_utf8_lossy(&out.stdout).into_owned()) }
}

/// The object of a case; `spec` is in YAML's flow style or begins with a line break.
fn object(kind: &str, spec: &str) -> String {
    format!("apiVersion: events.openfunction.io/v1alpha1\nkind: {kind}\nmetadata: {{name: x}}\nspec: {spec}\n")
}

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

/// What is refused by both: the object, a part of the API server's reason, a part of that of `check`.
fn refused() -> Vec<((&'static str, String), &'static str, &'static str)> {
    const SINK: &str = "subscribers: [{topic: t}]";
    const INPUT: &str = "eventSources: [{name: a, eventSourceName: s, eventName: e}]";
    let with = |one: &str, other: &str| format!("{one}, {other}");
    let long = "x".repeat(64);
    let event = |name: &str| source(&format!("http: {{{name}: {{}}}}"));
    vec![
        // Event sources.
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
        // Buses.
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
        (bus("embedded: {}, delivery: {format: text}"), "\"structured\"", "known: binary, structured"),
        (cluster_bus("allowedNamespaces: {from: Some}"), "\"Selector\"", "known: All, Same, Selector"),
        (
            cluster_bus("allowedNamespaces: {from: Selector}"),
            "required with from: Selector",
            "required with from: Selector",
        ),
        // Triggers.
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
fn taken() -> Vec<(&'static str, String)> {
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

#[tokio::test]
async fn what_is_wrong_is_refused_by_the_api_server_and_by_check() {
    let server = ApiServer::shared().await;
    let client = server.client(ADMIN).await;
    apply_own_crds(&client).await;
    let namespace = server.namespace("refused").await;
    let folder = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    let mut judge = |by: &str, yaml: &str, expected: &str, said: Result<(), String>| match said {
        Err(reason) if reason.contains(expected) => {}
        said => wrong.push(format!("{by} says {said:?}, not {expected:?}, to\n{yaml}")),
    };
    for ((kind, spec), server_says, check_says) in refused() {
        let yaml = object(kind, &spec);
        judge("check", &yaml, check_says, checked(folder.path(), &yaml).await);
        let said = tried(&client, &namespace, kind, yaml.clone()).await;
        judge("the server", &yaml, server_says, said);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn what_is_right_is_taken_by_the_api_server_and_by_check() {
    let server = ApiServer::shared().await;
    let client = server.client(ADMIN).await;
    apply_own_crds(&client).await;
    let namespace = server.namespace("taken").await;
    let folder = tempfile::tempdir().unwrap();
    for (kind, spec) in taken() {
        let yaml = object(kind, &spec);
        assert_eq!(checked(folder.path(), &yaml).await, Ok(()), "{yaml}");
        assert_eq!(tried(&client, &namespace, kind, yaml.clone()).await, Ok(()), "{yaml}");
    }
}

#[tokio::test]
async fn every_published_object_applies_as_it_is() {
    let server = ApiServer::shared().await;
    let client = server.client(ADMIN).await;
    apply_own_crds(&client).await;
    apply_foreign_crds(&client).await;
    let mut texts = Vec::new();
    let mut folders: Vec<_> = ["components", "examples", "docs"].map(|name| root().join(name)).into();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.extension().and_then(|extension| extension.to_str()) {
                None if path.is_dir() => folders.push(path),
                Some("yaml") => texts.push((path.display().to_string(), fs::read_to_string(path).unwrap())),
                Some("md") => {
                    let page = fs::read_to_string(&path).unwrap();
                    texts.extend(blocks(&page).into_iter().map(|block| (path.display().to_string(), block)));
                }
                _ => {}
            }
        }
    }
    let mut tries = 0;
    let mut wrong = Vec::new();
    for (place, text) in texts.iter().filter(|(_, text)| text.contains("kind: ")) {
        let arguments = ["create", "--dry-run=server", "--validate=strict", "-f", "-"];
        let out = server.kubectl(&arguments, text).await;
        let said = String::from_utf8_lossy(&out.stderr);
        tries += 1;
        if !out.status.success() {
            wrong.push(format!("{place}: {said}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(tries >= 20, "the published objects were not found");
}

/// Reads back an object that kubectl applied.
async fn stored<K>(client: &Client, namespace: &str, name: &str) -> K
where
    K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>
        + Clone
        + DeserializeOwned
        + std::fmt::Debug,
{
    Api::namespaced(client.clone(), namespace).get(name).await.unwrap()
}

#[tokio::test]
async fn the_documents_of_the_proposal_mean_what_they_say() {
    let server = ApiServer::shared().await;
    let client = server.client(ADMIN).await;
    apply_own_crds(&client).await;
    let namespace = server.namespace("proposal").await;
    let folder = root().join("examples/proposal");
    let arguments = ["apply", "--validate=strict", "--namespace", &namespace, "-f", folder.to_str().unwrap()];
    let out = server.kubectl(&arguments, "").await;
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let names = server.kubectl(&["get", "es,eb,tr", "--namespace", &namespace, "--output=name"], "").await;
    let names = String::from_utf8(names.stdout).unwrap();
    let name = |kind: &str| {
        let line = names.lines().find_map(|line| line.strip_prefix(&format!("{kind}.events.openfunction.io/")));
        line.unwrap_or_default().to_owned()
    };
    let source: EventSource = stored(&client, &namespace, &name("eventsource")).await;
    assert_eq!(source.spec.kafka.unwrap().len(), 1);
    assert_eq!(source.spec.workload.as_deref(), Some("deployment"), "a default");
    let bus: EventBus = stored(&client, &namespace, &name("eventbus")).await;
    assert!(bus.spec.bus.nats.unwrap().native.is_some());
    let trigger: Trigger = stored(&client, &namespace, &name("trigger")).await;
    assert!(trigger.spec.event_sources.unwrap().len() >= 2);
    assert!(trigger.spec.subscribers.iter().all(|subscriber| subscriber.condition.is_some()));
    // The status is written apart from the spec, and printed.
    let mut shown: EventBus = stored(&client, &namespace, &name("eventbus")).await;
    let ready =
        serde_json::json!({"conditions": [{"type": "Ready", "status": "True", "reason": "Connected", "message": ""}]});
    shown.status = Some(serde_json::from_value(ready).unwrap());
    let buses: Api<EventBus> = Api::namespaced(client.clone(), &namespace);
    buses.replace_status(&name("eventbus"), &PostParams::default(), &shown).await.unwrap();
    let table = server.kubectl(&["get", "eb", "--namespace", &namespace], "").await;
    let table = String::from_utf8(table.stdout).unwrap();
    let columns: Vec<&str> = table.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(columns, ["NAME", "READY", "REASON", "AGE"]);
    assert!(table.contains("Connected"), "{table}");
    // What the schema sets as a default is not written by every apply anew.
    let again = server.kubectl(&arguments, "").await;
    let said = String::from_utf8(again.stdout).unwrap();
    assert!(said.lines().all(|line| line.ends_with("unchanged")), "{said}");
}

#[tokio::test]
async fn the_shapes_of_openfunction_apply_as_they_are() {
    let server = ApiServer::shared().await;
    let client = server.client(ADMIN).await;
    apply_own_crds(&client).await;
    let text = fs::read_to_string(root().join("src/cli/check/tests/openfunction.yaml")).unwrap();
    let out = server.kubectl(&["create", "--dry-run=server", "--validate=strict", "-f", "-"], &text).await;
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let said = String::from_utf8(out.stdout).unwrap();
    assert_eq!(said.lines().count(), text.matches("\nkind: ").count(), "{said}");
}
