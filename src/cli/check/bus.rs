//! Judges buses, and tells which one an object means.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::one;
use crate::api::event_bus::{AllowedNamespaces, BusSpec, NatsBlock};
use crate::api::{FieldPath, Problems, Secrets, client, value};
use crate::buses::{embedded, jetstream, kafka, redis};
use crate::cli::documents::{Document, Documents};
use crate::cli::report::Report;
use crate::layout;
use crate::router::route::{BusDefaults, DEFAULT_BUS};

/// The back ends, in the order of the documentation.
const BACK_ENDS: [&str; 7] = ["nats", "natsStreaming", "jetstream", "kafka", "redis", "embedded", "component"];

/// Whether it was built with the feature that Kafka needs.
const KAFKA: bool = cfg!(feature = "kafka");

/// Those whose lag no autoscaler is told of: one is inside a process, one may be anything.
const UNSCALED: [&str; 2] = ["embedded", "component"];

/// How those who read a bus get at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// They have it open.
    Own,
    /// Through daprd.
    Daprd,
}

impl Access {
    /// Whether events of a bus with this back end can be joined: it can be read again in order.
    fn joins(self, back_end: &str) -> bool {
        match back_end {
            "nats" | "natsStreaming" | "jetstream" | "redis" | "embedded" => true,
            "kafka" => self == Self::Own,
            _ => false,
        }
    }

    /// The back ends whose events can be joined, for those who have another one.
    pub(super) fn joined(self) -> &'static str {
        match self {
            Self::Own => "embedded, jetstream, kafka, redis",
            Self::Daprd => "embedded, jetstream, redis",
        }
    }
}

/// All buses of a set of documents.
pub(super) struct Buses {
    pub(super) access: Access,
    /// By namespace (empty for a cluster's bus) and name.
    known: BTreeMap<(String, String), BusDefaults>,
    /// The cluster's buses that let no namespace in.
    closed: BTreeSet<String>,
    /// Those whose events cannot be joined, by namespace and name.
    unjoined: BTreeSet<(String, String)>,
}

impl Buses {
    /// Judges every bus.
    pub(super) fn judge(documents: &Documents, access: Access, secrets: &dyn Secrets, report: &mut Report) -> Self {
        let (mut known, mut closed, mut unjoined) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
        let is_unjoined = |spec: &BusSpec| back_ends(spec).iter().any(|name| !access.joins(name));
        let path = FieldPath::root().field("spec");
        for bus in &documents.buses {
            let defaults = one(report, &bus.origin, |problems| {
                judge(&bus.spec.bus, &path, secrets, problems);
                judge_named(&bus.spec.bus, &bus.namespace, documents, problems);
                BusDefaults::parse(&bus.name, &bus.namespace, &bus.spec.bus, &path, problems)
            });
            let key = (bus.namespace.clone(), bus.name.clone());
            unjoined.extend(is_unjoined(&bus.spec.bus).then(|| key.clone()));
            known.insert(key, defaults);
        }
        for bus in &documents.cluster_buses {
            let defaults = one(report, &bus.origin, |problems| {
                judge(&bus.spec.bus, &path, secrets, problems);
                judge_named(&bus.spec.bus, "", documents, problems);
                if let Some(allowed) = &bus.spec.allowed_namespaces {
                    let from = judge_namespaces(allowed, &path.field("allowedNamespaces"), problems);
                    closed.extend((from == Some(From::Same)).then(|| bus.name.clone()));
                }
                BusDefaults::parse(&bus.name, "", &bus.spec.bus, &path, problems)
            });
            let key = (String::new(), bus.name.clone());
            unjoined.extend(is_unjoined(&bus.spec.bus).then(|| key.clone()));
            known.insert(key, defaults);
        }
        Self { access, known, closed, unjoined }
    }

