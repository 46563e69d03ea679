//! What one subscriber remembers, and its copy in the store.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::keys::{Keys, Part};
use super::record::{self, Head, Held, Item, Kept, Out};
use super::{Means, Setup};
use crate::fault::Fault;
use crate::flow::{Expect, Position, Revision, Store, Write};
use crate::router::condition::{Arrival, Match, State};

/// The state in memory, and what of it the store has.
pub(super) struct Memory {
    keys: Keys,
    names: Vec<String>,
    store: Arc<dyn Store>,
    head: Head,
    revision: Revision,
    pub state: State<Item>,
    /// What the store has: where each held event stood, and how much each waiting match has heard of.
    held: BTreeMap<usize, (String, Position)>,
    holds: BTreeMap<u64, usize>,
    outbox: Vec<Out>,
}

impl Memory {
    /// Becomes the owner of what the store has, and forgets what does not count any more: all that waits when the condition is
    /// another one, that of an input when the input is. What is in the outbox stays.
    pub async fn load(setup: &Setup, means: &Means) -> Result<Self, Fault> {
        let keys = Keys::new(&means.group, &setup.id);
        let join = &setup.join;
        let found = means.store.get(&keys.head()).await?;
        let (mut head, expect) = match &found {
            Some(found) => (record::read::<Head>(&found.value)?, Expect::Revision(found.revision)),
            None => (Head::default(), Expect::Absent),
        };
        let same = head.condition == join.text;
        let counts = |name: &str| {
            let place = join.names.iter().position(|known| known == name)?;
            (same && head.inputs.get(name) == join.written.get(place)).then_some(place)
        };
        let mut state = State { next_hold: head.next_hold, ..State::default() };
        let mut writes = Vec::new();
        for (name, micros) in &head.marks {
            if let Some(input) = counts(name) {
                state.marks.insert(input, record::time(*micros)?);
            }
        }
        let prefix = keys.all(Part::Held);
        for stored in means.store.scan(prefix.as_bytes(), usize::MAX).await? {
            let name = String::from_utf8_lossy(&stored.key[prefix.len()..]).into_owned();
            if let Some(input) = counts(&name) {
                let (at, item) = record::read::<Kept>(&stored.value)?.open()?;
                state.held.insert(input, Arrival { at, item });
            } else {
                writes.push(Write { key: stored.key, value: None, expect: Expect::Anything });
            }
        }
        let prefix = keys.all(Part::Hold);
        for stored in means.store.scan(prefix.as_bytes(), usize::MAX).await? {
            let text = String::from_utf8_lossy(&stored.key[prefix.len()..]).into_owned();
            let number = u64::from_str_radix(&text, 16).map_err(|error| record::damaged(&error))?;
            if let Some(found) = open_match(&record::read(&stored.value)?, counts)? {
                state.holds.insert(number, found);
            } else {
                writes.push(Write { key: stored.key, value: None, expect: Expect::Anything });
            }
        }
        head.generation += 1;
        head.condition.clone_from(&join.text);
        head.inputs = join.names.iter().cloned().zip(join.written.iter().cloned()).collect();
        let mut memory = Self {
            keys,
            names: join.names.clone(),
            store: means.store.clone(),
            held: places(&state),
            holds: sizes(&state),
            head,
            revision: Revision(0),
            state,
            outbox: Vec::new(),
        };
        writes.push(memory.head_write(expect)?);
        memory.revision = last(&memory.store.write(writes).await?)?;
        Ok(memory)
    }

    /// Whether the event at this place of the topic was decided on before.
    pub fn knows(&self, topic: &str, position: Position) -> bool {
        self.head.applied.get(topic).is_some_and(|applied| record::position(*applied) >= position)
    }

    /// Notes that the events of the topic are decided on up to here.
    pub fn apply(&mut self, topic: &str, position: Position) {
        self.head.applied.insert(topic.to_owned(), (position.major, position.minor));
    }

