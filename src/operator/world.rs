//! What the cluster looks like, as far as anybody here has asked: the newest known state of each object.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value as Json;

use super::child::{MANAGED_BY, OF};
use super::resource::Resource;

/// Namespace (empty for a cluster's object) and name.
pub type Place = (String, String);

/// Objects by kind.
#[derive(Default)]
pub struct World {
    shelves: Mutex<BTreeMap<Resource, Shelf>>,
}

/// All objects of one kind that are watched.
#[derive(Default)]
struct Shelf {
    state: State,
    objects: BTreeMap<Place, Arc<Json>>,
    /// Parts of the cluster, one watch each: those that have been read once.
    parts: usize,
    read: usize,
}

/// Whether a kind is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Not read yet.
    #[default]
    Unread,
    Known,
    /// The cluster has no such kind now.
    Missing,
    /// We may not read it.
    Forbidden,
}

/// An object before and after.
#[derive(Clone, Debug)]
pub struct Change {
    pub place: Place,
    pub before: Option<Arc<Json>>,
    pub after: Option<Arc<Json>>,
}

impl World {
    /// Says that a kind is watched, by this many watches.
    pub fn expect(&self, resource: &Resource, parts: usize) {
        self.shelves().entry(resource.clone()).or_default().parts = parts;
    }

    /// Whether a kind is watched at all.
    pub fn is_expected(&self, resource: &Resource) -> bool {
        self.shelves().contains_key(resource)
    }

    pub fn state(&self, resource: &Resource) -> State {
        self.shelves().get(resource).map_or(State::Unread, |kept| kept.state)
    }

    /// Sets the state of a kind that cannot be watched; whether that is news.
    pub fn refuse(&self, resource: &Resource, state: State) -> bool {
        let mut shelves = self.shelves();
        let kept = shelves.entry(resource.clone()).or_default();
        std::mem::replace(&mut kept.state, state) != state
    }

    /// One watch has read all its objects: those of `within` (a namespace, or all of them) that are not among
    /// them are gone. What has changed, and whether the kind is known for the first time.
    pub fn replace(
        &self,
        resource: &Resource,
        within: Option<&str>,
        objects: Vec<(Place, Json)>,
    ) -> (Vec<Change>, bool) {
        let mut shelves = self.shelves();
        let kept = shelves.entry(resource.clone()).or_default();
        let mut old = std::mem::take(&mut kept.objects);
        if let Some(namespace) = within {
            kept.objects = old.extract_if(.., |(other, _), _| other != namespace).collect();
        }
        let mut changes = Vec::new();
        for (place, object) in objects {
            let before = old.remove(&place);
            let same = before.as_deref() == Some(&object);
            let after = if same { before.clone().unwrap_or_default() } else { Arc::new(object) };
            kept.objects.insert(place.clone(), after.clone());
            if !same {
                changes.push(Change { place, before, after: Some(after) });
            }
        }
        changes.extend(old.into_iter().map(|(place, before)| Change { place, before: Some(before), after: None }));
        kept.read += 1;
        let known = kept.state == State::Known;
        if kept.read >= kept.parts {
            kept.state = State::Known;
        }
        (changes, !known && kept.state == State::Known)
    }

    /// One object is so now, or gone; what has changed, if anything.
    pub fn set(&self, resource: &Resource, place: Place, object: Option<Json>) -> Option<Change> {
        let mut shelves = self.shelves();
        let objects = &mut shelves.entry(resource.clone()).or_default().objects;
        if objects.get(&place).map(AsRef::as_ref) == object.as_ref() {
            return None;
        }
        let after = object.map(Arc::new);
        let before = match &after {
            Some(after) => objects.insert(place.clone(), after.clone()),
            None => objects.remove(&place),
        };
        Some(Change { place, before, after })
    }

    pub fn get(&self, resource: &Resource, namespace: &str, name: &str) -> Option<Arc<Json>> {
        let place = (namespace.to_owned(), name.to_owned());
        self.shelves().get(resource)?.objects.get(&place).cloned()
    }

    /// What is marked as a child of `mark` in a namespace: names and objects.
    pub fn owned(&self, resource: &Resource, namespace: &str, mark: &str) -> Vec<(String, Arc<Json>)> {
        let shelves = self.shelves();
        let Some(kept) = shelves.get(resource) else { return Vec::new() };
        let from = (namespace.to_owned(), String::new());
        let here = kept.objects.range(from..).take_while(|((other, _), _)| other == namespace);
        let is_owned = |object: &Json| {
            let metadata = &object["metadata"];
            metadata["labels"][MANAGED_BY.0] == MANAGED_BY.1 && metadata["annotations"][OF] == mark
        };
        here.filter(|(_, object)| is_owned(object)).map(|((_, name), object)| (name.clone(), object.clone())).collect()
    }

    /// All objects of a kind in a namespace, or everywhere.
    pub fn list(&self, resource: &Resource, namespace: Option<&str>) -> Vec<(Place, Arc<Json>)> {
        let shelves = self.shelves();
        let Some(kept) = shelves.get(resource) else { return Vec::new() };
        let copied = |(place, object): (&Place, &Arc<Json>)| (place.clone(), object.clone());
        match namespace {
            None => kept.objects.iter().map(copied).collect(),
            Some(namespace) => {
                let from = (namespace.to_owned(), String::new());
                kept.objects.range(from..).take_while(|((other, _), _)| other == namespace).map(copied).collect()
            }
        }
    }

    fn shelves(&self) -> MutexGuard<'_, BTreeMap<Resource, Shelf>> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::operator::resource::TRIGGER;

    fn place(namespace: &str, name: &str) -> Place {
        (namespace.to_owned(), name.to_owned())
    }

    #[test]
    fn what_is_read_again_tells_only_what_has_changed() {
        let (world, kind) = (World::default(), Resource::of(TRIGGER));
        world.expect(&kind, 2);
        let (changes, known) =
            world.replace(&kind, Some("a"), vec![(place("a", "x"), json!(1)), (place("a", "y"), json!(1))]);
        assert_eq!((changes.len(), known), (2, false));
        assert_eq!(world.state(&kind), State::Unread, "the other namespace has not been read");
        let (changes, known) = world.replace(&kind, Some("b"), vec![(place("b", "x"), json!(1))]);
        assert_eq!((changes.len(), known), (1, true));
        world.set(&kind, place("a", "z"), Some(json!(1)));
        let (changes, known) =
            world.replace(&kind, Some("a"), vec![(place("a", "x"), json!(2)), (place("a", "y"), json!(1))]);
        let told: Vec<(&str, bool)> =
            changes.iter().map(|change| (change.place.1.as_str(), change.after.is_some())).collect();
        assert_eq!((told, known), (vec![("x", true), ("z", false)], false));
        assert_eq!(world.list(&kind, None).len(), 3);
        assert_eq!(world.list(&kind, Some("a")).len(), 2);
        assert_eq!(*world.get(&kind, "a", "x").unwrap(), json!(2));
    }

    #[test]
    fn a_kind_can_go_and_come() {
        let (world, kind) = (World::default(), Resource::of(TRIGGER));
        world.expect(&kind, 1);
        assert!(world.refuse(&kind, State::Missing) && !world.refuse(&kind, State::Missing));
        let (_, known) = world.replace(&kind, None, Vec::new());
        assert!(known && world.state(&kind) == State::Known);
    }
}
