//! One round of the writer: everything that waited becomes one atomic, durable write.
//!
//! A round is put together from jobs ([`Round`]), written, and then either taken over into memory
//! or refused as a whole ([`Pending`]). Nobody is answered before the write is on disk.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use fjall::OwnedWriteBatch;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::dedup::{Fingerprint, Generations};
use super::disk::Disk;
use super::group::Group;
use super::layout::{TopicRecord, position_key};
use super::queue::{Answers, Job, Joined, Reply};
use super::settled::Settled;
use super::shared::Shared;
use super::topic::{Entry, Topic};
use crate::fault::Fault;
use crate::flow::{self, Revision, Start};

/// What the writer remembers from round to round. Read from the disk when that is opened.
pub(super) struct Memory {
    pub(super) generations: Generations,
    /// When the first delayed event is due, in microseconds of wall time.
    pub(super) next_due: Option<i64>,
    /// The number of the last delayed event.
    pub(super) delayed: u64,
    /// The last revision of the store.
    pub(super) revision: u64,
}

pub(super) const DELAYED: &str = "delayed";
pub(super) const REVISION: &str = "revision";

impl Memory {
    pub(super) fn read(disk: &Disk, window: i64, now: i64) -> fjall::Result<Self> {
        Ok(Self {
            generations: Generations::open(disk, window, now)?,
            next_due: super::publish::first_due(disk)?,
            delayed: disk.counter(DELAYED)?,
            revision: disk.counter(REVISION)?,
        })
    }
}

/// A topic as it will stand after the round.
pub(super) struct Draft {
    pub(super) topic: Arc<Topic>,
    pub(super) record: TopicRecord,
    pub(super) entries: Vec<Entry>,
    /// How many events retention deletes.
    pub(super) deleted: u64,
}

/// Who waits for the round, and what they hear when it succeeds.
pub(super) enum Answer {
    Publish { sender: oneshot::Sender<Answers>, answers: Answers, _room: OwnedSemaphorePermit },
    Store { sender: Reply<Vec<Revision>>, revisions: Vec<Revision>, _room: OwnedSemaphorePermit },
    Join { sender: Reply<Joined>, topic: Arc<Topic>, group: Arc<Group> },
}

pub(super) struct Round<'a> {
    pub(super) shared: &'a Shared,
    pub(super) disk: &'a Disk,
    pub(super) memory: &'a mut Memory,
    /// The append time of everything in this round.
    pub(super) now: i64,
    pub(super) batch: OwnedWriteBatch,
    /// Fingerprints and revisions that this round writes, which lookups on disk do not see yet.
    pub(super) fresh: HashSet<Fingerprint>,
    pub(super) keys: Keys,
    /// `now` as it is stored.
    pub(super) stamp: Bytes,
    pub(super) revisions: HashMap<Bytes, Option<u64>>,
    drafts: HashMap<u32, Draft>,
    pub(super) pending: Pending,
}

/// Keys that share allocations: the database keeps each until its memtable is flushed, and an
/// allocation of its own would cost more than the key.
#[derive(Default)]
pub(super) struct Keys(BytesMut);

impl Keys {
    /// What is allocated at a time: the keys of a common round.
    const CHUNK: usize = 1024;

    /// A copy of `key`, at most [`Keys::CHUNK`] bytes.
    pub(super) fn put(&mut self, key: &[u8]) -> Bytes {
        if self.0.capacity() < key.len() {
            self.0 = BytesMut::with_capacity(Self::CHUNK);
        }
        self.0.extend_from_slice(key);
        self.0.split().freeze()
    }
}

/// What becomes of a round once its write succeeded or failed.
#[derive(Default)]
pub(super) struct Pending {
    drafts: Vec<Draft>,
    joins: Vec<Joined>,
    positions: Vec<Arc<Group>>,
    pub(super) answers: Vec<Answer>,
    /// Delayed events were moved, so the next due time must be looked up.
    pub(super) moved_delayed: bool,
}

impl<'a> Round<'a> {
    pub(super) fn new(shared: &'a Shared, disk: &'a Disk, memory: &'a mut Memory, now: i64) -> Self {
        Self {
            shared,
            disk,
            memory,
            now,
            batch: disk.batch(),
            fresh: HashSet::new(),
            keys: Keys::default(),
            stamp: Bytes::copy_from_slice(&now.to_be_bytes()),
            revisions: HashMap::new(),
            drafts: HashMap::new(),
            pending: Pending::default(),
        }
    }

