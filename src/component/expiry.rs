//! Values of a state store whose time is over. Nobody is given one any more from that moment on; here they
//! are deleted, so that they do not fill the store.
//!
//! Beside a value that ends there is a note under a key that begins with its end, so that the notes
//! of what is over come first. A value that was written again has another note, and the old one finds
//! nothing to do.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use prost::Message as _;

use crate::fault::{Fault, FaultKind};
use crate::flow::{Expect, Store, Write};
use crate::proto::penstock::StateValue;
use crate::task::{self, Clock, Shutdown};

/// Before every note. No key of a value begins so.
const NOTES: &str = "dapr-expiry/";

/// Digits of the end in a key: all that a positive number of 64 bits can have, so that keys are in the order of
/// time.
const DIGITS: usize = 20;

/// How often the notes are looked at. Until then what is over takes space, and nothing else.
const EVERY: Duration = Duration::from_secs(30);

/// Values deleted in one write.
const BATCH: usize = 256;

/// The note of a value under `key` (as it is in the store) that ends at `expires`, in microseconds since 1970.
pub(super) fn note(key: &Bytes, expires: i64) -> Write {
    let mut name = format!("{NOTES}{expires:0DIGITS$}/").into_bytes();
    name.extend_from_slice(key);
    // Some stores take an empty value for none.
    Write { key: name.into(), value: Some(Bytes::from_static(b"1")), expect: Expect::Anything }
}

/// The end and the key of the value that a note is about.
fn read(note: &Bytes) -> Option<(i64, Bytes)> {
    let start = NOTES.len() + DIGITS;
    let end = std::str::from_utf8(note.get(NOTES.len()..start)?).ok()?.parse().ok()?;
    (note.get(start) == Some(&b'/')).then(|| (end, note.slice(start + 1..)))
}

/// Whether a value that ends at `expires` (0: never) is over.
pub(super) fn is_over(expires: i64, now: Timestamp) -> bool {
    expires != 0 && expires <= now.as_microsecond()
}

/// Deletes what is over, first what ended while nobody looked, then now and again, until `shutdown`.
///
/// # Errors
/// None: what the store cannot do now is tried again.
pub(super) async fn run(store: Arc<dyn Store>, clock: Clock, shutdown: Shutdown) -> Result<(), Fault> {
    loop {
        let swept = tokio::select! {
            () = shutdown.requested() => return Ok(()),
            swept = sweep(store.as_ref(), clock.now()) => swept,
        };
        match swept {
            Ok(0) => {}
            Ok(values) => tracing::debug!(values, "values of a state store were over and are deleted"),
            Err(fault) => tracing::warn!(fault = fault.chain(), "what is over in a state store cannot be deleted now"),
        }
        tokio::select! {
            () = shutdown.requested() => return Ok(()),
            () = task::sleep(EVERY) => {}
        }
    }
}

/// Deletes everything that is over at `now`; how many values.
///
/// # Errors
/// When the store cannot answer.
pub(super) async fn sweep(store: &dyn Store, now: Timestamp) -> Result<usize, Fault> {
    let mut deleted = 0;
    loop {
        let notes = store.scan(NOTES.as_bytes(), BATCH).await?;
        let due = notes.iter().filter_map(|note| {
            let (end, key) = read(&note.key)?;
            is_over(end, now).then(|| (note.key.clone(), key))
        });
        let due: Vec<(Bytes, Bytes)> = due.collect();
        for (note, key) in &due {
            deleted += usize::from(settle(store, note, key, now).await?);
        }
        // The notes of one look are in order: behind the first that is not due yet, none is.
        if due.len() < BATCH {
            return Ok(deleted);
        }
    }
}

/// Deletes a note, and the value that it is about if that is over; whether it was.
async fn settle(store: &dyn Store, note: &Bytes, key: &Bytes, now: Timestamp) -> Result<bool, Fault> {
    let delete = |key: &Bytes, expect| Write { key: key.clone(), value: None, expect };
    let over = store
        .get(key)
        .await?
        .filter(|stored| StateValue::decode(stored.value.clone()).is_ok_and(|value| is_over(value.expires, now)));
    let mut writes = vec![delete(note, Expect::Anything)];
    writes.extend(over.as_ref().map(|stored| delete(key, Expect::Revision(stored.revision))));
    match store.write(writes).await {
        Ok(_) => Ok(over.is_some()),
        // It was written again meanwhile: the next look finds the note, and that there is nothing to do.
        Err(fault) if fault.kind() == FaultKind::Conflict => {
            store.write(vec![delete(note, Expect::Anything)]).await.map(|_| false)
        }
        Err(fault) => Err(fault),
    }
}
