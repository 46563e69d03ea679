//! `EventSources`: an intake, and a router when there is a direct sink.

use serde_json::{Value as Json, json};

use super::{AS_FUNCTION, Reconciler, is_going, owner};
use crate::api::Problems;
use crate::api::event_source::EventSourceSpec;
use crate::fault::Fault;
use crate::layout;
use crate::operator::build::{self, Listening, Reader, Routed};
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
        let (mut accepted, spec) = self.read::<EventSourceSpec>(&object, bus_object.as_ref());
        let bus = self.find_bus(&key.namespace, &bus_name);
        let wait = |concern| Verdict::unknown(concern, Reason::Waiting, "waits for the other conditions");
        let (spec, found, bus_ready) = match (spec.filter(|_| accepted.truth == Truth::True), bus) {
            (Some(spec), Ok((found, ready))) => (spec, found, ready),
            (_, bus) => {
                let ready = bus.map_or_else(|verdict| verdict, |(_, ready)| ready);
                return self.tell(key, &resource, &object, vec![accepted, ready, wait(DEPLOYED)], kept(&object)).await;
            }
        };
        let owner = owner("EventSource", key, &object);
        let raw = layout::object(&spec);
        let events: Vec<&str> = layout::events(&raw).iter().map(|event| event.name).collect();
        let mut problems = Problems::new();
        let direct =
            Trigger::of_event_source(&key.namespace, &key.name, &spec, &events, &found.bus.defaults(), &mut problems);
        let references = direct.as_ref().map(Trigger::references).unwrap_or_default();
        watched.extend(sinks::watched(&references));
        self.interests.set(key, watched);
        let kinds = match self.kinds(&raw).await {
            Ok(kinds) => kinds,
            Err((why, fault)) => {
                let missing = Verdict::fails(DEPLOYED, Reason::KindMissing, why);
                self.tell(key, &resource, &object, vec![accepted, bus_ready, missing], kept(&object)).await?;
                return Err(fault);
            }
        };
        let given = (&kinds, &self.settings);
        let built = build::event_source(&owner, &raw, &spec, &found.bus, given).and_then(|mut listening| {
            let sinks = match &direct {
                Some(direct) => {
                    let workload = names::workload("sink", &key.name);
                    let (children, sinks) = self.direct(&owner, &workload, &spec, &events, &found.bus, direct)?;
                    listening.children.extend(children);
                    Some(sinks)
                }
                None => None,
            };
            if spec.workload.as_deref() == Some(AS_FUNCTION) {
                listening.children = build::functions(&owner, listening.children)?;
            }
            Ok((listening, sinks))
        });
        let (listening, sinks) = match built {
            Ok(built) => built,
            Err(why) => {
                let bus_refuses = found.bus.spec.embedded.is_some() || why.starts_with("spec.embedded");
                let verdicts = if bus_refuses {
                    vec![accepted, Verdict::fails(BUS_READY, Reason::NotSupported, why), wait(DEPLOYED)]
                } else {
                    vec![Self::refused(why), bus_ready, wait(DEPLOYED)]
                };
                return self.tell(key, &resource, &object, verdicts, kept(&object)).await;
            }
        };
        let Listening { children, topics, addresses, warnings } = listening;
        accepted.add(warnings);
        let (deployed, outcome) = self.deploy(key, &owner, &children).await;
        let mut verdicts = vec![accepted, bus_ready];
        verdicts.extend(sinks.map(|sinks| resolved(&sinks)));
        verdicts.push(deployed);
        self.tell(key, &resource, &object, verdicts, json!({"topics": topics, "address": addresses})).await?;
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
        parsed: &Trigger,
    ) -> Result<(Vec<Child>, Sinks), String> {
        let sinks = sinks::resolve(
            &parsed.references(),
            Asking { namespace: &owner.namespace, workload, settings: &self.settings },
            self,
        );
        let sink = json!(spec.sink);
        let trigger = layout::direct(&owner.namespace, &owner.name, &sink, &json!(spec.delivery), events);
        let group = names::group(&owner.namespace, &format!("@{}", owner.name));
        let template = spec.template.as_ref().map(|template| json!(template));
        let reader = Reader { workload, group: &group, bus, triggers: vec![(parsed, None)] };
        let scaler = build::router_scaler(owner, &reader)?;
        let routed = Routed {
            workload,
            group: &group,
            bus,
            triggers: vec![trigger],
            sinks: &sinks,
            scaler: scaler.children,
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
