//! What an object refers to: its bus, and its sinks.

use std::collections::{BTreeMap, BTreeSet};

use kube::core::{Selector, SelectorExt as _};
use serde_json::{Value as Json, json};

use super::Reconciler;
use crate::api::ObjectRef;
use crate::api::event_bus::{AllowedNamespaces, BusSpec, ComponentBus};
use crate::layout;
use crate::operator::build::Bus;
use crate::operator::interest::Watched;
use crate::operator::resource::{CLUSTER_EVENT_BUS, COMPONENT, EVENT_BUS, NAMESPACE, Resource};
use crate::operator::sinks::{self, Lookup};
use crate::operator::status::{ACCEPTED, BUS_READY, Reason, Truth, Verdict};
use crate::operator::world::State;

/// A bus that may be used, and its object.
pub struct Found {
    pub bus: Bus,
    pub object: Json,
}

impl Reconciler {
    /// What is looked at to find a bus.
    pub fn watched(&self, namespace: &str, bus: &str) -> BTreeSet<Watched> {
        let object = self.bus_object(namespace, bus);
        let component = object.as_ref().and_then(|object| object["spec"]["component"]["name"].as_str());
        let component = component.map(|name| Watched::new(&Resource::of(COMPONENT), namespace, name));
        let bus = [
            Watched::new(&Resource::of(EVENT_BUS), namespace, bus),
            Watched::new(&Resource::of(CLUSTER_EVENT_BUS), "", bus),
            Watched::new(&Resource::of(NAMESPACE), "", namespace),
        ];
        bus.into_iter().chain(component).collect()
    }

    /// The object of the bus that an object of `namespace` means: its own namespace's first, then the cluster's.
    pub fn bus_object(&self, namespace: &str, name: &str) -> Option<Json> {
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
        let mut bus = Bus { namespace: place, name: name.to_owned(), spec };
        if of_cluster && let Err(why) = self.admits(&object, namespace) {
            let message = format!("{} does not let namespace {namespace} in: {why}", bus.title());
            return Err(Verdict::fails(BUS_READY, Reason::NotAllowed, message));
        }
        if let Some(component) = bus.named() {
            bus.spec.component = Some(self.described(namespace, component)?);
        }
        let found = Verdict::holds(BUS_READY, Reason::Found, bus.title());
        Ok((Found { bus, object }, found))
    }

    /// What a Component says that a bus is. Each workload gets one of its own that says the same: it need not be in
    /// the scope of this one, and reads as a group of its own.
    fn described(&self, namespace: &str, name: &str) -> Result<ComponentBus, Verdict> {
        let (group, version, kind, _) = COMPONENT;
        let reference = ObjectRef {
            api_version: format!("{group}/{version}"),
            kind: kind.to_owned(),
            name: name.to_owned(),
            namespace: Some(namespace.to_owned()),
        };
        let title = format!("{kind} {namespace}/{name}");
        match self.find(&reference) {
            (_, Some(object)) => layout::described(&object)
                .map_err(|why| Verdict::fails(BUS_READY, Reason::BusInvalid, format!("{title}: {why}"))),
            (State::Unread, None) => {
                Err(Verdict::unknown(BUS_READY, Reason::Waiting, format!("{title}: {}", sinks::absent(State::Unread))))
            }
            (state, None) => {
                Err(Verdict::fails(BUS_READY, Reason::NotFound, format!("{title}: {}", sinks::absent(state))))
            }
        }
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
        (state, object)
    }
}
