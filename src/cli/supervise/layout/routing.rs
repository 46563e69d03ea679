//! The plan of a router: the Triggers of one bus, and the direct sinks of what feeds it.

use serde_json::{Value as Json, json};

use super::{Writer, bus_document, is_of, object, without_nulls};
use crate::api::event_source::EventSourceSpec;
use crate::api::trigger::TriggerSpec;
use crate::cli::documents::Document;
use crate::cli::run::{BusPlan, CONSUMER_GROUP, Feed};
use crate::router::route::DEFAULT_BUS;

impl Writer<'_> {
    /// The plan of a bus's router; `None` when nobody reads from the bus.
    pub(super) fn router(&self, index: usize, endpoint: &Json) -> Option<Json> {
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
        let spec =
            bus_document(self.documents, &bus.name).map_or_else(|| json!({}), |(_, spec)| without_nulls(spec.into()));
        (!triggers.is_empty()).then(|| {
            json!({
                "bus": endpoint, "group": CONSUMER_GROUP,
                "eventBus": {"name": name, "namespace": namespace, "spec": spec},
                "triggers": triggers,
            })
        })
    }

    /// Whether a Trigger reads from the bus: the one of its namespace comes before the cluster's.
    fn is_on(&self, trigger: &Document<TriggerSpec>, bus: &BusPlan) -> bool {
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
