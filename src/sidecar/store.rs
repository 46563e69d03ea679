//! A state store Component as a store.
//!
//! Dapr's versions are texts (etags) and a store's are numbers: an etag that is a number is taken as
//! it is, any other by its hash, with the text remembered. A version that is not remembered any more is
//! no version that anything has: the write conflicts, its caller reads again.
//!
//! The state store of one of our buses can do more than Dapr asks for: list its keys (in the order of their text), and
//! make writes together that are too large for one call.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use prost::Message as _;

use super::connection::Connection;
use super::question::{Questions, call};
use super::status::tells_of_version;
use crate::fault::{Fault, FaultKind};
use crate::flow::{self, Expect, Revision, Stored, Write};
use crate::frame::{Question, staged};
use crate::proto::dapr_common::state_options::{StateConcurrency, StateConsistency};
use crate::proto::dapr_common::{Etag, StateItem, StateOptions};
use crate::proto::dapr_runtime::{
    DeleteStateRequest, ExecuteStateTransactionRequest, GetStateRequest, SaveStateRequest, TransactionalStateOperation,
};
use crate::proto::penstock::change::Expect as Expected;
use crate::proto::penstock::{self as proto, About, Entry, Page};

/// Etags that are no numbers, remembered at most.
const MAX_ETAGS: usize = 4096;

/// Bytes of keys and values in one call: a quarter of what daprd takes.
const MAX_CALL: usize = 1 << 20;

/// Bytes of a part of a larger write.
const MAX_PART: usize = 1 << 20;

/// Writes that are remembered because nobody heard what became of them. Each subscriber that joins has one at a time.
const MAX_DOUBTFUL: usize = 1024;

/// The bytes that do not stand for themselves in a key.
const ENCODED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'/').remove(b':').remove(b'#').remove(b'@');

/// Hashes of etags have this bit, numbers that are etags do not.
const HASHED: u64 = 1 << 63;

/// The version of what is not there, and of a value that somebody else has written over already.
const NONE: Revision = Revision(0);

/// Keeps state in a state store Component. daprd puts a prefix of its own before the keys.
pub struct Store {
    connection: Connection,
    component: String,
    etags: Mutex<Etags>,
    ours: Option<Ours>,
    /// Writes of which nobody heard what became of them, by their digests.
    doubtful: Mutex<VecDeque<u64>>,
}

/// What is known of the state store of one of our buses.
struct Ours {
    questions: Questions,
    /// The bytes of one part of a large write.
    part: usize,
}

#[derive(Default)]
struct Etags {
    texts: HashMap<u64, String>,
    order: VecDeque<u64>,
}

impl Store {
    pub fn new(connection: Connection, component: &str) -> Self {
        let (etags, doubtful) = (Mutex::default(), Mutex::default());
        Self { connection, component: component.to_owned(), etags, ours: None, doubtful }
    }

    /// The state store of one of our buses.
    pub(super) fn of_bus(questions: Questions, about: &About) -> Self {
        let store = Self::new(questions.connection.clone(), &questions.component);
        // What the bus takes as an event it takes as a value, too.
        let most = usize::try_from(about.max_event_bytes).unwrap_or(usize::MAX);
        let part = (most / 2).clamp(1, MAX_PART);
        Self { ours: Some(Ours { questions, part }), ..store }
    }

    async fn read(&self, key: &str) -> Result<Option<(Bytes, Revision)>, Fault> {
        let request = GetStateRequest {
            store_name: self.component.clone(),
            key: key.to_owned(),
            consistency: StateConsistency::ConsistencyStrong.into(),
            ..GetStateRequest::default()
        };
        let mut client = self.connection.client();
        let found = call(&self.connection, "read state", client.get_state(request)).await;
        let found = found.map_err(|fault| self.about(fault))?;
        if found.etag.is_empty() && found.data.is_empty() {
            return Ok(None);
        }
        Ok(Some((found.data, self.revision(found.etag))))
    }

    async fn write_one(&self, change: &Change) -> Result<(), Fault> {
        let (store_name, item) = (self.component.clone(), change.item.clone());
        let mut client = self.connection.client();
        let answer = if change.deletes {
            let StateItem { key, etag, options, .. } = item;
            let request = DeleteStateRequest { store_name, key, etag, options, ..DeleteStateRequest::default() };
            call(&self.connection, "write state", client.delete_state(request)).await
        } else {
            let request = SaveStateRequest { store_name, states: vec![item] };
            call(&self.connection, "write state", client.save_state(request)).await
        };
        answer.map_err(conflict)
    }

