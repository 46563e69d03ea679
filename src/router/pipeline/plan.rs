//! Wiring: Triggers, with sinks for their targets, become lanes and destinations.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::fault::{Fault, FaultKind};
use crate::flow::{Sink, Topic};
use crate::router::delivery::Destination;
use crate::router::filter::{Filter, Transform};
use crate::router::join::{Inbox, Progress, Setup};
use crate::router::route::{self, DeadLetter, Policy, Target, Trigger};
use crate::telemetry::{self, Metrics};

use super::lane::{Input, Lane};
use super::reading::Reading;

/// Makes the sink of a target, for a subscriber with this policy.
pub type Sinks<'a> = dyn Fn(&Target, &Policy) -> Result<Arc<dyn Sink>, Fault> + 'a;

/// Everything that a router reads and delivers to.
pub struct Plan {
    pub(super) lanes: Vec<Lane>,
    /// What is read for the subscribers that join events.
    pub(super) readings: Vec<Reading>,
    /// By key, for parked events.
    pub(super) destinations: HashMap<String, Arc<Destination>>,
    /// The subscribers that join several events.
    pub(super) joins: Vec<Setup>,
}

impl Plan {
    /// The plan of all Triggers of one bus.
    ///
    /// # Errors
    /// When a target has no sink, a topic's name is not legal, or two subscribers have one id.
    pub fn new(triggers: Vec<Trigger>, sinks: &Sinks<'_>, metrics: &Metrics) -> Result<Self, Fault> {
        let mut wiring = Wiring {
            metrics,
            lanes: BTreeMap::new(),
            places: HashMap::new(),
            destinations: HashMap::new(),
            joins: Vec::new(),
        };
        for trigger in triggers {
            wiring.trigger(trigger, sinks)?;
        }
        let Wiring { lanes: drafts, destinations, joins, .. } = wiring;
        let (mut lanes, mut readings) = (Vec::new(), Vec::new());
        for draft in drafts.into_values() {
            let (lane, reading) = draft.finish();
            lanes.extend(lane);
            readings.extend(reading);
        }
        Ok(Self { lanes, readings, destinations, joins })
    }

    /// The topics that events are read from, the retry topic aside.
    pub fn topics(&self) -> impl Iterator<Item = &Topic> {
        let alone = self.readings.iter().filter(|reading| reading.alone);
        self.lanes.iter().map(|lane| &lane.topic).chain(alone.map(Reading::topic))
    }
}

/// A lane in the making.
struct Draft {
    topic: Topic,
    inputs: Vec<(Input, Option<Transform>, Filter)>,
    destinations: Vec<Arc<Destination>>,
    joins: Vec<(Arc<Inbox>, usize)>,
    progress: Option<Arc<Progress>>,
    metrics: telemetry::Topic,
}

impl Draft {
    /// The place of a subscriber among those that join the lane's events.
    fn join(&mut self, setup: &mut Setup) -> u32 {
        let progress = self.progress.get_or_insert_with(|| Arc::new(Progress::new(self.topic.clone())));
        let known = self.joins.iter().position(|(inbox, _)| Arc::ptr_eq(inbox, &setup.inbox));
        let place = known.unwrap_or_else(|| {
            self.joins.push((setup.inbox.clone(), setup.topics.len()));
            setup.topics.push(progress.clone());
            self.joins.len() - 1
        });
        u32::try_from(place).unwrap_or(u32::MAX)
    }

    /// What the group reads, unless all is joined, and what is read for those who join.
    fn finish(self) -> (Option<Lane>, Option<Reading>) {
        let Self { topic, inputs, destinations, joins, progress, metrics } = self;
        let Some(progress) = progress else {
            return (Some(Lane::new(topic, inputs, destinations, metrics)), None);
        };
        let alone = destinations.is_empty();
        if alone {
            let lane = Lane::new(topic, inputs, destinations, metrics);
            return (None, Some(Reading { lane: Arc::new(lane), inboxes: joins, progress, alone }));
        }
        let joined = inputs.iter().filter(|(input, ..)| !input.joins.is_empty());
        let silent =
            joined.map(|(input, transform, filter)| (input.of_another_reader(), transform.clone(), filter.clone()));
        let lane = Lane::new(topic.clone(), silent.collect(), Vec::new(), telemetry::Topic::default());
        let reading = Reading { lane: Arc::new(lane), inboxes: joins, progress, alone };
        (Some(Lane::new(topic, inputs, destinations, metrics)), Some(reading))
    }
}

/// A plan in the making.
struct Wiring<'a> {
    metrics: &'a Metrics,
    lanes: BTreeMap<String, Draft>,
    /// Where a destination (by key) stands in a lane (by topic).
    places: HashMap<(String, String), u32>,
    destinations: HashMap<String, Arc<Destination>>,
    joins: Vec<Setup>,
}

