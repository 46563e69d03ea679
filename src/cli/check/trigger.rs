//! Judges Triggers: by their parser, and by what they name among the documents.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::bus::Buses;
use super::source;
use crate::api::problem::nearest;
use crate::api::trigger::TriggerSpec;
use crate::api::{FieldPath, ObjectRef, Problems};
use crate::cli::documents::{Document, Documents};
use crate::router::route::{TopicNames, Trigger, dead_letter_topic};

/// The Trigger, as far as it can be read.
pub(super) fn judge(
    document: &Document<TriggerSpec>,
    documents: &Documents,
    buses: &Buses,
    problems: &mut Problems,
) -> Trigger {
    let Document { namespace, name, spec, .. } = document;
    let path = FieldPath::root().field("spec");
    let bus = spec.event_bus.as_deref();
    let defaults = buses.find(namespace, bus);
    let topics = &defaults.topics;
    let trigger = Trigger::parse(namespace, name, spec, &defaults, problems);
    for (index, _) in trigger.subscribers.iter().enumerate().filter(|(_, subscriber)| subscriber.join.is_some()) {
        if !buses.joins(namespace, bus) {
            let feature = format!("joining or gathering events on this bus ({} can)", buses.access.joined());
            problems.unsupported(&path.field("subscribers").index(index), &feature);
        }
    }
    buses.expect(namespace, bus, &path.field("eventBus"), problems);
    buses.admit(namespace, bus, &path.field("eventBus"), problems);
    for input in named(spec, &path) {
        expect(&input, namespace, documents, topics, problems);
    }
    trigger
}

/// Whether one of these references is to the Component.
pub(super) fn is_named(component: &Document<Json>, references: &BTreeSet<&ObjectRef>) -> bool {
    let components = references.iter().filter(|reference| reference.is_component());
    let named = |it: &&ObjectRef| it.name == component.name && it.namespace.as_ref() == Some(&component.namespace);
    components.copied().any(|reference| named(&reference))
}

/// What an input names, and where.
struct Named<'a> {
    source: &'a str,
    event: &'a str,
    namespace: Option<&'a str>,
    source_path: FieldPath,
    event_path: FieldPath,
}

/// The inputs of both forms.
fn named<'a>(spec: &'a TriggerSpec, path: &FieldPath) -> Vec<Named<'a>> {
    let listed = spec.event_sources.iter().flatten().enumerate().map(|(index, input)| {
        let path = path.field("eventSources").index(index);
        Named {
            source: &input.event_source_name,
            event: &input.event_name,
            namespace: input.namespace.as_deref(),
            source_path: path.field("eventSourceName"),
            event_path: path.field("eventName"),
        }
    });
    let mapped = spec.inputs.iter().flatten().map(|(name, input)| {
        let path = path.field("inputs").field(name);
        Named {
            source: &input.event_source,
            event: &input.event,
            namespace: input.namespace.as_deref(),
            source_path: path.field("eventSource"),
            event_path: path.field("event"),
        }
    });
    listed.chain(mapped).collect()
}

/// Warns of a source or event that is not among the documents when other sources are: it may live
/// elsewhere. The dead letters of an event are there with it.
fn expect(input: &Named<'_>, own: &str, documents: &Documents, topics: &TopicNames, problems: &mut Problems) {
    let namespace = input.namespace.unwrap_or(own);
    if documents.sources.is_empty() || input.source.is_empty() {
        return;
    }
    let here = documents.sources.iter().filter(|source| source.namespace == namespace);
    let Some(source) = here.clone().find(|source| source.name == input.source) else {
        let names: Vec<&str> = here.map(|source| source.name.as_str()).collect();
        let what = format!("EventSource {namespace}/{}", input.source);
        problems.warn(&input.source_path, absent(&what, input.source, &names));
        return;
    };
    let events: Vec<&str> = source::events(&source.spec).iter().map(|entry| entry.event).collect();
    let topic = |event: &str| topics.topic(namespace, input.source, event);
    let is_dead_letters = || events.iter().any(|event| dead_letter_topic(&topic(event)) == topic(input.event));
    if !input.event.is_empty() && !events.contains(&input.event) && !is_dead_letters() {
        let what = format!("event {:?} of EventSource {namespace}/{}", input.event, input.source);
        problems.warn(&input.event_path, absent(&what, input.event, &events));
    }
}

fn absent(what: &str, name: &str, known: &[&str]) -> String {
    let hint = match (nearest(name, known), known) {
        (Some(near), _) => format!("did you mean {near:?}?"),
        (None, []) => return format!("no {what} among the documents"),
        (None, known) => format!("there: {}", known.join(", ")),
    };
    format!("no {what} among the documents ({hint})")
}