    async fn write_all(&self, changes: &[Change]) -> Result<(), Fault> {
        let operations = changes.iter().map(|change| TransactionalStateOperation {
            operation_type: if change.deletes { "delete" } else { "upsert" }.to_owned(),
            request: Some(change.item.clone()),
        });
        let request = ExecuteStateTransactionRequest {
            store_name: self.component.clone(),
            operations: operations.collect(),
            ..ExecuteStateTransactionRequest::default()
        };
        let mut client = self.connection.client();
        call(&self.connection, "write state", client.execute_state_transaction(request)).await.map_err(conflict)
    }

    /// Puts the writes down in parts, and has them made together.
    async fn write_staged(&self, batch: &[Write], part: usize) -> Result<(), Fault> {
        let changes = batch.iter().map(|write| proto::Change {
            key: key(&write.key),
            value: write.value.clone(),
            expect: match write.expect {
                Expect::Anything => None,
                Expect::Absent => Some(Expected::Absent(true)),
                Expect::Revision(Revision(number)) => Some(Expected::Revision(number)),
            },
        });
        let message: Bytes = proto::Batch { changes: changes.collect() }.encode_to_vec().into();
        let name = format!("{}{}", staged::PLACE, uuid::Uuid::now_v7());
        let parts = message.len().div_ceil(part);
        for number in 0..parts {
            let value = message.slice(number * part..message.len().min((number + 1) * part));
            let key = staged::part(&name, number);
            let item = StateItem { key, value, metadata: staged::fleeting(), ..StateItem::default() };
            self.write_one(&Change { item, deletes: false }).await?;
        }
        let item = StateItem { key: name, metadata: staged::made_of(parts), ..StateItem::default() };
        self.write_all(&[Change { item, deletes: false }]).await
    }

    async fn write_any(&self, batch: &[Write], changes: &[Change]) -> Result<(), Fault> {
        let bytes: usize = changes.iter().map(|change| change.item.key.len() + change.item.value.len()).sum();
        match (changes, &self.ours) {
            (_, Some(ours)) if bytes > MAX_CALL => self.write_staged(batch, ours.part).await,
            ([one], _) => self.write_one(one).await,
            (all, _) => self.write_all(all).await,
        }
    }

    /// A write is answered, or it is not known whether it was made. When it is tried again after that and conflicts,
    /// what it meets may be itself.
    async fn write_surely(&self, batch: &[Write], changes: &[Change]) -> Result<(), Fault> {
        let digest = digest(batch);
        let mut doubt = self.doubtful.lock().unwrap_or_else(PoisonError::into_inner).contains(&digest);
        let answer = match self.write_any(batch, changes).await {
            Err(fault) if fault.kind() == FaultKind::Conflict && doubt => {
                if self.is_made(changes).await? {
                    Ok(())
                } else {
                    Err(fault)
                }
            }
            answer => answer,
        };
        let stays = answer.as_ref().is_err_and(|fault| fault.kind() != FaultKind::Conflict && fault.is_retryable());
        let mut doubtful = self.doubtful.lock().unwrap_or_else(PoisonError::into_inner);
        if doubt && !stays {
            doubtful.retain(|known| *known != digest);
            doubt = false;
        }
        if stays && !doubt {
            doubtful.push_back(digest);
            if doubtful.len() > MAX_DOUBTFUL {
                doubtful.pop_front();
            }
        }
        answer
    }

