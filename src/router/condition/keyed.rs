//! Values by key and input, with the key that was touched longest ago at hand.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

/// What tells apart events that do not belong together. Empty where all belong together.
pub type Key = Arc<str>;

/// Values of the inputs, for each key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyed<V> {
    entries: HashMap<Key, Entry<V>>,
    order: BTreeSet<(Timestamp, Key)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry<V> {
    /// When the newest of its values came.
    touched: Timestamp,
    values: BTreeMap<usize, V>,
}

impl<V> Default for Keyed<V> {
    fn default() -> Self {
        Self { entries: HashMap::new(), order: BTreeSet::new() }
    }
}

impl<V> Keyed<V> {
    /// The number of keys.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The values of a key, by input.
    pub fn of(&self, key: &str) -> Option<&BTreeMap<usize, V>> {
        self.entries.get(key).map(|entry| &entry.values)
    }

    pub fn get(&self, key: &str, input: usize) -> Option<&V> {
        self.of(key)?.get(&input)
    }

    /// Puts the value of an input that came at this time.
    pub fn insert(&mut self, key: &Key, input: usize, value: V, at: Timestamp) {
        let entry = self.entries.entry(key.clone()).or_insert_with(|| {
            self.order.insert((at, key.clone()));
            Entry { touched: at, values: BTreeMap::new() }
        });
        entry.values.insert(input, value);
        if at > entry.touched {
            self.order.remove(&(entry.touched, key.clone()));
            self.order.insert((at, key.clone()));
            entry.touched = at;
        }
    }

    /// Takes out the value of an input, and the key with its last one.
    pub fn remove(&mut self, key: &str, input: usize) -> Option<V> {
        let entry = self.entries.get_mut(key)?;
        let removed = entry.values.remove(&input);
        if entry.values.is_empty() {
            self.remove_all(key);
        }
        removed
    }

    /// Takes out everything of a key.
    pub fn remove_all(&mut self, key: &str) -> BTreeMap<usize, V> {
        let Some((key, Entry { touched, values })) = self.entries.remove_entry(key) else { return BTreeMap::new() };
        self.order.remove(&(touched, key));
        values
    }

    /// The key that was touched longest ago, and when.
    pub fn oldest(&self) -> Option<(Timestamp, Key)> {
        self.order.first().cloned()
    }
}
