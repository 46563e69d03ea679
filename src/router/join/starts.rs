//! Where a subscriber begins on a topic that it has never read.
//!
//! When nobody of the consumer group has read the topic before, where the group begins. Else at the end that the topic
//! has then: what went to others before is no news.

use std::collections::{BTreeMap, BTreeSet};

use super::keys::{self, Keys};
use super::record::{self, Head, Place};
use super::{Means, Setup};
use crate::fault::{Fault, FaultKind};
use crate::flow::{Expect, Position, Start, Topic, Write};

/// The positions behind which reading begins, by topic; none is the beginning.
#[derive(Clone, Debug, Default)]
pub struct Starts(BTreeMap<String, Option<Position>>);

impl Starts {
    /// Finds them, and keeps them for subscribers that never were. To be called before the group joins the topics.
    ///
    /// # Errors
    /// When the bus or the store does not answer; `Unsupported` when the bus cannot be read so.
    pub async fn find(setups: &[Setup], means: &Means, start: Start) -> Result<Self, Fault> {
        let topics: BTreeSet<&Topic> =
            setups.iter().flat_map(|setup| &setup.topics).map(|progress| &progress.topic).collect();
        let (mut starts, mut marks) = (BTreeMap::new(), Vec::new());
        for topic in topics {
            let end = means.bus.end(topic).await?;
            let mark = keys::topic(&means.group, topic);
            let is_marked = means.store.get(&mark).await?.is_some();
            let was_read = is_marked || is_read(topic, means).await?;
            let from_here = was_read || start == Start::Latest;
            let place = if from_here { end.position } else { means.bus.begin(topic).await? };
            starts.insert(topic.to_string(), place);
            if !is_marked {
                marks.push(Write { key: mark, value: Some("{}".into()), expect: Expect::Anything });
            }
        }
        let starts = Self(starts);
        for setup in setups {
            starts.keep(setup, means).await?;
        }
        for mark in marks {
            means.store.write(vec![mark]).await?;
        }
        Ok(starts)
    }

    /// Where a subscriber that never was begins must be found after a crash.
    async fn keep(&self, setup: &Setup, means: &Means) -> Result<(), Fault> {
        let mut head = Head::of(setup);
        head.applied = setup.topics.iter().map(|progress| self.of(&progress.topic)).collect();
        let key = Keys::new(&means.group, &setup.id).head();
        let write = Write { key, value: Some(record::write(&head)?), expect: Expect::Absent };
        match means.store.write(vec![write]).await {
            Err(fault) if fault.kind() == FaultKind::Conflict => Ok(()),
            written => written.map(drop),
        }
    }

    /// As it is written down.
    pub(super) fn of(&self, topic: &Topic) -> (String, Option<Place>) {
        let place = self.0.get(topic.as_str()).copied().flatten();
        (topic.to_string(), place.map(record::place))
    }
}

/// Whether the group has joined the topic before.
async fn is_read(topic: &Topic, means: &Means) -> Result<bool, Fault> {
    match means.bus.lag(&topic.whole(), &means.group).await {
        Ok(_) => Ok(true),
        Err(fault) if fault.kind() == FaultKind::NotFound => Ok(false),
        Err(fault) => Err(fault),
    }
}

impl Head {
    /// Of a subscriber as its Trigger has it now.
    pub(super) fn of(setup: &Setup) -> Self {
        let join = &setup.join;
        let inputs = join.names.iter().cloned().zip(join.written.iter().cloned()).collect();
        Self { condition: join.text.clone(), inputs, ..Self::default() }
    }
}