    /// Whether what was written on a condition is there. Who writes so says in the value who it is.
    async fn is_made(&self, changes: &[Change]) -> Result<bool, Fault> {
        for change in changes.iter().filter(|change| change.is_guarded()) {
            let found = self.read(&change.item.key).await?;
            let is_there = found.is_some_and(|(value, _)| value == change.item.value);
            if is_there == change.deletes {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn change(&self, write: &Write) -> Result<Change, Fault> {
        let (concurrency, etag) = match write.expect {
            Expect::Anything => (StateConcurrency::ConcurrencyLastWrite, None),
            // First write without a version: there must be none.
            Expect::Absent => (StateConcurrency::ConcurrencyFirstWrite, None),
            Expect::Revision(revision) => {
                let unknown = || Fault::new(FaultKind::Conflict, "write state", "the version is not known any more");
                let value = self.etag(revision).ok_or_else(unknown)?;
                (StateConcurrency::ConcurrencyFirstWrite, Some(Etag { value }))
            }
        };
        let options =
            StateOptions { concurrency: concurrency.into(), consistency: StateConsistency::ConsistencyStrong.into() };
        let item = StateItem {
            key: key(&write.key),
            value: write.value.clone().unwrap_or_default(),
            etag,
            options: Some(options),
            ..StateItem::default()
        };
        Ok(Change { item, deletes: write.value.is_none() })
    }

    /// daprd does not tell the version that a write made, so it is read back where the write was on a condition: who sets
    /// none asks for none. What somebody else has written meanwhile is not ours: its version is not given out.
    async fn written(&self, change: &Change) -> Result<Revision, Fault> {
        if change.deletes || !change.is_guarded() {
            return Ok(NONE);
        }
        Ok(match self.read(&change.item.key).await? {
            Some((value, revision)) if value == change.item.value => revision,
            _ => NONE,
        })
    }

    fn revision(&self, etag: String) -> Revision {
        if let Some(number) = etag.parse::<u64>().ok().filter(|number| number & HASHED == 0 && *number > 0)
            && number.to_string() == etag
        {
            return Revision(number);
        }
        let mut hasher = DefaultHasher::new();
        etag.hash(&mut hasher);
        let hash = hasher.finish() | HASHED;
        let mut etags = self.etags.lock().unwrap_or_else(PoisonError::into_inner);
        if etags.texts.insert(hash, etag).is_none() {
            etags.order.push_back(hash);
        }
        if etags.order.len() > MAX_ETAGS
            && let Some(oldest) = etags.order.pop_front()
        {
            etags.texts.remove(&oldest);
        }
        Revision(hash)
    }

    fn etag(&self, revision: Revision) -> Option<String> {
        match revision {
            NONE => None,
            Revision(number) if number & HASHED == 0 => Some(number.to_string()),
            Revision(hash) => self.etags.lock().unwrap_or_else(PoisonError::into_inner).texts.get(&hash).cloned(),
        }
    }

    fn about(&self, fault: Fault) -> Fault {
        fault.with_context("store", self.component.as_str())
    }
}

/// One write in Dapr's words.
struct Change {
    item: StateItem,
    deletes: bool,
}

impl Change {
    /// Whether it holds on a condition only.
    fn is_guarded(&self) -> bool {
        self.item.options.is_some_and(|options| options.concurrency() == StateConcurrency::ConcurrencyFirstWrite)
    }
}

fn digest(batch: &[Write]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for Write { key, value, expect } in batch {
        (key, value, format!("{expect:?}")).hash(&mut hasher);
    }
    hasher.finish()
}

/// In a transaction daprd calls every error internal, a version that does not fit too: its text tells.
fn conflict(fault: Fault) -> Fault {
    if tells_of_version(fault.message()) && fault.kind() != FaultKind::Conflict {
        return Fault::new(FaultKind::Conflict, "write state", fault.message());
    }
    fault
}

/// The key as text: what is no plain character is percent-encoded, and so is `|`, for daprd parts its
/// own prefix off with `||`.
fn key(bytes: &[u8]) -> String {
    percent_encode(bytes, ENCODED).to_string()
}

#[async_trait]
impl flow::Store for Store {
    async fn get(&self, wanted: &[u8]) -> Result<Option<Stored>, Fault> {
        let found = self.read(&key(wanted)).await?;
        Ok(found.map(|(value, revision)| Stored { key: Bytes::copy_from_slice(wanted), value, revision }))
    }

    /// Dapr has no word for it: only the state store of one of our buses can.
    async fn scan(&self, prefix: &[u8], limit: usize) -> Result<Vec<Stored>, Fault> {
        let unable = || Fault::new(FaultKind::Unsupported, "list state", "a Dapr state store cannot list its keys");
        let questions = &self.ours.as_ref().ok_or_else(|| self.about(unable()))?.questions;
        let (text, mut found, mut question) = (key(prefix), Vec::new(), Question::Scan(limit));
        loop {
            let Page { entries, rest } = questions.page(&text, &question).await?;
            for Entry { rest, value, revision } in entries {
                let mut key = prefix.to_vec();
                key.extend(percent_decode_str(&rest));
                found.push(Stored { key: key.into(), value, revision: Revision(revision) });
            }
            if rest == 0 {
                return Ok(found);
            }
            question = Question::Rest(rest);
        }
    }

    /// Several writes need a Component with transactions.
    async fn write(&self, batch: Vec<Write>) -> Result<Vec<Revision>, Fault> {
        let changes = batch.iter().map(|write| self.change(write)).collect::<Result<Vec<_>, _>>()?;
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        self.write_surely(&batch, &changes).await.map_err(|fault| self.about(fault))?;
        let mut revisions = Vec::with_capacity(changes.len());
        for change in &changes {
            revisions.push(self.written(change).await?);
        }
        Ok(revisions)
    }
}
