//! What one subscriber remembers, and its copy in the store.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;
use jiff::Timestamp;

use super::keys::{Keys, MATCH, Part};
use super::record::{self, About, Batch, Head, Held, Item, Mark, Out, What};
use super::{Means, Setup, Starts};
use crate::event::Event;
use crate::fault::{Fault, FaultKind};
use crate::flow::{Expect, Position, Revision, Stored, Topic, Write};
use crate::router::condition::{Arrival, Gathered, Match, State};

/// One write changes about so many entries at most. A decision changes a few, and brokers take a thousand.
const MAX_WRITES: usize = 400;

/// And has about so many bytes of matches.
const MAX_BYTES: usize = 8 << 20;

/// The state in memory, and what of it the store does not have yet.
pub(super) struct Memory {
    keys: Keys,
    names: Vec<String>,
    head: Head,
    revision: Revision,
    pub state: State<Item>,
    /// The matches that wait for their batch.
    pub gathered: Gathered,
    /// What goes to the outbox, and to what is gathered.
    fresh: Vec<(Bytes, Bytes)>,
    bytes: usize,
    /// Whether more is decided on than the store knows.
    moved: bool,
}

impl Memory {
    /// Becomes the owner of what the store has, and forgets what does not count any more: all that waits when the condition is
    /// another one, that of an input when the input is. What is in the outbox stays.
    pub async fn load(setup: &Setup, means: &Means, starts: &Starts) -> Result<Self, Fault> {
        let keys = Keys::new(&means.group, &setup.id);
        let join = &setup.join;
        let (mut head, revision) = claim(&keys, setup, means).await?;
        let same = head.condition == join.text;
        let counts = |name: &str| {
            let place = join.names.iter().position(|known| known == name)?;
            (same && head.inputs.get(name) == join.written.get(place)).then_some(place)
        };
        let mut state = State { next_hold: head.next_hold, ..State::default() };
        let mut gone = Vec::new();
        for Stored { key, value, .. } in scan(means, &keys, Part::Mark).await? {
            match counts(last_part(&key)) {
                Some(input) => {
                    let Mark { key, at } = record::read(&value)?;
                    let at = record::time(at)?;
                    state.marks.insert(&key.into(), input, at, at);
                }
                None => gone.push(key),
            }
        }
        for Stored { key, value, .. } in scan(means, &keys, Part::Held).await? {
            match counts(last_part(&key)) {
                Some(input) => {
                    let (key, at, item) = Item::open(&value)?;
                    state.held.insert(&key.into(), input, Arrival { at, item }, at);
                }
                None => gone.push(key),
            }
        }
        load_holds(scan(means, &keys, Part::Hold).await?, counts, &mut state, &mut gone)?;
        let now = Head::of(setup);
        let mut applied = BTreeMap::new();
        for progress in &setup.topics {
            let topic = &progress.topic;
            let (name, start) = starts.of(topic);
            // All that is in a part that the topic did not have before is news.
            let is_new = topic.number() > 0 && head.applied.contains_key(topic.whole().as_str());
            let known = head.applied.get(&name).copied().unwrap_or(if is_new { None } else { start });
            let known = match known {
                Some(place) => means.bus.resume(topic, record::position(place)).await?,
                None => None,
            };
            applied.insert(name, known.map(record::place));
        }
        let mut memory = Self {
            names: join.names.clone(),
            gathered: head.batch.open()?,
            keys,
            revision,
            state,
            fresh: Vec::new(),
            bytes: 0,
            moved: false,
            head: head.clone(),
        };
        // Under the old head: what does not count is gone before anybody can believe that it does.
        for some in gone.chunks(MAX_WRITES) {
            let delete = |key: &Bytes| Write { key: key.clone(), value: None, expect: Expect::Anything };
            let mut writes: Vec<Write> = some.iter().map(delete).collect();
            writes.push(memory.head_write()?);
            memory.revision = last(&means.store.write(writes).await?)?;
        }
        head.condition = now.condition;
        head.inputs = now.inputs;
        head.applied = applied;
        memory.head = head;
        if join.batch.is_none()
            && let Some(range) = memory.gathered.close()
        {
            // There is no batch any more that they could wait for.
            memory.push_batch(setup.topics.first().map(|progress| &progress.topic), &range)?;
        }
        let writes = memory.writes()?;
        memory.wrote(&means.store.write(writes).await?)?;
        Ok(memory)
    }

