//! Judges `EventSource`s.

use std::collections::BTreeMap;

use super::bus::Buses;
use super::webhooks;
use crate::api::client::{self, Backoff};
use crate::api::event_source::{EventCommon, EventSourceSpec};
use crate::api::{FieldPath, Problems, Secrets, value};
use crate::cli::documents::Document;
use crate::intake::Overrides;
use crate::router::route::Trigger;
use crate::sources::{cron, kafka, kubernetes, mqtt, nats, rabbitmq, redis, s3};

/// The kinds, in the order of the documentation.
const KINDS: [&str; 9] = ["http", "cron", "kafka", "mqtt", "nats", "redis", "rabbitmq", "s3", "kubernetes"];
/// Whether it was built with the feature that Kafka needs.
const KAFKA: bool = cfg!(feature = "kafka");
/// The longest name of an event: it becomes a label, as the names of objects do.
const MAX_EVENT: usize = 63;

/// One event, whatever its kind.
pub(super) struct Entry<'a> {
    pub(super) kind: &'static str,
    pub(super) event: &'a str,
    pub(super) common: &'a EventCommon,
}

/// Every event of every kind.
pub(super) fn events(spec: &EventSourceSpec) -> Vec<Entry<'_>> {
    let mut found = Vec::new();
    collect("http", spec.http.as_ref(), |raw| &raw.common, &mut found);
    collect("cron", spec.cron.as_ref(), |raw| &raw.common, &mut found);
    collect("kafka", spec.kafka.as_ref(), |raw| &raw.common, &mut found);
    collect("mqtt", spec.mqtt.as_ref(), |raw| &raw.common, &mut found);
    collect("nats", spec.nats.as_ref(), |raw| &raw.common, &mut found);
    collect("redis", spec.redis.as_ref(), |raw| &raw.common, &mut found);
    collect("rabbitmq", spec.rabbitmq.as_ref(), |raw| &raw.common, &mut found);
    collect("s3", spec.s3.as_ref(), |raw| &raw.http.common, &mut found);
    collect("kubernetes", spec.kubernetes.as_ref(), |raw| &raw.common, &mut found);
    found
}

fn collect<'a, T>(
    kind: &'static str,
    events: Option<&'a BTreeMap<String, T>>,
    common: fn(&T) -> &EventCommon,
    found: &mut Vec<Entry<'a>>,
) {
    let entries = events.into_iter().flatten();
    found.extend(entries.map(|(event, raw)| Entry { kind, event, common: common(raw) }));
}

/// The `EventSource`'s direct sink, when it has one.
pub(super) fn judge(
    document: &Document<EventSourceSpec>,
    buses: &Buses,
    secrets: &dyn Secrets,
    problems: &mut Problems,
) -> Option<Trigger> {
    let Document { namespace, name, spec, .. } = document;
    let path = FieldPath::root().field("spec");
    let entries = events(spec);
    if entries.is_empty() {
        problems.push_help(&path, "needs at least one event", format!("under one of {}", KINDS.join(", ")));
    }
    judge_names(&entries, &path, problems);
    for entry in &entries {
        judge_common(entry, &path.field(entry.kind).field(entry.event), problems);
    }
    judge_kinds(spec, namespace, &path, secrets, problems);
    judge_words(spec, &path, problems);
    if spec.event_bus.is_some() || spec.sink.is_none() {
        buses.expect(namespace, spec.event_bus.as_deref(), &path.field("eventBus"), problems);
    }
    buses.admit(namespace, spec.event_bus.as_deref(), &path.field("eventBus"), problems);
    let bus = buses.find(namespace, spec.event_bus.as_deref());
    let names: Vec<&str> = entries.iter().map(|entry| entry.event).collect();
    Trigger::of_event_source(namespace, name, spec, &names, &bus, problems)
}

