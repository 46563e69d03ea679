//! What daprd and the workloads are told: the documents, written as Dapr Components and plans. Pure.

mod sinks;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};

use crate::api::event_bus::BusSpec;
use crate::api::event_source::EventSourceSpec;
use crate::api::{FieldPath, Problems, Secret, SecretValue, Secrets};
use crate::catalog::BusConfig;
use crate::cli::dlq::Index;
use crate::cli::documents::{Document, Documents, Origin};
use crate::cli::report::Report;
use crate::cli::run::{BusPlan, CONSUMER_GROUP, Feed, Plan};
use crate::layout::{self, Component, EventBus, Router, Setting, object, without_nulls};
use crate::router::route::DEFAULT_BUS;

/// What the processes are told.
#[derive(Debug, Default)]
pub struct Layout {
    pub components: Vec<Component>,
    /// What `penstock component` serves.
    pub kinds: BTreeSet<String>,
    /// Environment variables of daprd.
    pub secrets: Vec<(String, Secret)>,
    pub workloads: Vec<Workload>,
    /// Where the dead letters are on the buses of `penstock component`.
    pub letters: Index,
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
    let writer = Writer { documents, plan, secrets, layout: Layout::default(), sinks: BTreeMap::new() };
    writer.write(report)
}

/// The Components of a bus.
#[derive(Debug)]
struct Names {
    bus: String,
    /// Where subscribers that join events keep what they hold.
    state: Option<String>,
}

struct Writer<'a> {
    documents: &'a Documents,
    plan: &'a Plan,
    secrets: &'a dyn Secrets,
    layout: Layout,
    /// The Components that sinks refer to, by namespace and name; what they are called beside this flow's own.
    sinks: BTreeMap<(String, String), String>,
}

