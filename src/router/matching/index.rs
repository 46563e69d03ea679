//! The index: facts of an event to the filters that need them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aho_corasick::AhoCorasick;

use super::access::{self, Key, Relation};
use super::{Candidates, Place};
use crate::router::filter::path::Found;
use crate::router::filter::{Filter, Paths, Payload, Subject, attribute_value, json};

type Places = Vec<Place>;

#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    attributes: Vec<Attribute>,
    values: Vec<Value>,
    /// Everything that is indexed by its payload: without one, data filters pass.
    by_payload: Places,
    /// What no fact brings up.
    always: Places,
}

impl Index {
    pub fn build<'f>(filters: impl Iterator<Item = &'f Filter>) -> Self {
        let mut index = Self::default();
        let mut attributes: BTreeMap<&str, AttributeKeys> = BTreeMap::new();
        let mut values: BTreeMap<usize, ValueKeys> = BTreeMap::new();
        for (place, filter) in (0..).zip(filters) {
            let Some(keys) = access::keys(filter.expression()) else {
                index.always.push(place);
                continue;
            };
            for key in keys {
                match key {
                    Key::Equal { name, wanted } => attributes.entry(name).or_default().equal.push((wanted, place)),
                    Key::Prefix { name, wanted } => attributes.entry(name).or_default().prefix.push((wanted, place)),
                    Key::Suffix { name, wanted } => attributes.entry(name).or_default().suffix.push((wanted, place)),
                    Key::Literal { slot, literal } => {
                        values.entry(slot).or_default().literals.entry(literal).or_default().push(place);
                    }
                    Key::Number { slot, relation, bound } => {
                        values.entry(slot).or_default().numbers.push((relation, bound, place));
                    }
                }
            }
        }
        index.attributes = attributes.iter().map(|(name, keys)| Attribute::build(name, keys)).collect();
        for (slot, keys) in values {
            index.by_payload.extend(keys.places());
            match Value::build(slot, &keys) {
                Some(value) => index.values.push(value),
                None => index.always.extend(keys.places()),
            }
        }
        index
    }

    /// Adds every filter that may say yes, some of them twice.
    pub fn candidates(&self, subject: &Subject<'_>, paths: &Paths, out: &mut Candidates) {
        out.extend_from_slice(&self.always);
        for attribute in &self.attributes {
            if let Some(text) = attribute_value(subject.event(), &attribute.name) {
                attribute.candidates(&text, out);
            }
        }
        if self.values.is_empty() {
            return;
        }
        match subject.payload() {
            Payload::Absent => out.extend_from_slice(&self.by_payload),
            Payload::Unusable(_) => {}
            Payload::Json(_) => {
                for value in &self.values {
                    if let Some(Found::Value(raw)) = subject.find(paths, value.slot) {
                        value.candidates(raw, out);
                    }
                }
            }
        }
    }
}

#[derive(Default)]
struct AttributeKeys<'f> {
    equal: Vec<(&'f str, Place)>,
    prefix: Vec<(&'f str, Place)>,
    suffix: Vec<(&'f str, Place)>,
}

/// What is wanted of one attribute.
#[derive(Clone, Debug)]
struct Attribute {
    name: Box<str>,
    equal: HashMap<Box<str>, Places>,
    prefix: Affixes,
    suffix: Affixes,
}

impl Attribute {
    fn build(name: &str, keys: &AttributeKeys<'_>) -> Self {
        Self {
            name: name.into(),
            equal: by_text(&keys.equal),
            prefix: Affixes::build(&keys.prefix),
            suffix: Affixes::build(&keys.suffix),
        }
    }

    fn candidates(&self, text: &str, out: &mut Candidates) {
        out.extend_from_slice(self.equal.get(text).map_or(&[], Vec::as_slice));
        self.prefix.candidates(|length| text.get(..length), out);
        self.suffix.candidates(|length| text.len().checked_sub(length).and_then(|start| text.get(start..)), out);
    }
}

/// Beginnings or ends of texts: one look-up for each distinct length.
#[derive(Clone, Debug)]
struct Affixes {
    lengths: BTreeSet<usize>,
    places: HashMap<Box<str>, Places>,
}

impl Affixes {
    fn build(keys: &[(&str, Place)]) -> Self {
        Self { lengths: keys.iter().map(|(text, _)| text.len()).collect(), places: by_text(keys) }
    }

    fn candidates<'t>(&self, cut: impl Fn(usize) -> Option<&'t str>, out: &mut Candidates) {
        for affix in self.lengths.iter().filter_map(|length| cut(*length)) {
            out.extend_from_slice(self.places.get(affix).map_or(&[], Vec::as_slice));
        }
    }
}

fn by_text(keys: &[(&str, Place)]) -> HashMap<Box<str>, Places> {
    let mut places: HashMap<Box<str>, Places> = HashMap::new();
    for (text, place) in keys {
        places.entry((*text).into()).or_default().push(*place);
    }
    places
}

#[derive(Default)]
struct ValueKeys<'f> {
    literals: BTreeMap<&'f [u8], Places>,
    numbers: Vec<(Relation, f64, Place)>,
}

