//! The Triggers of documents and the topics that feed them, wherever their targets are and whoever listens: for
//! commands that run nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use super::check;
use super::documents::Documents;
use crate::api::event_bus::BusSpec;
use crate::api::{FieldPath, Problems};
use crate::buses::embedded;
use crate::intake::Overrides;
use crate::router::route::{BusDefaults, DEFAULT_BUS, Trigger};

/// Every bus with its Triggers, and every event that is listened to.
#[derive(Debug, Default)]
pub struct Routes {
    pub buses: Vec<Bus>,
    pub feeds: Vec<Feed>,
    /// Namespace (empty for a cluster's bus) and name to index.
    names: BTreeMap<(String, String), usize>,
}

/// One bus and who reads from it.
#[derive(Debug)]
pub struct Bus {
    pub defaults: BusDefaults,
    pub dedup_window: Duration,
    pub triggers: Vec<Trigger>,
}

/// One event of an `EventSource`.
#[derive(Debug)]
pub struct Feed {
    pub namespace: String,
    pub source: String,
    pub event: String,
    /// An index into the buses, and the topic there.
    pub bus: usize,
    pub topic: String,
    pub overrides: Overrides,
}

impl Routes {
    /// The routes of documents that were [judged](check::judge): nothing new can be wrong with them.
    pub fn of(documents: &Documents) -> Self {
        let mut routes = Self::default();
        let judged = &mut Problems::new();
        for source in &documents.sources {
            let (namespace, spec) = (&source.namespace, &source.spec);
            let bus = routes.bus(namespace, spec.event_bus.as_deref(), documents);
            let mut events = Vec::new();
            for (event, attributes) in check::events_with_attributes(spec) {
                routes.feeds.push(Feed {
                    namespace: namespace.clone(),
                    source: source.name.clone(),
                    event: event.to_owned(),
                    bus,
                    topic: routes.buses[bus].defaults.topics.topic(namespace, &source.name, event),
                    overrides: Overrides::new(&attributes).unwrap_or_default(),
                });
                events.push(event);
            }
            let Bus { defaults, triggers, .. } = &mut routes.buses[bus];
            triggers.extend(Trigger::of_event_source(namespace, &source.name, spec, &events, defaults, judged));
        }
        for document in &documents.triggers {
            let (namespace, spec) = (&document.namespace, &document.spec);
            let bus = routes.bus(namespace, spec.event_bus.as_deref(), documents);
            let Bus { defaults, triggers, .. } = &mut routes.buses[bus];
            triggers.push(Trigger::parse(namespace, &document.name, spec, defaults, judged));
        }
        routes
    }

    /// The bus that an object of `namespace` means: its own namespace's first, then the cluster's. One that is not
    /// among the documents has no settings that are known.
    fn bus(&mut self, namespace: &str, name: Option<&str>, documents: &Documents) -> usize {
        let name = name.unwrap_or(DEFAULT_BUS);
        let own = documents.buses.iter().find(|bus| bus.namespace == namespace && bus.name == name);
        let clusters = documents.cluster_buses.iter().find(|bus| bus.name == name);
        let (scope, spec) = match (own, clusters) {
            (Some(own), _) => (namespace, &own.spec.bus),
            (None, Some(clusters)) => ("", &clusters.spec.bus),
            (None, None) => (namespace, &BusSpec::default()),
        };
        *self.names.entry((scope.to_owned(), name.to_owned())).or_insert_with(|| {
            let (path, judged) = (FieldPath::root().field("spec"), &mut Problems::new());
            let defaults = BusDefaults::parse(name, scope, spec, &path, judged);
            let dedup_window = embedded::config::Config::parse(spec, &path, judged).dedup_window;
            self.buses.push(Bus { defaults, dedup_window, triggers: Vec::new() });
            self.buses.len() - 1
        })
    }

    /// Where the event of an `EventSource` goes: the index of its bus, and the topic. One that is not among the
    /// documents is taken to be on the bus of whoever reads that topic.
    pub fn topic(&self, namespace: &str, source: &str, event: &str) -> Option<(usize, String)> {
        let same = |feed: &&Feed| feed.namespace == namespace && feed.source == source && feed.event == event;
        if let Some(feed) = self.feeds.iter().find(same) {
            return Some((feed.bus, feed.topic.clone()));
        }
        let (index, bus) = self.buses.iter().enumerate().find(|(_, bus)| {
            let topic = bus.defaults.topics.topic(namespace, source, event);
            bus.triggers.iter().flat_map(|trigger| &trigger.inputs).any(|input| input.topic == topic)
        })?;
        Some((index, bus.defaults.topics.topic(namespace, source, event)))
    }

    pub fn triggers(&self) -> impl Iterator<Item = &Trigger> {
        self.buses.iter().flat_map(|bus| &bus.triggers)
    }
}