impl Writer<'_> {
    fn write(mut self, report: &mut Report) -> Layout {
        let buses: Vec<(usize, Names)> =
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
        self.layout.letters = Index::of_open(self.plan, |index| buses[index].1.bus.clone());
        for (index, endpoint) in buses {
            let name = |command: Command| match self.plan.buses.len() {
                1 => command.as_str().to_owned(),
                _ => format!("{} {}", command.as_str(), self.plan.buses[index].name),
            };
            let feeds = std::mem::take(&mut feeds[index]);
            if !feeds.is_empty() {
                let plan = layout::intake_plan(&endpoint.bus, &feeds);
                self.layout.workloads.push(Workload { command: Command::Intake, name: name(Command::Intake), plan });
            }
            if let Some(plan) = self.router(index, &endpoint, report) {
                self.layout.workloads.push(Workload { command: Command::Router, name: name(Command::Router), plan });
            }
        }
        self.layout
    }

    /// The Components of a bus; their names.
    fn bus(&mut self, index: usize, report: &mut Report) -> Names {
        let BusPlan { name, config, .. } = &self.plan.buses[index];
        let component = self.free_name(&name.replace('/', "."));
        let mut names = Names { bus: component.clone(), state: None };
        let (mut spec, origin) = self.bus_spec(name);
        let mut problems = Problems::new();
        self.describe(&mut spec, name, &mut problems);
        let (from, known) = (self.secrets, &mut self.layout.secrets);
        let mut secrets = |_: &str, written: Json| secret(written, from, known);
        if let Some(mut made) = layout::bus(&component, &component, &spec, &mut secrets, &mut problems) {
            // The same stream as without daprd; the component would name it after itself.
            if let BusConfig::Jetstream(config) = config
                && let Some(stream) = config.stream.as_ref().filter(|_| !made.has("stream"))
            {
                made.set("stream", Setting::Value(stream.clone()));
            }
            if matches!(config, BusConfig::Component) {
                made.set(layout::CONSUMER, Setting::Value(CONSUMER_GROUP.to_owned()));
            }
            let state = layout::state(&format!("{component}-state"), &made);
            self.add(made);
            if let Some(mut state) = state {
                state.name = self.free_name(&state.name);
                names.state = Some(state.name.clone());
                self.add(state);
            }
        }
        if let Some(origin) = origin {
            report.add(&origin, problems);
        }
        names
    }

    /// Puts what a Component says in the place of its name.
    fn describe(&self, spec: &mut BusSpec, bus: &str, problems: &mut Problems) {
        let Some(raw) = &mut spec.component else { return };
        let Some(name) = &raw.name else { return };
        let path = FieldPath::root().field("spec").field("component").field("name");
        let namespace = bus.split_once('/').map_or("", |(namespace, _)| namespace);
        match self.documents.named(namespace, name).as_slice() {
            [] => {
                let known: Vec<&str> = self.documents.components.iter().map(|known| known.name.as_str()).collect();
                let message = format!("there is no Component {name:?} in the files");
                problems.push_help(&path, message, sinks::known_or_missing(name, &known));
            }
            [component] => match layout::described(&component.spec) {
                Ok(described) => *raw = described,
                Err(why) => problems.push(&path, why),
            },
            several => {
                let namespaces: Vec<&str> = several.iter().map(|component| component.namespace.as_str()).collect();
                let message = format!("several namespaces have a Component {name:?}: {}", namespaces.join(", "));
                problems.push_help(&path, message, "one daprd can have one of them: leave the others out");
            }
        }
    }

    /// Takes a Component in. An address with a login is a secret as a whole.
    fn add(&mut self, mut component: Component) {
        for (_, setting) in &mut component.metadata {
            if let Setting::Value(text) = setting
                && layout::holds_login(text)
            {
                *setting = environment(std::mem::take(text), &mut self.layout.secrets);
            }
        }
        self.layout.kinds.extend(layout::kind(&component.ty).map(str::to_owned));
        self.layout.components.push(component);
    }

    /// A name that no other Component has. Dots may stand in names, so that two paths can become one.
    fn free_name(&self, wanted: &str) -> String {
        let is_free = |name: &String| self.layout.components.iter().all(|component| component.name != *name);
        let mut names = std::iter::once(wanted.to_owned()).chain((2..).map(|number| format!("{wanted}-{number}")));
        names.find(is_free).unwrap_or_default()
    }

    /// The Component of one event; its feed. `None` when there is none of that name.
    fn feed(&mut self, feed: &Feed, document: &Document<EventSourceSpec>, problems: &mut Problems) -> Option<Json> {
        let spec = object(&document.spec);
        let events = layout::events(&spec);
        let event = events.iter().find(|event| event.name == feed.event)?;
        let name = self.free_name(&feed.identity().replace('/', "."));
        let (from, known) = (self.secrets, &mut self.layout.secrets);
        let mut secrets = |_: &str, written: Json| secret(written, from, known);
        let component = layout::source(&name, &feed.origin(), event, &mut secrets, problems);
        self.add(component);
        let topic = feed.topic.as_str();
        let Feed { namespace, source, .. } = feed;
        Some(layout::feed(layout::Feed { from: &name, topic, namespace, event_source: source }, event))
    }

    /// The plan of a bus's router; `None` when nobody reads from the bus.
    fn router(&mut self, index: usize, names: &Names, report: &mut Report) -> Option<Json> {
        let bus = &self.plan.buses[index];
        let mut triggers: Vec<Json> = Vec::new();
        for document in self.documents.triggers.iter().filter(|trigger| self.is_on(trigger, bus)) {
            let Document { namespace, name, spec, .. } = document;
            triggers.push(json!({"namespace": namespace, "name": name, "spec": without_nulls(object(spec).into())}));
        }
        for document in &self.documents.sources {
            triggers.extend(direct(document, self.plan.feeds.iter().filter(|feed| feed.bus == index)));
        }
        if triggers.is_empty() {
            return None;
        }
        let sinks = self.sinks(&bus.triggers, report);
        let (namespace, name) = bus.name.split_once('/').unwrap_or(("", &bus.name));
        let (spec, _) = self.bus_spec(&bus.name);
        let event_bus = EventBus { name, namespace, spec: without_nulls(object(&spec).into()) };
        let (bus, state) = (names.bus.as_str(), names.state.as_deref());
        Some(layout::router_plan(Router { bus, state, group: CONSUMER_GROUP, event_bus, triggers, sinks }))
    }

    /// The spec of a bus, and where it is written; nothing for one without a document.
    fn bus_spec(&self, name: &str) -> (BusSpec, Option<Origin>) {
        let named = self.documents.buses.iter().map(|bus| (full(bus), &bus.spec.bus, &bus.origin));
        let cluster = self.documents.cluster_buses.iter().map(|bus| (full(bus), &bus.spec.bus, &bus.origin));
        let found = named.chain(cluster).find(|(full, ..)| full == name);
        found.map_or_else(Default::default, |(_, spec, origin)| (spec.clone(), Some(origin.clone())))
    }

    /// Whether a Trigger reads from the bus: the one of its namespace comes before the cluster's.
    fn is_on(&self, trigger: &Document<crate::api::trigger::TriggerSpec>, bus: &BusPlan) -> bool {
        let wanted = trigger.spec.event_bus.as_deref().unwrap_or(DEFAULT_BUS);
        let own = format!("{}/{wanted}", trigger.namespace);
        let name = if self.plan.buses.iter().any(|bus| bus.name == own) { own.as_str() } else { wanted };
        bus.name == name
    }
}

/// The direct sink of an `EventSource`, as a Trigger over the feeds of one bus.
fn direct<'a>(document: &Document<EventSourceSpec>, feeds: impl Iterator<Item = &'a Feed>) -> Option<Json> {
    let sink = document.spec.sink.as_ref()?;
    let events: Vec<&str> = feeds.filter(|feed| is_of(feed, document)).map(|feed| feed.event.as_str()).collect();
    let Document { namespace, name, spec, .. } = document;
    (!events.is_empty()).then(|| layout::direct(namespace, name, &json!(sink), &json!(spec.delivery), &events))
}

/// What stands in a Component in the place of a secret.
fn secret(written: Json, from: &dyn Secrets, known: &mut Vec<(String, Secret)>) -> Result<Setting, String> {
    let secret = match serde_json::from_value(written).map_err(|error| error.to_string())? {
        SecretValue::From(source) => from.resolve(&source)?,
        SecretValue::Plain(text) => Secret::new(text),
        SecretValue::Malformed(_) => return Err("is no secret".to_owned()),
    };
    let value = layout::untouched(secret.expose().to_owned())?;
    Ok(environment(value, known))
}

/// An environment variable of daprd, which is in no file.
fn environment(value: String, known: &mut Vec<(String, Secret)>) -> Setting {
    let name = format!("PENSTOCK_SECRET_{}", known.len() + 1);
    known.push((name.clone(), Secret::new(value)));
    Setting::Environment(name)
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

fn tell(report: &mut Report, origin: &Origin, read: impl FnOnce(&mut Problems)) {
    let mut problems = Problems::new();
    read(&mut problems);
    report.add(origin, problems);
}

#[cfg(test)]
mod tests;
