//! The documents that a command line names, read into the raw shapes, each part with its place.
//!
//! [`load`] finds everything that is wrong with files, YAML, envelopes and shapes; what only the
//! parsers of the rooms can know is [judged](super::check) on top of its result.

mod input;
mod object;
mod place;
mod scalar;
mod yaml;

use std::collections::HashMap;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value as Json;

use super::report::Report;
use crate::api::event_bus::{ClusterEventBusSpec, EventBusSpec};
use crate::api::event_source::EventSourceSpec;
use crate::api::trigger::TriggerSpec;
use crate::api::{FieldPath, Problems};
use object::{Object, Spec};
pub use place::{Place, Places};

/// Everything that was read, in the order of the files.
#[derive(Debug, Default)]
pub struct Documents {
    pub sources: Vec<Document<EventSourceSpec>>,
    pub buses: Vec<Document<EventBusSpec>>,
    pub cluster_buses: Vec<Document<ClusterEventBusSpec>>,
    pub triggers: Vec<Document<TriggerSpec>>,
    /// Dapr's Components, as they were written: one may be a bus.
    pub components: Vec<Document<Json>>,
}

impl Documents {
    /// The Components that a bus of this namespace may mean by a name; of a cluster's bus, those of every namespace.
    pub fn named(&self, namespace: &str, name: &str) -> Vec<&Document<Json>> {
        let means = |component: &&Document<Json>| {
            component.name == name && (namespace.is_empty() || component.namespace == namespace)
        };
        self.components.iter().filter(means).collect()
    }

