//! A Trigger: named inputs, and subscribers with conditions over them.

use std::collections::BTreeSet;

use super::delivery::Delivery;
use super::subscriber::{self, DIRECT, Scope};
use super::{BusDefaults, DeadLetter, Input, Policy, Subscriber, Target, check, input};
use crate::api::event_source::EventSourceSpec;
use crate::api::trigger::TriggerSpec;
use crate::api::{FieldPath, ObjectRef, Problems, client, value};
use crate::router::condition::Condition;
use crate::router::filter::Filter;

/// Which events go where, ready to be run.
#[derive(Clone, Debug)]
pub struct Trigger {
    pub namespace: String,
    pub name: String,
    /// The bus that all inputs and topics are on.
    pub bus: String,
    pub inputs: Vec<Input>,
    pub subscribers: Vec<Subscriber>,
}

impl Trigger {
    /// Reads the spec of the Trigger `namespace`/`name`, whose bus is `bus`. Paths begin with `spec`.
    pub fn parse(namespace: &str, name: &str, spec: &TriggerSpec, bus: &BusDefaults, problems: &mut Problems) -> Self {
        let path = FieldPath::root().field("spec");
        check_words(spec, &path, problems);
        let inputs = input::parse(spec, namespace, bus, &path, problems);
        let names: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
        let written = input::texts(spec);
        let scope = Scope { namespace, trigger: name, inputs: &inputs, names: &names, written: &written, bus };
        let subscribers = subscriber::parse(&spec.subscribers, &scope, &path.field("subscribers"), problems);
        Self { namespace: namespace.to_owned(), name: name.to_owned(), bus: bus.name.clone(), inputs, subscribers }
    }

    /// The direct sink of the `EventSource` `namespace`/`name`, whose events are `events`, as a
    /// Trigger: one input per event, and one subscriber that any of them fires. `None` without a sink.
    pub fn of_event_source(
        namespace: &str,
        name: &str,
        spec: &EventSourceSpec,
        events: &[&str],
        bus: &BusDefaults,
        problems: &mut Problems,
    ) -> Option<Self> {
        let path = FieldPath::root().field("spec");
        let delivery_path = path.field("delivery");
        let own = spec.delivery.as_ref();
        let own = own.map(|delivery| Delivery::parse(delivery, namespace, &delivery_path, problems));
        let Some(sink) = &spec.sink else {
            if own.is_some() {
                problems.warn(&delivery_path, "has no effect without \"sink\"");
            }
            return None;
        };
        let target = Target::parse(sink, namespace, &path.field("sink"), problems);
        let delivery = own.unwrap_or_default().or(&bus.delivery);
        let inputs: Vec<Input> = events
            .iter()
            .map(|event| Input {
                name: (*event).to_owned(),
                topic: bus.topics.topic(namespace, name, event),
                transform: None,
                filter: Filter::pass(),
            })
            .collect();
        let mut subscriber = Subscriber {
            id: format!("{namespace}/{name}/{DIRECT}"),
            name: DIRECT.to_owned(),
            condition: Condition::any(events.len()),
            fires: (0..inputs.len()).collect(),
            join: None,
            targets: target.into_iter().collect(),
            policy: Policy::of_delivery(&delivery),
            dead_letter: delivery.dead_letter.unwrap_or(DeadLetter::Generated),
            body: None,
        };
        subscriber.name_topics(name);
        Some(Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            bus: bus.name.clone(),
            inputs,
            subscribers: vec![subscriber],
        })
    }
}

impl Trigger {
    /// The kind of the object that it was read from.
    pub fn kind(&self) -> &'static str {
        let is_direct = self.subscribers.iter().any(|subscriber| subscriber.name == DIRECT);
        if is_direct { "EventSource" } else { "Trigger" }
    }

    /// Every object that its targets refer to.
    pub fn references(&self) -> BTreeSet<&ObjectRef> {
        let targets = self.subscribers.iter().flat_map(Subscriber::every_target);
        targets.filter_map(Target::reference).collect()
    }
}

/// The words that do not change how events are routed.
fn check_words(spec: &TriggerSpec, path: &FieldPath, problems: &mut Problems) {
    if let Some(bus) = &spec.event_bus {
        check::object_name(bus, &path.field("eventBus"), problems);
    }
    if let Some(mode) = &spec.mode {
        value::word(mode, &[("dedicated", ()), ("shared", ())], &path.field("mode"), problems);
    }
    if let Some(workload) = &spec.workload {
        let path = path.field("workload");
        let function = value::word(workload, &[("deployment", false), ("function", true)], &path, problems);
        if function == Some(true) {
            problems.warn(&path, "counts in a cluster only");
        }
    }
    if let Some(level) = &spec.log_level {
        check_log_level(level, &path.field("logLevel"), problems);
    }
    client::router_scale(spec.scale_option.as_ref(), &path.field("scaleOption"), problems);
}

/// A level, or `OpenFunction`'s number as text.
fn check_log_level(level: &str, path: &FieldPath, problems: &mut Problems) {
    let number = !level.is_empty() && level.len() <= 2 && level.bytes().all(|byte| byte.is_ascii_digit());
    if !number {
        let known = ["trace", "debug", "info", "warn", "error"].map(|level| (level, ()));
        value::word(level, &known, path, problems);
    }
}