    /// The bus that `name`, in an object of `namespace`, means: the namespace's own first, then the
    /// cluster's. One that is not among the documents has no settings that are known.
    pub(super) fn find(&self, namespace: &str, name: Option<&str>) -> BusDefaults {
        let name = name.unwrap_or(DEFAULT_BUS);
        let find = |namespace: &str| self.known.get(&(namespace.to_owned(), name.to_owned()));
        find(namespace).or_else(|| find("")).cloned().unwrap_or_else(|| BusDefaults::named(name))
    }

    /// Whether events on the bus that is meant can be joined.
    pub(super) fn joins(&self, namespace: &str, name: Option<&str>) -> bool {
        let name = name.unwrap_or(DEFAULT_BUS);
        let key = |namespace: &str| (namespace.to_owned(), name.to_owned());
        let key = if self.known.contains_key(&key(namespace)) { key(namespace) } else { key("") };
        !self.unjoined.contains(&key)
    }

    /// Refuses a cluster's bus that does not let the namespace in.
    pub(super) fn admit(&self, namespace: &str, name: Option<&str>, path: &FieldPath, problems: &mut Problems) {
        let name = name.unwrap_or(DEFAULT_BUS);
        let own = self.known.contains_key(&(namespace.to_owned(), name.to_owned()));
        if !own && self.closed.contains(name) {
            let message = format!("ClusterEventBus {name:?} does not let namespace {namespace} in");
            problems.push_help(path, message, "its allowedNamespaces.from is Same, and it is in no namespace itself");
        }
    }

    /// Warns of a bus that is not among the documents when others are: it may live elsewhere.
    pub(super) fn expect(&self, namespace: &str, name: Option<&str>, path: &FieldPath, problems: &mut Problems) {
        let reachable = self.known.keys().filter(|(scope, _)| scope.is_empty() || scope == namespace);
        let reachable: Vec<&str> = reachable.map(|(_, name)| name.as_str()).collect();
        let wanted = name.unwrap_or(DEFAULT_BUS);
        if !self.known.is_empty() && !reachable.contains(&wanted) {
            let known = if reachable.is_empty() { "none".to_owned() } else { reachable.join(", ") };
            let message =
                format!("no EventBus {wanted:?} for namespace {namespace} among the documents (there: {known})");
            problems.warn(path, message);
        }
    }
}

fn judge(spec: &BusSpec, path: &FieldPath, secrets: &dyn Secrets, problems: &mut Problems) {
    let set = back_ends(spec);
    match set.as_slice() {
        [] => {
            let help = format!("one of {}; one without settings is written \"embedded: {{}}\"", BACK_ENDS.join(", "));
            problems.push_help(path, "needs exactly one back end", help);
        }
        [_] => {}
        [first, others @ ..] => {
            for other in others {
                problems.push(&path.field(other), format!("excludes {first:?}: exactly one back end is needed"));
            }
        }
    }
    if let Some(nats) = &spec.nats {
        judge_nats(nats, &path.field("nats"), problems);
    }
    if let Some(streaming) = &spec.nats_streaming {
        jetstream::config::Config::parse_streaming(streaming, &path.field("natsStreaming"), problems);
    }
    if let Some(raw) = &spec.jetstream {
        jetstream::config::Config::parse(raw, &path.field("jetstream"), secrets, problems);
    }
    if let Some(raw) = &spec.kafka {
        kafka::config::Config::parse(raw, &path.field("kafka"), secrets, problems);
        if !KAFKA {
            problems.push(&path.field("kafka"), "this penstock was built without the feature \"kafka\"");
        }
        if spec.dedup_window.is_some() {
            problems.warn(&path.field("dedupWindow"), "has no effect: Kafka recognises no event that comes twice");
        }
    }
    if let Some(raw) = &spec.redis {
        redis::config::Config::parse(raw, &path.field("redis"), secrets, problems);
    }
    if let Some(raw) = &spec.component {
        layout::judge_foreign(raw, &path.field("component"), problems);
        for (field, set) in [("retention", spec.retention.is_some()), ("dedupWindow", spec.dedup_window.is_some())] {
            if set {
                problems.warn(&path.field(field), "has no effect: what the Component says counts");
            }
        }
    }
    let scale_path = path.field("scaleOption");
    client::router_scale(spec.scale_option.as_ref(), &scale_path, problems);
    if let (Some(name), Some(_)) = (set.iter().find(|name| UNSCALED.contains(name)), &spec.scale_option) {
        problems.warn(&scale_path, format!("has no effect: no lag is known of the {name} bus"));
    }
    // What is kept, and for how long, is one thing for all back ends.
    embedded::config::Config::parse(spec, path, problems);
}