/// Names are told apart across the kinds: a topic is named after the event alone.
fn judge_names(entries: &[Entry<'_>], path: &FieldPath, problems: &mut Problems) {
    let mut kinds: BTreeMap<&str, &str> = BTreeMap::new();
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    for Entry { kind, event, .. } in entries {
        let path = path.field(kind).field(event);
        if !(1..=MAX_EVENT).contains(&event.len()) || !event.bytes().all(legal) || event.starts_with(['-', '.']) {
            let help = format!("letters, digits, '-', '_' and '.', at most {MAX_EVENT}, not '-' or '.' first");
            problems.push_help(&path, format!("{event:?} is not the name of an event"), help);
        }
        match kinds.get(event) {
            Some(first) => {
                problems.push(&path, format!("{event:?} is an event of {first} already: both would share a topic"));
            }
            None => drop(kinds.insert(event, kind)),
        }
    }
}

/// What every event may set. The kinds that are not run yet have no parser that would do it.
fn judge_common(entry: &Entry<'_>, path: &FieldPath, problems: &mut Problems) {
    if let Some(attributes) = &entry.common.attributes
        && let Err(error) = Overrides::new(attributes)
    {
        problems.push(&path.field("attributes"), error.to_string());
    }
    if !["kafka", "mqtt", "nats", "redis", "rabbitmq", "s3", "kubernetes"].contains(&entry.kind) {
        Backoff::parse(entry.common.connection_backoff.as_ref(), &path.field("connectionBackoff"), problems);
        client::lag_threshold(entry.common.scale_option.as_ref(), &path.field("scaleOption"), problems);
    }
}

fn judge_kinds(
    spec: &EventSourceSpec,
    namespace: &str,
    path: &FieldPath,
    secrets: &dyn Secrets,
    problems: &mut Problems,
) {
    webhooks::judge(spec, path, secrets, problems);
    for (event, raw) in spec.cron.iter().flatten() {
        cron::config::Config::parse(raw, &path.field("cron").field(event), problems);
    }
    for (event, raw) in spec.kafka.iter().flatten() {
        kafka::config::Config::parse(raw, event, &path.field("kafka").field(event), secrets, problems);
    }
    for (event, raw) in spec.mqtt.iter().flatten() {
        mqtt::config::Config::parse(raw, event, &path.field("mqtt").field(event), secrets, problems);
    }
    for (event, raw) in spec.nats.iter().flatten() {
        nats::Config::parse(raw, &path.field("nats").field(event), secrets, problems);
    }
    for (event, raw) in spec.redis.iter().flatten() {
        redis::config::Config::parse(raw, event, &path.field("redis").field(event), secrets, problems);
    }
    for (event, raw) in spec.rabbitmq.iter().flatten() {
        rabbitmq::config::Config::parse(raw, &path.field("rabbitmq").field(event), secrets, problems);
    }
    for (event, raw) in spec.kubernetes.iter().flatten() {
        let path = path.field("kubernetes").field(event);
        kubernetes::config::Config::parse(raw, Some(namespace), &path, problems);
    }
    for (event, raw) in spec.s3.iter().flatten() {
        s3::Config::parse(raw, &path.field("s3").field(event), secrets, problems);
    }
    if !KAFKA && spec.kafka.is_some() {
        problems.push(&path.field("kafka"), "this penstock was built without the feature \"kafka\"");
    }
}

fn judge_words(spec: &EventSourceSpec, path: &FieldPath, problems: &mut Problems) {
    if let Some(word) = &spec.workload {
        let path = path.field("workload");
        let function = value::word(word, &[("deployment", false), ("function", true)], &path, problems);
        if function == Some(true) {
            problems.warn(&path, "counts in a cluster only");
        }
    }
    if spec.build.is_some() {
        problems.warn(&path.field("build"), "has no effect: the image of the workload is Penstock's own");
    }
    if let Some(level) = &spec.log_level {
        // A level, or `OpenFunction`'s number as text.
        let number = (1..=2).contains(&level.len()) && level.bytes().all(|byte| byte.is_ascii_digit());
        if !number {
            let known = ["trace", "debug", "info", "warn", "error"].map(|level| (level, ()));
            value::word(level, &known, &path.field("logLevel"), problems);
        }
    }
}