impl ValueKeys<'_> {
    fn places(&self) -> impl Iterator<Item = Place> {
        let numbers = self.numbers.iter().map(|(_, _, place)| *place);
        self.literals.values().flatten().copied().chain(numbers)
    }
}

/// What is wanted of the value of one path.
#[derive(Clone, Debug)]
struct Value {
    slot: usize,
    literals: Option<Literals>,
    equal: HashMap<u64, Places>,
    /// Lower bounds, ascending: those up to the value are met.
    at_least: Vec<(f64, Place)>,
    /// Upper bounds, ascending: those from the value on are met.
    at_most: Vec<(f64, Place)>,
}

impl Value {
    /// Nothing when the literals are too many for one automaton.
    fn build(slot: usize, keys: &ValueKeys<'_>) -> Option<Self> {
        let literals = if keys.literals.is_empty() { None } else { Some(Literals::build(&keys.literals)?) };
        let mut equal: HashMap<u64, Places> = HashMap::new();
        let sorted = |wanted: Relation| {
            let bounds = keys.numbers.iter().filter(|(relation, _, _)| *relation == wanted);
            let mut bounds: Vec<_> = bounds.map(|(_, bound, place)| (*bound, *place)).collect();
            bounds.sort_unstable_by(|one, other| one.0.total_cmp(&other.0));
            bounds
        };
        for (bound, place) in sorted(Relation::Equal) {
            equal.entry(bits(bound)).or_default().push(place);
        }
        let (at_least, at_most) = (sorted(Relation::AtLeast), sorted(Relation::AtMost));
        Some(Self { slot, literals, equal, at_least, at_most })
    }

    fn candidates(&self, raw: &str, out: &mut Candidates) {
        if let Some(literals) = &self.literals {
            literals.candidates(&json::text(raw), out);
        }
        if self.equal.is_empty() && self.at_least.is_empty() && self.at_most.is_empty() {
            return;
        }
        let Some(number) = json::number(raw) else {
            return;
        };
        out.extend_from_slice(self.equal.get(&bits(number)).map_or(&[], Vec::as_slice));
        let met = self.at_least.partition_point(|(bound, _)| *bound <= number);
        out.extend(self.at_least[..met].iter().map(|(_, place)| *place));
        let unmet = self.at_most.partition_point(|(bound, _)| *bound < number);
        out.extend(self.at_most[unmet..].iter().map(|(_, place)| *place));
    }
}

/// The bits of a number, with one zero.
fn bits(number: f64) -> u64 {
    (number + 0.0).to_bits()
}

/// All the literals that are searched in one value, found in one pass over it.
#[derive(Clone, Debug)]
struct Literals {
    automaton: AhoCorasick,
    /// By the number of the literal.
    places: Vec<Places>,
}

impl Literals {
    fn build(literals: &BTreeMap<&[u8], Places>) -> Option<Self> {
        let automaton = AhoCorasick::new(literals.keys()).ok()?;
        Some(Self { automaton, places: literals.values().cloned().collect() })
    }

    fn candidates(&self, text: &str, out: &mut Candidates) {
        for found in self.automaton.find_overlapping_iter(text) {
            out.extend_from_slice(&self.places[found.pattern().as_usize()]);
        }
    }
}
