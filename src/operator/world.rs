//! What the cluster looks like, as far as anybody here has asked: the newest known state of each object.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value as Json;

use super::kept::{Kept, Place};
use super::resource::Resource;

/// Objects by kind.
#[derive(Default)]
pub struct World {
    shelves: Mutex<BTreeMap<Resource, Shelf>>,
}

/// All objects of one kind that are watched.
#[derive(Default)]
struct Shelf {
    state: State,
    objects: BTreeMap<Place, Arc<Kept>>,
    /// The names of the children by namespace and owner.
    owned: BTreeMap<(String, String), BTreeSet<String>>,
    /// Parts of the cluster (a namespace, or all of it), one watch each: those that have been read once, and the latest
    /// version that each has brought.
    parts: usize,
    read: BTreeMap<Option<String>, u64>,
}

impl Shelf {
    fn put(&mut self, place: &Place, object: &Arc<Kept>) -> Option<Arc<Kept>> {
        let before = self.take(place);
        if let Some(owner) = object.owner() {
            self.owned.entry((place.0.clone(), owner.to_owned())).or_default().insert(place.1.clone());
        }
        self.objects.insert(place.clone(), object.clone());
        before
    }

    fn take(&mut self, place: &Place) -> Option<Arc<Kept>> {
        let before = self.objects.remove(place)?;
        if let Some(owner) = before.owner() {
            let key = (place.0.clone(), owner.to_owned());
            if let Some(names) = self.owned.get_mut(&key) {
                names.remove(&place.1);
                if names.is_empty() {
                    self.owned.remove(&key);
                }
            }
        }
        Some(before)
    }

    /// Notes what a watch has brought.
    fn has_brought(&mut self, within: Option<&str>, version: u64) {
        if let Some(latest) = self.read.get_mut(&within.map(str::to_owned)) {
            *latest = version.max(*latest);
        }
    }

    /// Whether the watch has already told of what somebody has written.
    fn has_been_told(&self, namespace: &str, version: u64) -> bool {
        let latest = self.read.get(&Some(namespace.to_owned())).or_else(|| self.read.get(&None));
        latest.is_none_or(|latest| *latest >= version)
    }
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
    pub before: Option<Arc<Kept>>,
    pub after: Option<Arc<Kept>>,
}

