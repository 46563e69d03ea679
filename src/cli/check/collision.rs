//! Judges whether the topics of different events meet on one bus.

use std::collections::{BTreeMap, BTreeSet};

use super::bus::Buses;
use super::{one, source};
use crate::api::FieldPath;
use crate::cli::documents::Documents;
use crate::cli::report::Report;
use crate::router::route::EventName;

pub(super) fn judge(documents: &Documents, buses: &Buses, report: &mut Report) {
    // By namespace and the bus's name: that is one bus, or the cluster's seen from one namespace.
    let mut by_bus: BTreeMap<(&str, String), BTreeSet<EventName<'_>>> = BTreeMap::new();
    for document in &documents.sources {
        let bus = buses.find(&document.namespace, document.spec.event_bus.as_deref());
        let events = by_bus.entry((&document.namespace, bus.name)).or_default();
        for entry in source::events(&document.spec) {
            events.insert(EventName { namespace: &document.namespace, source: &document.name, event: entry.event });
        }
    }
    for ((namespace, bus), events) in by_bus {
        for collision in buses.find(namespace, Some(&bus)).topics.collisions(events) {
            let of_second = |name: &str| name == collision.second.source;
            let document =
                documents.sources.iter().find(|document| document.namespace == namespace && of_second(&document.name));
            let Some(document) = document else { continue };
            let entries = source::events(&document.spec);
            let entry = entries.iter().find(|entry| entry.event == collision.second.event);
            let path = FieldPath::root().field("spec").field(entry.map_or("", |entry| entry.kind));
            let path = path.field(collision.second.event);
            one(report, &document.origin, |problems| problems.push(&path, collision.to_string()));
        }
    }
}