    /// Moves a match, or an event that is given up, to the outbox.
    pub fn push(&mut self, out: Out) {
        self.outbox.push(out);
    }

    /// What the store does not have yet, in one batch. The store has it all once the batch is written and
    /// [`Memory::wrote`] is told so.
    pub fn writes(&mut self) -> Result<Vec<Write>, Fault> {
        let mut writes = Vec::new();
        let mut put = |key: Bytes, value: Option<Bytes>| {
            writes.push(Write { key, value, expect: Expect::Anything });
        };
        let held = places(&self.state);
        for (input, name) in self.names.iter().enumerate() {
            if held.get(&input) != self.held.get(&input) {
                let kept = self.state.held.get(&input).map(|held| record::write(&held.item.keep(held.at)));
                put(self.keys.one(Part::Held, name), kept.transpose()?);
            }
        }
        let holds = sizes(&self.state);
        for number in self.holds.keys().filter(|number| !holds.contains_key(number)) {
            put(self.keys.numbered(Part::Hold, *number), None);
        }
        for (number, found) in &self.state.holds {
            if holds.get(number) != self.holds.get(number) {
                let value = record::write(&keep_match(found, &self.names))?;
                put(self.keys.numbered(Part::Hold, *number), Some(value));
            }
        }
        for (number, out) in (self.head.next_out..).zip(&self.outbox) {
            put(self.keys.numbered(Part::Out, number), Some(record::write(out)?));
        }
        self.head.next_out += self.outbox.len() as u64;
        self.head.next_hold = self.state.next_hold;
        let name = |input: &usize| self.names[*input].clone();
        self.head.marks = self.state.marks.iter().map(|(input, at)| (name(input), at.as_microsecond())).collect();
        self.outbox.clear();
        (self.held, self.holds) = (held, holds);
        writes.push(self.head_write(Expect::Revision(self.revision))?);
        Ok(writes)
    }

    /// Notes that the store has taken what [`Memory::writes`] said.
    pub fn wrote(&mut self, revisions: &[Revision]) -> Result<(), Fault> {
        self.revision = last(revisions)?;
        Ok(())
    }

    /// The head goes last, and only if nobody else became the owner.
    fn head_write(&self, expect: Expect) -> Result<Write, Fault> {
        Ok(Write { key: self.keys.head(), value: Some(record::write(&self.head)?), expect })
    }
}

fn last(revisions: &[Revision]) -> Result<Revision, Fault> {
    revisions.last().copied().ok_or_else(record::unanswered)
}

fn places(state: &State<Item>) -> BTreeMap<usize, (String, Position)> {
    let place = |item: &Item| (item.topic.as_str().to_owned(), item.position);
    state.held.iter().map(|(input, held)| (*input, place(&held.item))).collect()
}

fn sizes(state: &State<Item>) -> BTreeMap<u64, usize> {
    state.holds.iter().map(|(number, found)| (*number, found.heard.len())).collect()
}

fn keep_match(found: &Match<Item>, names: &[String]) -> Held {
    Held {
        events: found.events.iter().map(|(input, held)| (names[*input].clone(), held.item.keep(held.at))).collect(),
        last: names[found.last].clone(),
        deadline: found.deadline.as_microsecond(),
        heard: found.heard.iter().map(|input| names[*input].clone()).collect(),
    }
}

/// Nothing when one of its inputs does not count any more.
fn open_match(held: &Held, counts: impl Fn(&str) -> Option<usize>) -> Result<Option<Match<Item>>, Fault> {
    let mut events = BTreeMap::new();
    for (name, kept) in &held.events {
        let Some(input) = counts(name) else { return Ok(None) };
        let (at, item) = kept.open()?;
        events.insert(input, Arrival { at, item });
    }
    let Some(last) = counts(&held.last) else { return Ok(None) };
    let heard = held.heard.iter().filter_map(|name| counts(name)).collect();
    Ok(Some(Match { events, last, deadline: record::time(held.deadline)?, heard }))
}
