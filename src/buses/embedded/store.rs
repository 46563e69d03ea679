//! Durable state beside the log: read from the database directly, written in the writer's rounds.

use std::collections::HashMap;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::Embedded;
use super::layout::{split_state_value, state_value};
use super::queue::{Job, Reply};
use super::round::{Answer, REVISION, Round};
use super::shared::Shared;
use crate::fault::{Fault, FaultKind};
use crate::flow::{Expect, Revision, Store, Stored, Write};
use crate::task;

/// The longest key that the database takes.
const MAX_KEY: usize = 65_535;

#[async_trait]
impl Store for Embedded {
    async fn get(&self, key: &[u8]) -> Result<Option<Stored>, Fault> {
        if key.is_empty() || key.len() > MAX_KEY {
            return Ok(None);
        }
        let (shared, key) = (self.shared.clone(), Bytes::copy_from_slice(key));
        task::blocking("read the store", move || {
            let value = shared.slot.with("read the store", |disk| disk.state.get(&key))?;
            value.map(|value| stored(key, &value.into())).transpose()
        })
        .await
    }

    async fn scan(&self, prefix: &[u8], limit: usize) -> Result<Vec<Stored>, Fault> {
        let (shared, prefix) = (self.shared.clone(), Bytes::copy_from_slice(prefix));
        task::blocking("scan the store", move || {
            let rows = shared.slot.with("scan the store", |disk| {
                let rows = disk.state.prefix(&prefix).take(limit);
                rows.map(fjall::Guard::into_inner).collect::<fjall::Result<Vec<_>>>()
            })?;
            rows.into_iter().map(|(key, value)| stored(key.into(), &value.into())).collect()
        })
        .await
    }

    async fn write(&self, batch: Vec<Write>) -> Result<Vec<Revision>, Fault> {
        const OPERATION: &str = "write to the store";
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        if let Some(write) = batch.iter().find(|write| write.key.is_empty() || write.key.len() > MAX_KEY) {
            let message = format!("a key has {} bytes, 1 to {MAX_KEY} are taken", write.key.len());
            return Err(Fault::new(FaultKind::TooLarge, OPERATION, message));
        }
        let bytes = batch.iter().map(|write| write.key.len() + write.value.as_ref().map_or(0, Bytes::len)).sum();
        let closed = || Shared::closed(OPERATION);
        let room = self.shared.queue.room(bytes).await.ok_or_else(closed)?;
        let (answer, answered) = oneshot::channel();
        if !self.shared.queue.push(Job::Store { writes: batch, answer, room }) {
            return Err(closed());
        }
        answered.await.unwrap_or_else(|_| Err(closed()))
    }
}

fn stored(key: Bytes, value: &Bytes) -> Result<Stored, Fault> {
    let damaged = || Fault::new(FaultKind::Malformed, "read the store", "a stored value is damaged");
    let (revision, value) = split_state_value(value).ok_or_else(damaged)?;
    Ok(Stored { key, value, revision: Revision(revision) })
}

impl Round<'_> {
    /// Adds the writes of one batch, all or none: a conflict is answered at once.
    pub(super) fn store(&mut self, writes: &[Write], answer: Reply<Vec<Revision>>, room: OwnedSemaphorePermit) {
        match self.check(writes) {
            Ok(changes) => {
                let revisions = changes.iter().map(|(revision, _)| Revision(*revision)).collect();
                for (revision, write) in changes {
                    match &write.value {
                        Some(value) => {
                            self.batch.insert(&self.disk.state, write.key.clone(), state_value(revision, value));
                        }
                        None => self.batch.remove(&self.disk.state, write.key.clone()),
                    }
                    self.revisions.insert(write.key.clone(), write.value.as_ref().map(|_| revision));
                }
                self.batch.insert(&self.disk.meta, REVISION, self.memory.revision.to_be_bytes());
                self.pending.answers.push(Answer::Store { sender: answer, revisions, _room: room });
            }
            // Whoever does not wait any more does not need to know.
            Err(fault) => drop(answer.send(Err(fault))),
        }
    }

    /// Checks every expectation, later writes of the batch seeing earlier ones; numbers them.
    fn check<'w>(&mut self, writes: &'w [Write]) -> Result<Vec<(u64, &'w Write)>, Fault> {
        let mut seen: HashMap<&Bytes, Option<u64>> = HashMap::new();
        let mut changes = Vec::with_capacity(writes.len());
        for write in writes {
            let found = match seen.get(&write.key) {
                Some(found) => *found,
                None => self.revision_of(&write.key)?,
            };
            let holds = match write.expect {
                Expect::Anything => true,
                Expect::Absent => found.is_none(),
                Expect::Revision(Revision(revision)) => found == Some(revision),
            };
            if !holds {
                let found = found.map_or_else(|| "nothing".to_owned(), |revision| format!("revision {revision}"));
                let message = format!("expected {:?}, found {found}", write.expect);
                return Err(Fault::new(FaultKind::Conflict, "write to the store", message));
            }
            self.memory.revision += 1;
            seen.insert(&write.key, write.value.as_ref().map(|_| self.memory.revision));
            changes.push((self.memory.revision, write));
        }
        Ok(changes)
    }

    fn revision_of(&self, key: &Bytes) -> Result<Option<u64>, Fault> {
        if let Some(revision) = self.revisions.get(key) {
            return Ok(*revision);
        }
        let found = self.disk.state.get(key).map_err(|error| self.shared.fault("write to the store", &error))?;
        found.map(|value| stored(key.clone(), &value.into()).map(|stored| stored.revision.0)).transpose()
    }
}
