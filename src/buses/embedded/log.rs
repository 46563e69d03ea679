//! Reading the log back from the disk.

use bytes::Bytes;

use super::disk::{Disk, Slot, fault};
use super::layout::{log_key, log_offset, split_log_value};
use super::topic::Entry;
use crate::fault::{Fault, FaultKind};

/// At most this many events are read at a time.
pub(super) const READ_EVENTS: usize = 512;

/// Reading stops behind this many bytes: what a subscriber reads ahead is memory.
const READ_BYTES: usize = 1 << 20;

/// Wanted offsets that are further apart than this are not read in one sweep.
const GAP: u64 = 32;

/// What is wanted of a topic's log.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) topic: u32,
    /// Ascending, at least one.
    pub(super) offsets: Vec<u64>,
    /// The offset of the next event that is appended.
    pub(super) next: u64,
}

/// Reads from the first wanted offset on, in order: until a gap, a bound, or the end. Reads ahead
/// behind the last wanted offset up to the same bounds. At least the first wanted offset is
/// decided by the answer: it is there, or it is not kept any more.
///
/// # Errors
/// When the disk fails; never because of damaged bytes, which are handed out as poison.
pub(super) fn read(slot: &Slot, wanted: &Wanted) -> Result<Sweep, Fault> {
    let place = slot.read();
    let disk = place.as_ref().ok_or_else(|| slot.absent("read the log"))?;
    let first = wanted.offsets[0];
    let mut end = first + 1;
    for offset in &wanted.offsets {
        if *offset > end + GAP {
            break;
        }
        end = offset + 1;
    }
    if wanted.offsets.last().is_some_and(|last| end > *last) {
        end = wanted.next.max(end);
    }
    match sweep(disk, wanted.topic, first, end) {
        Err(error) if is_damage(&error) => one(disk, wanted.topic, first, &error),
        other => other.map_err(|error| fault("read the log", &error)),
    }
}

/// What was read: every event that exists in `from..to`.
#[derive(Debug)]
pub(super) struct Sweep {
    pub(super) entries: Vec<(u64, Entry)>,
    pub(super) to: u64,
}

fn sweep(disk: &Disk, topic: u32, from: u64, end: u64) -> fjall::Result<Sweep> {
    let mut entries = Vec::new();
    let mut bytes = 0;
    for item in disk.log.range(log_key(topic, from)..log_key(topic, end)) {
        let (key, value) = item.into_inner()?;
        let Some(offset) = log_offset(&key) else { continue };
        bytes += value.len();
        entries.push((offset, entry(&value.into())));
        if entries.len() >= READ_EVENTS || bytes >= READ_BYTES {
            return Ok(Sweep { entries, to: offset + 1 });
        }
    }
    Ok(Sweep { entries, to: end })
}

/// One event alone, because its surroundings are damaged.
fn one(disk: &Disk, topic: u32, offset: u64, damage: &fjall::Error) -> Result<Sweep, Fault> {
    tracing::warn!(topic, offset, error = %damage, "the log is damaged on disk");
    let entries = match disk.log.get(log_key(topic, offset)) {
        Ok(None) => Vec::new(),
        Ok(Some(value)) => vec![(offset, entry(&value.into()))],
        Err(error) if is_damage(&error) => vec![(offset, Entry::unreadable(fault("read the log", &error)))],
        Err(error) => return Err(fault("read the log", &error)),
    };
    Ok(Sweep { entries, to: offset + 1 })
}

fn entry(value: &Bytes) -> Entry {
    match split_log_value(value) {
        Some((appended, record)) => Entry::read(appended, record),
        None => Entry::unreadable(Fault::new(FaultKind::Malformed, "read the log", "the value is too short")),
    }
}

/// Damaged bytes, as opposed to a disk that fails.
fn is_damage(error: &fjall::Error) -> bool {
    fault("read the log", error).kind() == FaultKind::Malformed
}
