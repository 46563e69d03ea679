//! Where dead letters are, as documents say: what a desk needs to know of them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::catalog::BusConfig;
use crate::cli::run::{BusPlan, Plan};
use crate::flow::Group;
use crate::router::pipeline::keys;
use crate::router::route::{DeadLetter, Target, Trigger, dead_letter_topic};

/// The dead letter topics and the subscribers of all buses of a plan.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Index(Vec<Place>);

/// Those of one bus.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The name of the bus in the documents.
    pub name: String,
    /// The name that it is open by.
    pub bus: String,
    /// Its dead letter topics.
    pub topics: BTreeSet<String>,
    /// The consumer group of its router, where that is not the one of `penstock run`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// For each subscriber, by `namespace/trigger/subscriber`: the keys of its destinations, and whether each is a topic.
    pub subscribers: BTreeMap<String, Vec<(String, bool)>>,
}

impl Index {
    /// That of a plan, whose buses are open by their own names.
    pub fn of(plan: &Plan) -> Self {
        Self::of_open(plan, |bus| plan.buses[bus].name.clone())
    }

    /// That of a plan, whose buses are open by these names: asked with the place of each in the plan.
    ///
    /// What is daprd's alone is not among them.
    pub fn of_open(plan: &Plan, named: impl Fn(usize) -> String) -> Self {
        let place = |(index, bus): (usize, &BusPlan)| Place {
            name: bus.name.clone(),
            bus: named(index),
            topics: topics(plan, index, bus),
            group: None,
            subscribers: subscribers(&bus.triggers),
        };
        let ours = plan.buses.iter().enumerate().filter(|(_, bus)| bus.config != BusConfig::Component);
        Self(ours.map(place).collect())
    }

    /// That of one router: the Triggers that it has, and the Component that its bus is open for.
    pub fn of_router(component: &str, group: &Group, triggers: &[Trigger]) -> Self {
        let place = Place {
            name: component.to_owned(),
            bus: component.to_owned(),
            topics: triggers.iter().flat_map(of_trigger).collect(),
            group: Some(group.as_str().to_owned()),
            subscribers: subscribers(triggers),
        };
        Self(vec![place])
    }

    pub fn places(&self) -> &[Place] {
        &self.0
    }

    /// The dead letter topics of all buses.
    pub fn topics(&self) -> BTreeSet<&str> {
        self.0.iter().flat_map(|place| &place.topics).map(String::as_str).collect()
    }
}

fn topics(plan: &Plan, index: usize, bus: &BusPlan) -> BTreeSet<String> {
    let feeds = plan.feeds.iter().filter(move |feed| feed.bus == index);
    let of_feeds = feeds.map(|feed| feed.dead_letters.to_string());
    of_feeds.chain(bus.triggers.iter().flat_map(of_trigger)).collect()
}

/// The topics that dead letters of a Trigger's events may be on.
fn of_trigger(trigger: &Trigger) -> Vec<String> {
    let mut topics: Vec<String> = trigger.inputs.iter().map(|input| dead_letter_topic(&input.topic)).collect();
    for subscriber in &trigger.subscribers {
        let DeadLetter::Targets(targets) = &subscriber.dead_letter else { continue };
        topics.extend(targets.iter().filter_map(|target| match target {
            Target::Topic(topic) => Some(topic.clone()),
            _ => None,
        }));
    }
    topics
}

fn subscribers(triggers: &[Trigger]) -> BTreeMap<String, Vec<(String, bool)>> {
    let all = triggers.iter().flat_map(|trigger| &trigger.subscribers);
    let keys = |(key, target): (String, &Target)| (key, matches!(target, Target::Topic(_)));
    all.map(|subscriber| (subscriber.id.clone(), self::keys(subscriber).map(keys).collect())).collect()
}
