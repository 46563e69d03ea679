//! What an object refers to: its bus, and its sinks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kube::core::{Selector, SelectorExt as _};
use serde_json::{Value as Json, json};

use super::Reconciler;
use crate::api::ObjectRef;
use crate::api::event_bus::{AllowedNamespaces, BusSpec};
use crate::operator::build::Bus;
use crate::operator::interest::Watched;
use crate::operator::resource::{CLUSTER_EVENT_BUS, EVENT_BUS, NAMESPACE, Resource};
use crate::operator::sinks::{self, Lookup};
use crate::operator::status::{ACCEPTED, BUS_READY, Reason, Truth, Verdict};
use crate::operator::world::State;

/// A bus that may be used, and its object.
pub struct Found {
    pub bus: Bus,
    pub object: Arc<Json>,
}

/// What is looked at to find a bus.
pub fn watched(namespace: &str, bus: &str) -> BTreeSet<Watched> {
    BTreeSet::from([
        Watched::new(&Resource::of(EVENT_BUS), namespace, bus),
        Watched::new(&Resource::of(CLUSTER_EVENT_BUS), "", bus),
        Watched::new(&Resource::of(NAMESPACE), "", namespace),
    ])
}

impl Reconciler {
    /// The object of the bus that an object of `namespace` means: its own namespace's first, then the cluster's.
    pub fn bus_object(&self, namespace: &str, name: &str) -> Option<Arc<Json>> {
        let own = self.world.get(&Resource::of(EVENT_BUS), namespace, name);
        own.or_else(|| self.world.get(&Resource::of(CLUSTER_EVENT_BUS), "", name))
    }

    /// The bus, when it is there, right, and lets the namespace in.
    pub fn find_bus(&self, namespace: &str, name: &str) -> Result<(Found, Verdict), Verdict> {
        let Some(object) = self.bus_object(namespace, name) else {
            let only = &self.settings.namespaces;
            let clusters = if only.is_empty() {
                "and no ClusterEventBus".to_owned()
            } else {
                format!("(this operator looks after {} alone, and knows no ClusterEventBus)", only.join(", "))
            };
            let message = format!("there is no EventBus {name:?} in namespace {namespace} {clusters}");
            return Err(Verdict::fails(BUS_READY, Reason::NotFound, message));
        };
        let of_cluster = object["kind"] == CLUSTER_EVENT_BUS.2;
        let (verdict, spec) = self.read::<BusSpec>(&object, None);
        let place = if of_cluster { String::new() } else { namespace.to_owned() };
        let Some(spec) = spec.filter(|_| verdict.truth == Truth::True) else {
            let title = Bus { namespace: place, name: name.to_owned(), spec: BusSpec::default() }.title();
            let message = format!("{title} is not right: {}", verdict.message);
            return Err(Verdict::fails(BUS_READY, Reason::BusInvalid, message));
        };
        let bus = Bus { namespace: place, name: name.to_owned(), spec };
        if of_cluster && let Err(why) = self.admits(&object, namespace) {
            let message = format!("{} does not let namespace {namespace} in: {why}", bus.title());
            return Err(Verdict::fails(BUS_READY, Reason::NotAllowed, message));
        }
        let found = Verdict::holds(BUS_READY, Reason::Found, bus.title());
        Ok((Found { bus, object }, found))
    }

    /// Whether a cluster's bus lets a namespace in.
    fn admits(&self, bus: &Json, namespace: &str) -> Result<(), String> {
        let allowed = &bus["spec"]["allowedNamespaces"];
        let Ok(allowed) = serde_json::from_value::<Option<AllowedNamespaces>>(allowed.clone()) else {
            return Err("its allowedNamespaces cannot be read".to_owned());
        };
        let allowed = allowed.unwrap_or_default();
        match allowed.from.as_deref() {
            None | Some("All") => Ok(()),
            Some("Selector") => {
                let selector = serde_json::from_value(json!(allowed.selector)).ok();
                let selector =
                    selector.and_then(|selector: k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector| {
                        Selector::try_from(selector).ok()
                    });
                let selector = selector.ok_or("its selector cannot be read")?;
                let object = self.world.get(&Resource::of(NAMESPACE), "", namespace);
                let labels = object.map(|object| object["metadata"]["labels"].clone()).unwrap_or_default();
                let labels: BTreeMap<String, String> = serde_json::from_value(labels).unwrap_or_default();
                if selector.matches(&labels) { Ok(()) } else { Err("its labels are not selected".to_owned()) }
            }
            Some(_) => Err("allowedNamespaces.from is Same, and the bus is in no namespace itself".to_owned()),
        }
    }

    /// The verdict on an object that cannot be used where it is needed.
    pub fn refused(message: impl Into<String>) -> Verdict {
        Verdict::fails(ACCEPTED, Reason::NotSupported, message)
    }
}

impl Lookup for Reconciler {
    fn find(&self, reference: &ObjectRef) -> (State, Option<Json>) {
        let wanted = sinks::resource(reference);
        let resource = self.watches.want(&wanted.group, &wanted.version, &wanted.kind);
        let state = self.world.state(&resource);
        let namespace = reference.namespace.as_deref().unwrap_or_default();
        let object = self.world.get(&resource, namespace, &reference.name);
        (state, object.map(|object| (*object).clone()))
    }
}
