//! The subscribers of a Trigger.

use super::delivery::Delivery;
use super::{BusDefaults, DeadLetter, Input, Join, Policy, Target, check, dead_letter_topic};
use crate::api::trigger::SubscriberSpec;
use crate::api::{FieldPath, Problems};
use crate::router::body::{Body, Gathered};
use crate::router::condition::{Condition, Form};

/// The name of the one subscriber of an `EventSource` with a direct sink. No subscriber of a Trigger
/// can be called so: a Trigger and an `EventSource` of the same name would have one id for two.
pub(super) const DIRECT: &str = "@sink";

/// One subscriber.
#[derive(Clone, Debug)]
pub struct Subscriber {
    /// `namespace/trigger/subscriber`, unique on a cluster.
    pub id: String,
    /// As in the document, or else the position, counted from zero.
    pub name: String,
    pub condition: Condition,
    /// Indexes into the Trigger's inputs, ascending: an event accepted by any of them fires the
    /// subscriber, alone and once. Empty when it has a join.
    pub fires: Vec<usize>,
    /// How it joins several events, when its condition does, gathers matches, or keeps the order of events.
    pub join: Option<Join>,
    /// Each of them gets every event: the sink, then the topic. At least one.
    pub targets: Vec<Target>,
    /// Not used when the policy is at most once.
    pub dead_letter: DeadLetter,
    pub policy: Policy,
    /// What its parameters make of an event, when it has any.
    pub body: Option<Body>,
}

/// What a subscriber is read with.
pub(super) struct Scope<'a> {
    pub(super) namespace: &'a str,
    pub(super) trigger: &'a str,
    pub(super) inputs: &'a [Input],
    pub(super) names: &'a [&'a str],
    /// The inputs as they were written.
    pub(super) written: &'a [String],
    pub(super) bus: &'a BusDefaults,
}

impl Scope<'_> {
    pub(super) fn id(&self, subscriber: &str) -> String {
        format!("{}/{}/{subscriber}", self.namespace, self.trigger)
    }
}

/// Reads all subscribers; `path` is the list's.
pub(super) fn parse(
    specs: &[SubscriberSpec],
    scope: &Scope<'_>,
    path: &FieldPath,
    problems: &mut Problems,
) -> Vec<Subscriber> {
    if specs.is_empty() {
        problems.push(path, "needs at least one subscriber");
    }
    let mut subscribers: Vec<Subscriber> = Vec::new();
    for (position, spec) in specs.iter().enumerate() {
        let path = path.index(position);
        let subscriber = Subscriber::parse(spec, position, scope, &path, problems);
        if subscribers.iter().any(|other| other.name == subscriber.name) {
            let name = &subscriber.name;
            let help = "a subscriber without a name is named by its position";
            problems.push_help(&path.field("name"), format!("{name:?} already names another subscriber"), help);
        }
        subscribers.push(subscriber);
    }
    subscribers
}

impl Subscriber {
    fn parse(
        spec: &SubscriberSpec,
        position: usize,
        scope: &Scope<'_>,
        path: &FieldPath,
        problems: &mut Problems,
    ) -> Self {
        let name = match &spec.name {
            Some(name) => check_name(name, &path.field("name"), problems),
            None => position.to_string(),
        };
        let (condition, fires) = condition(spec.condition.as_deref(), scope, path, problems);
        let join = Join::parse(spec, &condition, scope, path, problems);
        // What keeps its order goes the way of joins, which read their topics in order.
        let fires = if join.is_some() { Vec::new() } else { fires };
        let block = spec.delivery.as_ref();
        let own = block.map(|block| Delivery::parse(block, scope.namespace, &path.field("delivery"), problems));
        let own = own.unwrap_or_default();
        let mut subscriber = Self {
            id: scope.id(&name),
            name,
            condition,
            fires,
            join,
            targets: targets(spec, scope.namespace, path, problems),
            dead_letter: dead_letter(spec, &own, scope, path, problems),
            policy: Policy::parse(spec, &own, &scope.bus.delivery, path, problems),
            body: body(spec, scope, path, problems),
        };
        subscriber.name_topics(scope.trigger);
        subscriber.refuse_loops(scope, path, problems);
        let single = subscriber.join.as_ref().is_some_and(|join| join.ordered && join.is_of_single_events());
        if single && subscriber.body.is_some() && scope.inputs.len() > 1 {
            let feature = "building the body of events of several inputs that keep their order";
            problems.unsupported(&path.field("parameters"), feature);
        }
        let answers = |target: &Target| matches!(target, Target::Http(_) | Target::Object { .. });
        if subscriber.policy.reply && !subscriber.targets.iter().any(answers) {
            problems.warn(&path.field("reply"), "has no effect: only HTTP sinks answer with events");
        }
        subscriber
    }

    /// Pub/sub Components for which nobody names a topic have one of the subscriber's own, and one for its dead letters.
    pub(super) fn name_topics(&mut self, trigger: &str) {
        let topic = format!("{trigger}-{}", self.name);
        for target in &mut self.targets {
            target.or_topic(&topic);
        }
        if let DeadLetter::Targets(targets) = &mut self.dead_letter {
            let topic = dead_letter_topic(&topic);
            for target in targets {
                target.or_topic(&topic);
            }
        }
    }

