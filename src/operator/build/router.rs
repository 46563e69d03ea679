//! A router: of one Trigger, of all that share one, or of an `EventSource` with a direct sink.

use serde_json::{Value as Json, json};

use super::bus::Beside;
use super::workload::Workload;
use super::{Bus, plan};
use crate::layout::{Router, router_plan};
use crate::operator::child::{Child, Owner};
use crate::operator::names;
use crate::operator::resource::{COMPONENT, Resource};
use crate::operator::settings::Settings;
use crate::operator::sinks::Sinks;

/// What a router does.
#[derive(Clone, Debug)]
pub struct Routed<'a> {
    /// Its Deployment.
    pub workload: &'a str,
    /// Its consumer group.
    pub group: &'a str,
    pub bus: &'a Bus,
    /// Namespace, name and spec of each Trigger.
    pub triggers: Vec<Json>,
    pub sinks: &'a Sinks,
    /// What scales it.
    pub scaler: Vec<Child>,
    pub log_level: Option<&'a str>,
    pub template: Option<&'a Json>,
}

/// What a router of `owner` comes to.
///
/// # Errors
/// What has no place in a cluster.
pub fn router(owner: &Owner, routed: Routed<'_>, settings: &Settings) -> Result<Vec<Child>, String> {
    let Routed { workload, group, bus, triggers, sinks, scaler, log_level, template } = routed;
    let Beside { mut children, kind, state } = bus.components(owner, workload, Some(group))?;
    for (name, body) in &sinks.copies {
        children.push(Child::new(Resource::of(COMPONENT), name, owner, workload, body.clone()));
    }
    let bus_component = names::bus_component(workload);
    let told = router_plan(Router {
        bus: &bus_component,
        state: state.as_deref(),
        group,
        event_bus: bus.event_bus(),
        triggers,
        sinks: sinks.plan.clone(),
    });
    children.push(plan(&told, owner, workload));
    let pod = Workload {
        name: workload,
        command: "router",
        kinds: kind.into_iter().collect(),
        ports: std::collections::BTreeSet::new(),
        image: &settings.image,
        account: None,
        log_level,
        template,
    };
    children.push(pod.deployment(owner));
    children.extend(scaler);
    Ok(children)
}

/// A Trigger as a plan has it.
pub fn trigger(namespace: &str, name: &str, spec: &Json) -> Json {
    json!({"namespace": namespace, "name": name, "spec": crate::layout::without_nulls(spec.clone())})
}
