//! What daprd and the workloads are told: the documents, written as Dapr Components and plans. Pure.
//!
//! - `buses`, `sources`: the settings of a kind, as its Component has them.
//! - `routing`: the plan of a router.

mod buses;
mod routing;
mod sources;

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json, json};

use super::component::{Component, Setting};
use crate::api::event_source::EventSourceSpec;
use crate::api::metadata::Written;
use crate::api::{FieldPath, Problems, Secret, SecretValue, Secrets};
use crate::cli::documents::{Document, Documents, Origin};
use crate::cli::report::Report;
use crate::cli::run::{BusPlan, Feed, Plan};

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
        let buses: Vec<(usize, Json)> =
            (0..self.plan.buses.len()).map(|index| (index, self.bus(index, report))).collect();
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

    /// The Component of a bus; its place in a plan.
    fn bus(&mut self, index: usize, report: &mut Report) -> Json {
        let BusPlan { name, config, .. } = &self.plan.buses[index];
        let kind = buses::kind(config);
        let mut component = Component::new(self.free_name(&name.replace('/', ".")), format!("pubsub.{kind}"));
        if let Some((origin, spec)) = bus_document(self.documents, name) {
            let mut problems = Problems::new();
            let written = buses::settings(&spec, config, &mut problems);
            self.set(&mut component, &FieldPath::root().field("spec"), written, &mut problems);
            report.add(origin, problems);
        }
        let endpoint = json!({"component": component.name});
        self.layout.kinds.insert(kind.to_owned());
        self.layout.components.push(component);
        endpoint
    }

    /// A name that no other Component has. Dots may stand in names, so that two paths can become one.
    fn free_name(&self, wanted: &str) -> String {
        let is_free = |name: &String| self.layout.components.iter().all(|component| component.name != *name);
        let mut names = std::iter::once(wanted.to_owned()).chain((2..).map(|number| format!("{wanted}-{number}")));
        names.find(is_free).unwrap_or_default()
    }

    /// The Component of one event; its feed. `None` when it is of no kind.
    fn feed(&mut self, feed: &Feed, document: &Document<EventSourceSpec>, problems: &mut Problems) -> Option<Json> {
        let spec = object(&document.spec);
        let (kind, event) = sources::find(&spec, &feed.event)?;
        let path = FieldPath::root().field("spec").field(kind.name).field(&feed.event);
        let name = self.free_name(&feed.identity().replace('/', "."));
        let mut component = Component::new(name, format!("pubsub.eventsource.{}", kind.name));
        component.set("source", Setting::Value(feed.origin()));
        let written = kind.settings(event, &feed.event, &path, problems);
        self.set(&mut component, &path, written, problems);
        let from = json!({"component": component.name});
        self.layout.kinds.insert(format!("eventsource.{}", kind.name));
        self.layout.components.push(component);
        Some(json!({
            "from": from, "topic": feed.topic.as_str(), "to": feed.topic.as_str(),
            "namespace": feed.namespace, "eventSource": feed.source, "event": feed.event,
            "attributes": event.get("attributes").filter(|set| !set.is_null()).unwrap_or(&json!({})),
        }))
    }

    fn set(
        &mut self,
        component: &mut Component,
        path: &FieldPath,
        written: Vec<(&'static str, Written)>,
        problems: &mut Problems,
    ) {
        for (key, written) in written {
            match self.setting(written) {
                Ok(setting) => component.set(key, setting),
                Err(reason) => problems.push(&below(path, key), reason),
            }
        }
    }

    /// What a Component says; a secret becomes an environment variable of daprd.
    fn setting(&mut self, written: Written) -> Result<Setting, String> {
        let changed = |text: &str| TEMPLATES.iter().find(|template| text.contains(**template)).copied();
        let refused = |template: &str| format!("daprd would put something else in the place of {template}");
        match written {
            // An address with a login is a secret as a whole.
            Written::Value(value) if holds_login(&value) => self.environment(Secret::new(value)),
            Written::Value(value) => match changed(&value) {
                Some(template) => Err(refused(template)),
                None => Ok(Setting::Value(value)),
            },
            Written::Secret(source) => {
                let secret = match serde_json::from_value(source).map_err(|error| error.to_string())? {
                    SecretValue::From(source) => self.secrets.resolve(&source)?,
                    SecretValue::Plain(text) => Secret::new(text),
                    SecretValue::Malformed(_) => return Err("is no secret".to_owned()),
                };
                self.environment(secret)
            }
        }
    }

    /// A secret becomes an environment variable of daprd, which is in no file.
    fn environment(&mut self, secret: Secret) -> Result<Setting, String> {
        if let Some(template) = TEMPLATES.iter().find(|template| secret.expose().contains(**template)) {
            return Err(format!("daprd would put something else in the place of {template}"));
        }
        let name = format!("PENSTOCK_SECRET_{}", self.layout.secrets.len() + 1);
        self.layout.secrets.push((name.clone(), secret));
        Ok(Setting::Environment(name))
    }
}

/// The document of a bus; nothing for one without.
fn bus_document<'a>(documents: &'a Documents, name: &str) -> Option<(&'a Origin, Map<String, Json>)> {
    let named = documents.buses.iter().map(|bus| (full(bus), &bus.origin, &bus.spec.bus));
    let cluster = documents.cluster_buses.iter().map(|bus| (full(bus), &bus.origin, &bus.spec.bus));
    let found = named.chain(cluster).find(|(full, ..)| full == name);
    found.map(|(_, origin, spec)| (origin, object(spec)))
}

/// Whether a text is an address, or several, with a user or a password in it.
fn holds_login(text: &str) -> bool {
    text.split(',').any(|part| part.split_once("://").is_some_and(|(_, rest)| rest.contains('@')))
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
