//! The queue between the publishers and the writer: bounded by bytes, emptied as a whole.
//!
//! The writer takes everything that waits at once, which is what makes a group commit. A
//! publisher waits for room before it enqueues; the room is given back after the commit.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::group::Group;
use super::topic::Topic;
use crate::fault::Fault;
use crate::flow::{self, Outgoing, Published, Revision, Start, Write};

/// Room is counted in units of 4 KiB, so that a semaphore of small numbers does.
const ROOM_UNIT: usize = 4096;

/// 16 MiB may wait for the writer or be in its commit: a second of a slow disk, and a bound on
/// memory that many publishers of large events cannot pass.
const ROOM_UNITS: usize = 4096;

/// The answer to each event of a publish.
pub(super) type Answers = Vec<Result<Published, Fault>>;

/// The group that was joined, and its topic.
pub(super) type Joined = (Arc<Topic>, Arc<Group>);

/// Where a job's answer goes.
pub(super) type Reply<T> = oneshot::Sender<Result<T, Fault>>;

/// One piece of work for the writer.
pub(super) enum Job {
    Publish {
        topic: flow::Topic,
        events: Vec<Outgoing>,
        answer: oneshot::Sender<Answers>,
        room: OwnedSemaphorePermit,
    },
    Store {
        writes: Vec<Write>,
        answer: Reply<Vec<Revision>>,
        room: OwnedSemaphorePermit,
    },
    Join {
        topic: flow::Topic,
        group: flow::Group,
        start: Start,
        answer: Reply<Joined>,
    },
    /// Apply the retention rules now; answers with the number of events deleted.
    Retain {
        answer: Reply<u64>,
    },
}

/// What the writer took.
pub(super) struct Taken {
    pub(super) jobs: Vec<Job>,
    /// Nothing comes after this.
    pub(super) closed: bool,
}

#[derive(Default)]
struct Waiting {
    jobs: Vec<Job>,
    /// Groups whose positions changed since they were last written. Each is here at most once.
    moved: Vec<Arc<Group>>,
    /// The writer should look at `moved` and set itself a deadline.
    notice: bool,
    closed: bool,
}

pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    wake: Condvar,
    room: Arc<Semaphore>,
}

impl Queue {
    pub(super) fn new() -> Self {
        Self { waiting: Mutex::default(), wake: Condvar::new(), room: Arc::new(Semaphore::new(ROOM_UNITS)) }
    }

    /// Waits for room for `bytes`; `None` when the queue is closed. More than all the room is
    /// taken as all of it. Cancel-safe.
    pub(super) async fn room(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let units = bytes.div_ceil(ROOM_UNIT).clamp(1, ROOM_UNITS);
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        self.room.clone().acquire_many_owned(units).await.ok()
    }

    /// Hands a job to the writer; false when the queue is closed (the job's answer is dropped).
    #[must_use]
    pub(super) fn push(&self, job: Job) -> bool {
        let mut waiting = self.lock();
        if waiting.closed {
            return false;
        }
        waiting.jobs.push(job);
        drop(waiting);
        self.wake.notify_one();
        true
    }

    /// Notes that a group's positions changed. The caller makes sure that it is not noted twice.
    pub(super) fn moved(&self, group: Arc<Group>) {
        let mut waiting = self.lock();
        waiting.moved.push(group);
        let first = waiting.moved.len() == 1;
        waiting.notice |= first;
        drop(waiting);
        if first {
            self.wake.notify_one();
        }
    }

    /// The writer's side: everything that waits, at the latest after `limit`; earlier, and
    /// perhaps without jobs, when a first group moved or the queue was closed.
    pub(super) fn take(&self, limit: Duration) -> Taken {
        let idle = |waiting: &mut Waiting| waiting.jobs.is_empty() && !waiting.notice && !waiting.closed;
        let waiting = self.lock();
        let (mut waiting, _) =
            self.wake.wait_timeout_while(waiting, limit, idle).unwrap_or_else(PoisonError::into_inner);
        waiting.notice = false;
        Taken { jobs: std::mem::take(&mut waiting.jobs), closed: waiting.closed }
    }

    /// Whether any group's positions wait to be written.
    pub(super) fn has_moved(&self) -> bool {
        !self.lock().moved.is_empty()
    }

    pub(super) fn take_moved(&self) -> Vec<Arc<Group>> {
        std::mem::take(&mut self.lock().moved)
    }

    /// Refuses everything from now on; what waits is still taken.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.room.close();
        self.wake.notify_one();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Every section leaves the state whole, so a panic elsewhere does not spoil it.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
