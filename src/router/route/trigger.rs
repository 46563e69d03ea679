//! A Trigger: named inputs, and subscribers with conditions over them.

use super::{DeadLetter, Policy, Target, TopicNames};
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

/// One named input.
#[derive(Clone, Debug)]
pub struct Input {
    /// The word used in conditions.
    pub name: String,
    /// Where its events are read from.
    pub topic: String,
    pub filter: Filter,
}

/// One subscriber.
#[derive(Clone, Debug)]
pub struct Subscriber {
    /// `namespace/trigger/subscriber`, unique on a cluster.
    pub id: String,
    /// As in the document, or else the position, counted from zero.
    pub name: String,
    pub condition: Condition,
    /// Indexes into the Trigger's inputs, ascending: an event accepted by any of them fires the
    /// subscriber, alone and once. Empty when the condition joins several events.
    pub fires: Vec<usize>,
    /// Each of them gets every event: the sink, then the topic. At least one.
    pub targets: Vec<Target>,
    pub dead_letter: DeadLetter,
    pub policy: Policy,
}

/// What the Triggers of a bus inherit from it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BusDefaults {
    /// The bus's name.
    pub name: String,
    pub topics: TopicNames,
}
