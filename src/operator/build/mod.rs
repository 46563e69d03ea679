//! What an object comes to: Components, a plan, a Deployment and a Service. Pure: values in, values out.

mod bus;
mod event_source;
mod merge;
mod router;
mod scaler;
mod workload;

pub use bus::Bus;
pub use event_source::{Listening, event_source};
pub use router::{Routed, router, trigger};
pub use scaler::{Reader, router as router_scaler};

use serde_json::{Value as Json, json};

use super::child::{Child, Owner};
use super::resource::{COMPONENT, CONFIG_MAP, Resource};
use crate::api::{SecretSource, SecretValue};
use crate::layout::{Component, Setting};

/// A secret stays where it is: the Component refers to it.
///
/// # Errors
/// When it is nowhere in the cluster.
fn secret(_: &str, written: Json) -> Result<Setting, String> {
    let value: SecretValue = serde_json::from_value(written).map_err(|error| error.to_string())?;
    match value {
        SecretValue::From(SecretSource { secret_key_ref: Some(reference), .. }) => Ok(Setting::Key(reference)),
        SecretValue::From(_) => Err("env and file are for one machine: in a cluster, use secretKeyRef".to_owned()),
        SecretValue::Plain(_) => {
            Err("a secret as plain text is not supported in a cluster yet: use secretKeyRef".to_owned())
        }
        SecretValue::Malformed(_) => Err("expected {secretKeyRef: {name, key}}".to_owned()),
    }
}

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
