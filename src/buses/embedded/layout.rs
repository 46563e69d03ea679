//! The layout on disk: keys and values of every keyspace as bytes. Pure.
//!
//! | keyspace | key | value |
//! |---|---|---|
//! | `log` | topic id u32, offset u64 | append time i64 (microseconds), event record |
//! | `topics` | name | id u32, next offset u64, first offset u64, bytes u64 |
//! | `delayed` | due u64 (microseconds), sequence u64 | topic id u32, event record |
//! | `positions` | topic id u32, group name | the group's [`Settled`](super::settled::Settled) |
//! | `state` | the store's key | revision u64, value |
//! | `dedup-<n>` | fingerprint, 16 bytes | accept time i64 (microseconds) |
//! | `meta` | a word | a counter u64 |
//!
//! All numbers are big-endian, so that keys order as numbers. A change of this table is a change
//! of [`FORMAT`](super::marker::FORMAT).

use bytes::Bytes;

pub(super) const LOG_KEY: usize = 12;

/// What one event costs in a topic beside its record: the key and the append time.
pub(super) const LOG_OVERHEAD: u64 = 20;

pub(super) fn log_key(topic: u32, offset: u64) -> [u8; LOG_KEY] {
    let mut key = [0; LOG_KEY];
    key[..4].copy_from_slice(&topic.to_be_bytes());
    key[4..].copy_from_slice(&offset.to_be_bytes());
    key
}

/// The topic in a key of the log.
pub(super) fn log_topic(key: &[u8]) -> Option<u32> {
    key.first_chunk().map(|topic| u32::from_be_bytes(*topic))
}

/// The offset in a key of the log.
pub(super) fn log_offset(key: &[u8]) -> Option<u64> {
    if key.len() == LOG_KEY { number(key, 4) } else { None }
}

pub(super) fn log_value(appended: i64, record: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(8 + record.len());
    value.extend_from_slice(&appended.to_be_bytes());
    value.extend_from_slice(record);
    value
}

/// The append time and the record, which shares the value's bytes.
pub(super) fn split_log_value(value: &Bytes) -> Option<(i64, Bytes)> {
    let appended = i64::from_be_bytes(value.first_chunk().copied()?);
    Some((appended, value.slice(8..)))
}

/// What a topic remembers about itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TopicRecord {
    pub(super) id: u32,
    /// The offset of the next event.
    pub(super) next: u64,
    /// The offset of the oldest event that is kept.
    pub(super) first: u64,
    /// Bytes of all events that are kept, each with its [`LOG_OVERHEAD`].
    pub(super) bytes: u64,
}

impl TopicRecord {
    pub(super) fn encode(self) -> [u8; 28] {
        let mut value = [0; 28];
        value[..4].copy_from_slice(&self.id.to_be_bytes());
        value[4..12].copy_from_slice(&self.next.to_be_bytes());
        value[12..20].copy_from_slice(&self.first.to_be_bytes());
        value[20..].copy_from_slice(&self.bytes.to_be_bytes());
        value
    }

    pub(super) fn decode(value: &[u8]) -> Option<Self> {
        let id = u32::from_be_bytes(value.first_chunk().copied()?);
        Some(Self { id, next: number(value, 4)?, first: number(value, 12)?, bytes: number(value, 20)? })
    }
}

pub(super) fn delayed_key(due: i64, sequence: u64) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&due.max(0).to_be_bytes());
    key[8..].copy_from_slice(&sequence.to_be_bytes());
    key
}

/// When a delayed event is due.
pub(super) fn delayed_due(key: &[u8]) -> Option<i64> {
    i64::try_from(number(key, 0)?).ok()
}

pub(super) fn delayed_value(topic: u32, record: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(4 + record.len());
    value.extend_from_slice(&topic.to_be_bytes());
    value.extend_from_slice(record);
    value
}

/// The topic id and the record, which shares the value's bytes.
pub(super) fn split_delayed_value(value: &Bytes) -> Option<(u32, Bytes)> {
    let topic = u32::from_be_bytes(value.first_chunk().copied()?);
    Some((topic, value.slice(4..)))
}

pub(super) fn position_key(topic: u32, group: &str) -> Vec<u8> {
    [&topic.to_be_bytes(), group.as_bytes()].concat()
}

pub(super) fn split_position_key(key: &[u8]) -> Option<(u32, &str)> {
    let (topic, group) = key.split_first_chunk()?;
    Some((u32::from_be_bytes(*topic), std::str::from_utf8(group).ok()?))
}

pub(super) fn state_value(revision: u64, value: &[u8]) -> Vec<u8> {
    [&revision.to_be_bytes(), value].concat()
}

/// The revision and the value, which shares the stored bytes.
pub(super) fn split_state_value(value: &Bytes) -> Option<(u64, Bytes)> {
    Some((number(value, 0)?, value.slice(8..)))
}

/// The big-endian number at `at`.
pub(super) fn number(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.get(at..)?.first_chunk().copied()?))
}
