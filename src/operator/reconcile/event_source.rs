//! `EventSources`: an intake, and a router when there is a direct sink.

use serde_json::{Value as Json, json};

use super::{Reconciler, is_going, owner};
use crate::api::Problems;
use crate::api::event_source::EventSourceSpec;
use crate::fault::Fault;
use crate::layout;
use crate::operator::build::{self, Listening, Routed};
use crate::operator::child::{Child, Owner};
use crate::operator::names;
use crate::operator::queue::{Key, Subject};
use crate::operator::resource::{EVENT_SOURCE, Resource};
use crate::operator::sinks::{self, Asking, Sinks};
use crate::operator::status::{BUS_READY, DEPLOYED, Reason, SINKS_RESOLVED, Truth, Verdict};
use crate::router::route::{DEFAULT_BUS, Trigger};

impl Reconciler {
    pub(super) async fn event_source(&self, key: &Key) -> Result<(), Fault> {
        let resource = Resource::of(EVENT_SOURCE);
        let Some(object) = self.world.get(&resource, &key.namespace, &key.name).filter(|object| !is_going(object))
        else {
            self.interests.set(key, std::collections::BTreeSet::new());
            self.queue.add(self.buses_of(key));
            return Ok(());
        };
        let bus_name = object["spec"]["eventBus"].as_str().unwrap_or(DEFAULT_BUS).to_owned();
        let mut watched = self.watched(&key.namespace, &bus_name);
        watched.extend(Self::marks(&key.namespace));
        self.interests.set(key, watched.clone());
        self.queue.add(self.buses_of(key));

        let bus_object = self.bus_object(&key.namespace, &bus_name);
        let (mut accepted, spec) = self.read::<EventSourceSpec>(&object, bus_object.as_deref());
        let bus = self.find_bus(&key.namespace, &bus_name);
        let wait = |concern| Verdict::unknown(concern, Reason::Waiting, "waits for the other conditions");
        let (spec, found, bus_ready) = match (spec.filter(|_| accepted.truth == Truth::True), bus) {
            (Some(spec), Ok((found, ready))) => (spec, found, ready),
            (_, bus) => {
                let ready = bus.map_or_else(|verdict| verdict, |(_, ready)| ready);
                return self.tell(&resource, &object, vec![accepted, ready, wait(DEPLOYED)], kept(&object)).await;
            }
        };
        if spec.workload.as_deref() == Some("function") {
            accepted = Self::refused("spec.workload: function is not supported by this version yet");
            return self.tell(&resource, &object, vec![accepted, bus_ready, wait(DEPLOYED)], kept(&object)).await;
        }
        let owner = owner("EventSource", key, &object);
        let raw = layout::object(&spec);
        let events: Vec<&str> = layout::events(&raw).iter().map(|event| event.name).collect();
        let mut problems = Problems::new();
        let direct =
            Trigger::of_event_source(&key.namespace, &key.name, &spec, &events, &found.bus.defaults(), &mut problems);
        let references = direct.as_ref().map(sinks::references).unwrap_or_default();
        watched.extend(sinks::watched(&references));
        self.interests.set(key, watched);
        let built = build::event_source(&owner, &raw, &spec, &found.bus, &self.settings).and_then(|mut listening| {
            let mut workloads = vec![names::workload("eventsource", &key.name)];
            let sinks = match &direct {
                Some(_) => {
                    let workload = names::workload("sink", &key.name);
                    let (children, sinks) = self.direct(&owner, &workload, &spec, &events, &found.bus, &references)?;
                    listening.children.extend(children);
                    workloads.push(workload);
                    Some(sinks)
                }
                None => None,
            };
            Ok((listening, workloads, sinks))
        });
        let (listening, workloads, sinks) = match built {
            Ok(built) => built,
            Err(why) => {
                let bus_refuses = found.bus.spec.embedded.is_some() || why.starts_with("spec.embedded");
                let verdicts = if bus_refuses {
                    vec![accepted, Verdict::fails(BUS_READY, Reason::NotSupported, why), wait(DEPLOYED)]
                } else {
                    vec![Self::refused(why), bus_ready, wait(DEPLOYED)]
                };
                return self.tell(&resource, &object, verdicts, kept(&object)).await;
            }
        };
        let Listening { children, topics, addresses, warnings } = listening;
        for warning in warnings {
            if !accepted.message.is_empty() {
                accepted.message.push('\n');
            }
            accepted.message.push_str(&warning);
        }
        let workloads: Vec<&str> = workloads.iter().map(String::as_str).collect();
        let (deployed, outcome) = self.deploy(&owner, &children, &workloads).await;
        let mut verdicts = vec![accepted, bus_ready];
        verdicts.extend(sinks.map(|sinks| resolved(&sinks)));
        verdicts.push(deployed);
        self.tell(&resource, &object, verdicts, json!({"topics": topics, "address": addresses})).await?;
        outcome
    }

    /// The router of a direct sink.
    fn direct(
        &self,
        owner: &Owner,
        workload: &str,
        spec: &EventSourceSpec,
        events: &[&str],
        bus: &build::Bus,
        references: &[(&crate::api::ObjectRef, Option<String>)],
    ) -> Result<(Vec<Child>, Sinks), String> {
        let sinks = sinks::resolve(
            references,
            Asking { namespace: &owner.namespace, workload, settings: &self.settings },
            self,
        );
        let sink = json!(spec.sink);
        let trigger = layout::direct(&owner.namespace, &owner.name, &sink, &json!(spec.delivery), events);
        let group = names::group(&owner.namespace, &format!("@{}", owner.name));
        let template = spec.template.as_ref().map(|template| json!(template));
        let routed = Routed {
            workload,
            group: &group,
            bus,
            triggers: vec![trigger],
            sinks: &sinks,
            log_level: spec.log_level.as_deref(),
            template: template.as_ref(),
        };
        build::router(owner, routed, &self.settings).map(|children| (children, sinks))
    }

    /// The buses whose users are to be counted again when this object is another one.
    pub(super) fn buses_of(&self, key: &Key) -> Vec<Key> {
        let now = self.uses(key);
        let before = self.used.lock().unwrap_or_else(std::sync::PoisonError::into_inner).replace(key, now.clone());
        if before == now { Vec::new() } else { before.into_iter().chain(now).collect() }
    }

    /// The bus that an object uses, if it is there.
    fn uses(&self, key: &Key) -> Option<Key> {
        let (object, _) = self.user(key)?;
        let name = object["spec"]["eventBus"].as_str().unwrap_or(DEFAULT_BUS).to_owned();
        let bus = self.bus_object(&key.namespace, &name)?;
        let namespace = bus["metadata"]["namespace"].as_str().unwrap_or_default();
        Some(Key::new(Subject::Bus, namespace, &name))
    }
}

/// Whether the sinks are found.
pub(super) fn resolved(sinks: &Sinks) -> Verdict {
    if sinks.missing.is_empty() {
        return Verdict::holds(SINKS_RESOLVED, Reason::Resolved, "");
    }
    let message = format!("events for it are held: {}", sinks.missing.join("\n"));
    if sinks.waits {
        Verdict::unknown(SINKS_RESOLVED, Reason::Unresolved, message)
    } else {
        Verdict::fails(SINKS_RESOLVED, Reason::Unresolved, message)
    }
}

/// What the status says of an object that runs on as it was.
pub(super) fn kept(object: &Json) -> Json {
    let status = &object["status"];
    let fields = ["topics", "address", "inputs", "subscribers"];
    fields
        .into_iter()
        .filter(|field| !status[*field].is_null())
        .map(|field| (field.to_owned(), status[field].clone()))
        .collect()
}
