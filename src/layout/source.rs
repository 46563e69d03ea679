//! One event of an `EventSource` as a Component.

use std::borrow::Cow;

use serde_json::{Map, Value as Json};

use super::{Component, Secrets, Setting, write};
use crate::api::metadata::Key;
use crate::api::{FieldPath, Problems};
use crate::sources::cron::config as cron;
use crate::sources::http::config as http;
use crate::sources::kafka::config as kafka;
use crate::sources::kubernetes::config as kubernetes;
use crate::sources::mqtt::config as mqtt;
use crate::sources::nats::config as nats;
use crate::sources::rabbitmq::config as rabbitmq;
use crate::sources::redis::config as redis;
use crate::sources::s3::config as s3;

/// The sources: the kind, and the keys of its Component. (`s3` may be a webhook.)
const SOURCES: [(&str, &[&[Key]]); 9] = [
    ("http", &[&http::KEYS]),
    ("cron", &[&cron::KEYS]),
    ("kafka", &[&kafka::KEYS]),
    ("mqtt", &[&mqtt::KEYS]),
    ("nats", &[&nats::KEYS]),
    ("redis", &[&redis::KEYS]),
    ("rabbitmq", &[&rabbitmq::KEYS]),
    ("s3", &[&s3::KEYS, &http::KEYS]),
    ("kubernetes", &[&kubernetes::KEYS]),
];

/// The key of a source's Component that names a bus which a Component beside it has open: how far a schedule or a watch
/// has come is kept there instead of on the disk of the process.
pub const STATE_BUS: &str = "stateBus";

/// Fields of an event that are no matter of its component: the intake sets the attributes, how many replicas
/// there are is not for one of them to know, and the rest has no effect.
const ELSEWHERE: [&str; 8] = [
    "attributes",
    "scaleOption",
    "poolSize",
    "poolTimeout",
    "maxConnAge",
    "minIdleConns",
    "idleCheckFrequency",
    "idleTimeout",
];

/// Kinds that connect to nothing: how a connection is retried, and what a body is, is nothing to them.
const UNCONNECTED: [&str; 2] = ["http", "cron"];

/// One event of an `EventSource`.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    pub kind: &'static str,
    pub name: &'a str,
    /// As they were written.
    pub settings: &'a Map<String, Json>,
}

impl Event<'_> {
    /// Where its settings stand.
    pub fn path(&self) -> FieldPath {
        FieldPath::root().field("spec").field(self.kind).field(self.name)
    }

    /// The attributes that every event gets.
    pub fn attributes(&self) -> Json {
        self.settings
            .get("attributes")
            .filter(|set| !set.is_null())
            .cloned()
            .unwrap_or_else(|| Json::Object(Map::new()))
    }
}

/// The events of a spec.
pub fn events(spec: &Map<String, Json>) -> Vec<Event<'_>> {
    let of_kind = |kind: &'static str| {
        let events = spec.get(kind).and_then(Json::as_object).into_iter().flatten();
        events.filter_map(move |(name, settings)| Some(Event { kind, name, settings: settings.as_object()? }))
    };
    SOURCES.into_iter().flat_map(|(kind, _)| of_kind(kind)).collect()
}

/// The Component `name` of an event. Its events that are no `CloudEvents` when they come have the `source`
/// `origin`.
pub fn source(
    name: &str,
    origin: &str,
    event: &Event<'_>,
    secrets: &mut Secrets<'_>,
    problems: &mut Problems,
) -> Component {
    let mut component = Component::new(name, format!("pubsub.eventsource.{}", event.kind));
    component.set("source", Setting::Value(origin.to_owned()));
    let keys = SOURCES.iter().find(|(kind, _)| *kind == event.kind).map_or(&[][..], |(_, keys)| *keys).concat();
    let mut elsewhere = ELSEWHERE.to_vec();
    if UNCONNECTED.contains(&event.kind) {
        elsewhere.extend(["connectionBackoff", "jsonBody"]);
    }
    if event.kind == "kubernetes" {
        elsewhere.push("jsonBody");
    }
    let mut settings = Cow::Borrowed(event.settings);
    // daprd takes the name of the YAML for itself.
    if event.kind == "mqtt" && settings.get("consumerID").is_some_and(|id| !id.is_null()) {
        let settings = settings.to_mut();
        let id = settings.remove("consumerID").unwrap_or_default();
        settings.insert("clientID".to_owned(), id);
    }
    if let Some(nanos) = settings.get("connectionBackoff").and_then(|backoff| backoff.get("duration")?.as_u64()) {
        // A number is nanoseconds, which a text has to say.
        settings.to_mut()["connectionBackoff"]["duration"] = format!("{nanos}ns").into();
    }
    if event.kind == "kafka" {
        super::client_settings(&mut component, settings.to_mut(), &event.path(), problems);
    }
    write(&mut component, &settings, &keys, &elsewhere, secrets, (&event.path(), problems));
    for (key, value) in defaults(event, origin.trim_start_matches('/')) {
        // Another word for the consumer group of Kafka.
        let said = key == "consumerGroup.groupName" && component.has("scaleOption.consumerGroup");
        if !said && !component.has(key) {
            component.set(key, Setting::Value(value));
        }
    }
    component
}

/// What a source names after its event when nothing is said. A Component does not know the event, and its own
/// name may be had by another one, in another namespace.
fn defaults(event: &Event<'_>, identity: &str) -> Vec<(&'static str, String)> {
    let dashed = || format!("penstock-{}", identity.replace('/', "-"));
    match event.kind {
        "http" => vec![("path", format!("/{}", event.name))],
        "s3" if event.settings.get("endpoint").is_none_or(Json::is_null) => vec![("path", format!("/{}", event.name))],
        "kafka" if event.settings.get("partition").is_none_or(Json::is_null) => {
            vec![("consumerGroup.groupName", dashed())]
        }
        "nats" if event.settings.get("jetstream").is_some_and(Json::is_object) => {
            vec![("jetstream.durable", dashed().replace('-', "_").replace('.', "="))]
        }
        "redis" => vec![("stream", event.name.to_owned()), ("consumerGroup", dashed())],
        "kubernetes" => {
            vec![("ownNamespace", identity.split('/').next().unwrap_or_default().to_owned())]
        }
        "mqtt" => vec![("clientID", dashed())],
        "rabbitmq" => vec![("queue", format!("penstock.{}", identity.replace('/', ".")))],
        _ => Vec::new(),
    }
}
