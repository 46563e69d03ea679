//! One event of an `EventSource` as a Component.

use std::borrow::Cow;

use serde_json::{Map, Value as Json};

use super::{Component, Secrets, Setting, write};
use crate::api::metadata::Key;
use crate::api::{FieldPath, Problems};
use crate::sources::cron::config as cron;
use crate::sources::http::config as http;
use crate::sources::mqtt::config as mqtt;
use crate::sources::rabbitmq::config as rabbitmq;
use crate::sources::redis::config as redis;

/// The sources that are components: the kind, and the keys of its Component.
const SOURCES: [(&str, &[Key]); 5] = [
    ("http", &http::KEYS),
    ("cron", &cron::KEYS),
    ("mqtt", &mqtt::KEYS),
    ("redis", &redis::KEYS),
    ("rabbitmq", &rabbitmq::KEYS),
];

/// The kinds that are components.
pub const KINDS: [&str; SOURCES.len()] = {
    let mut kinds = [""; SOURCES.len()];
    let mut index = 0;
    while index < kinds.len() {
        kinds[index] = SOURCES[index].0;
        index += 1;
    }
    kinds
};

/// Fields of an event that are no matter of its component: the intake sets the attributes, and how many
/// replicas there are is not for one of them to know.
const ELSEWHERE: [&str; 2] = ["attributes", "scaleOption"];

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

/// The events of a spec whose kinds are components.
pub fn events(spec: &Map<String, Json>) -> Vec<Event<'_>> {
    let of_kind = |kind: &'static str| {
        let events = spec.get(kind).and_then(Json::as_object).into_iter().flatten();
        events.filter_map(move |(name, settings)| Some(Event { kind, name, settings: settings.as_object()? }))
    };
    KINDS.into_iter().flat_map(of_kind).collect()
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
    let keys = SOURCES.iter().find(|(kind, _)| *kind == event.kind).map_or(&[][..], |(_, keys)| *keys);
    let mut elsewhere = ELSEWHERE.to_vec();
    if UNCONNECTED.contains(&event.kind) {
        elsewhere.extend(["connectionBackoff", "jsonBody"]);
    }
    let mut settings = Cow::Borrowed(event.settings);
    // daprd takes the name of the YAML for itself.
    if event.kind == "mqtt" && settings.get("consumerID").is_some_and(|id| !id.is_null()) {
        let settings = settings.to_mut();
        let id = settings.remove("consumerID").unwrap_or_default();
        settings.insert("clientID".to_owned(), id);
    }
    write(&mut component, &settings, keys, &elsewhere, secrets, (&event.path(), problems));
    for (key, value) in defaults(event, origin.trim_start_matches('/')) {
        if !component.has(key) {
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
        "redis" => vec![("stream", event.name.to_owned()), ("consumerGroup", dashed())],
        "mqtt" => vec![("clientID", dashed())],
        "rabbitmq" => vec![("queue", format!("penstock.{}", identity.replace('/', ".")))],
        _ => Vec::new(),
    }
}