    /// Where its events go, and then those that cannot be delivered.
    pub fn every_target(&self) -> impl Iterator<Item = &Target> {
        let dead = if let DeadLetter::Targets(targets) = &self.dead_letter { targets.as_slice() } else { &[] };
        self.targets.iter().chain(dead)
    }

    /// Whether an event of this input fires it, alone or together with others.
    fn wants(&self, input: usize) -> bool {
        self.fires.contains(&input) || self.join.as_ref().is_some_and(|join| join.rules.condition.is_positive(input))
    }

    /// An event that goes to a topic whose events fire the same subscriber comes back for ever.
    fn refuse_loops(&self, scope: &Scope<'_>, path: &FieldPath, problems: &mut Problems) {
        let dead: &[Target] = if let DeadLetter::Targets(targets) = &self.dead_letter { targets } else { &[] };
        for (targets, field, what) in
            [(&self.targets[..], "topic", "events"), (dead, "deadLetterTopic", "dead letters")]
        {
            let indexes = (0..scope.inputs.len()).filter(|index| self.wants(*index));
            let mut firing = indexes.filter_map(|index| scope.inputs.get(index));
            let looping = firing.find(|input| targets.contains(&Target::Topic(input.topic.clone())));
            if let Some(input) = looping {
                let message = format!("the {what} would come back for ever: {:?} reads this topic", input.name);
                problems.push(&path.field(field), message);
            }
        }
    }
}

/// What the parameters build of its events, or of its batches.
fn body(spec: &SubscriberSpec, scope: &Scope<'_>, path: &FieldPath, problems: &mut Problems) -> Option<Body> {
    let body = Body::compile(spec.parameters.as_deref()?, scope.names, &path.field("parameters"), problems)?;
    let gathered = if spec.payload.as_deref() == Some("last") { Gathered::Last } else { Gathered::All };
    Some(if spec.batch.is_some() { body.of_batches(gathered) } else { body })
}

/// The condition, and which inputs fire it alone.
fn condition(
    text: Option<&str>,
    scope: &Scope<'_>,
    path: &FieldPath,
    problems: &mut Problems,
) -> (Condition, Vec<usize>) {
    let path = path.field("condition");
    let all = || Condition::all(scope.names.len());
    let condition = match text {
        None => all(),
        Some(text) => match Condition::parse(text, scope.names, &path, problems) {
            Some(condition) => condition,
            // Told already; the absent condition stands in for it, and fires nothing.
            None => return (all(), Vec::new()),
        },
    };
    let fires = match condition.form() {
        Form::Stateless(inputs) => inputs.iter().copied().collect(),
        Form::Stateful { .. } => Vec::new(),
    };
    (condition, fires)
}

fn check_name(name: &str, path: &FieldPath, problems: &mut Problems) -> String {
    check::label(name, path, problems);
    name.to_owned()
}

/// The sink (`ref` is short for `sink.ref`), then the topic.
fn targets(spec: &SubscriberSpec, namespace: &str, path: &FieldPath, problems: &mut Problems) -> Vec<Target> {
    let sink_path = path.field("sink");
    if spec.reference.is_none() && spec.sink.is_none() && spec.topic.is_none() {
        problems.push(path, "needs \"sink\", \"ref\" or \"topic\": where do its events go?");
    }
    let sink = match (&spec.reference, &spec.sink) {
        (None, None) => None,
        (None, Some(sink)) => Target::parse(sink, namespace, &sink_path, problems),
        (Some(reference), sink) => {
            if sink.as_ref().is_some_and(|sink| sink.reference.is_some()) {
                problems.push(&sink_path.field("ref"), "excludes \"ref\" of the subscriber, which is short for it");
            }
            let sink = sink.clone().unwrap_or_default();
            Target::parse_with(Some(reference), &path.field("ref"), &sink, namespace, &sink_path, problems)
        }
    };
    let topic = spec.topic.as_deref().map(|topic| Target::parse_topic(topic, &path.field("topic"), problems));
    sink.into_iter().chain(topic.flatten()).collect()
}

/// The subscriber's own, else that of its `delivery` block, else the bus's, else the generated one.
fn dead_letter(
    spec: &SubscriberSpec,
    own: &Delivery,
    scope: &Scope<'_>,
    path: &FieldPath,
    problems: &mut Problems,
) -> DeadLetter {
    let (sink, topic) = (spec.dead_letter_sink.as_ref(), spec.dead_letter_topic.as_deref());
    let written = DeadLetter::parse(sink, topic, scope.namespace, path, problems);
    if written.is_some() && own.dead_letter.is_some() {
        problems.warn(&path.field("delivery"), "its dead letter target is not used: the subscriber has its own");
    }
    let inherited = || own.or(&scope.bus.delivery).dead_letter;
    written.or_else(inherited).unwrap_or(DeadLetter::Generated)
}
