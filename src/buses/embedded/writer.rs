//! The writer: one thread, the only one that changes the database.
//!
//! It takes everything that waits, writes it as one round and answers. While the disk syncs, the
//! next round gathers in the queue: that is the whole of group commit.
//!
//! **When the disk fails.** The database refuses every write after a failed one, because it does
//! not know what reached the disk. When the disk was full, or the failure was in the background
//! (tables are written there; the journal is whole), the writer closes and reopens the database,
//! which cuts off the unfinished batch, and goes on. Until a write succeeds, or until an event of the
//! largest size is found to fit the disk again, [`Bus::ailment`](crate::flow::Bus::ailment) tells it. Any other failure of the journal is final: a
//! sync that failed once may report success later without having written anything, so only a
//! restart on a sound disk helps. Until then every write is refused with the reason.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use super::group::Group;
use super::marker::Claim;
use super::queue::{Job, Reply, Taken};
use super::round::{Memory, Pending, Round};
use super::shared::Shared;
use super::topic::Topic;
use crate::fault::{Fault, FaultKind, Retry};

/// Settled positions are written at the latest after this long. An acknowledgement that is lost
/// in a crash is a redelivery, so it needs no write of its own.
const FLUSH_POSITIONS: Duration = Duration::from_millis(50);

/// The retention rules are applied this often.
const RETAIN_EVERY: Duration = Duration::from_secs(60);

/// A database that could not be reopened is tried again after this long.
const REOPEN_EVERY: Duration = Duration::from_secs(1);

/// A disk that was full is tried again after this long.
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// Wall time may jump while the writer sleeps towards a due time; it looks again this often.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

enum Health {
    Sound,
    /// To be reopened, not before that uptime.
    Reopen(Duration, Fault),
    /// Refusing until the process restarts.
    Broken(Fault),
}

/// A pass of retention over all topics.
#[derive(Default)]
struct Pass {
    topics: VecDeque<Arc<Topic>>,
    deleted: u64,
    /// The topics that lost events.
    shrunk: Vec<Arc<Topic>>,
    waiting: Vec<Reply<u64>>,
}

