//! What the Triggers of a bus inherit from it.

use super::TopicNames;
use super::delivery::Delivery;
use crate::api::event_bus::BusSpec;
use crate::api::{FieldPath, Problems};

/// The bus of a document that names none.
pub const DEFAULT_BUS: &str = "default";

/// The part of an `EventBus` or `ClusterEventBus` that its Triggers are read with.
#[derive(Clone, Debug, PartialEq)]
pub struct BusDefaults {
    /// The bus's name.
    pub name: String,
    pub topics: TopicNames,
    /// What subscribers inherit where they say nothing themselves.
    pub(super) delivery: Delivery,
}

impl BusDefaults {
    /// A bus of that name with no settings.
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), topics: TopicNames::default(), delivery: Delivery::default() }
    }

    /// Reads `topic`, `topicTemplate` and `delivery` of the bus whose spec stands at `path`. A dead
    /// letter reference without a namespace is to `namespace`: the bus's own, or the Trigger's for
    /// a `ClusterEventBus`.
    pub fn parse(name: &str, namespace: &str, spec: &BusSpec, path: &FieldPath, problems: &mut Problems) -> Self {
        let topics = TopicNames::parse(spec, path, problems);
        let delivery = spec.delivery.as_ref();
        let delivery = delivery.map(|spec| Delivery::parse(spec, namespace, &path.field("delivery"), problems));
        Self { name: name.to_owned(), topics, delivery: delivery.unwrap_or_default() }
    }
}