/// Whether a bus among the documents names the Component.
pub(super) fn is_named(component: &Document<Json>, documents: &Documents) -> bool {
    let names = |spec: &BusSpec| spec.component.as_ref().is_some_and(|raw| raw.name.as_ref() == Some(&component.name));
    let buses = documents.buses.iter().filter(|bus| bus.namespace == component.namespace);
    buses.map(|bus| &bus.spec.bus).chain(documents.cluster_buses.iter().map(|bus| &bus.spec.bus)).any(names)
}

/// Judges the Component that a bus names, as far as it is among the documents. When none is, it may live elsewhere.
fn judge_named(spec: &BusSpec, namespace: &str, documents: &Documents, problems: &mut Problems) {
    let Some(name) = spec.component.as_ref().and_then(|component| component.name.as_deref()) else { return };
    let path = FieldPath::root().field("spec").field("component").field("name");
    let found = documents.named(namespace, name);
    for component in &found {
        match layout::described(&component.spec) {
            Ok(described) => {
                let mut own = Problems::new();
                layout::judge_foreign(&described, &FieldPath::root(), &mut own);
                for problem in own.iter().chain(own.not_supported()) {
                    problems.push(&path, format!("Component {}/{name}: {problem}", component.namespace));
                }
            }
            Err(why) => problems.push(&path, format!("Component {}/{name}: {why}", component.namespace)),
        }
    }
    if found.is_empty() && !documents.components.is_empty() {
        let known: Vec<String> =
            documents.components.iter().map(|known| format!("{}/{}", known.namespace, known.name)).collect();
        let message = format!("no Component {name:?} among the documents (there: {})", known.join(", "));
        problems.warn(&path, message);
    }
}

fn back_ends(spec: &BusSpec) -> Vec<&'static str> {
    let set = [
        spec.nats.is_some(),
        spec.nats_streaming.is_some(),
        spec.jetstream.is_some(),
        spec.kafka.is_some(),
        spec.redis.is_some(),
        spec.embedded.is_some(),
        spec.component.is_some(),
    ];
    BACK_ENDS.into_iter().zip(set).filter(|(_, set)| *set).map(|(name, _)| name).collect()
}

fn judge_nats(nats: &NatsBlock, path: &FieldPath, problems: &mut Problems) {
    match &nats.native {
        Some(native) => {
            jetstream::config::Config::parse_native(native, &path.field("native"), problems);
        }
        None => problems.push(&path.field("native"), "required (an object) and missing"),
    }
}

/// Which namespaces may use a cluster's bus.
#[derive(Clone, Copy, PartialEq, Eq)]
enum From {
    All,
    /// That of the bus: none, because it is the cluster's.
    Same,
    Selector,
}

fn judge_namespaces(allowed: &AllowedNamespaces, path: &FieldPath, problems: &mut Problems) -> Option<From> {
    let known = [("All", From::All), ("Same", From::Same), ("Selector", From::Selector)];
    let from = value::word(allowed.from.as_deref().unwrap_or("All"), &known, &path.field("from"), problems);
    match (from, &allowed.selector) {
        (Some(From::Selector), None) => {
            problems.push(&path.field("selector"), "required with from: Selector, and missing");
        }
        (Some(From::Selector), Some(_)) => {
            problems.cluster_only(&path.field("from"), "the labels of namespaces are known in a cluster only");
        }
        (Some(From::All | From::Same), Some(_)) => {
            problems.warn(&path.field("selector"), "has no effect without from: Selector");
        }
        _ => {}
    }
    from
}
