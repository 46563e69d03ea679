//! Where a subscriber's events go.

use std::collections::BTreeMap;
use std::fmt;

use super::address::Address;
use super::{check, topics};
use crate::api::{FieldPath, ObjectRef, Problems, SinkSpec};

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
        /// Of a pub/sub. Every subscriber has one: [`Target::or_topic`].
        topic: Option<String>,
        operation: Option<String>,
        metadata: BTreeMap<String, String>,
    },
    /// Any other object, whose address only a cluster knows; `path` goes on top of it.
    Object { reference: ObjectRef, path: Option<String> },
}

/// Where events go that cannot be delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeadLetter {
    /// These, and the event is done with when each of them has it. Not empty.
    Targets(Vec<Target>),
    /// The topic that the event came from, with `-dlq` appended (see `dead_letter_topic`).
    Generated,
}

impl Target {
    /// Reads a sink. A reference without a namespace is to the `namespace` of the document.
    pub(super) fn parse(spec: &SinkSpec, namespace: &str, path: &FieldPath, problems: &mut Problems) -> Option<Self> {
        let reference = spec.reference.as_ref();
        Self::parse_with(reference, &path.field("ref"), spec, namespace, path, problems)
    }

    /// As [`Target::parse`], with the reference standing elsewhere in the document than in `spec`.
    pub(super) fn parse_with(
        reference: Option<&ObjectRef>,
        reference_path: &FieldPath,
        spec: &SinkSpec,
        namespace: &str,
        path: &FieldPath,
        problems: &mut Problems,
    ) -> Option<Self> {
        if reference.is_none() && spec.uri.is_none() {
            problems.push(path, "needs \"ref\" or \"uri\"");
            return None;
        }
        let before = problems.len();
        let uri_path = path.field("uri");
        let address = spec.uri.as_deref().and_then(|uri| Address::parse(uri, &uri_path, problems));
        let resolved = reference.map(|reference| resolve(reference, namespace, reference_path, problems));
        if !resolved.as_ref().is_some_and(ObjectRef::is_component) {
            refuse_component_settings(spec, path, problems);
        }
        let target = match (address, resolved) {
            (Some(Address::Whole(target)), _) => {
                if reference.is_some() {
                    problems.warn(reference_path, "is not used: the sink's \"uri\" is a whole address");
                }
                Some(target)
            }
            (Some(Address::Path(_)), None) => {
                let help = "write \"ref\" beside it, or begin with http:// or https://";
                problems.push_help(&uri_path, "a path alone is no address", help);
                None
            }
            (Some(Address::Path(_)), Some(reference)) if reference.is_component() => {
                problems.push(&uri_path, "a dapr.io Component has no paths");
                None
            }
            (Some(Address::Path(on_top)), Some(reference)) => Some(Self::Object { reference, path: Some(on_top) }),
            (None, Some(reference)) if reference.is_component() => {
                Some(Self::component(reference, spec, path, problems))
            }
            (None, Some(reference)) => Some(Self::Object { reference, path: None }),
            (None, None) => None,
        };
        target.filter(|_| problems.len() == before)
    }

    fn component(reference: ObjectRef, spec: &SinkSpec, path: &FieldPath, problems: &mut Problems) -> Self {
        for (name, text) in [("topic", &spec.topic), ("operation", &spec.operation)] {
            if let Some(text) = text {
                check::filled(text, &path.field(name), problems);
            }
        }
        let metadata = spec.metadata.clone().unwrap_or_default();
        Self::Component { reference, topic: spec.topic.clone(), operation: spec.operation.clone(), metadata }
    }

    /// The object that it refers to.
    pub fn reference(&self) -> Option<&ObjectRef> {
        match self {
            Self::Component { reference, .. } | Self::Object { reference, .. } => Some(reference),
            Self::Http(_) | Self::Topic(_) | Self::Log => None,
        }
    }

    /// The topic of a pub/sub for which the document names none.
    pub(super) fn or_topic(&mut self, derived: &str) {
        if let Self::Component { topic, .. } = self {
            topic.get_or_insert_with(|| derived.to_owned());
        }
    }

    /// Reads a topic of the bus. It is taken literally: neither prefix nor template apply.
    pub(super) fn parse_topic(topic: &str, path: &FieldPath, problems: &mut Problems) -> Option<Self> {
        if let Some(why) = topics::illegal(topic) {
            problems.push(path, format!("the topic {why}"));
            return None;
        }
        Some(Self::Topic(topic.to_owned()))
    }
}

/// The reference with its namespace filled in.
fn resolve(reference: &ObjectRef, namespace: &str, path: &FieldPath, problems: &mut Problems) -> ObjectRef {
    let version = &reference.api_version;
    if version.is_empty() || version.split('/').count() > 2 || version.split('/').any(str::is_empty) {
        let message = format!("{version:?} is no version of an API");
        problems.push_help(&path.field("apiVersion"), message, "such as \"v1\" or \"serving.knative.dev/v1\"");
    }
    check::filled(&reference.kind, &path.field("kind"), problems);
    check::object_name(&reference.name, &path.field("name"), problems);
    if let Some(namespace) = &reference.namespace {
        check::label(namespace, &path.field("namespace"), problems);
    }
    let namespace = reference.namespace.clone().unwrap_or_else(|| namespace.to_owned());
    ObjectRef { namespace: Some(namespace), ..reference.clone() }
}

fn refuse_component_settings(spec: &SinkSpec, path: &FieldPath, problems: &mut Problems) {
    let set = [
        ("topic", spec.topic.is_some()),
        ("operation", spec.operation.is_some()),
        ("metadata", spec.metadata.is_some()),
    ];
    for (name, _) in set.into_iter().filter(|(_, set)| *set) {
        problems.push(&path.field(name), "is for dapr.io Components only");
    }
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
