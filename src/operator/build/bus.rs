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

    /// The Component of the bus beside a workload, after the Secrets that it needs, and the kind of socket that it
    /// needs, if it is one of ours. A workload that reads from the bus does so as `group`, which Dapr's own components
    /// have to be told there.
    ///
    /// # Errors
    /// Why there is none.
    pub fn component(
        &self,
        owner: &Owner,
        workload: &str,
        group: Option<&str>,
    ) -> Result<(Vec<Child>, Option<String>), String> {
        let (mut made, mut children) = self.made(owner, workload)?;
        let kind = layout::kind(&made.ty).map(str::to_owned);
        if let Some(group) = group.filter(|_| kind.is_none()) {
            made.set(layout::CONSUMER, Setting::Value(group.to_owned()));
        }
        children.push(component(&made, owner, workload));
        Ok((children, kind))
    }

    /// The state store Component of the bus beside a router, if it is one of ours. It needs the Secrets of the bus's
    /// own Component, and no others.
    ///
    /// # Errors
    /// As above.
    pub fn state(&self, owner: &Owner, workload: &str) -> Result<Option<Child>, String> {
        let (made, _) = self.made(owner, workload)?;
        let state = layout::state(&names::state_component(workload), &made);
        Ok(state.map(|state| component(&state, owner, workload)))
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
