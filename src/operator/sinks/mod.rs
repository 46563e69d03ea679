//! Where the objects are that sinks refer to.

mod address;

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use super::interest::Watched;
use super::names;
use super::resource::{COMPONENT, Resource, SERVICE};
use super::settings::Settings;
use super::world::State;
use crate::api::ObjectRef;
use crate::router::route::Target;
use address::{Address, address};

/// How objects are looked up.
pub trait Lookup {
    /// The object, if it is known, and whether its kind is; asks for the kind to be watched otherwise.
    fn find(&self, reference: &ObjectRef) -> (State, Option<Json>);
}

/// The sinks of one workload, for its plan and for the status.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sinks {
    /// The part `sinks` of a plan.
    pub plan: Vec<Json>,
    /// Where each object is; of a Component, its name beside the workload.
    pub found: Vec<(ObjectRef, Address)>,
    /// What was not found, and why.
    pub missing: Vec<String>,
    /// Whether nothing but time is missing.
    pub waits: bool,
    /// Components that are copied, because the workload is not in their scope.
    pub copies: Vec<(String, Json)>,
}

impl Sinks {
    /// Where a target is, for the status.
    pub fn address(&self, target: &Target) -> Option<String> {
        match target {
            Target::Object { reference, path } => {
                let found = self.found(reference)?;
                let path = path.as_deref().unwrap_or_default();
                let host = found.headers.get("host").map(|host| format!(" (Host: {host})")).unwrap_or_default();
                Some(format!("{}{path}{host}", found.uri.trim_end_matches('/')))
            }
            Target::Component { reference, .. } => Some(self.found(reference)?.uri.clone()),
            Target::Http(_) | Target::Topic(_) | Target::Log => Some(target.to_string()),
        }
    }

    fn found(&self, reference: &ObjectRef) -> Option<&Address> {
        self.found.iter().find(|(known, _)| known == reference).map(|(_, found)| found)
    }
}

/// For whom objects are looked up.
#[derive(Clone, Copy)]
pub struct Asking<'a> {
    pub namespace: &'a str,
    pub workload: &'a str,
    pub settings: &'a Settings,
}

/// The objects that must be looked at again when they change.
pub fn watched(references: &BTreeSet<&ObjectRef>) -> BTreeSet<Watched> {
    let watched = |reference: &ObjectRef| Watched {
        group: group(reference).to_owned(),
        kind: reference.kind.clone(),
        namespace: reference.namespace.clone().unwrap_or_default(),
        name: reference.name.clone(),
    };
    references.iter().copied().map(watched).collect()
}

/// Finds every object that the Triggers of a workload refer to. One that is not there holds the events: the
/// workload is told so, and tries again until their deadline.
pub fn resolve(references: &BTreeSet<&ObjectRef>, asking: Asking<'_>, lookup: &dyn Lookup) -> Sinks {
    let Asking { namespace, workload, settings } = asking;
    let mut sinks = Sinks::default();
    for reference in references {
        let (state, object) = lookup.find(reference);
        let found = match (&object, reference.is_component()) {
            (Some(object), true) if reference.namespace.as_deref() == Some(namespace) => {
                Ok(component(object, reference, workload, &mut sinks))
            }
            (_, true) if reference.namespace.as_deref() != Some(namespace) => {
                Err("daprd loads Components of its own namespace only".to_owned())
            }
            (Some(object), _) => address(object, reference, settings).map(|found| (entry(&found), found)),
            (None, _) => Err(absent(state).to_owned()),
        };
        match found {
            Ok((mut entry, found)) => {
                entry["ref"] = json!(reference);
                sinks.plan.push(entry);
                sinks.found.push(((*reference).clone(), found));
            }
            Err(why) => {
                sinks.waits |= state == State::Unread;
                let why = format!("{}: {why}", name(reference));
                sinks.plan.push(json!({"ref": reference, "unresolved": why}));
                sinks.missing.push(why);
            }
        }
    }
    sinks
}

/// Why an object that is not known is not.
pub fn absent(state: State) -> &'static str {
    match state {
        State::Unread => "not looked up yet",
        State::Known => "there is none",
        State::Missing => "the cluster has no such kind",
        State::Forbidden => "the operator may not read this kind",
    }
}

/// The entry of an address in a plan.
fn entry(found: &Address) -> Json {
    let mut entry = json!({"uri": found.uri});
    if !found.headers.is_empty() {
        entry["headers"] = json!(found.headers);
    }
    entry
}

/// The entry of a Component in a plan, and its name beside the workload.
fn component(object: &Json, reference: &ObjectRef, workload: &str, sinks: &mut Sinks) -> (Json, Address) {
    let scopes = object["scopes"].as_array().cloned().unwrap_or_default();
    let in_scope = scopes.is_empty() || scopes.iter().any(|scope| scope == workload);
    let name = if in_scope {
        reference.name.clone()
    } else {
        let name = names::copied_component(workload, &reference.name);
        let mut copy = json!({"spec": object["spec"], "scopes": [workload]});
        if !object["auth"].is_null() {
            copy["auth"] = object["auth"].clone();
        }
        sinks.copies.push((name.clone(), copy));
        name
    };
    (json!({"component": name}), Address { uri: name, ..Address::default() })
}

fn group(reference: &ObjectRef) -> &str {
    reference.api_version.split_once('/').map_or("", |(group, _)| group)
}

/// The kind that a reference is to, with the version that it names.
pub fn resource(reference: &ObjectRef) -> Resource {
    let version = reference.api_version.split_once('/').map_or(reference.api_version.as_str(), |(_, version)| version);
    if reference.is_component() {
        return Resource::of(COMPONENT);
    }
    if group(reference).is_empty() && reference.kind == "Service" {
        return Resource::of(SERVICE);
    }
    Resource {
        group: group(reference).to_owned(),
        version: version.to_owned(),
        kind: reference.kind.clone(),
        plural: String::new(),
    }
}

fn name(reference: &ObjectRef) -> String {
    format!("{} {}/{}", reference.kind, reference.namespace.as_deref().unwrap_or_default(), reference.name)
}

#[cfg(test)]
mod tests;