    /// How many objects of ours there are.
    pub fn len(&self) -> usize {
        self.sources.len() + self.buses.len() + self.cluster_buses.len() + self.triggers.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One object.
#[derive(Debug)]
pub struct Document<S> {
    /// Empty for a kind without namespaces.
    pub namespace: String,
    pub name: String,
    pub spec: S,
    pub origin: Origin,
}

/// Where an object, or what was to become one, comes from.
#[derive(Clone, Debug)]
pub struct Origin {
    pub file: Arc<str>,
    /// `Kind namespace/name`, as far as it is known.
    pub object: String,
    pub places: Arc<Places>,
    /// Parts that were wrong and are empty now; more words about them would only be in the way.
    repaired: Vec<FieldPath>,
}

impl Origin {
    /// Whether something at `path` is worth saying: not when an empty value stands for what was
    /// written there.
    pub fn is_whole(&self, path: &FieldPath) -> bool {
        !self.repaired.iter().any(|part| path.is_within(part))
    }
}

/// Reads every object in `paths` (files, folders, `-` for `stdin`). The objects are whole only
/// when the report has no errors; beside errors they are good for finding more of them.
pub fn load(paths: &[PathBuf], stdin: &mut dyn Read) -> (Documents, Report) {
    let mut loader = Loader::default();
    let (texts, unreadable) = input::read(paths, stdin);
    for input::Unreadable { name, reason } in unreadable {
        loader.report.unreadable(&name, reason);
    }
    for input::Text { name, text } in texts {
        loader.text(&name, &text);
    }
    (loader.documents, loader.report)
}

/// Reads objects that have been read from YAML, or come from a cluster. As [`load`], but that nothing has a place.
pub fn of_values(values: impl IntoIterator<Item = Json>) -> (Documents, Report) {
    let mut loader = Loader::default();
    for value in values {
        loader.document(&Arc::from("cluster"), value, Places::default());
    }
    (loader.documents, loader.report)
}

/// A document of any kind, as it was written.
#[derive(Debug)]
pub struct Raw {
    pub file: Arc<str>,
    /// `Kind namespace/name`, as far as it is known.
    pub object: String,
    pub value: Json,
    pub places: Places,
}

/// Reads every document in `paths` without asking what it is. The report has what could not be read.
pub fn read_raw(paths: &[PathBuf], stdin: &mut dyn Read) -> (Vec<Raw>, Report) {
    let mut report = Report::default();
    let mut raws = Vec::new();
    let (texts, unreadable) = input::read(paths, stdin);
    for input::Unreadable { name, reason } in unreadable {
        report.unreadable(&name, reason);
    }
    for input::Text { name, text } in texts {
        report.saw_file();
        let (trees, flaws) = yaml::read(&text);
        for flaw in flaws {
            report.flaw(&name, flaw.place, flaw.message);
        }
        for (value, places) in trees.into_iter().flat_map(|tree| unfold(tree.value, tree.places)) {
            raws.push(Raw { file: name.clone(), object: label(&value), value, places });
        }
    }
    (raws, report)
}

#[derive(Default)]
struct Loader {
    documents: Documents,
    report: Report,
    /// Where each object was first seen, by its `Kind namespace/name`.
    seen: HashMap<String, String>,
}

impl Loader {
    fn text(&mut self, file: &Arc<str>, text: &str) {
        self.report.saw_file();
        let (trees, flaws) = yaml::read(text);
        for flaw in flaws {
            self.report.flaw(file, flaw.place, flaw.message);
        }
        for tree in trees {
            for (value, places) in unfold(tree.value, tree.places) {
                self.document(file, value, places);
            }
        }
    }

    fn document(&mut self, file: &Arc<str>, value: Json, places: Places) {
        let mut origin =
            Origin { file: file.clone(), object: label(&value), places: Arc::new(places), repaired: Vec::new() };
        let mut problems = Problems::new();
        let read = object::read(value, &mut problems);
        let name = match &read {
            object::Read::Ours(object) => object.name.as_str(),
            object::Read::Component(component) => component.name.as_str(),
            object::Read::Foreign | object::Read::Unknown => "",
        };
        if !name.is_empty() {
            let here = format!("{}:{}", origin.file, origin.places.of(&FieldPath::root()));
            match self.seen.get(&origin.object) {
                Some(first) => {
                    let message = format!("there is one of this name already, at {first}");
                    problems.push(&FieldPath::root().field("metadata").field("name"), message);
                }
                None => drop(self.seen.insert(origin.object.clone(), here)),
            }
        }
        self.report.add(&origin, problems);
        match read {
            object::Read::Ours(object) => {
                origin.repaired.clone_from(&object.repaired);
                self.documents.keep(*object, origin);
            }
            object::Read::Component(component) => {
                let object::Component { namespace, name, value } = *component;
                self.documents.components.push(Document { namespace, name, spec: value, origin });
            }
            object::Read::Foreign | object::Read::Unknown => {}
        }
    }
}

impl Documents {
    fn keep(&mut self, object: Object, origin: Origin) {
        let Object { namespace, name, .. } = object;
        match object.spec {
            Spec::EventSource(spec) => self.sources.push(Document { namespace, name, spec, origin }),
            Spec::EventBus(spec) => self.buses.push(Document { namespace, name, spec, origin }),
            Spec::ClusterEventBus(spec) => self.cluster_buses.push(Document { namespace, name, spec, origin }),
            Spec::Trigger(spec) => self.triggers.push(Document { namespace, name, spec, origin }),
        }
    }
}

/// The objects of a `List`, or the one document.
fn unfold(value: Json, places: Places) -> Vec<(Json, Places)> {
    let is_list = value["kind"] == "List" && value["apiVersion"] == "v1";
    match value {
        Json::Object(mut members) if is_list && members.get("items").is_some_and(Json::is_array) => {
            let Some(Json::Array(items)) = members.remove("items") else { return Vec::new() };
            let places = places.split(&FieldPath::root().field("items"), items.len());
            items.into_iter().zip(places).collect()
        }
        other => vec![(other, places)],
    }
}

/// `Kind namespace/name`, as far as the document says.
pub fn label(value: &Json) -> String {
    // What is no name may hold anything, and this goes to terminals.
    let text = |value: &Json| value.as_str().unwrap_or_default().replace(char::is_control, "");
    let (kind, name) = (text(&value["kind"]), text(&value["metadata"]["name"]));
    if kind.is_empty() || name.is_empty() || kind == "ClusterEventBus" {
        return [kind, name].join(" ").trim().to_owned();
    }
    let namespace = match value["metadata"]["namespace"].as_str() {
        None | Some("") => object::DEFAULT_NAMESPACE,
        Some(namespace) => namespace,
    };
    format!("{kind} {namespace}/{name}")
}

/// The documents of a text that is known to be right.
#[cfg(test)]
pub fn read_values(text: &str) -> Vec<Json> {
    let (trees, flaws) = yaml::read(text);
    assert_eq!(flaws, [], "{text}");
    trees.into_iter().map(|tree| tree.value).collect()
}

#[cfg(test)]
mod tests;
