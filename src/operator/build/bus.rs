//! The bus that a workload reads and writes.

use serde_json::Value as Json;

use super::component;
use super::inline::Inline;
use crate::api::event_bus::BusSpec;
use crate::api::{FieldPath, Problems};
use crate::layout::{self, Component, EventBus, Setting};
use crate::operator::child::{Child, Owner};
use crate::operator::names;
use crate::router::route::BusDefaults;

/// A bus, found for an object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bus {
    /// Empty for a `ClusterEventBus`.
    pub namespace: String,
    pub name: String,
    pub spec: BusSpec,
}

/// What stands beside a workload for its bus.
#[derive(Debug)]
pub struct Beside {
    /// The Component, after the Secrets that it needs; and the state store, if there is one.
    pub children: Vec<Child>,
    /// The kind of socket that the Component needs, if it is one of ours.
    pub kind: Option<String>,
    /// The name of the state store Component, for those who read from a bus of ours.
    pub state: Option<String>,
}

impl Bus {
    /// As people name it.
    pub fn title(&self) -> String {
        match self.namespace.as_str() {
            "" => format!("ClusterEventBus {}", self.name),
            namespace => format!("EventBus {namespace}/{}", self.name),
        }
    }

    /// The Component of Dapr's that it is, if it is known by its name alone.
    pub fn named(&self) -> Option<&str> {
        self.spec.component.as_ref()?.name.as_deref()
    }

    /// What topics are called, and what subscribers inherit. What is wrong with it is the bus's own matter.
    pub fn defaults(&self) -> BusDefaults {
        let path = FieldPath::root().field("spec");
        BusDefaults::parse(&self.name, &self.namespace, &self.spec, &path, &mut Problems::new())
    }

    /// What Triggers are read with.
    pub(super) fn event_bus(&self) -> EventBus<'_> {
        let spec = layout::without_nulls(Json::Object(layout::object(&self.spec)));
        EventBus { name: &self.name, namespace: &self.namespace, spec }
    }

    /// The Components of the bus beside a workload. One that reads from the bus does so as `group`, which Dapr's own
    /// components have to be told there, and has a state store of the same bus, if that is ours; it needs no other Secrets.
    ///
    /// # Errors
    /// Why there is none.
    pub fn components(&self, owner: &Owner, workload: &str, group: Option<&str>) -> Result<Beside, String> {
        let (mut made, mut children) = self.made(owner, workload)?;
        let kind = layout::kind(&made.ty).map(str::to_owned);
        let state = group.and_then(|_| layout::state(&names::state_component(workload), &made));
        if let Some(group) = group.filter(|_| kind.is_none()) {
            made.set(layout::CONSUMER, Setting::Value(group.to_owned()));
        }
        children.push(component(&made, owner, workload));
        children.extend(state.iter().map(|state| component(state, owner, workload)));
        Ok(Beside { children, kind, state: state.map(|state| state.name) })
    }

    /// The same Component, as it is before it is an object, and the Secrets that it needs.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn made(&self, owner: &Owner, workload: &str) -> Result<(Component, Vec<Child>), String> {
        let of = names::bus(&self.namespace, &self.name);
        let mut problems = Problems::new();
        let name = names::bus_component(workload);
        let mut inline = Inline::new(owner, workload, &name);
        let mut secrets = |key: &str, written: Json| inline.setting(key, written);
        let made = layout::bus(&name, &of, &self.spec, &mut secrets, &mut problems);
        let first = problems.not_supported().first().map(ToString::to_string);
        let refused = first.or_else(|| (!problems.is_empty()).then(|| problems.to_string()));
        match (made, refused) {
            (_, Some(refused)) => Err(refused),
            (None, None) => Err("it has no Component".to_owned()),
            (Some(made), None) if made.ty == "pubsub.eventbus.embedded" => {
                Err("spec.embedded: an embedded bus is inside one process, and a cluster has several: use jetstream, \
                     redis or another bus that is a server"
                    .to_owned())
            }
            (Some(mut made), None) => {
                inline.take_logins(&mut made)?;
                Ok((made, inline.children))
            }
        }
    }
}
