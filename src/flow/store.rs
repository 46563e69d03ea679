//! The store: small durable state beside the bus, with atomic conditional writes.

use async_trait::async_trait;
use bytes::Bytes;

use crate::fault::Fault;

/// The version of a stored value; changes with every write of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Revision(pub u64);

/// A value with its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub key: Bytes,
    pub value: Bytes,
    pub revision: Revision,
}

/// What a write expects to find; anything else fails the whole batch with `Conflict`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    Anything,
    Absent,
    Revision(Revision),
}

/// One write of a batch; `value: None` deletes.
#[derive(Clone, Debug)]
pub struct Write {
    pub key: Bytes,
    pub value: Option<Bytes>,
    pub expect: Expect,
}

/// Durable key-value state. Keys order as bytes.
#[async_trait]
pub trait Store: Send + Sync {
    /// # Errors
    /// When the back end cannot answer.
    async fn get(&self, key: &[u8]) -> Result<Option<Stored>, Fault>;

    /// All entries whose key starts with `prefix`, in key order, at most `limit`.
    ///
    /// # Errors
    /// When the back end cannot answer.
    async fn scan(&self, prefix: &[u8], limit: usize) -> Result<Vec<Stored>, Fault>;

    /// Applies all writes, or none; durable when it returns. Answers with the new revisions, in order.
    ///
    /// # Errors
    /// `Conflict` when an expectation does not hold; otherwise when the back end cannot write.
    async fn write(&self, batch: Vec<Write>) -> Result<Vec<Revision>, Fault>;
}