pub(super) struct Writer {
    shared: Arc<Shared>,
    /// Of the open database; `None` while there is none.
    memory: Option<Memory>,
    health: Health,
    last_now: i64,
    flush_at: Option<Duration>,
    /// When the disk is tried again; while a write has failed and none has succeeded since.
    probe_at: Option<Duration>,
    retain_at: Duration,
    pass: Pass,
    reclaim: Option<JoinHandle<()>>,
    /// Topics that lost events and may still take space: the next pass sees to them.
    unreclaimed: Vec<Arc<Topic>>,
    /// The directory is this process's until the writer is gone.
    _claim: Claim,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, memory: Memory, claim: Claim) -> Self {
        Self {
            _claim: claim,
            unreclaimed: shared.topics().into_iter().filter(|topic| topic.record().first > 0).collect(),
            shared,
            memory: Some(memory),
            health: Health::Sound,
            last_now: 0,
            flush_at: None,
            probe_at: None,
            retain_at: RETAIN_EVERY,
            pass: Pass::default(),
            reclaim: None,
        }
    }

    /// Writes until the queue is closed and empty, then closes the database.
    pub(super) fn run(mut self) {
        loop {
            let Taken { jobs, closed } = self.shared.queue.take(self.patience());
            let jobs = self.sort(jobs);
            self.heal();
            if jobs.is_empty() {
                self.probe();
            }
            let moved = self.due_positions(closed);
            self.write(jobs, moved);
            if closed {
                break;
            }
        }
    }

    /// How long nothing may come in before there is something to do nevertheless.
    fn patience(&self) -> Duration {
        if !self.pass.topics.is_empty() {
            return Duration::ZERO;
        }
        let uptime = self.shared.uptime();
        let mut until = self.retain_at.min(uptime + LONGEST_SLEEP);
        if let Some(flush) = self.flush_at {
            until = until.min(flush);
        }
        if let Health::Reopen(at, _) = self.health {
            until = until.min(at);
        }
        if let Some(probe) = self.probe_at {
            until = until.min(probe);
        }
        let patience = until.saturating_sub(uptime);
        let due = self.memory.as_ref().and_then(|memory| memory.next_due);
        match (due, &self.health) {
            (Some(due), Health::Sound) => {
                let wait = u64::try_from(due.saturating_sub(self.shared.now())).unwrap_or(0);
                patience.min(Duration::from_micros(wait))
            }
            _ => patience,
        }
    }

    /// Keeps the jobs of retention apart, and starts a pass when one is due.
    fn sort(&mut self, jobs: Vec<Job>) -> Vec<Job> {
        let mut rest = Vec::with_capacity(jobs.len());
        for job in jobs {
            match job {
                Job::Retain { answer } => self.pass.waiting.push(answer),
                other => rest.push(other),
            }
        }
        let uptime = self.shared.uptime();
        if self.pass.topics.is_empty() && (uptime >= self.retain_at || !self.pass.waiting.is_empty()) {
            self.retain_at = uptime + RETAIN_EVERY;
            self.pass.topics = self.shared.topics().into();
            self.pass.shrunk.append(&mut self.unreclaimed);
            if self.pass.topics.is_empty() {
                self.end_pass(Ok(()));
            }
        }
        rest
    }

    /// The groups whose positions are to be written now.
    fn due_positions(&mut self, closed: bool) -> Vec<Arc<Group>> {
        let uptime = self.shared.uptime();
        match self.flush_at {
            _ if closed => self.shared.queue.take_moved(),
            Some(flush) if flush <= uptime => {
                self.flush_at = None;
                self.shared.queue.take_moved()
            }
            None if self.shared.queue.has_moved() => {
                self.flush_at = Some(uptime + FLUSH_POSITIONS);
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    fn write(&mut self, jobs: Vec<Job>, moved: Vec<Arc<Group>>) {
        let shared = self.shared.clone();
        let place = shared.slot.read();
        let (Health::Sound, Some(disk), Some(memory)) = (&self.health, place.as_ref(), self.memory.as_mut()) else {
            return self.refuse(jobs, moved);
        };
        shared.begin_round();
        // Append times never run backwards, whatever the wall clock does.
        self.last_now = shared.now().max(self.last_now);
        let mut round = Round::new(&shared, disk, memory, self.last_now);
        for job in jobs {
            round.add(job);
        }
        round.positions(moved);
        let mut result = round.move_due();
        if result.is_ok() {
            result = retain(&mut round, &mut self.pass);
        }
        let (batch, pending) = round.finish();
        let writes = !batch.is_empty();
        let moved_delayed = pending.moved_delayed;
        match result.and_then(|()| disk.commit(batch)) {
            Ok(()) => {
                if writes {
                    shared.set_ailment(None);
                    self.probe_at = None;
                }
                pending.succeed(&shared);
                shared.end_round(Some(self.last_now));
                if moved_delayed {
                    memory.next_due = super::publish::first_due(disk).unwrap_or(memory.next_due);
                }
                if self.pass.topics.is_empty() {
                    self.end_pass(Ok(()));
                }
            }
            Err(error) => {
                let fault = shared.fault("write to the bus", &error);
                // The database does not tell why its own thread failed. Mostly the disk is full: it tells.
                let unknown = matches!(error, fjall::Error::Poisoned);
                let told = unknown.then(|| shared.slot.probe(shared.config.max_event_bytes).err()).flatten();
                let fault = told.unwrap_or(fault);
                drop(place);
                self.failed(&error, fault, pending);
                shared.end_round(None);
            }
        }
    }

    /// The round could not be written.
    fn failed(&mut self, error: &fjall::Error, fault: Fault, pending: Pending) {
        tracing::error!(error = %fault.chain(), "the bus cannot write");
        let background = matches!(error, fjall::Error::Poisoned);
        self.health = if background || fault.kind() == FaultKind::Full {
            let again = fault.clone().with_retry(Retry::After(REOPEN_EVERY));
            Health::Reopen(Duration::ZERO, again)
        } else {
            Health::Broken(fault.clone())
        };
        self.shared.set_ailment(Some(fault.clone()));
        self.flush_at = Some(self.shared.uptime() + REOPEN_EVERY);
        pending.fail(&self.shared, &fault);
        self.end_pass(Err(fault));
    }

    /// Reopens the database when that is due.
    fn heal(&mut self) {
        let Health::Reopen(at, _) = &self.health else { return };
        let uptime = self.shared.uptime();
        if *at > uptime {
            return;
        }
        // It holds handles of the database that is about to be closed.
        self.memory = None;
        let now = self.shared.now();
        let window = window(&self.shared);
        let opened = self
            .shared
            .slot
            .reopen()
            .and_then(|()| self.shared.reload())
            .and_then(|()| self.shared.slot.with("open the bus", |disk| Memory::read(disk, window, now)));
        match opened {
            Ok(memory) => {
                tracing::warn!("the bus's database was closed and opened again after a failed write");
                self.memory = Some(memory);
                self.health = Health::Sound;
                self.probe_at = Some(uptime);
            }
            Err(fault) => {
                tracing::error!(error = %fault.chain(), "the bus's database cannot be opened again");
                self.shared.set_ailment(Some(fault.clone()));
                self.health = Health::Reopen(self.shared.uptime() + REOPEN_EVERY, fault);
            }
        }
    }

    /// Tries whether the disk has room again, so that the bus is found well also when nobody writes.
    fn probe(&mut self) {
        let uptime = self.shared.uptime();
        if !matches!(self.health, Health::Sound) || self.probe_at.is_none_or(|at| at > uptime) {
            return;
        }
        self.probe_at = match self.shared.slot.probe(self.shared.config.max_event_bytes) {
            Ok(()) => {
                self.shared.set_ailment(None);
                None
            }
            Err(fault) => {
                self.shared.set_ailment(Some(fault));
                Some(uptime + PROBE_EVERY)
            }
        };
    }

    /// Answers a round that cannot even be put together.
    fn refuse(&mut self, jobs: Vec<Job>, moved: Vec<Arc<Group>>) {
        let fault = match &self.health {
            Health::Broken(fault) | Health::Reopen(_, fault) => fault.clone(),
            Health::Sound => self.shared.slot.absent("write to the bus"),
        };
        for group in moved {
            if group.unwritten() {
                self.shared.queue.moved(group);
            }
        }
        self.flush_at = Some(self.shared.uptime() + REOPEN_EVERY);
        for job in jobs {
            match job {
                Job::Publish { events, answer, .. } => {
                    drop(answer.send(events.iter().map(|_| Err(fault.clone())).collect()));
                }
                Job::Store { answer, .. } => drop(answer.send(Err(fault.clone()))),
                Job::Join { answer, .. } => drop(answer.send(Err(fault.clone()))),
                Job::Retain { answer } => drop(answer.send(Err(fault.clone()))),
            }
        }
        self.end_pass(Err(fault));
    }

    fn end_pass(&mut self, result: Result<(), Fault>) {
        let pass = std::mem::take(&mut self.pass);
        let result = result.map(|()| pass.deleted);
        self.reclaim(pass.shrunk);
        for answer in pass.waiting {
            drop(answer.send(result.clone()));
        }
    }
}

impl Writer {
    /// Starts getting space back, unless that is still going on.
    fn reclaim(&mut self, mut topics: Vec<Arc<Topic>>) {
        if topics.is_empty() {
            return;
        }
        if self.reclaim.as_ref().is_some_and(|running| !running.is_finished()) {
            self.unreclaimed.append(&mut topics);
            return;
        }
        match super::retention::reclaim(self.shared.clone(), topics) {
            Ok(thread) => self.reclaim = Some(thread),
            Err(error) => tracing::warn!(error = %error, "no thread can be started to get space back"),
        }
    }
}

impl Drop for Writer {
    /// However the thread ends, nobody waits for it in vain, and the directory is free again.
    fn drop(&mut self) {
        self.memory = None;
        self.shared.close();
        if let Some(Err(_)) = self.reclaim.take().map(JoinHandle::join) {
            tracing::error!("getting space back panicked");
        }
        self.shared.slot.clear();
    }
}

/// Deletes the next chunk that the pass finds.
fn retain(round: &mut Round<'_>, pass: &mut Pass) -> fjall::Result<()> {
    while let Some(topic) = pass.topics.front() {
        let deleted = round.delete_oldest(topic)?;
        pass.deleted += deleted;
        if deleted > 0 {
            if pass.shrunk.last().is_none_or(|last| last.id != topic.id) {
                pass.shrunk.push(topic.clone());
            }
            break;
        }
        pass.topics.pop_front();
    }
    Ok(())
}

/// The deduplication window in microseconds.
pub(super) fn window(shared: &Shared) -> i64 {
    i64::try_from(shared.config.dedup_window.as_micros()).unwrap_or(i64::MAX)
}