    /// Up to where the events of the topic are decided on; none when that is nowhere.
    pub fn applied(&self, topic: &Topic) -> Option<Position> {
        self.head.applied.get(topic.as_str()).copied().flatten().map(record::position)
    }

    /// Notes that the events of the topic are decided on up to here.
    pub fn apply(&mut self, topic: &Topic, position: Position) {
        if self.applied(topic) < Some(position) {
            self.head.applied.insert(topic.to_string(), Some(record::place(position)));
            self.moved = true;
        }
    }

    /// Says up to where the topics are decided on, for whoever measures what is left.
    pub fn tell(&self, setup: &Setup) {
        for progress in &setup.topics {
            progress.decide(&setup.id, self.applied(&progress.topic));
        }
    }

    /// Whether it is time to write, because one write takes no more.
    pub fn is_full(&self) -> bool {
        self.state.changed.len() + self.fresh.len() >= MAX_WRITES || self.bytes >= MAX_BYTES
    }

    /// Whether anything was decided that the store does not know.
    pub fn is_changed(&self) -> bool {
        !self.state.changed.is_empty() || !self.fresh.is_empty()
    }

    /// Whether only the places up to which events are decided on are others than those in the store.
    pub const fn is_behind(&self) -> bool {
        self.moved
    }

    /// Moves an event to the outbox.
    pub fn push(&mut self, about: About, what: What, event: &Event) -> Result<(), Fault> {
        let value = record::write_with(&Out { about, what }, event.record())?;
        self.push_out(value);
        Ok(())
    }

    /// Moves a batch to the outbox; its dead letter would go to that of `topic`.
    pub fn push_batch(&mut self, topic: Option<&Topic>, range: &Range<u64>) -> Result<(), Fault> {
        let topic = topic.map(Topic::to_string).unwrap_or_default();
        let about = About { key: String::new(), at: 0, topic, place: (0, range.start) };
        let what = What::Batch { first: range.start, next: range.end };
        self.push_out(record::write(&Out { about, what })?);
        Ok(())
    }

    /// Keeps a match that waits for its batch, as the JSON that it will be in it.
    pub fn gather(&mut self, number: u64, about: &About, json: &[u8]) -> Result<(), Fault> {
        let value = record::write_with(about, json)?;
        self.keep(self.keys.numbered(Part::Gather, number), value);
        Ok(())
    }

    fn push_out(&mut self, value: Bytes) {
        self.keep(self.keys.numbered(Part::Out, self.head.next_out), value);
        self.head.next_out += 1;
    }

    fn keep(&mut self, key: Bytes, value: Bytes) {
        self.bytes += value.len();
        self.fresh.push((key, value));
    }

    /// What the store does not have yet, in one batch. The store has it all once the batch is written and
    /// [`Memory::wrote`] is told so.
    pub fn writes(&mut self) -> Result<Vec<Write>, Fault> {
        let mut writes = Vec::new();
        let mut put = |key, value| writes.push(Write { key, value, expect: Expect::Anything });
        let changed = std::mem::take(&mut self.state.changed);
        for (key, input) in changed.held {
            let held = self.state.held.get(&key, input).map(|held| held.item.keep(&key, held.at));
            put(self.keys.of_input(Part::Held, &key, &self.names[input]), held.transpose()?);
        }
        for (key, input) in changed.marks {
            let mark = self.state.marks.get(&key, input);
            let mark = mark.map(|at| record::write(&Mark { key: key.to_string(), at: at.as_microsecond() }));
            put(self.keys.of_input(Part::Mark, &key, &self.names[input]), mark.transpose()?);
        }
        for number in changed.holds {
            let found = self.state.holds.get(&number);
            let head = found.map(|found| record::write(&self.keep_match(found)));
            put(self.keys.of_hold(number, MATCH), head.transpose()?);
            // They never change; of one that is gone it is not known any more which it had.
            for (input, name) in self.names.iter().enumerate() {
                let event = found
                    .map(|found| found.events.get(&input).map(|held| held.item.keep(&found.key, held.at)).transpose());
                match event.transpose()? {
                    Some(None) => {}
                    Some(Some(event)) => put(self.keys.of_hold(number, name), Some(event)),
                    None => put(self.keys.of_hold(number, name), None),
                }
            }
        }
        for (key, value) in std::mem::take(&mut self.fresh) {
            put(key, Some(value));
        }
        self.bytes = 0;
        self.moved = false;
        self.head.next_hold = self.state.next_hold;
        self.head.batch = Batch::keep(self.gathered);
        writes.push(self.head_write()?);
        Ok(writes)
    }

