//! The plan of `penstock router`: Triggers, as they were written, and where their sinks are.

use std::collections::HashMap;

use serde::Deserialize;

use crate::api::event_bus::BusSpec;
use crate::api::trigger::TriggerSpec;
use crate::api::{FieldPath, ObjectRef, Problems};
use crate::cli::workload::Endpoint;
use crate::flow::Group;
use crate::router::route::{BusDefaults, DEFAULT_BUS, Trigger};

/// As it is written.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PlanSpec {
    bus: Endpoint,
    state: Option<State>,
    /// The consumer group.
    group: String,
    /// The `EventBus` that the Triggers name: they inherit from it.
    event_bus: Option<EventBus>,
    triggers: Vec<Named>,
    #[serde(default)]
    sinks: Vec<Resolved>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EventBus {
    name: String,
    #[serde(default)]
    namespace: String,
    spec: BusSpec,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    namespace: String,
    name: String,
    spec: TriggerSpec,
}

/// The state store of the same bus, in which subscribers that join events keep what they hold.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    pub component: String,
}

/// Where an object is that Triggers refer to.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resolved {
    #[serde(rename = "ref")]
    pub reference: ObjectRef,
    /// Its address.
    pub uri: Option<String>,
    /// What its requests carry beside the event: `host` stands in the place of the address's own.
    #[serde(default)]
    pub headers: HashMap<String, String>,
    /// The Component that stands for it beside this process; its own name when absent.
    pub component: Option<String>,
    /// Why nobody knows where it is now: its events are held until somebody does.
    pub unresolved: Option<String>,
}

/// What is routed.
#[derive(Debug)]
pub struct Plan {
    pub bus: Endpoint,
    pub state: Option<State>,
    pub group: Group,
    pub triggers: Vec<Trigger>,
    pub sinks: Vec<Resolved>,
}

impl Plan {
    /// Reads a plan.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn read(text: &str) -> Result<Self, String> {
        let spec: PlanSpec = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let mut problems = Problems::new();
        let defaults = match &spec.event_bus {
            Some(EventBus { name, namespace, spec }) => {
                BusDefaults::parse(name, namespace, spec, &FieldPath::root().field("spec"), &mut problems)
            }
            None => BusDefaults::named(DEFAULT_BUS),
        };
        refuse("eventBus", &problems)?;
        let mut triggers = Vec::with_capacity(spec.triggers.len());
        for (index, Named { namespace, name, spec }) in spec.triggers.iter().enumerate() {
            let mut problems = Problems::new();
            triggers.push(Trigger::parse(namespace, name, spec, &defaults, &mut problems));
            refuse(&format!("triggers[{index}]"), &problems)?;
        }
        let group = Group::new(&spec.group).map_err(|error| error.to_string())?;
        Ok(Self { bus: spec.bus, state: spec.state, group, triggers, sinks: spec.sinks })
    }
}

/// Everything that is wrong in one part, on one line.
fn refuse(part: &str, problems: &Problems) -> Result<(), String> {
    if problems.is_empty() {
        return Ok(());
    }
    let told: Vec<String> =
        problems.iter().map(|problem| format!("{part}.{}: {}", problem.path, problem.message)).collect();
    Err(told.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: &str = r#"{"bus": {"component": "bus"}, "group": "g", "triggers": [{"namespace": "default", "name": "t",
        "spec": {"eventSources": [{"name": "orders", "eventSourceName": "shop", "eventName": "orders"}],
                 "subscribers": [{"sink": {"uri": "http://127.0.0.1:1/"}}]}}],
        "sinks": [{"ref": {"apiVersion": "v1", "kind": "Service", "name": "s"}, "uri": "http://s.default.svc"}]}"#;

    #[test]
    fn a_plan_is_read() {
        let plan = Plan::read(PLAN).unwrap();
        assert_eq!((plan.group.as_str(), plan.triggers[0].inputs[0].topic.as_str()), ("g", "default-shop-orders"));
        let prefixed = PLAN.replace(r#""group""#, r#""eventBus": {"name": "b", "spec": {"topic": "x"}}, "group""#);
        assert_eq!(Plan::read(&prefixed).unwrap().triggers[0].inputs[0].topic, "x-default-shop-orders");
    }

    #[test]
    fn a_plan_names_where_joins_keep_what_they_hold() {
        assert!(Plan::read(PLAN).unwrap().state.is_none());
        let plan = PLAN.replace(r#""group""#, r#""state": {"component": "s"}, "group""#);
        assert_eq!(Plan::read(&plan).unwrap().state.unwrap().component, "s");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let check = |from: &str, to: &str, expected: &str| {
            let error = Plan::read(&PLAN.replace(from, to)).unwrap_err();
            assert!(error.contains(expected), "{error}");
        };
        check("\"group\"", "\"groups\"", "unknown field `groups`");
        check("http://127.0.0.1:1/", "ftp://x", "triggers[0].spec.subscribers[0].sink.uri: unknown scheme");
        check("\"g\"", "\"a b\"", "consumer group");
    }

    #[test]
    fn the_plan_in_the_docs_can_be_read() {
        let page = include_str!("../../../docs/dapr.md");
        let blocks = page.split("```json\n").skip(1).filter_map(|rest| rest.split_once("```"));
        let plans: Vec<&str> = blocks.map(|(plan, _)| plan).filter(|plan| plan.contains("\"triggers\"")).collect();
        assert_eq!(plans.len(), 1);
        Plan::read(plans[0]).unwrap();
    }
}
