//! The objects that are there, as far as a watch has told: to find out after a gap what has changed.

use std::collections::{HashMap, HashSet};

use serde_json::Value as Json;

use super::message::{Change, Identity};

/// The objects of one watch, without their content. It grows with their number: about 300 bytes for each.
#[derive(Debug, Default)]
pub(super) struct Known {
    objects: HashMap<String, Identity>,
    /// Whether every object that was there is among them: they were listed once, and followed since.
    pub(super) complete: bool,
}

/// The moment up to which changes were told before a gap.
#[derive(Clone, Copy, Debug)]
pub(super) struct Before<'a> {
    /// The version.
    pub(super) version: &'a str,
    /// When that was, RFC 3339.
    pub(super) time: &'a str,
}

impl Known {
    /// Takes a change that was told.
    pub(super) fn note(&mut self, change: Change, identity: Identity) {
        match change {
            Change::Added | Change::Modified => drop(self.objects.insert(identity.uid.clone(), identity)),
            Change::Deleted => drop(self.objects.remove(&identity.uid)),
        }
    }

    /// Takes the list of all objects, of this version, after a gap; what has changed since, in the order of the versions,
    /// then what is gone.
    pub(super) fn compare(&mut self, objects: Vec<Json>, version: &str, before: Before<'_>) -> Vec<(Change, Json)> {
        let mut changes: Vec<(Option<u64>, Change, Json)> = Vec::new();
        let mut there = HashSet::new();
        for object in objects {
            let identity = Identity::of(&object);
            let change = match self.objects.get(&identity.uid) {
                Some(known) => (known.version != identity.version).then_some(Change::Modified),
                None if self.complete => Some(Change::Added),
                None if !is_after(&identity.version, before.version) => None,
                // RFC 3339 in UTC orders as text, to the second.
                None if identity.created.as_str() >= before.time => Some(Change::Added),
                None => Some(Change::Modified),
            };
            there.insert(identity.uid.clone());
            let order = identity.version.parse().ok();
            self.objects.insert(identity.uid.clone(), identity);
            changes.extend(change.map(|change| (order, change, object)));
        }
        changes.sort_by_key(|(order, ..)| *order);
        let mut changes: Vec<_> = changes.into_iter().map(|(_, change, object)| (change, object)).collect();
        let mut gone: Vec<Identity> = Vec::new();
        self.objects.retain(|uid, identity| {
            let stays = there.contains(uid);
            gone.extend((!stays).then(|| Identity { version: version.to_owned(), ..identity.clone() }));
            stays
        });
        gone.sort_by(|one, other| one.uid.cmp(&other.uid));
        changes.extend(gone.into_iter().map(|identity| (Change::Deleted, identity.remains())));
        self.complete = true;
        changes
    }
}

/// Whether a version is later than another. They are numbers, though clients should not have to know; one that is none
/// counts as later, so that no change is passed over.
fn is_after(version: &str, other: &str) -> bool {
    match (version.parse::<u64>(), other.parse::<u64>()) {
        (Ok(version), Ok(other)) => version > other,
        _ => true,
    }
}
