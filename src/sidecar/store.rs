//! A state store Component as a store.
//!
//! Dapr's versions are texts (etags) and a store's are numbers: an etag that is a number is taken as
//! it is, any other by its hash, with the text remembered. A version that is not remembered any more is
//! no version that anything has: the write conflicts, its caller reads again.

use std::collections::{HashMap, VecDeque};
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use super::connection::Connection;
use crate::fault::{Fault, FaultKind};
use crate::flow::{self, Expect, Revision, Stored, Write};
use crate::proto::dapr_common::state_options::{StateConcurrency, StateConsistency};
use crate::proto::dapr_common::{Etag, StateItem, StateOptions};
use crate::proto::dapr_runtime::{
    DeleteStateRequest, ExecuteStateTransactionRequest, GetStateRequest, SaveStateRequest, TransactionalStateOperation,
};

/// Etags that are no numbers, remembered at most.
const MAX_ETAGS: usize = 4096;

/// Hashes of etags have this bit, numbers that are etags do not.
const HASHED: u64 = 1 << 63;

/// The version of what is not there, and of a value that somebody else has written over already.
const NONE: Revision = Revision(0);

/// Keeps state in a state store Component. daprd puts a prefix of its own before the keys.
pub struct Store {
    connection: Connection,
    component: String,
    etags: Mutex<Etags>,
}

#[derive(Default)]
struct Etags {
    texts: HashMap<u64, String>,
    order: VecDeque<u64>,
}

impl Store {
    pub fn new(connection: Connection, component: &str) -> Self {
        Self { connection, component: component.to_owned(), etags: Mutex::default() }
    }

    async fn read(&self, key: &str) -> Result<Option<(Bytes, Revision)>, Fault> {
        let request = GetStateRequest {
            store_name: self.component.clone(),
            key: key.to_owned(),
            consistency: StateConsistency::ConsistencyStrong.into(),
            ..GetStateRequest::default()
        };
        let mut client = self.connection.client();
        let found = self.connection.call("read state", client.get_state(request)).await.map_err(|f| self.about(f))?;
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
            self.connection.call("write state", client.delete_state(request)).await
        } else {
            let request = SaveStateRequest { store_name, states: vec![item] };
            self.connection.call("write state", client.save_state(request)).await
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
        self.connection.call("write state", client.execute_state_transaction(request)).await.map_err(conflict)
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

    /// daprd does not tell the version that a write made, so it is read back. What somebody else has
    /// written meanwhile is not ours: its version is not given out.
    async fn written(&self, change: &Change) -> Result<Revision, Fault> {
        if change.deletes {
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

/// In a transaction daprd calls every error internal, a version that does not fit too: its text tells.
fn conflict(fault: Fault) -> Fault {
    let told = fault.message().to_ascii_lowercase();
    if told.contains("etag") && fault.kind() != FaultKind::Conflict {
        return Fault::new(FaultKind::Conflict, "write state", fault.message());
    }
    fault
}

/// The key as text: what is no plain character is percent-encoded, and so is `|`, for daprd parts its
/// own prefix off with `||`.
fn key(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'/' | b':' | b'#' | b'@' => {
                text.push(char::from(*byte));
            }
            // Writing to a String cannot fail.
            _ => write!(text, "%{byte:02X}").unwrap_or_default(),
        }
    }
    text
}

#[async_trait]
impl flow::Store for Store {
    async fn get(&self, wanted: &[u8]) -> Result<Option<Stored>, Fault> {
        let found = self.read(&key(wanted)).await?;
        Ok(found.map(|(value, revision)| Stored { key: Bytes::copy_from_slice(wanted), value, revision }))
    }

    /// Dapr has no word for it.
    async fn scan(&self, _prefix: &[u8], _limit: usize) -> Result<Vec<Stored>, Fault> {
        Err(self.about(Fault::new(FaultKind::Unsupported, "list state", "a Dapr state store cannot list its keys")))
    }

    /// Several writes need a Component with transactions.
    async fn write(&self, batch: Vec<Write>) -> Result<Vec<Revision>, Fault> {
        let changes = batch.iter().map(|write| self.change(write)).collect::<Result<Vec<_>, _>>()?;
        match &changes[..] {
            [] => return Ok(Vec::new()),
            [one] => self.write_one(one).await,
            all => self.write_all(all).await,
        }
        .map_err(|fault| self.about(fault))?;
        let mut revisions = Vec::with_capacity(changes.len());
        for change in &changes {
            revisions.push(self.written(change).await?);
        }
        Ok(revisions)
    }
}