impl Wiring<'_> {
    fn trigger(&mut self, trigger: Trigger, sinks: &Sinks<'_>) -> Result<(), Fault> {
        let id: Arc<str> = format!("{}/{}", trigger.namespace, trigger.name).into();
        // For each input, the destinations that it fires.
        let mut fired: Vec<Vec<Arc<Destination>>> = vec![Vec::new(); trigger.inputs.len()];
        // And the places among the joins below that want it.
        let mut joined: Vec<Vec<usize>> = vec![Vec::new(); trigger.inputs.len()];
        for subscriber in &trigger.subscribers {
            let destinations = self.subscriber(subscriber, sinks)?;
            for input in &subscriber.fires {
                if let Some(fired) = fired.get_mut(*input) {
                    fired.extend(destinations.iter().cloned());
                }
            }
            if let Some(join) = &subscriber.join {
                for input in (0..joined.len()).filter(|input| join.rules.wants(*input)) {
                    joined[input].push(self.joins.len());
                }
                let (id, join, inbox) = (subscriber.id.clone(), join.clone(), Arc::new(Inbox::default()));
                self.joins.push(Setup { id, join, topics: Vec::new(), inbox, destinations });
            }
        }
        for (place, (input, (fired, joined))) in
            trigger.inputs.into_iter().zip(fired.into_iter().zip(joined)).enumerate()
        {
            self.input(&id, input, place, &fired, &joined)?;
        }
        Ok(())
    }

    /// One destination for each target of a subscriber.
    fn subscriber(
        &mut self,
        subscriber: &route::Subscriber,
        sinks: &Sinks<'_>,
    ) -> Result<Vec<Arc<Destination>>, Fault> {
        let policy = &subscriber.policy;
        // Nobody listens to what dead letters are answered with.
        let silent = Policy { reply: false, ..policy.clone() };
        let dead_letters = match &subscriber.dead_letter {
            DeadLetter::Targets(targets) => targets.iter().map(|target| sinks(target, &silent)).collect(),
            DeadLetter::Generated => Ok(Vec::new()),
        }?;
        let mut destinations = Vec::with_capacity(subscriber.targets.len());
        for (position, target) in subscriber.targets.iter().enumerate() {
            let sink = sinks(target, policy)?;
            let part = part(position, target);
            let (dead_letters, policy) = (dead_letters.clone(), policy.clone());
            let mut destination = Destination::new(&subscriber.id, part, sink, dead_letters, policy, self.metrics);
            destination.body.clone_from(&subscriber.body);
            if position > 0 {
                destination.metrics = destination.metrics.clone().of_another_target();
            }
            let destination = Arc::new(destination);
            if self.destinations.insert(destination.key.clone(), Arc::clone(&destination)).is_some() {
                return Err(Fault::new(FaultKind::Conflict, "wire a subscriber", "another has the same name")
                    .with_context("subscriber", subscriber.id.as_str()));
            }
            destinations.push(destination);
        }
        Ok(destinations)
    }

    /// The input at `place` of its Trigger, and whom it fires or is joined by.
    fn input(
        &mut self,
        trigger: &Arc<str>,
        input: route::Input,
        place: usize,
        fired: &[Arc<Destination>],
        joined: &[usize],
    ) -> Result<(), Fault> {
        let topic = Topic::new(&input.topic)
            .map_err(|error| Fault::new(FaultKind::Rejected, "read a topic", error.to_string()))?;
        let metrics = self.metrics;
        let lane = self.lanes.entry(input.topic.clone()).or_insert_with(|| Draft {
            topic,
            inputs: Vec::new(),
            destinations: Vec::new(),
            joins: Vec::new(),
            progress: None,
            metrics: metrics.topic(),
        });
        let mut places = Vec::with_capacity(fired.len());
        for destination in fired {
            let place = self.places.entry((input.topic.clone(), destination.key.clone())).or_insert_with(|| {
                lane.destinations.push(Arc::clone(destination));
                u32::try_from(lane.destinations.len() - 1).unwrap_or(u32::MAX)
            });
            places.push(*place);
        }
        let metrics = metrics.input(trigger, &input.name, &lane.metrics);
        let (trigger, name) = (Arc::clone(trigger), input.name);
        let joins = joined.iter().map(|join| (lane.join(&mut self.joins[*join]), place)).collect();
        lane.inputs.push((Input { trigger, name, fires: places, joins, metrics }, input.transform, input.filter));
        Ok(())
    }
}

/// The keys by which parked events find the destinations of a subscriber, with their targets.
pub fn keys(subscriber: &route::Subscriber) -> impl Iterator<Item = (String, &Target)> {
    let targets = subscriber.targets.iter().enumerate();
    targets.map(|(position, target)| (format!("{}#{}", subscriber.id, part(position, target)), target))
}

/// What tells apart the destinations of a subscriber, also after its address was changed: a parked
/// event must find the one it waits for.
fn part(position: usize, target: &Target) -> &'static str {
    match target {
        Target::Topic(_) if position > 0 => "topic",
        Target::Topic(_) | Target::Http(_) | Target::Log | Target::Component { .. } | Target::Object { .. } => "sink",
    }
}
