//! What daprd and the workloads are told: the documents, written as Dapr Components and plans. Pure.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json, json};

use super::component::{Component, Setting};
use crate::api::event_source::EventSourceSpec;
use crate::api::metadata::{self, Key, Written};
use crate::api::{FieldPath, Problems, Secret, SecretSource, Secrets};
use crate::buses::embedded;
use crate::catalog::BusConfig;
use crate::cli::documents::{Document, Documents, Origin};
use crate::cli::report::Report;
use crate::cli::run::{BusPlan, CONSUMER_GROUP, Feed, Plan};
use crate::router::route::DEFAULT_BUS;
use crate::sources::{cron, http};

/// The sources that are components: the kind, and the keys of its Component.
const SOURCES: [(&str, &[Key]); 2] = [(http::KIND, &http::config::KEYS), ("cron", &cron::config::KEYS)];

/// The kind of the bus's component.
const BUS: &str = "eventbus.embedded";

/// The blocks of a bus that name another back end.
const OTHER_BUSES: [&str; 6] = ["jetstream", "nats", "natsStreaming", "kafka", "redis", "component"];

/// Fields of an event that are no matter of its component: the intake sets the attributes, and the rest
/// counts in a cluster, or for sources that connect to something.
const NOT_THE_COMPONENTS: [&str; 4] = ["attributes", "jsonBody", "connectionBackoff", "scaleOption"];

/// What daprd replaces in the values of a Component, wherever it stands.
const TEMPLATES: [&str; 4] = ["{uuid}", "{podName}", "{namespace}", "{appID}"];

/// What the processes are told.
#[derive(Debug, Default)]
pub struct Layout {
    pub components: Vec<Component>,
    /// What `penstock component` serves.
    pub kinds: BTreeSet<String>,
    /// Environment variables of daprd.
    pub secrets: Vec<(String, Secret)>,
    pub workloads: Vec<Workload>,
}

/// A process that does what a plan says.
#[derive(Debug)]
pub struct Workload {
    pub command: Command,
    /// What tells it apart, such as `router` or `router cluster-bus`.
    pub name: String,
    pub plan: Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Command {
    Intake,
    Router,
}

impl Command {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Intake => "intake",
            Self::Router => "router",
        }
    }
}

/// Writes documents of which everything is right to run in one process. What daprd's way has no place for
/// is reported.
pub fn layout(documents: &Documents, plan: &Plan, secrets: &dyn Secrets, report: &mut Report) -> Layout {
    let writer = Writer { documents, plan, secrets, layout: Layout::default() };
    writer.write(report)
}

struct Writer<'a> {
    documents: &'a Documents,
    plan: &'a Plan,
    secrets: &'a dyn Secrets,
    layout: Layout,
}

