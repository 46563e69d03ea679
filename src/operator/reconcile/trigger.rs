//! Triggers: each a router of its own, or a part of a shared one.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use super::event_source::{kept, resolved};
use super::{AS_FUNCTION, Reconciler, is_going, owner};
use crate::api::Problems;
use crate::api::status::{InputStatus, SubscriberStatus};
use crate::api::trigger::TriggerSpec;
use crate::fault::Fault;
use crate::layout;
use crate::operator::build::{self, Reader, Routed};
use crate::operator::child::{Child, Owner, SHARED};
use crate::operator::interest::Watched;
use crate::operator::names;
use crate::operator::queue::{Key, Subject};
use crate::operator::resource::{DEPLOYMENT, EVENT_SOURCE, Resource, TRIGGER};
use crate::operator::settings::Settings;
use crate::operator::sinks::{self, Asking, Sinks};
use crate::operator::status::{ACCEPTED, BUS_READY, DEPLOYED, Reason, SINKS_RESOLVED, Truth, Verdict};
use crate::router::route::{DEFAULT_BUS, DeadLetter, Target, Trigger};

impl Reconciler {
    pub(super) async fn trigger(&self, key: &Key) -> Result<(), Fault> {
        let resource = Resource::of(TRIGGER);
        let object = self.world.get(&resource, &key.namespace, &key.name).filter(|object| !is_going(object));
        let shared = object.as_ref().filter(|object| is_shared(object)).map(bus_name);
        self.queue.add(self.routers_of(key, shared.as_deref()));
        let Some(object) = object else {
            self.interests.set(key, BTreeSet::new());
            self.queue.add(self.buses_of(key));
            return Ok(());
        };
        let name = bus_name(&object);
        let workload = match &shared {
            Some(bus) => names::workload("router", bus),
            None => names::workload("trigger", &key.name),
        };
        let mut watched = self.routing(&key.namespace, &name, &workload);
        self.interests.set(key, watched.clone());
        self.queue.add(self.buses_of(key));

        let bus_object = self.bus_object(&key.namespace, &name);
        let (mut accepted, spec) = self.read::<TriggerSpec>(&object, bus_object.as_ref());
        let bus = self.find_bus(&key.namespace, &name);
        let held = |verdicts| self.tell(key, &resource, &object, verdicts, kept(&object));
        let wait = |concern| Verdict::unknown(concern, Reason::Waiting, "waits for the other conditions");
        let (spec, found, bus_ready) = match (spec.filter(|_| accepted.truth == Truth::True), bus) {
            (Some(spec), Ok((found, ready))) => (spec, found, ready),
            (_, bus) => {
                let ready = bus.map_or_else(|verdict| verdict, |(_, ready)| ready);
                return held(vec![accepted, ready, wait(SINKS_RESOLVED), wait(DEPLOYED)]).await;
            }
        };
        let as_function = spec.workload.as_deref() == Some(AS_FUNCTION);
        if as_function && shared.is_some() {
            accepted = Self::refused(
                "spec.workload: a shared router is a Deployment for several Triggers: function needs mode: dedicated",
            );
            return held(vec![accepted, bus_ready, wait(SINKS_RESOLVED), wait(DEPLOYED)]).await;
        }
        if shared.is_some()
            && let Err(why) = found.bus.components(&sharers(&key.namespace, &name), &workload, None)
        {
            let refused = Verdict::fails(BUS_READY, Reason::NotSupported, why);
            return held(vec![accepted, refused, wait(SINKS_RESOLVED), wait(DEPLOYED)]).await;
        }
        let parsed = Trigger::parse(&key.namespace, &key.name, &spec, &found.bus.defaults(), &mut Problems::new());
        let references = parsed.references();
        watched.extend(sinks::watched(&references));
        self.interests.set(key, watched);
        let owner = owner("Trigger", key, &object);
        let sinks = sinks::resolve(
            &references,
            Asking { namespace: &key.namespace, workload: &workload, settings: &self.settings },
            self,
        );
        let group = names::group(&key.namespace, &key.name);
        let reader = Reader {
            workload: &workload,
            group: &group,
            bus: &found.bus,
            triggers: vec![(&parsed, spec.scale_option.as_ref())],
        };
        // Of a shared router only what is wrong with it.
        let scaler = match build::router_scaler(&owner, &reader) {
            Ok(scaler) => scaler,
            Err(why) => {
                let refused = Verdict::fails(ACCEPTED, Reason::Invalid, why);
                return held(vec![refused, bus_ready, resolved(&sinks), wait(DEPLOYED)]).await;
            }
        };
        accepted.add(scaler.warnings);
        let (deployed, outcome) = if shared.is_some() {
            let left = self.writer(key).apply(&owner, &[]).await;
            let deployed = self.runs(&key.namespace, [(&Resource::of(DEPLOYMENT), workload.as_str())]);
            (deployed, if let Err(super::Refusal::Object(fault)) = left { Err(fault) } else { Ok(()) })
        } else {
            let template = spec.template.as_ref().map(|template| json!(template));
            let written = build::trigger(&key.namespace, &key.name, &Json::Object(layout::object(&spec)));
            let routed = Routed {
                workload: &workload,
                group: &group,
                bus: &found.bus,
                triggers: vec![written],
                sinks: &sinks,
                scaler: scaler.children,
                log_level: spec.log_level.as_deref(),
                template: template.as_ref(),
            };
            match routed_by(&owner, routed, &self.settings, as_function) {
                Ok(children) => self.deploy(key, &owner, &children).await,
                Err(why) => {
                    let refused = Verdict::fails(BUS_READY, Reason::NotSupported, why);
                    return held(vec![accepted, refused, resolved(&sinks), wait(DEPLOYED)]).await;
                }
            }
        };
        let verdicts = vec![accepted, bus_ready, resolved(&sinks), deployed];
        self.tell(key, &resource, &object, verdicts, addresses(&parsed, &sinks)).await?;
        outcome
    }

