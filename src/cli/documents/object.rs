//! One document into one object of ours: the envelope (`apiVersion`, `kind`, `metadata`), the
//! schema, the raw shape.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json};

use crate::api::event_bus::{ClusterEventBusSpec, EventBusSpec};
use crate::api::event_source::EventSourceSpec;
use crate::api::problem::{alternatives, nearest};
use crate::api::schema::{self, Walked};
use crate::api::trigger::TriggerSpec;
use crate::api::{API_VERSION, FieldPath, GROUP, Problems, crd};

/// The namespace of an object that names none.
pub const DEFAULT_NAMESPACE: &str = "default";
/// What Kubernetes keeps in `metadata`. All but the first four are the API server's business.
const METADATA: [&str; 15] = [
    "name",
    "namespace",
    "labels",
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "managedFields",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];
/// Edits between a group and ours up to which it counts as a slip of the pen.
const NEAR_GROUP: usize = 2;

/// The spec of an object, by kind.
#[derive(Debug)]
pub enum Spec {
    EventSource(EventSourceSpec),
    EventBus(EventBusSpec),
    ClusterEventBus(ClusterEventBusSpec),
    Trigger(TriggerSpec),
}

/// What a document is.
#[derive(Debug)]
pub struct Object {
    /// Empty for a kind without namespaces.
    pub namespace: String,
    pub name: String,
    pub spec: Spec,
    /// Where empty values stand for what was wrong or missing.
    pub repaired: Vec<FieldPath>,
}

/// A Component of Dapr's; nothing but its name is judged here.
#[derive(Debug)]
pub struct Component {
    pub namespace: String,
    pub name: String,
    pub value: Json,
}

/// What a document turned out to be.
#[derive(Debug)]
pub enum Read {
    Ours(Box<Object>),
    /// A Component of Dapr's.
    Component(Box<Component>),
    /// An object of another group, left alone.
    Foreign,
    /// Nothing that could be judged any further.
    Unknown,
}

/// Reads a document and reports everything that is wrong with its shape.
pub fn read(document: Json, problems: &mut Problems) -> Read {
    let root = FieldPath::root();
    let mut members = match document {
        Json::Object(members) => members,
        other => {
            let message = format!("expected an object with apiVersion and kind, found {}", schema::kind_of(&other));
            problems.push(&root, message);
            return Read::Unknown;
        }
    };
    if is_component(&members) {
        let metadata = members.get("metadata").cloned().unwrap_or_default();
        let name = name(metadata.get("name"), &root.field("metadata").field("name"), problems);
        let namespace = metadata["namespace"].as_str().filter(|namespace| !namespace.is_empty());
        let namespace = namespace.unwrap_or(DEFAULT_NAMESPACE).to_owned();
        return Read::Component(Box::new(Component { namespace, name, value: Json::Object(members) }));
    }
    let kind = match kind(&members, problems) {
        Ok(kind) => kind,
        Err(read) => return read,
    };
    for name in members.keys() {
        let known = ["apiVersion", "kind", "metadata", "spec", "status"];
        if !known.contains(&name.as_str()) {
            problems.unknown_field(&root, name, &known);
        }
    }
    let (namespace, name) = metadata(members.get("metadata"), kind, problems);
    let Some((spec, repaired)) = spec(kind, members.remove("spec"), problems) else { return Read::Unknown };
    Read::Ours(Box::new(Object { namespace, name, spec, repaired }))
}

fn is_component(members: &Map<String, Json>) -> bool {
    let is = |name: &str, text: &str| members.get(name).is_some_and(|value| value == text);
    is("apiVersion", "dapr.io/v1alpha1") && is("kind", "Component")
}

/// The kind, when the document is one of ours.
fn kind(members: &Map<String, Json>, problems: &mut Problems) -> Result<&'static str, Read> {
    let root = FieldPath::root();
    let mut text = |name: &str, example: &str| match members.get(name) {
        Some(Json::String(text)) => Some(text.as_str()),
        None | Some(Json::Null) => {
            problems.push_help(&root.field(name), "required (text) and missing", example);
            None
        }
        Some(other) => {
            let message = format!("expected text, found {}", schema::kind_of(other));
            problems.push_help(&root.field(name), message, example);
            None
        }
    };
    let version = text("apiVersion", &format!("write {API_VERSION}"));
    let kind = text("kind", &format!("known: {}", crd::KINDS.join(", ")));
    let (Some(version), Some(kind)) = (version, kind) else { return Err(Read::Unknown) };
    if version != API_VERSION {
        let path = root.field("apiVersion");
        let group = version.split_once('/').map_or("", |(group, _)| group);
        if group == GROUP || strsim::levenshtein(group, GROUP) <= NEAR_GROUP {
            problems.push_help(&path, format!("unknown apiVersion {version:?}"), format!("known: {API_VERSION}"));
            return Err(Read::Unknown);
        }
        problems.warn(&path, format!("ignored: {kind} of {version} is no object of {GROUP}"));
        return Err(Read::Foreign);
    }
    let known = crd::KINDS.iter().find(|known| **known == kind);
    known.copied().ok_or_else(|| {
        problems.push_help(&root.field("kind"), format!("unknown kind {kind:?}"), alternatives(kind, &crd::KINDS));
        Read::Unknown
    })
}

