//! The shared router of a bus in a namespace: one workload for all Triggers that say `mode: shared`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};

use super::trigger::{bus_name, is_shared, sharers};
use super::{AS_FUNCTION, Reconciler, is_going};
use crate::api::trigger::TriggerSpec;
use crate::api::{ObjectRef, Problems};
use crate::fault::Fault;
use crate::layout;
use crate::operator::apply::Refusal;
use crate::operator::build::{self, Bus, Reader, Routed};
use crate::operator::names;
use crate::operator::queue::Key;
use crate::operator::resource::{CONFIG_MAP, Resource, TRIGGER};
use crate::operator::sinks::{self, Asking};
use crate::operator::status::Truth;
use crate::router::route::Trigger;

impl Reconciler {
    pub(super) async fn router(&self, key: &Key) -> Result<(), Fault> {
        let Key { namespace, name: bus, .. } = key;
        let mut watched = self.watched(namespace, bus);
        watched.extend(Self::marks(namespace));
        let workload = names::workload("router", bus);
        let mut owner = sharers(namespace, bus);
        let found = self.find_bus(namespace, bus).ok().map(|(found, _)| found);
        let running = self.plan(namespace, &workload);
        let mut specs: Vec<(String, TriggerSpec)> = Vec::new();
        for ((_, name), object) in self.world.list(&Resource::of(TRIGGER), namespace) {
            if !is_shared(&object) || bus_name(&object) != *bus || is_going(&object) {
                continue;
            }
            let uid = object["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
            owner.objects.push((TRIGGER.2, name.clone(), uid));
            let bus_object = found.as_ref().map(|found| &found.object);
            let (verdict, spec) = self.read::<TriggerSpec>(&object, bus_object);
            let wrong = verdict.truth != Truth::True || object["spec"]["workload"] == AS_FUNCTION;
            // A Trigger that is wrong now runs on as it was.
            let spec = if wrong { running.get(&name).cloned() } else { spec };
            specs.extend(spec.map(|spec| (name, spec)));
        }
        if owner.objects.is_empty() {
            self.interests.set(key, BTreeSet::new());
            return settled(self.writer(key).apply(&owner, &[]).await);
        }
        let parsed: Vec<Trigger> = found.iter().flat_map(|found| parse(&specs, namespace, &found.bus)).collect();
        let references: BTreeSet<&ObjectRef> = parsed.iter().flat_map(Trigger::references).collect();
        watched.extend(sinks::watched(&references));
        self.interests.set(key, watched);
        // What is wrong with the bus is told by the Triggers; until it is right, the router runs on as it was.
        let Some(found) = found else { return Ok(()) };
        if specs.is_empty() {
            return Ok(());
        }
        let sinks =
            sinks::resolve(&references, Asking { namespace, workload: &workload, settings: &self.settings }, self);
        let group = names::shared_group(namespace, bus);
        let options = specs.iter().map(|(_, spec)| spec.scale_option.as_ref());
        let reader = Reader {
            workload: &workload,
            group: &group,
            bus: &found.bus,
            triggers: parsed.iter().zip(options).collect(),
        };
        // What is wrong is told by the Triggers.
        let Ok(scaler) = build::router_scaler(&owner, &reader) else { return Ok(()) };
        let triggers = specs
            .iter()
            .map(|(name, spec)| build::trigger(namespace, name, &Json::Object(layout::object(spec))))
            .collect();
        let routed = Routed {
            workload: &workload,
            group: &group,
            bus: &found.bus,
            triggers,
            sinks: &sinks,
            scaler: scaler.children,
            log_level: None,
            template: None,
        };
        match build::router(&owner, routed, &self.settings) {
            Ok(children) => settled(self.writer(key).apply(&owner, &children).await),
            // Told by the Triggers.
            Err(_) => Ok(()),
        }
    }

    /// The Triggers of the plan that is applied.
    fn plan(&self, namespace: &str, workload: &str) -> BTreeMap<String, TriggerSpec> {
        let map = self.world.get(&Resource::of(CONFIG_MAP), namespace, workload);
        let text = map.and_then(|map| map["data"]["plan.json"].as_str().map(str::to_owned)).unwrap_or_default();
        let plan: Json = serde_json::from_str(&text).unwrap_or_else(|_| json!({}));
        let triggers = plan["triggers"].as_array().cloned().unwrap_or_default();
        let named = triggers.into_iter().filter_map(|mut trigger| {
            let spec = serde_json::from_value(trigger["spec"].take()).ok()?;
            Some((trigger["name"].as_str()?.to_owned(), spec))
        });
        named.collect()
    }
}

fn parse(specs: &[(String, TriggerSpec)], namespace: &str, bus: &Bus) -> Vec<Trigger> {
    let defaults = bus.defaults();
    specs.iter().map(|(name, spec)| Trigger::parse(namespace, name, spec, &defaults, &mut Problems::new())).collect()
}

/// A kind that is missing is told by the Triggers, and comes back by itself.
fn settled(applied: Result<(), Refusal>) -> Result<(), Fault> {
    match applied {
        Err(Refusal::Object(fault)) => Err(fault),
        Ok(()) | Err(Refusal::Kind(..)) => Ok(()),
    }
}
