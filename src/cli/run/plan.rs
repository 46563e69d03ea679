//! What one process runs: the documents, parsed by the rooms that know them, and put together.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::api::event_bus::BusSpec;
use crate::api::event_source::{EventCommon, EventSourceSpec};
use crate::api::{FieldPath, Problems, Secrets};
use crate::buses::embedded;
use crate::catalog::{BusConfig, SourceConfig};
use crate::cli::documents::{Document, Documents, Origin};
use crate::cli::report::Report;
use crate::flow::Topic;
use crate::intake::Overrides;
use crate::router::route::{BusDefaults, Trigger, dead_letter_topic};
use crate::sources::{cron, http};

/// The bus that everything uses that names none.
const DEFAULT_BUS: &str = "default";

/// Buses with their Triggers, and what feeds them.
#[derive(Debug, Default)]
pub struct Plan {
    pub buses: Vec<BusPlan>,
    pub feeds: Vec<Feed>,
}

/// One bus and who reads from it.
#[derive(Debug)]
pub struct BusPlan {
    /// `namespace/name`, or the name alone for a cluster's bus.
    pub name: String,
    /// Its folder below the data directory.
    pub folder: PathBuf,
    pub config: BusConfig,
    pub triggers: Vec<Trigger>,
    defaults: BusDefaults,
}

/// One event of an `EventSource`, and the topic that it feeds.
#[derive(Debug)]
pub struct Feed {
    /// The index of its bus.
    pub bus: usize,
    pub namespace: String,
    pub source: String,
    pub event: String,
    pub topic: Topic,
    pub dead_letters: Topic,
    pub overrides: Overrides,
    pub config: SourceConfig,
}

impl Feed {
    /// `/namespace/source/event`: the `source` of events that are no CloudEvents when they come,
    /// and the name under which the feed keeps state.
    pub fn origin(&self) -> String {
        format!("/{}/{}/{}", self.namespace, self.source, self.event)
    }
}

/// Puts the documents together. Everything that is wrong goes to the report; the plan is good to
/// run only when the report has no errors.
pub fn plan(documents: &Documents, secrets: &dyn Secrets, report: &mut Report) -> Plan {
    let mut planner = Planner { plan: Plan::default(), names: BTreeMap::new(), secrets };
    for document in &documents.buses {
        judge(report, &document.origin, |problems| {
            planner.bus(&document.namespace, &document.name, &document.spec.bus, problems);
        });
    }
    for document in &documents.cluster_buses {
        judge(report, &document.origin, |problems| {
            planner.bus("", &document.name, &document.spec.bus, problems);
        });
    }
    for document in &documents.sources {
        judge(report, &document.origin, |problems| planner.source(document, problems));
    }
    for document in &documents.triggers {
        judge(report, &document.origin, |problems| {
            let path = FieldPath::root().field("spec").field("eventBus");
            let bus = planner.find(document.spec.event_bus.as_deref(), &document.namespace, &path, problems);
            let defaults = &planner.plan.buses[bus].defaults;
            let trigger = Trigger::parse(&document.namespace, &document.name, &document.spec, defaults, problems);
            planner.plan.buses[bus].triggers.push(trigger);
        });
    }
    planner.plan
}

fn judge(report: &mut Report, origin: &Origin, read: impl FnOnce(&mut Problems)) {
    let mut problems = Problems::new();
    read(&mut problems);
    report.add(origin, problems);
}

struct Planner<'a> {
    plan: Plan,
    /// Namespace (empty for a cluster's bus) and name to index.
    names: BTreeMap<(String, String), usize>,
    secrets: &'a dyn Secrets,
}

impl Planner<'_> {
    fn bus(&mut self, namespace: &str, name: &str, spec: &BusSpec, problems: &mut Problems) -> usize {
        let path = FieldPath::root().field("spec");
        let defaults = BusDefaults::parse(name, namespace, spec, &path, problems);
        let config = BusConfig::Embedded(embedded::config::Config::parse(spec, &path, problems));
        let scope =
            if namespace.is_empty() { PathBuf::from("cluster") } else { PathBuf::from("namespaces").join(namespace) };
        let full = if namespace.is_empty() { name.to_owned() } else { format!("{namespace}/{name}") };
        let index = self.plan.buses.len();
        self.plan.buses.push(BusPlan { name: full, folder: scope.join(name), config, triggers: Vec::new(), defaults });
        self.names.insert((namespace.to_owned(), name.to_owned()), index);
        index
    }

    /// The bus that an object of `namespace` means: its own namespace's first, then the cluster's.
    /// `default` needs no document.
    fn find(&mut self, name: Option<&str>, namespace: &str, path: &FieldPath, problems: &mut Problems) -> usize {
        let wanted = name.unwrap_or(DEFAULT_BUS).to_owned();
        for scope in [namespace, ""] {
            if let Some(index) = self.names.get(&(scope.to_owned(), wanted.clone())) {
                return *index;
            }
        }
        if wanted != DEFAULT_BUS {
            let known: Vec<&str> = self.names.keys().map(|(_, name)| name.as_str()).collect();
            let help = crate::api::problem::alternatives(&wanted, &known);
            problems.push_help(path, format!("there is no EventBus {wanted:?} among the documents"), help);
        }
        self.bus(namespace, &wanted, &BusSpec::default(), problems)
    }

    fn source(&mut self, document: &Document<EventSourceSpec>, problems: &mut Problems) {
        let Document { namespace, name, spec, .. } = document;
        let path = FieldPath::root().field("spec");
        let bus = self.find(spec.event_bus.as_deref(), namespace, &path.field("eventBus"), problems);
        let mut events = Vec::new();
        for (event, raw) in spec.http.iter().flatten() {
            events.push(event.as_str());
            let at = path.field("http").field(event);
            let config = http::config::Config::parse(raw, event, &at, self.secrets, problems);
            self.feed(bus, document, event, &raw.common, config.map(SourceConfig::Http), &at, problems);
        }
        for (event, raw) in spec.cron.iter().flatten() {
            events.push(event.as_str());
            let at = path.field("cron").field(event);
            let config = cron::config::Config::parse(raw, &at, problems);
            self.feed(bus, document, event, &raw.common, config.map(SourceConfig::Cron), &at, problems);
        }
        let defaults = &self.plan.buses[bus].defaults;
        if let Some(direct) = Trigger::of_event_source(namespace, name, spec, &events, defaults, problems) {
            self.plan.buses[bus].triggers.push(direct);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one event of a source is this much")]
    fn feed(
        &mut self,
        bus: usize,
        document: &Document<EventSourceSpec>,
        event: &str,
        common: &EventCommon,
        config: Option<SourceConfig>,
        path: &FieldPath,
        problems: &mut Problems,
    ) {
        let attributes = common.attributes.clone().unwrap_or_default();
        let overrides =
            Overrides::new(&attributes).map_err(|error| problems.push(&path.field("attributes"), error.to_string()));
        let topic = self.plan.buses[bus].defaults.topics.topic(&document.namespace, &document.name, event);
        let topics = [Topic::new(&topic), Topic::new(&dead_letter_topic(&topic))]
            .map(|topic| topic.map_err(|error| problems.push(path, error.to_string())));
        if let (Some(config), Ok(overrides), [Ok(topic), Ok(dead_letters)]) = (config, overrides, topics) {
            self.plan.feeds.push(Feed {
                bus,
                namespace: document.namespace.clone(),
                source: document.name.clone(),
                event: event.to_owned(),
                topic,
                dead_letters,
                overrides,
                config,
            });
        }
    }
}