impl Writer<'_> {
    fn write(mut self, report: &mut Report) -> Layout {
        self.refuse_other_buses(report);
        let buses: Vec<(usize, Json)> = (0..self.plan.buses.len()).map(|index| (index, self.bus(index))).collect();
        let mut feeds: Vec<Vec<Json>> = vec![Vec::new(); buses.len()];
        for document in &self.documents.sources {
            tell(report, &document.origin, |problems| {
                for feed in self.plan.feeds.iter().filter(|feed| is_of(feed, document)) {
                    if let Some(written) = self.feed(feed, document, problems) {
                        feeds[feed.bus].push(written);
                    }
                }
            });
        }
        for (index, endpoint) in buses {
            let name = |command: Command| match self.plan.buses.len() {
                1 => command.as_str().to_owned(),
                _ => format!("{} {}", command.as_str(), self.plan.buses[index].name),
            };
            let feeds = std::mem::take(&mut feeds[index]);
            if !feeds.is_empty() {
                let plan = json!({"bus": endpoint, "feeds": feeds});
                self.layout.workloads.push(Workload { command: Command::Intake, name: name(Command::Intake), plan });
            }
            if let Some(plan) = self.router(index, &endpoint) {
                self.layout.workloads.push(Workload { command: Command::Router, name: name(Command::Router), plan });
            }
        }
        self.layout
    }

    fn refuse_other_buses(&self, report: &mut Report) {
        let named = self.documents.buses.iter().map(|bus| (&bus.origin, full(bus), &bus.spec.bus));
        let cluster = self.documents.cluster_buses.iter().map(|bus| (&bus.origin, full(bus), &bus.spec.bus));
        for (origin, name, spec) in named.chain(cluster) {
            let plan = self.plan.buses.iter().find(|bus| bus.name == name);
            if plan.is_none_or(|bus| matches!(bus.config, BusConfig::Embedded(_))) {
                continue;
            }
            let spec = object(spec);
            let path = FieldPath::root().field("spec");
            let block = OTHER_BUSES.iter().find(|block| spec.get(**block).is_some_and(|value| !value.is_null()));
            tell(report, origin, |problems| {
                let path = block.map_or_else(|| path.clone(), |block| path.field(block));
                problems.push_help(
                    &path,
                    "--dapr has no component of this bus yet",
                    "use embedded, or leave out --dapr",
                );
            });
        }
    }

    /// The Component of a bus; its place in a plan.
    fn bus(&mut self, index: usize) -> Json {
        let BusPlan { name, config, .. } = &self.plan.buses[index];
        let mut component = Component::new(self.free_name(&name.replace('/', ".")), format!("pubsub.{BUS}"));
        if let BusConfig::Embedded(config) = config {
            component.metadata = settings(config);
        }
        let endpoint = json!({"component": component.name});
        self.layout.kinds.insert(BUS.to_owned());
        self.layout.components.push(component);
        endpoint
    }

    /// A name that no other Component has. Dots may stand in names, so that two paths can become one.
    fn free_name(&self, wanted: &str) -> String {
        let is_free = |name: &String| self.layout.components.iter().all(|component| component.name != *name);
        let mut names = std::iter::once(wanted.to_owned()).chain((2..).map(|number| format!("{wanted}-{number}")));
        names.find(is_free).unwrap_or_default()
    }

    /// The Component of one event; its feed. `None` when it was refused.
    fn feed(&mut self, feed: &Feed, document: &Document<EventSourceSpec>, problems: &mut Problems) -> Option<Json> {
        let path = FieldPath::root().field("spec");
        let spec = object(&document.spec);
        let known = SOURCES.iter().find_map(|(kind, keys)| Some((*kind, *keys, spec.get(*kind)?.get(&feed.event)?)));
        let Some((kind, keys, Json::Object(event))) = known else {
            let kinds = SOURCES.map(|(kind, _)| kind).join(", ");
            let of = spec.iter().find(|(_, events)| events.get(&feed.event).is_some_and(Json::is_object));
            let path = of.map_or_else(|| path.clone(), |(kind, _)| path.field(kind).field(&feed.event));
            problems.push_help(&path, "--dapr has no component of this source yet", format!("it has: {kinds}"));
            return None;
        };
        let path = path.field(kind).field(&feed.event);
        let name = self.free_name(&feed.identity().replace('/', "."));
        let mut component = Component::new(name, format!("pubsub.eventsource.{kind}"));
        component.set("source", Setting::Value(feed.origin()));
        let (written, left) = metadata::write(event, keys);
        for field in left.iter().filter(|field| !NOT_THE_COMPONENTS.contains(&field.as_str())) {
            problems.push(&below(&path, field), "cannot be said to a component: leave out --dapr to run it");
        }
        for (key, written) in written {
            match self.setting(written) {
                Ok(setting) => component.set(key, setting),
                Err(reason) => problems.push(&below(&path, key), reason),
            }
        }
        if kind == http::KIND && !component.has("path") {
            component.set("path", Setting::Value(format!("/{}", feed.event)));
        }
        let from = json!({"component": component.name});
        self.layout.kinds.insert(format!("eventsource.{kind}"));
        self.layout.components.push(component);
        Some(json!({
            "from": from, "topic": feed.topic.as_str(), "to": feed.topic.as_str(),
            "namespace": feed.namespace, "eventSource": feed.source, "event": feed.event,
            "attributes": event.get("attributes").filter(|set| !set.is_null()).unwrap_or(&json!({})),
        }))
    }

    /// What a Component says; a secret becomes an environment variable of daprd.
    fn setting(&mut self, written: Written) -> Result<Setting, String> {
        let changed = |text: &str| TEMPLATES.iter().find(|template| text.contains(**template)).copied();
        let refused = |template: &str| format!("daprd would put something else in the place of {template}");
        match written {
            Written::Value(value) => {
                changed(&value).map_or(Ok(Setting::Value(value.clone())), |word| Err(refused(word)))
            }
            Written::Secret(source) => {
                let source: SecretSource = serde_json::from_value(source).map_err(|error| error.to_string())?;
                let secret = self.secrets.resolve(&source)?;
                if let Some(template) = changed(secret.expose()) {
                    return Err(refused(template));
                }
                let name = format!("PENSTOCK_SECRET_{}", self.layout.secrets.len() + 1);
                self.layout.secrets.push((name.clone(), secret));
                Ok(Setting::Environment(name))
            }
        }
    }

    /// The plan of a bus's router; `None` when nobody reads from the bus.
    fn router(&self, index: usize, endpoint: &Json) -> Option<Json> {
        let bus = &self.plan.buses[index];
        let mut triggers: Vec<Json> = Vec::new();
        for document in self.documents.triggers.iter().filter(|trigger| self.is_on(trigger, bus)) {
            let Document { namespace, name, spec, .. } = document;
            triggers.push(json!({"namespace": namespace, "name": name, "spec": without_nulls(object(spec).into())}));
        }
        for document in &self.documents.sources {
            triggers.extend(direct(document, self.plan.feeds.iter().filter(|feed| feed.bus == index)));
        }
        let (namespace, name) = bus.name.split_once('/').unwrap_or(("", &bus.name));
        let spec = self.bus_spec(&bus.name);
        (!triggers.is_empty()).then(|| {
            json!({
                "bus": endpoint, "group": CONSUMER_GROUP,
                "eventBus": {"name": name, "namespace": namespace, "spec": spec},
                "triggers": triggers,
            })
        })
    }

    /// The spec of a bus; nothing for one without a document.
    fn bus_spec(&self, name: &str) -> Json {
        let named = self.documents.buses.iter().map(|bus| (full(bus), &bus.spec.bus));
        let cluster = self.documents.cluster_buses.iter().map(|bus| (full(bus), &bus.spec.bus));
        let found = named.chain(cluster).find(|(full, _)| full == name);
        found.map_or_else(|| json!({}), |(_, spec)| without_nulls(object(spec).into()))
    }

    /// Whether a Trigger reads from the bus: the one of its namespace comes before the cluster's.
    fn is_on(&self, trigger: &Document<crate::api::trigger::TriggerSpec>, bus: &BusPlan) -> bool {
        let wanted = trigger.spec.event_bus.as_deref().unwrap_or(DEFAULT_BUS);
        let own = format!("{}/{wanted}", trigger.namespace);
        let name = if self.plan.buses.iter().any(|bus| bus.name == own) { own.as_str() } else { wanted };
        bus.name == name
    }
}

