//! Who is to be looked at again when an object changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use super::queue::{Key, Subject};
use super::resource::{CLUSTER_EVENT_BUS, EVENT_BUS, EVENT_SOURCE, Resource, TRIGGER};
use super::world::Change;

/// An object that others look at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Watched {
    pub group: String,
    pub kind: String,
    pub namespace: String,
    pub name: String,
}

impl Watched {
    pub fn new(resource: &Resource, namespace: &str, name: &str) -> Self {
        Self {
            group: resource.group.clone(),
            kind: resource.kind.clone(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }
}

/// What each of the objects that are reconciled has looked at, both ways.
#[derive(Default)]
pub struct Interests(Mutex<Index>);

#[derive(Default)]
struct Index {
    by_key: BTreeMap<Key, BTreeSet<Watched>>,
    by_object: BTreeMap<Watched, BTreeSet<Key>>,
}

impl Interests {
    /// From now on, `key` looks at these alone. To be said before they are looked at.
    pub fn set(&self, key: &Key, watched: BTreeSet<Watched>) {
        let mut index = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let old = if watched.is_empty() {
            index.by_key.remove(key)
        } else {
            index.by_key.insert(key.clone(), watched.clone())
        };
        for gone in old.unwrap_or_default().difference(&watched) {
            if let Some(keys) = index.by_object.get_mut(gone) {
                keys.remove(key);
                if keys.is_empty() {
                    index.by_object.remove(gone);
                }
            }
        }
        for watched in watched {
            index.by_object.entry(watched).or_default().insert(key.clone());
        }
    }

    /// Who looks at an object.
    pub fn in_object(&self, watched: &Watched) -> BTreeSet<Key> {
        let index = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        index.by_object.get(watched).cloned().unwrap_or_default()
    }

    /// Who looks at any object of a kind.
    pub fn in_kind(&self, resource: &Resource) -> BTreeSet<Key> {
        let index = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_kind = |watched: &Watched| watched.group == resource.group && watched.kind == resource.kind;
        index.by_object.iter().filter(|(watched, _)| of_kind(watched)).flat_map(|(_, keys)| keys.clone()).collect()
    }

    /// Everybody else whom a change of an object concerns, beside itself and its owner. Who uses a bus reads what
    /// people have written there, and never how many use it.
    pub fn others(&self, resource: &Resource, change: &Change) -> BTreeSet<Key> {
        let is_bus = resource.is(EVENT_BUS) || resource.is(CLUSTER_EVENT_BUS);
        if is_bus && change.is_aside() {
            return BTreeSet::new();
        }
        let (namespace, name) = &change.place;
        self.in_object(&Watched::new(resource, namespace, name))
    }

    /// The object itself, when it is one that is looked at.
    pub fn own(resource: &Resource, change: &Change) -> Option<Key> {
        let own = [
            (EVENT_SOURCE, Subject::EventSource),
            (TRIGGER, Subject::Trigger),
            (EVENT_BUS, Subject::Bus),
            (CLUSTER_EVENT_BUS, Subject::Bus),
        ];
        let (namespace, name) = &change.place;
        let own = own.into_iter().find(|(known, _)| resource.is(*known));
        own.map(|(_, subject)| Key::new(subject, namespace, name))
    }

    /// Everybody whom a change of an object concerns.
    pub fn concerned(&self, resource: &Resource, change: &Change) -> BTreeSet<Key> {
        let namespace = &change.place.0;
        let mut keys = self.others(resource, change);
        keys.extend(Self::own(resource, change));
        for object in [&change.before, &change.after].into_iter().flatten() {
            let Some((kind, name)) = object.owner().and_then(|of| of.split_once(' ')) else { continue };
            let subjects = [Subject::EventSource, Subject::Trigger, Subject::Router];
            let subject = subjects.into_iter().find(|subject| subject.as_str() == kind);
            keys.extend(subject.map(|subject| Key::new(subject, namespace, name)));
        }
        keys
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::operator::child::{MANAGED_BY, MANAGER, OF};
    use crate::operator::kept::Kept;
    use crate::operator::resource::{DEPLOYMENT, SERVICE};

    #[test]
    fn a_change_concerns_the_object_its_owner_and_who_looks_at_it() {
        let interests = Interests::default();
        let (service, deployment) = (Resource::of(SERVICE), Resource::of(DEPLOYMENT));
        let trigger = Key::new(Subject::Trigger, "default", "ship");
        interests.set(&trigger, BTreeSet::from([Watched::new(&service, "default", "fn")]));
        let change = |name: &str, after: serde_json::Value| Change {
            place: ("default".into(), name.into()),
            before: None,
            after: Some(Arc::new(Kept::new(&service, &after, 1))),
        };
        assert_eq!(interests.concerned(&service, &change("fn", json!({}))), BTreeSet::from([trigger.clone()]));
        assert!(interests.concerned(&service, &change("other", json!({}))).is_empty());
        let child = json!({"metadata": {"labels": {MANAGED_BY.0: MANAGER}, "annotations": {OF: "Router shop"}}});
        let router = Key::new(Subject::Router, "default", "shop");
        assert_eq!(interests.concerned(&deployment, &change("router-shop", child)), BTreeSet::from([router]));
        assert_eq!(
            interests.concerned(&Resource::of(TRIGGER), &change("ship", json!({}))),
            BTreeSet::from([trigger.clone()])
        );
        assert_eq!(interests.in_kind(&service), BTreeSet::from([trigger.clone()]));
        interests.set(&trigger, BTreeSet::new());
        assert!(interests.in_kind(&service).is_empty());
    }

    #[test]
    fn who_uses_a_bus_is_not_concerned_by_how_many_use_it() {
        let interests = Interests::default();
        let (bus, trigger) = (Resource::of(EVENT_BUS), Key::new(Subject::Trigger, "default", "ship"));
        interests.set(&trigger, BTreeSet::from([Watched::new(&bus, "default", "shop")]));
        let own = Key::new(Subject::Bus, "default", "shop");
        let kept = |generation: i64, users: i64| {
            let metadata = json!({"uid": "1", "generation": generation});
            Some(Arc::new(Kept::new(&bus, &json!({"metadata": metadata, "status": users}), 1)))
        };
        let concerned = |before, after| {
            interests.concerned(&bus, &Change { place: ("default".into(), "shop".into()), before, after })
        };
        assert_eq!(concerned(kept(1, 1), kept(1, 2)), BTreeSet::from([own.clone()]));
        for (before, after) in [(kept(1, 1), kept(2, 1)), (None, kept(1, 1)), (kept(1, 1), None)] {
            assert_eq!(concerned(before, after), BTreeSet::from([own.clone(), trigger.clone()]));
        }
    }
}