    /// Adds one job. Retention is not a job of a round; the writer keeps those apart.
    pub(super) fn add(&mut self, job: Job) {
        match job {
            Job::Publish { topic, events, answer, room } => {
                let answers = self.publish(&topic, events);
                self.pending.answers.push(Answer::Publish { sender: answer, answers, _room: room });
            }
            Job::Store { writes, answer, room } => self.store(&writes, answer, room),
            Job::Join { topic, group, start, answer } => self.join(&topic, group, start, answer),
            Job::Retain { .. } => {}
        }
    }

    fn join(&mut self, topic: &flow::Topic, name: flow::Group, start: Start, answer: Reply<Joined>) {
        let topic = self.shared.topic_or_new(topic);
        let same = |(other, group): &&Joined| other.id == topic.id && *group.name() == name;
        let known = topic.group(&name).or_else(|| Some(self.pending.joins.iter().find(same)?.1.clone()));
        let group = known.unwrap_or_else(|| {
            let record = self.draft(topic.clone()).record;
            let low = match start {
                Start::Earliest => record.first,
                Start::Latest => record.next,
            };
            let settled = Settled::below(low);
            self.batch.insert(&self.disk.positions, position_key(topic.id, name.as_str()), settled.encode());
            let group = Arc::new(Group::new(topic.id, name, settled));
            self.pending.joins.push((topic.clone(), group.clone()));
            group
        });
        self.pending.answers.push(Answer::Join { sender: answer, topic, group });
    }

    /// The topic as this round changes it.
    pub(super) fn draft(&mut self, topic: Arc<Topic>) -> &mut Draft {
        self.drafts.entry(topic.id).or_insert_with(|| Draft {
            record: topic.record(),
            topic,
            entries: Vec::new(),
            deleted: 0,
        })
    }

    /// Adds the positions of groups that moved.
    pub(super) fn positions(&mut self, groups: Vec<Arc<Group>>) {
        for group in &groups {
            let key = position_key(group.topic, group.name().as_str());
            self.batch.insert(&self.disk.positions, key, group.position().encode());
        }
        self.pending.positions = groups;
    }

    /// What is to be written, and what comes of it.
    pub(super) fn finish(mut self) -> (OwnedWriteBatch, Pending) {
        for draft in self.drafts.values() {
            let name = draft.topic.name.as_str().as_bytes();
            self.batch.insert(&self.disk.topics, name, draft.record.encode());
        }
        self.pending.drafts = self.drafts.into_values().collect();
        (self.batch, self.pending)
    }
}

impl Pending {
    /// The write is on disk: memory follows, and everyone is answered.
    pub(super) fn succeed(self, shared: &Shared) {
        for (topic, group) in self.joins {
            topic.add_group(group);
        }
        for draft in self.drafts {
            draft.topic.committed(draft.record, draft.entries);
            if draft.deleted > 0 {
                super::retention::raise(shared, &draft.topic, draft.record.first);
            }
        }
        for answer in self.answers {
            // Whoever does not wait any more does not need to know.
            match answer {
                Answer::Publish { sender, answers, .. } => drop(sender.send(answers)),
                Answer::Store { sender, revisions, .. } => drop(sender.send(Ok(revisions))),
                Answer::Join { sender, topic, group } => drop(sender.send(Ok((topic, group)))),
            }
        }
    }

    /// The write failed: nothing of it counts.
    pub(super) fn fail(self, shared: &Shared, fault: &Fault) {
        for group in self.positions {
            if group.unwritten() {
                shared.queue.moved(group);
            }
        }
        for answer in self.answers {
            match answer {
                Answer::Publish { sender, answers, .. } => {
                    let refuse = |answer: Result<_, Fault>| answer.and_then(|_| Err(fault.clone()));
                    drop(sender.send(answers.into_iter().map(refuse).collect()));
                }
                Answer::Store { sender, .. } => drop(sender.send(Err(fault.clone()))),
                Answer::Join { sender, .. } => drop(sender.send(Err(fault.clone()))),
            }
        }
    }
}