    /// What the router of a Trigger depends on, whatever its sinks are.
    fn routing(&self, namespace: &str, bus: &str, workload: &str) -> BTreeSet<Watched> {
        let mut watched = self.watched(namespace, bus);
        watched.extend(Self::marks(namespace));
        watched.insert(Watched::new(&Resource::of(DEPLOYMENT), namespace, workload));
        watched
    }

    /// The shared routers that are to be looked at because of a Trigger: the one that it is on, and those that
    /// it was on.
    fn routers_of(&self, key: &Key, now: Option<&str>) -> BTreeSet<Key> {
        let mut routers: BTreeSet<Key> =
            now.map(|bus| Key::new(Subject::Router, &key.namespace, bus)).into_iter().collect();
        let deployments = Resource::of(DEPLOYMENT);
        for (mark, name) in self.world.owned(&deployments, &key.namespace, &format!("{SHARED} ")) {
            let bus = &mark[SHARED.len() + 1..];
            let deployment = self.world.get(&deployments, &key.namespace, &name).unwrap_or_default();
            let metadata = &deployment["metadata"];
            let owners = metadata["ownerReferences"].as_array().into_iter().flatten();
            if owners.into_iter().any(|owner| owner["kind"] == TRIGGER.2 && owner["name"] == key.name) {
                routers.insert(Key::new(Subject::Router, &key.namespace, bus));
            }
        }
        routers
    }

    /// An object that uses a bus, and what it is called.
    pub(super) fn user(&self, key: &Key) -> Option<(Json, &'static str)> {
        let known = if key.kind == Subject::EventSource { EVENT_SOURCE } else { TRIGGER };
        let object = self.world.get(&Resource::of(known), &key.namespace, &key.name)?;
        (!is_going(&object)).then_some((object, known.2))
    }
}

/// What a router of one Trigger comes to.
fn routed_by(owner: &Owner, routed: Routed<'_>, settings: &Settings, as_function: bool) -> Result<Vec<Child>, String> {
    let children = build::router(owner, routed, settings)?;
    if as_function { build::functions(owner, children) } else { Ok(children) }
}

/// Who owns a shared router, as long as it is not known which Triggers are on it.
pub(super) fn sharers(namespace: &str, bus: &str) -> Owner {
    Owner { kind: SHARED.to_owned(), namespace: namespace.to_owned(), name: bus.to_owned(), objects: Vec::new() }
}

pub(super) fn is_shared(trigger: &Json) -> bool {
    trigger["spec"]["mode"] == "shared"
}

pub(super) fn bus_name(object: &Json) -> String {
    object["spec"]["eventBus"].as_str().unwrap_or(DEFAULT_BUS).to_owned()
}

/// Where events come from and where they go.
fn addresses(trigger: &Trigger, sinks: &Sinks) -> Json {
    let inputs: Vec<InputStatus> = trigger
        .inputs
        .iter()
        .map(|input| InputStatus { name: input.name.clone(), topic: input.topic.clone() })
        .collect();
    let of = |targets: &[Target]| {
        let found: Vec<String> = targets.iter().filter_map(|target| sinks.address(target)).collect();
        (!found.is_empty()).then(|| found.join(", "))
    };
    let subscribers: Vec<SubscriberStatus> = trigger
        .subscribers
        .iter()
        .map(|subscriber| {
            let (topics, others): (Vec<Target>, Vec<Target>) =
                subscriber.targets.iter().cloned().partition(|target| matches!(target, Target::Topic(_)));
            let topic = topics
                .first()
                .and_then(|target| if let Target::Topic(topic) = target { Some(topic.clone()) } else { None });
            let dead_letter = match &subscriber.dead_letter {
                DeadLetter::Targets(targets) => of(targets),
                DeadLetter::Generated => None,
            };
            SubscriberStatus { name: subscriber.name.clone(), sink: of(&others), dead_letter, topic }
        })
        .collect();
    json!({"inputs": inputs, "subscribers": subscribers})
}
