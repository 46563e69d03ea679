//! The labels of the metric families. Every outcome is a word from a closed list.

use std::fmt;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct IntakeLabels {
    namespace: String,
    source: String,
    event: String,
    outcome: IntakeOutcome,
}

impl IntakeLabels {
    pub fn new(namespace: &str, source: &str, event: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            source: source.to_owned(),
            event: event.to_owned(),
            outcome: IntakeOutcome::Accepted,
        }
    }

    pub fn with(&self, outcome: IntakeOutcome) -> Self {
        Self { outcome, ..self.clone() }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct SubscriberLabels {
    pub trigger: String,
    pub subscriber: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct SubscriberEvents {
    pub trigger: String,
    pub subscriber: String,
    pub outcome: SubscriberOutcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct InputLabels {
    pub trigger: String,
    pub input: String,
    pub outcome: InputOutcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct FilterLabels {
    pub trigger: String,
    pub input: String,
    pub cause: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct BusLabels {
    pub bus: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct LagLabels {
    pub topic: String,
    pub group: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ComponentLabels {
    pub component: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ComponentEvents {
    pub component: String,
    pub outcome: ComponentOutcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ComponentMessages {
    pub component: String,
    pub form: ComponentForm,
}

/// What became of an event between a Component and daprd.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ComponentOutcome {
    Published,
    Refused,
    Sent,
    Acked,
    Nacked,
}

/// What a message to daprd holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ComponentForm {
    Frame,
    Single,
    Heartbeat,
}

/// What became of an event that a source handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IntakeOutcome {
    Accepted,
    Duplicate,
    Refused,
    Poison,
}

/// What became of an event at an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InputOutcome {
    Received,
    Matched,
    Filtered,
}

/// What became of an event at a subscriber. One event may count under several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SubscriberOutcome {
    /// It fired the subscriber.
    Matched,
    /// It is kept, or noted, until others arrive or its hold is over.
    Waiting,
    /// Something that the condition negates stood in its way.
    Blocked,
    /// It lacks what it would be joined by.
    Keyless,
    /// A key was forgotten with everything that waited under it, because there were too many.
    Evicted,
    /// A sink took it.
    Delivered,
    /// What the sink answered with went back to the bus.
    Replied,
    /// An attempt failed.
    Failed,
    /// An attempt is made again without leaving the process.
    Retried,
    /// It was held back by the rate limit or the circuit breaker, without an attempt.
    Held,
    /// It was put aside on the retry topic.
    Parked,
    /// It was given up and handed to the dead letters.
    Dead,
    /// It was given up and forgotten, as `atMostOnce` asks.
    Dropped,
}

macro_rules! words {
    ($kind:ident: $($variant:ident = $word:literal),+) => {
        impl EncodeLabelValue for $kind {
            fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
                let word = match self { $(Self::$variant => $word),+ };
                EncodeLabelValue::encode(&word, encoder)
            }
        }
    };
}

words!(IntakeOutcome: Accepted = "accepted", Duplicate = "duplicate", Refused = "refused", Poison = "poison");
words!(ComponentOutcome: Published = "published", Refused = "refused", Sent = "sent", Acked = "acked",
    Nacked = "nacked");
words!(ComponentForm: Frame = "frame", Single = "single", Heartbeat = "heartbeat");
words!(InputOutcome: Received = "received", Matched = "matched", Filtered = "filtered");
words!(SubscriberOutcome: Matched = "matched", Waiting = "waiting", Blocked = "blocked", Keyless = "keyless", Evicted = "evicted", Delivered = "delivered",
    Replied = "replied", Failed = "failed", Retried = "retried", Held = "held", Parked = "parked", Dead = "dead", Dropped = "dropped");
