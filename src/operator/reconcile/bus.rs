//! `EventBuses`: right or not, and who uses them. One that is used does not go before its users do.

use serde_json::json;

use super::Reconciler;
use crate::api::event_bus::BusSpec;
use crate::api::status::UsedBy;
use crate::fault::Fault;
use crate::operator::build::Bus;
use crate::operator::child::Owner;
use crate::operator::queue::{Key, Subject};
use crate::operator::resource::{CLUSTER_EVENT_BUS, EVENT_BUS, EVENT_SOURCE, Resource, TRIGGER};
use crate::operator::status::{ACCEPTED, RELEASED, Reason, Truth, Verdict};

/// Keeps a bus while it is used.
const FINALIZER: &str = "events.openfunction.io/in-use";

/// How many users are named to a person who deletes a bus.
const NAMED: usize = 10;

impl Reconciler {
    pub(super) async fn bus(&self, key: &Key) -> Result<(), Fault> {
        let known = if key.namespace.is_empty() { CLUSTER_EVENT_BUS } else { EVENT_BUS };
        let resource = Resource::of(known);
        let Some(object) = self.world.get(&resource, &key.namespace, &key.name) else { return Ok(()) };
        let users = self.users(key);
        let finalizers = object["metadata"]["finalizers"].as_array();
        let held = finalizers.into_iter().flatten().any(|finalizer| finalizer == FINALIZER);
        let going = super::is_going(&object);
        // Nobody can hold what is going already.
        if held == users.is_empty() && (held || !going) {
            let mut metadata = json!({"name": key.name, "uid": object["metadata"]["uid"]});
            if !key.namespace.is_empty() {
                metadata["namespace"] = key.namespace.as_str().into();
            }
            if !users.is_empty() {
                metadata["finalizers"] = json!([FINALIZER]);
            }
            let patch = json!({"apiVersion": object["apiVersion"], "kind": object["kind"], "metadata": metadata});
            self.writer(key).write_own(&resource, &key.namespace, &key.name, &patch).await?;
            if going && users.is_empty() {
                return Ok(());
            }
        }
        let mut verdicts = self.verdicts(key, &object);
        if going && !users.is_empty() {
            let named: Vec<String> = users.iter().take(NAMED).map(title).collect();
            let more = users.len().saturating_sub(NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let message = format!("it goes when nobody uses it: {}{more}", named.join(", "));
            verdicts.insert(0, Verdict::fails(RELEASED, Reason::InUse, message));
        }
        let count = |kind| u32::try_from(users.iter().filter(|user| user.kind == kind).count()).unwrap_or(u32::MAX);
        let used_by = UsedBy { event_sources: count(Subject::EventSource), triggers: count(Subject::Trigger) };
        self.tell(key, &resource, &object, verdicts, json!({"usedBy": used_by})).await
    }

    fn verdicts(&self, key: &Key, object: &serde_json::Value) -> Vec<Verdict> {
        let (accepted, spec) = self.read::<BusSpec>(object, None);
        let mut verdicts = vec![accepted];
        if let Some(spec) = spec.filter(|_| verdicts[0].truth == Truth::True) {
            let bus = Bus { namespace: key.namespace.clone(), name: key.name.clone(), spec };
            // As it would stand beside a workload.
            let owner = Owner {
                kind: "EventBus".to_owned(),
                namespace: key.namespace.clone(),
                name: key.name.clone(),
                objects: vec![("EventBus", key.name.clone(), String::new())],
            };
            // A Component that is named is looked for by those who use the bus, in their namespace.
            if bus.named().is_none()
                && let Err(why) = bus.components(&owner, "x", None)
            {
                verdicts[0] = Verdict::fails(ACCEPTED, Reason::NotSupported, why);
            }
        }
        verdicts
    }

    /// Everybody who uses a bus.
    fn users(&self, bus: &Key) -> Vec<Key> {
        let namespace = (!bus.namespace.is_empty()).then_some(bus.namespace.as_str());
        let kinds = [(EVENT_SOURCE, Subject::EventSource), (TRIGGER, Subject::Trigger)];
        let mut users = Vec::new();
        for (known, subject) in kinds {
            for (namespace, name) in self.world.users(&Resource::of(known), namespace, &bus.name) {
                // A bus of the namespace stands before the cluster's.
                let own = self.world.has(&Resource::of(EVENT_BUS), &namespace, &bus.name);
                if own != bus.namespace.is_empty() {
                    users.push(Key::new(subject, &namespace, &name));
                }
            }
        }
        users
    }
}

fn title(user: &Key) -> String {
    format!("{} {}/{}", user.kind.as_str(), user.namespace, user.name)
}
