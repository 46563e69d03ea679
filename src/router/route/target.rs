//! Where a subscriber's events go.

use std::collections::BTreeMap;
use std::fmt;

use crate::api::ObjectRef;

/// Where events are delivered to, as far as a document tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// An absolute `http` or `https` address.
    Http(http::Uri),
    /// A topic of the same bus.
    Topic(String),
    /// The log of the router, for trying things (`log:`).
    Log,
    /// A Dapr Component: a binding or a pub/sub.
    Component {
        reference: ObjectRef,
        topic: Option<String>,
        operation: Option<String>,
        metadata: BTreeMap<String, String>,
    },
    /// Any other object, whose address only a cluster knows; `path` goes on top of it.
    Object { reference: ObjectRef, path: Option<String> },
}

/// As in logs and status.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(uri) => write!(f, "{uri}"),
            Self::Topic(topic) => write!(f, "topic:{topic}"),
            Self::Log => f.write_str("log:"),
            Self::Component { reference, .. } | Self::Object { reference, .. } => {
                let namespace = reference.namespace.as_deref().unwrap_or_default();
                write!(f, "{} {}/{} ({})", reference.kind, namespace, reference.name, reference.api_version)
            }
        }
    }
}

/// Where events go that cannot be delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeadLetter {
    /// These, and the event is done with when each of them has it. Not empty.
    Targets(Vec<Target>),
    /// The topic that the event came from, with `-dlq` appended (see `dead_letter_topic`).
    Generated,
}