/// Namespace and name; empty where they are wrong.
fn metadata(metadata: Option<&Json>, kind: &str, problems: &mut Problems) -> (String, String) {
    let path = FieldPath::root().field("metadata");
    let none = Map::new();
    let members = match metadata {
        Some(Json::Object(members)) => members,
        None | Some(Json::Null) => &none,
        Some(other) => {
            problems.push(&path, format!("expected an object, found {}", schema::kind_of(other)));
            return (String::new(), String::new());
        }
    };
    for name in members.keys().filter(|name| !METADATA.contains(&name.as_str())) {
        // The help names what people write; the rest is the API server's.
        match nearest(name, &METADATA) {
            Some(near) => problems.push_help(
                &path.field(name),
                format!("unknown field {name:?}"),
                format!("did you mean {near:?}?"),
            ),
            None => problems.unknown_field(&path, name, &METADATA[..4]),
        }
    }
    for name in ["labels", "annotations"] {
        texts(members.get(name), &path.field(name), problems);
    }
    let name = name(members.get("name"), &path.field("name"), problems);
    let namespace = namespace(members.get("namespace"), kind, &path.field("namespace"), problems);
    (namespace, name)
}

fn name(value: Option<&Json>, path: &FieldPath, problems: &mut Problems) -> String {
    match value {
        Some(Json::String(name)) if is_dns_subdomain(name) => return name.clone(),
        Some(Json::String(name)) => problems.push_help(
            path,
            format!("{name:?} is not a name"),
            "lower-case letters, digits, '-' and '.', at most 253, with a letter or digit at both ends",
        ),
        None | Some(Json::Null) => problems.push(path, "required (text) and missing"),
        Some(other) => problems.push(path, format!("expected text, found {}", schema::kind_of(other))),
    }
    String::new()
}

fn namespace(value: Option<&Json>, kind: &str, path: &FieldPath, problems: &mut Problems) -> String {
    let cluster = kind == "ClusterEventBus";
    match value {
        None | Some(Json::Null) if cluster => String::new(),
        None | Some(Json::Null) => DEFAULT_NAMESPACE.to_owned(),
        Some(_) if cluster => {
            problems.warn(path, "ignored: a ClusterEventBus is in no namespace");
            String::new()
        }
        Some(Json::String(name)) if is_dns_label(name) => name.clone(),
        Some(Json::String(name)) => {
            problems.push_help(
                path,
                format!("{name:?} is not a namespace"),
                "lower-case letters, digits and '-', at most 63, with a letter or digit at both ends",
            );
            String::new()
        }
        Some(other) => {
            problems.push(path, format!("expected text, found {}", schema::kind_of(other)));
            String::new()
        }
    }
}

fn texts(value: Option<&Json>, path: &FieldPath, problems: &mut Problems) {
    let members = match value {
        None | Some(Json::Null) => return,
        Some(Json::Object(members)) => members,
        Some(other) => return problems.push(path, format!("expected an object, found {}", schema::kind_of(other))),
    };
    for (name, value) in members.iter().filter(|(_, value)| !value.is_string()) {
        let message = format!("expected text, found {}", schema::kind_of(value));
        problems.push_help(&path.field(name), message, "quote it");
    }
}

/// The spec as its raw shape, and where it had to be repaired.
fn spec(kind: &str, spec: Option<Json>, problems: &mut Problems) -> Option<(Spec, Vec<FieldPath>)> {
    let path = FieldPath::root().field("spec");
    let schema = crd::spec_schema(kind)?;
    let spec = match spec {
        None | Some(Json::Null) => {
            problems.push(&path, "required (an object) and missing");
            return None;
        }
        Some(spec) => spec,
    };
    let Walked { value, repaired } = schema::walk(spec, schema, &path, problems);
    let spec = match kind {
        "EventSource" => shape(value, problems).map(Spec::EventSource),
        "EventBus" => shape(value, problems).map(Spec::EventBus),
        "ClusterEventBus" => shape(value, problems).map(Spec::ClusterEventBus),
        _ => shape(value, problems).map(Spec::Trigger),
    };
    spec.map(|spec| (spec, repaired))
}

/// A value that has the schema's shape fits the type that the schema was made from; should the two
/// ever disagree, the document is refused with the reader's own words.
fn shape<T: DeserializeOwned>(value: Json, problems: &mut Problems) -> Option<T> {
    serde_json::from_value(value)
        .map_err(|error| problems.push(&FieldPath::root().field("spec"), error.to_string()))
        .ok()
}

/// RFC 1123 as Kubernetes has it for most names: labels joined by dots.
fn is_dns_subdomain(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(is_dns_part)
}

/// RFC 1123 label.
fn is_dns_label(name: &str) -> bool {
    name.len() <= 63 && is_dns_part(name)
}

fn is_dns_part(part: &str) -> bool {
    !part.is_empty()
        && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !part.starts_with('-')
        && !part.ends_with('-')
}
