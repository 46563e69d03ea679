//! The Components that sinks refer to.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::{Writer, secret};
use crate::api::problem::alternatives;
use crate::api::{FieldPath, ObjectRef, Problems};
use crate::cli::documents::Origin;
use crate::cli::report::Report;
use crate::layout;
use crate::router::route::{Target, Trigger};

/// Where a subscriber is written, by its position.
type Place = fn(usize) -> FieldPath;

/// What is wrong with a reference, and what to do about it.
type Wrong = (String, String);

impl Writer<'_> {
    /// Takes in the Components that the targets of these Triggers refer to. Which one each of them is, for the plan.
    pub(super) fn sinks(&mut self, triggers: &[Trigger], report: &mut Report) -> Vec<Json> {
        let mut found: BTreeMap<&ObjectRef, Json> = BTreeMap::new();
        for trigger in triggers {
            let Some((origin, path)) = self.written(trigger) else { continue };
            let mut problems = Problems::new();
            for (index, subscriber) in trigger.subscribers.iter().enumerate() {
                for target in subscriber.every_target() {
                    let Target::Component { reference, .. } = target else { continue };
                    match self.sink(reference, &trigger.namespace, report) {
                        Ok(name) => drop(found.insert(reference, json!({"ref": reference, "component": name}))),
                        Err((message, help)) => problems.push_help(&path(index), message, help),
                    }
                }
            }
            report.add(&origin, problems);
        }
        found.into_values().collect()
    }

    /// Where a Trigger is written, and each of its subscribers.
    fn written(&self, trigger: &Trigger) -> Option<(Origin, Place)> {
        let is_it = |namespace: &str, name: &str| namespace == trigger.namespace && name == trigger.name;
        if trigger.kind() == "Trigger" {
            let document = self.documents.triggers.iter().find(|known| is_it(&known.namespace, &known.name))?;
            return Some((document.origin.clone(), |index| spec().field("subscribers").index(index)));
        }
        let document = self.documents.sources.iter().find(|known| is_it(&known.namespace, &known.name))?;
        Some((document.origin.clone(), |_| spec().field("sink")))
    }

    /// What the Component is called that a Trigger of this namespace refers to.
    fn sink(&mut self, reference: &ObjectRef, asking: &str, report: &mut Report) -> Result<String, Wrong> {
        let namespace = reference.namespace.as_deref().unwrap_or(asking);
        if namespace != asking {
            let message = format!("the Component {namespace}/{} is out of reach", reference.name);
            return Err((message, "daprd loads Components of its own namespace only".to_owned()));
        }
        let key = (namespace.to_owned(), reference.name.clone());
        if let Some(known) = self.sinks.get(&key) {
            return Ok(known.clone());
        }
        let documents = self.documents;
        let Some(document) = documents.named(namespace, &reference.name).first().copied() else {
            let here = documents.components.iter().filter(|known| known.namespace == namespace);
            let known: Vec<&str> = here.map(|known| known.name.as_str()).collect();
            let message = format!("there is no Component {:?} in the files", reference.name);
            return Err((message, known_or_missing(&reference.name, &known)));
        };
        let name = self.free_name(&reference.name);
        let (from, known) = (self.secrets, &mut self.layout.secrets);
        let mut secrets = |_: &str, written: Json| secret(written, from, known);
        let mut problems = Problems::new();
        let made = layout::target(&name, &document.spec, &mut secrets, &mut problems);
        report.add(&document.origin, problems);
        let made = made.map_err(|why| {
            let message = format!("the Component {:?} cannot be delivered to: {why}", reference.name);
            (message, "of the types bindings.* and pubsub.*".to_owned())
        })?;
        self.add(made);
        self.sinks.insert(key, name.clone());
        Ok(name)
    }
}

fn spec() -> FieldPath {
    FieldPath::root().field("spec")
}

/// What to do about a Component that is not there.
pub(super) fn known_or_missing(name: &str, known: &[&str]) -> String {
    match known {
        [] => "its YAML belongs to the files (-f), as do those of the flow".to_owned(),
        known => alternatives(name, known),
    }
}
