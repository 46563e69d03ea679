//! What an object comes to: Components, a plan, a Deployment and a Service. Pure: values in, values out.

mod access;
mod bus;
mod event_source;
mod function;
mod inline;
mod merge;
mod router;
mod scaler;
mod workload;

pub use access::{Kind, Kinds};
pub use bus::Bus;
pub use event_source::{Listening, event_source};
pub use function::functions;
pub use router::{Routed, router, trigger};
pub use scaler::{Reader, router as router_scaler};

use serde_json::{Value as Json, json};

use super::child::{Child, Owner};
use super::resource::{COMPONENT, CONFIG_MAP, Resource};
use crate::layout::{Component, Setting};

/// The kind of event that watches objects of the cluster.
pub const KUBERNETES: &str = "kubernetes";

/// A Component for one workload alone.
fn component(component: &Component, owner: &Owner, workload: &str) -> Child {
    let metadata: Vec<Json> = component
        .metadata
        .iter()
        .map(|(name, setting)| match setting {
            Setting::Value(value) => json!({"name": name, "value": value}),
            Setting::Environment(variable) => json!({"name": name, "envRef": variable}),
            Setting::Key(reference) => {
                json!({"name": name, "secretKeyRef": {"name": reference.name, "key": reference.key}})
            }
        })
        .collect();
    let spec = json!({"type": component.ty, "version": component.version, "metadata": metadata});
    let body = json!({"spec": spec, "scopes": [workload]});
    Child::new(Resource::of(COMPONENT), &component.name, owner, workload, body)
}

/// The plan of a workload.
fn plan(plan: &Json, owner: &Owner, workload: &str) -> Child {
    let body = json!({"data": {workload::PLAN: format!("{plan:#}\n")}});
    Child::new(Resource::of(CONFIG_MAP), workload, owner, workload, body)
}

#[cfg(test)]
mod tests;