impl Change {
    /// Whether what people write is as it was, and only what programs add is not.
    pub fn is_aside(&self) -> bool {
        matches!((&self.before, &self.after), (Some(before), Some(after)) if after.is_edition_of(before))
    }
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
        objects: Vec<(Place, Kept)>,
    ) -> (Vec<Change>, bool) {
        let mut shelves = self.shelves();
        let stock = shelves.entry(resource.clone()).or_default();
        let of_part = |place: &&Place| within.is_none_or(|namespace| place.0 == namespace);
        let mut gone: BTreeSet<Place> = stock.objects.keys().filter(of_part).cloned().collect();
        let mut changes = Vec::new();
        let mut latest = 0;
        for (place, object) in objects {
            gone.remove(&place);
            latest = object.version().max(latest);
            let after = Arc::new(object);
            let before = stock.put(&place, &after);
            if before.as_ref() != Some(&after) {
                changes.push(Change { place, before, after: Some(after) });
            }
        }
        for place in gone {
            let before = stock.take(&place);
            changes.push(Change { place, before, after: None });
        }
        stock.read.entry(within.map(str::to_owned)).or_default();
        stock.has_brought(within, latest);
        let known = stock.state == State::Known;
        if stock.read.len() >= stock.parts {
            stock.state = State::Known;
        }
        (changes, !known && stock.state == State::Known)
    }

    /// The watch of `within` says what an object is like; what has changed, if anything.
    pub fn set(&self, resource: &Resource, within: Option<&str>, place: Place, object: Kept) -> Option<Change> {
        let mut shelves = self.shelves();
        let stock = shelves.entry(resource.clone()).or_default();
        stock.has_brought(within, object.version());
        let before = stock.objects.get(&place).cloned();
        if let Some(known) = &before {
            if **known == object {
                return None;
            }
            // What we were answered later stands; but who did this is somebody else.
            if known.version() > object.version() {
                return Some(Change { place, before: before.clone(), after: before });
            }
        }
        let after = Arc::new(object);
        stock.put(&place, &after);
        Some(Change { place, before, after: Some(after) })
    }

    /// The watch of `within` says that an object is gone; what has changed, if anything.
    pub fn unset(&self, resource: &Resource, within: Option<&str>, place: Place, version: u64) -> Option<Change> {
        let mut shelves = self.shelves();
        let stock = shelves.entry(resource.clone()).or_default();
        stock.has_brought(within, version);
        let before = stock.take(&place)?;
        Some(Change { place, before: Some(before), after: None })
    }

    /// The API server answers with what an object has become by what we wrote: the next look may come before the watch
    /// tells. What has changed, if the watch has not told already.
    pub fn answered(&self, resource: &Resource, place: Place, object: Kept) -> Option<Change> {
        let mut shelves = self.shelves();
        let stock = shelves.entry(resource.clone()).or_default();
        if stock.has_been_told(&place.0, object.version()) {
            return None;
        }
        let after = Arc::new(object);
        let before = stock.put(&place, &after);
        (before.as_ref() != Some(&after)).then_some(Change { place, before, after: Some(after) })
    }

    pub fn get(&self, resource: &Resource, namespace: &str, name: &str) -> Option<Json> {
        let place = (namespace.to_owned(), name.to_owned());
        let found = self.shelves().get(resource)?.objects.get(&place).cloned()?;
        Some(found.read())
    }

    pub fn has(&self, resource: &Resource, namespace: &str, name: &str) -> bool {
        let place = (namespace.to_owned(), name.to_owned());
        self.shelves().get(resource).is_some_and(|stock| stock.objects.contains_key(&place))
    }

    /// The children of those whose mark begins so, in a namespace: marks and names.
    pub fn owned(&self, resource: &Resource, namespace: &str, marks: &str) -> Vec<(String, String)> {
        let shelves = self.shelves();
        let Some(stock) = shelves.get(resource) else { return Vec::new() };
        let from = (namespace.to_owned(), marks.to_owned());
        let found = stock.owned.range(from..);
        let found = found.take_while(|((other, mark), _)| other == namespace && mark.starts_with(marks));
        found.flat_map(|((_, mark), names)| names.iter().map(|name| (mark.clone(), name.clone()))).collect()
    }

    /// Who uses a bus of this name, in a namespace or everywhere, and is not about to go.
    pub fn users(&self, resource: &Resource, namespace: Option<&str>, bus: &str) -> Vec<Place> {
        let uses = |kept: &Kept| kept.bus() == Some(bus);
        self.listed(resource, namespace, uses).into_iter().map(|(place, _)| place).collect()
    }

    /// All objects of a kind in a namespace.
    pub fn list(&self, resource: &Resource, namespace: &str) -> Vec<(Place, Json)> {
        let listed = self.listed(resource, Some(namespace), |_| true);
        listed.into_iter().map(|(place, kept)| (place, kept.read())).collect()
    }

    fn listed(
        &self,
        resource: &Resource,
        namespace: Option<&str>,
        wanted: impl Fn(&Kept) -> bool,
    ) -> Vec<(Place, Arc<Kept>)> {
        let shelves = self.shelves();
        let Some(stock) = shelves.get(resource) else { return Vec::new() };
        let from = (namespace.unwrap_or_default().to_owned(), String::new());
        let here = stock.objects.range(from..);
        let here = here.take_while(|((other, _), _)| namespace.is_none_or(|namespace| other == namespace));
        here.filter(|(_, kept)| wanted(kept)).map(|(place, kept)| (place.clone(), kept.clone())).collect()
    }

    fn shelves(&self) -> MutexGuard<'_, BTreeMap<Resource, Shelf>> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
