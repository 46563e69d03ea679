//! Looks at one object and makes the cluster as it says: find what it refers to, judge it, build what it comes
//! to, apply that, tell the status. Every look starts anew from what the cluster looks like.

mod bus;
mod event_source;
mod find;
mod kinds;
mod report;
mod router;
mod trigger;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use kube::Client;
use kube::runtime::events::Recorder;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};

use super::apply::{Refusal, Writer};
use super::build::Kinds;
use super::child::{Child, Owner};
use super::interest::{Interests, Watched};
use super::judge::{Findings, Judge};
use super::queue::{Key, Queue, Subject};
use super::resource::{COMPONENT, DEPLOYMENT, FUNCTION, Resource, SCALED_OBJECT};
use super::settings::Settings;
use super::status::{ACCEPTED, DEPLOYED, Reason, Verdict};
use super::watch::Watches;
use super::world::{State, World};
use crate::fault::Fault;
use crate::task::Clock;
use crate::telemetry::Operator as Counts;

/// What `OpenFunction` says of a Function whose workload runs.
const RUNNING: &str = "Running";

/// The word of `spec.workload` for a Function.
const AS_FUNCTION: &str = "function";

/// What every look needs.
pub struct Reconciler {
    pub client: Client,
    pub world: Arc<World>,
    pub interests: Arc<Interests>,
    pub queue: Arc<Queue>,
    pub watches: Watches,
    pub settings: Settings,
    pub judge: Arc<dyn Judge>,
    pub clock: Clock,
    pub recorder: Recorder,
    pub counts: Counts,
    /// Which bus each object used when it was last looked at.
    pub used: Mutex<Used>,
    /// The kinds that were watched so far.
    pub known: Mutex<Kinds>,
}

/// Objects and the buses that they use.
#[derive(Default)]
pub struct Used(BTreeMap<Key, Key>);

impl Used {
    /// Notes the bus that an object uses now; the one before.
    fn replace(&mut self, key: &Key, bus: Option<Key>) -> Option<Key> {
        match bus {
            Some(bus) => self.0.insert(key.clone(), bus),
            None => self.0.remove(key),
        }
    }
}

impl Reconciler {
    /// Looks at one object.
    ///
    /// # Errors
    /// When something could not be done now and can be later.
    pub async fn reconcile(&self, key: &Key) -> Result<(), Fault> {
        match key.kind {
            Subject::Bus => self.bus(key).await,
            Subject::EventSource => self.event_source(key).await,
            Subject::Trigger => self.trigger(key).await,
            Subject::Router => self.router(key).await,
        }
    }

    fn writer<'a>(&'a self, by: &'a Key) -> Writer<'a> {
        let Self { client, world, interests, queue, counts, .. } = self;
        Writer { client, world, interests, queue, counts, by }
    }

    /// The verdict on an object as it is written, and its spec when it can be read.
    fn read<S: DeserializeOwned>(&self, object: &Json, bus: Option<&Json>) -> (Verdict, Option<S>) {
        let spec = if object["spec"].is_null() { json!({}) } else { object["spec"].clone() };
        let spec = match serde_json::from_value::<S>(spec) {
            Ok(spec) => spec,
            Err(error) => {
                let message = format!("the spec cannot be read: {error}");
                return (Verdict::fails(ACCEPTED, Reason::Invalid, message), None);
            }
        };
        let Findings { errors, unsupported, warnings } =
            self.judge.judge(&as_written(object), bus.map(as_written).as_ref());
        let verdict = if !errors.is_empty() {
            Verdict::fails(ACCEPTED, Reason::Invalid, errors.join("\n"))
        } else if !unsupported.is_empty() {
            Verdict::fails(ACCEPTED, Reason::NotSupported, unsupported.join("\n"))
        } else {
            Verdict::holds(ACCEPTED, Reason::Valid, warnings.join("\n"))
        };
        (verdict, Some(spec))
    }

    /// Applies what an object comes to; whether that runs, and what is to be tried again.
    async fn deploy(&self, key: &Key, owner: &Owner, children: &[Child]) -> (Verdict, Result<(), Fault>) {
        let workloads = children.iter().filter(|child| child.resource.is(DEPLOYMENT) || child.resource.is(FUNCTION));
        match self.writer(key).apply(owner, children).await {
            Ok(()) => {
                let workloads = workloads.map(|child| (&child.resource, child.name.as_str()));
                (self.runs(&owner.namespace, workloads), Ok(()))
            }
            Err(Refusal::Kind(resource, state)) => {
                let why = match state {
                    State::Forbidden => "the operator may not read it",
                    State::Unread => "it has not been read yet",
                    State::Missing | State::Known if resource.is(COMPONENT) => {
                        "the cluster has no such kind: is Dapr installed?"
                    }
                    State::Missing | State::Known if resource.is(FUNCTION) => {
                        "the cluster has no such kind: workload: function needs OpenFunction 1.1 or later"
                    }
                    State::Missing | State::Known => "the cluster has no such kind: scaleOption needs KEDA",
                };
                // The watch tells when it is there.
                (Verdict::fails(DEPLOYED, Reason::KindMissing, format!("{resource}: {why}")), Ok(()))
            }
            Err(Refusal::Object(fault)) => (Verdict::fails(DEPLOYED, Reason::ApplyFailed, fault.chain()), Err(fault)),
        }
    }

    /// Whether Deployments have a pod that is ready, and Functions run.
    fn runs<'a>(&self, namespace: &str, workloads: impl IntoIterator<Item = (&'a Resource, &'a str)>) -> Verdict {
        for (resource, name) in workloads {
            let found = self.world.get(resource, namespace, name);
            let status = found.map(|found| found["status"].clone()).unwrap_or_default();
            let message = if resource.is(FUNCTION) {
                (status["serving"]["state"] != RUNNING).then(|| format!("Function {name} does not run yet"))
            } else {
                let available = status["availableReplicas"].as_i64().unwrap_or(0);
                (available < 1).then(|| format!("Deployment {name} has no pod that is ready yet"))
            };
            if let Some(message) = message {
                return Verdict::fails(DEPLOYED, Reason::Progressing, message);
            }
        }
        Verdict::holds(DEPLOYED, Reason::Available, "")
    }

    /// What every workload looks at beside its own: whether there are Components, scalers, and Functions, at all.
    fn marks(namespace: &str) -> BTreeSet<Watched> {
        [COMPONENT, SCALED_OBJECT, FUNCTION].map(|known| Watched::new(&Resource::of(known), namespace, "")).into()
    }
}

/// An object without what the API server adds.
fn as_written(object: &Json) -> Json {
    json!({
        "apiVersion": object["apiVersion"], "kind": object["kind"],
        "metadata": {"name": object["metadata"]["name"], "namespace": object["metadata"]["namespace"]},
        "spec": object["spec"],
    })
}

/// Who owns the children of an object.
fn owner(kind: &'static str, key: &Key, object: &Json) -> Owner {
    let uid = object["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
    Owner {
        kind: kind.to_owned(),
        namespace: key.namespace.clone(),
        name: key.name.clone(),
        objects: vec![(kind, key.name.clone(), uid)],
    }
}

/// Whether an object is about to go.
fn is_going(object: &Json) -> bool {
    !object["metadata"]["deletionTimestamp"].is_null()
}