    fn keep_match(&self, found: &Match<Item>) -> Held {
        Held {
            key: found.key.to_string(),
            last: self.names[found.last].clone(),
            deadline: found.deadline.as_microsecond(),
            heard: found.heard.iter().map(|input| self.names[*input].clone()).collect(),
        }
    }

    /// Notes that the store has taken what [`Memory::writes`] said.
    pub fn wrote(&mut self, revisions: &[Revision]) -> Result<(), Fault> {
        self.revision = last(revisions)?;
        Ok(())
    }

    /// The head goes last, and only if nobody else became the owner.
    fn head_write(&self) -> Result<Write, Fault> {
        let expect = Expect::Revision(self.revision);
        Ok(Write { key: self.keys.head(), value: Some(record::write(&self.head)?), expect })
    }
}

/// Takes the head over: from here on nobody writes who owned it before.
async fn claim(keys: &Keys, setup: &Setup, means: &Means) -> Result<(Head, Revision), Fault> {
    loop {
        let (mut head, expect) = match means.store.get(&keys.head()).await? {
            Some(found) => (record::read::<Head>(&found.value)?, Expect::Revision(found.revision)),
            None => (Head::of(setup), Expect::Absent),
        };
        head.generation += 1;
        let write = Write { key: keys.head(), value: Some(record::write(&head)?), expect };
        match means.store.write(vec![write]).await {
            // Who owns it wrote meanwhile.
            Err(fault) if fault.kind() == FaultKind::Conflict => {}
            written => return Ok((head, last(&written?)?)),
        }
    }
}

async fn scan(means: &Means, keys: &Keys, part: Part) -> Result<Vec<Stored>, Fault> {
    means.store.scan(keys.all(part).as_bytes(), usize::MAX).await
}

/// The name of an input at the end of a key.
fn last_part(key: &[u8]) -> &str {
    std::str::from_utf8(key).ok().and_then(|key| key.rsplit('/').next()).unwrap_or_default()
}

fn last(revisions: &[Revision]) -> Result<Revision, Fault> {
    revisions.last().copied().ok_or_else(record::unanswered)
}

/// A match of which one input does not count any more is gone as a whole.
fn load_holds(
    found: Vec<Stored>,
    counts: impl Fn(&str) -> Option<usize>,
    state: &mut State<Item>,
    gone: &mut Vec<Bytes>,
) -> Result<(), Fault> {
    let mut matches: BTreeMap<u64, Vec<Stored>> = BTreeMap::new();
    for stored in found {
        let number = stored.key.rsplitn(2, |byte| *byte == b'/').nth(1).and_then(super::keys::number);
        let number = number.ok_or_else(|| record::damaged(&"a match has no number"))?;
        matches.entry(number).or_default().push(stored);
    }
    for (number, parts) in matches {
        match open_match(&parts, &counts)? {
            Some(found) => drop(state.holds.insert(number, found)),
            None => gone.extend(parts.into_iter().map(|stored| stored.key)),
        }
    }
    Ok(())
}

fn open_match(parts: &[Stored], counts: impl Fn(&str) -> Option<usize>) -> Result<Option<Match<Item>>, Fault> {
    let (mut events, mut about) = (BTreeMap::new(), None);
    for Stored { key, value, .. } in parts {
        let name = last_part(key);
        if name == MATCH {
            about = Some(record::read::<Held>(value)?);
            continue;
        }
        let Some(input) = counts(name) else { return Ok(None) };
        let (_, at, item) = Item::open(value)?;
        events.insert(input, Arrival { at, item });
    }
    let Some(Held { key, last, deadline, heard }) = about else { return Ok(None) };
    let Some(last) = counts(&last).filter(|last| events.contains_key(last)) else { return Ok(None) };
    let heard = heard.iter().filter_map(|name| counts(name)).collect();
    let deadline: Timestamp = record::time(deadline)?;
    Ok(Some(Match { key: key.into(), events, last, deadline, heard }))
}
