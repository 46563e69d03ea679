//! What a reader's thread and its owner share: messages that were fetched, and which are settled.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use rdkafka::message::{BorrowedMessage, Headers, Message as _, Timestamp};
use tokio::sync::watch;

use super::window::Window;
use crate::fault::Fault;

/// Messages that wait to be taken, at most: what a stopped owner costs in memory, beside the client's
/// own queue.
const MAX_READY: usize = 1024;
/// The same in bytes; one that is larger waits alone.
const MAX_READY_BYTES: usize = 8 << 20;

/// A message as the broker keeps it.
#[derive(Clone, Debug)]
pub struct Message {
    pub partition: i32,
    pub offset: i64,
    /// Milliseconds since 1970, as the sender or the broker said.
    pub timestamp: Option<i64>,
    /// Whether it was the broker.
    pub stamped: bool,
    pub key: Option<Bytes>,
    pub payload: Bytes,
    pub headers: Vec<(String, Bytes)>,
}

impl Message {
    /// Of what the client hands out.
    pub fn of(message: &BorrowedMessage<'_>) -> Self {
        let bytes = |bytes: Option<&[u8]>| bytes.map(Bytes::copy_from_slice);
        let headers = message.headers().map(|headers| {
            headers.iter().map(|header| (header.key.to_owned(), bytes(header.value).unwrap_or_default())).collect()
        });
        Self {
            partition: message.partition(),
            offset: message.offset(),
            timestamp: message.timestamp().to_millis(),
            stamped: matches!(message.timestamp(), Timestamp::LogAppendTime(_)),
            key: bytes(message.key()),
            payload: bytes(message.payload()).unwrap_or_default(),
            headers: headers.unwrap_or_default(),
        }
    }

    /// In bytes, of what is as long as its sender likes.
    pub fn size(&self) -> usize {
        self.payload.len() + self.headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
    }
}

/// What a message is settled by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token {
    pub partition: i32,
    pub offset: i64,
    /// Which time it was that the partition became ours.
    epoch: u64,
}

/// What is to be committed for a partition: the offset, and the text beside it.
pub(super) type Commit = (i32, i64, String);

#[derive(Default)]
struct State {
    partitions: BTreeMap<i32, (u64, Window)>,
    epochs: u64,
    ready: VecDeque<(Token, Message)>,
    bytes: usize,
    failed: Option<Fault>,
    stopping: bool,
    dirty: bool,
}

impl State {
    fn is_full(&self) -> bool {
        self.ready.len() >= MAX_READY || self.bytes >= MAX_READY_BYTES
    }
}

pub(super) struct Desk {
    state: Mutex<State>,
    /// Changes when something is ready, or when it is over.
    pub(super) filled: watch::Sender<u64>,
    /// Rung for the thread.
    bell: (Mutex<bool>, Condvar),
}

impl Default for Desk {
    fn default() -> Self {
        Self { state: Mutex::default(), filled: watch::Sender::new(0), bell: (Mutex::new(false), Condvar::new()) }
    }
}

impl Desk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the thread.
    pub(super) fn ring(&self) {
        *self.bell.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.bell.1.notify_one();
    }

    /// Waits until the bell is rung, not longer than this.
    pub(super) fn wait(&self, limit: Duration) {
        let rung = self.bell.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.bell.1.wait_timeout_while(rung, limit, |rung| !*rung);
        let (mut rung, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *rung = false;
    }

    fn stir(&self) {
        self.filled.send_modify(|count| *count += 1);
    }

    pub(super) fn assign(&self, partition: i32, window: Window) {
        let mut state = self.state();
        state.epochs += 1;
        let epoch = state.epochs;
        state.partitions.insert(partition, (epoch, window));
    }

    /// Forgets partitions; what became of their messages is not waited for. What is to be committed.
    pub(super) fn revoke(&self, partitions: &[i32]) -> Vec<Commit> {
        let mut guard = self.state();
        let state = &mut *guard;
        let mut commits = Vec::new();
        for partition in partitions {
            if let Some((_, mut window)) = state.partitions.remove(partition) {
                commits.extend(window.commit().map(|(offset, text)| (*partition, offset, text)));
            }
        }
        state.ready.retain(|(token, _)| !partitions.contains(&token.partition));
        state.bytes = state.ready.iter().map(|(_, message)| message.size()).sum();
        drop(guard);
        // Whoever holds something of them may want to forget it.
        self.stir();
        commits
    }

    pub(super) fn partitions(&self) -> Vec<i32> {
        self.state().partitions.keys().copied().collect()
    }

    pub(super) fn take(&self, message: Message) {
        let mut guard = self.state();
        let state = &mut *guard;
        let Message { partition, offset, .. } = message;
        let Some((epoch, window)) = state.partitions.get_mut(&partition) else { return };
        let (was, before) = (window.low(), offset);
        if !window.take(offset) {
            state.dirty = true;
            return;
        }
        if before < was {
            // The topic was made anew: what is out belongs to what was before.
            state.epochs += 1;
            *epoch = state.epochs;
        }
        let token = Token { partition, offset, epoch: *epoch };
        state.bytes += message.size();
        state.ready.push_back((token, message));
        drop(guard);
        self.stir();
    }

    pub(super) fn is_full(&self) -> bool {
        self.state().is_full()
    }

    pub(super) fn next(&self) -> Option<(Token, Message)> {
        let mut state = self.state();
        let was_full = state.is_full();
        let (token, message) = state.ready.pop_front()?;
        state.bytes -= message.size();
        if was_full && !state.is_full() {
            self.ring();
        }
        Some((token, message))
    }

    pub(super) fn is_current(&self, token: Token) -> bool {
        self.state().partitions.get(&token.partition).is_some_and(|(epoch, _)| *epoch == token.epoch)
    }

    pub(super) fn settle(&self, token: Token) {
        let mut state = self.state();
        let Some((epoch, window)) = state.partitions.get_mut(&token.partition) else { return };
        if *epoch == token.epoch && window.settle(token.offset) && !std::mem::replace(&mut state.dirty, true) {
            self.ring();
        }
    }

    pub(super) fn is_dirty(&self) -> bool {
        self.state().dirty
    }

    /// What is to be committed now.
    pub(super) fn commits(&self) -> Vec<Commit> {
        let mut state = self.state();
        state.dirty = false;
        let each = state.partitions.iter_mut();
        each.filter_map(|(partition, (_, window))| window.commit().map(|(offset, text)| (*partition, offset, text)))
            .collect()
    }

    /// A commit did not come about.
    pub(super) fn recommit(&self) {
        let mut state = self.state();
        state.dirty = true;
        state.partitions.values_mut().for_each(|(_, window)| window.recommit());
    }

    pub(super) fn fail(&self, fault: Fault) {
        self.state().failed.get_or_insert(fault);
        self.stir();
    }

    pub(super) fn failed(&self) -> Option<Fault> {
        self.state().failed.clone()
    }

    pub(super) fn stop(&self) {
        self.state().stopping = true;
        self.ring();
    }

    pub(super) fn is_stopping(&self) -> bool {
        let state = self.state();
        state.stopping || state.failed.is_some()
    }
}