/// The direct sink of an `EventSource`, as a Trigger over the feeds of one bus. No Trigger can have its name.
fn direct<'a>(document: &Document<EventSourceSpec>, feeds: impl Iterator<Item = &'a Feed>) -> Option<Json> {
    let sink = document.spec.sink.as_ref()?;
    let events: Vec<&str> = feeds.filter(|feed| is_of(feed, document)).map(|feed| feed.event.as_str()).collect();
    let names: Vec<String> = (0..events.len()).map(|index| format!("event{index}")).collect();
    let inputs: Vec<Json> = names.iter().zip(&events).map(|(name, event)| input(name, &document.name, event)).collect();
    let spec = json!({
        "eventSources": inputs,
        "subscribers": [{
            "name": "sink", "condition": names.join(" || "),
            "sink": sink, "delivery": document.spec.delivery,
        }],
    });
    (!events.is_empty()).then(
        || json!({"namespace": document.namespace, "name": format!("@{}", document.name), "spec": without_nulls(spec)}),
    )
}

fn input(name: &str, source: &str, event: &str) -> Json {
    json!({"name": name, "eventSourceName": source, "eventName": event})
}

/// The settings of a bus, as the keys of its Component, where they are not the default.
fn settings(config: &embedded::config::Config) -> Vec<(String, Setting)> {
    let default = embedded::config::Config::default();
    let mut settings = Vec::new();
    let mut set = |key: &str, value: String| settings.push((key.to_owned(), Setting::Value(value)));
    if config.retention_age != default.retention_age {
        set("retention.age", format!("{}ms", config.retention_age.as_millis()));
    }
    if config.retention_bytes != default.retention_bytes {
        set("retention.size", config.retention_bytes.to_string());
    }
    if config.dedup_window != default.dedup_window {
        set("dedupWindow", format!("{}ms", config.dedup_window.as_millis()));
    }
    settings
}

/// The field that a key with dots is.
fn below(path: &FieldPath, key: &str) -> FieldPath {
    key.split('.').fold(path.clone(), |path, field| path.field(field))
}

fn is_of(feed: &Feed, document: &Document<EventSourceSpec>) -> bool {
    feed.namespace == document.namespace && feed.source == document.name
}

/// `namespace/name`, or the name alone.
fn full<S>(document: &Document<S>) -> String {
    match document.namespace.as_str() {
        "" => document.name.clone(),
        namespace => format!("{namespace}/{}", document.name),
    }
}

/// The members of a shape; the shapes of the YAML are mappings.
fn object(spec: &impl serde::Serialize) -> Map<String, Json> {
    match serde_json::to_value(spec) {
        Ok(Json::Object(members)) => members,
        _ => Map::new(),
    }
}

/// What was not written leaves nothing behind. In filters, null may be meant.
fn without_nulls(value: Json) -> Json {
    match value {
        Json::Object(members) => {
            let kept = members.into_iter().filter(|(_, value)| !value.is_null());
            kept.map(|(name, value)| if name == "filters" { (name, value) } else { (name, without_nulls(value)) })
                .collect()
        }
        Json::Array(items) => items.into_iter().map(without_nulls).collect(),
        other => other,
    }
}

fn tell(report: &mut Report, origin: &Origin, read: impl FnOnce(&mut Problems)) {
    let mut problems = Problems::new();
    read(&mut problems);
    report.add(origin, problems);
}

#[cfg(test)]
mod tests;
