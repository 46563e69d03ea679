//! Which events were accepted lately, on disk, in two generations.
//!
//! A fingerprint is looked up in the current generation and the one before; when the current one
//! is a window old, a new one starts and the one before the last is deleted as a whole. So
//! forgetting costs nothing per event and memory stays what the database's is. Each fingerprint
//! carries its time: the window is exact, whatever the generations do.
//!
//! Nearly every event is new, and to look for it on disk costs more than to write it. So a
//! [`Sieve`] in memory stands in front of each generation, and only what it cannot rule out is
//! looked up.

use bytes::Bytes;
use fjall::{Keyspace, OwnedWriteBatch};
use ring::digest::{Context, SHA256};

use super::disk::Disk;
use super::layout::number;
use super::sieve::Sieve;
use crate::event::Event;
use crate::flow::Deduplicate;

const PREFIX: &str = "dedup-";
const STARTED: &str = "dedup-started";

/// Half of a SHA-256: two events never share one, not even on purpose.
pub(super) type Fingerprint = [u8; 16];

/// The fingerprint of an event on a topic; `None` when it is always appended.
pub(super) fn fingerprint(topic: u32, event: &Event, deduplicate: Deduplicate) -> Option<Fingerprint> {
    let attempt = match deduplicate {
        Deduplicate::Never => return None,
        Deduplicate::Event => 0,
        Deduplicate::Attempt(attempt) => u64::from(attempt) + 1,
    };
    let mut hash = Context::new(&SHA256);
    hash.update(&topic.to_be_bytes());
    hash.update(&attempt.to_be_bytes());
    // The length keeps ("a", "bc") and ("ab", "c") apart.
    hash.update(&(event.source().len() as u64).to_be_bytes());
    hash.update(event.source().as_bytes());
    hash.update(event.id().as_bytes());
    hash.finish().as_ref().first_chunk().copied()
}

/// The fingerprints of one stretch of time.
struct Generation {
    keyspace: Keyspace,
    /// What may be in there; `None` when it was too large to be read when the bus was opened.
    sieve: Option<Sieve>,
}

impl Generation {
    fn open(disk: &Disk, number: u64) -> fjall::Result<Self> {
        let keyspace = disk.fingerprints(&format!("{PREFIX}{number}"))?;
        let sieve = Sieve::of(keyspace.iter().map(fjall::Guard::key))?;
        Ok(Self { keyspace, sieve })
    }

    /// False when the fingerprint is certainly not in there.
    fn may_contain(&self, fingerprint: &Fingerprint) -> bool {
        self.sieve.as_ref().is_none_or(|sieve| sieve.may_contain(fingerprint))
    }
}

/// The generations that are open. The writer's alone.
pub(super) struct Generations {
    number: u64,
    started: i64,
    current: Generation,
    previous: Option<Generation>,
    window: i64,
}

impl Generations {
    pub(super) fn open(disk: &Disk, window: i64, now: i64) -> fjall::Result<Self> {
        let names = disk.keyspace_names();
        let mut numbers: Vec<u64> = names.iter().filter_map(|name| name.strip_prefix(PREFIX)?.parse().ok()).collect();
        numbers.sort_unstable();
        let number = numbers.pop().unwrap_or(0);
        let previous = numbers.pop();
        for stale in numbers {
            disk.delete(disk.fingerprints(&format!("{PREFIX}{stale}"))?)?;
        }
        let started = i64::try_from(disk.counter(STARTED)?).unwrap_or(0);
        Ok(Self {
            number,
            started: if started == 0 { now } else { started },
            current: Generation::open(disk, number)?,
            previous: previous.map(|number| Generation::open(disk, number)).transpose()?,
            window,
        })
    }

    /// Starts a new generation when the current one is a window old.
    pub(super) fn rotate(&mut self, disk: &Disk, batch: &mut OwnedWriteBatch, now: i64) -> fjall::Result<()> {
        if (now - self.started).abs() < self.window {
            return Ok(());
        }
        if let Some(stale) = self.previous.take() {
            disk.delete(stale.keyspace)?;
        }
        self.number += 1;
        self.started = now;
        let next = Generation::open(disk, self.number)?;
        self.previous = Some(std::mem::replace(&mut self.current, next));
        batch.insert(&disk.meta, STARTED, now.to_be_bytes());
        Ok(())
    }

    /// Whether the fingerprint was accepted within the window, as far as that is on disk.
    pub(super) fn contains(&self, fingerprint: &Fingerprint, now: i64) -> fjall::Result<bool> {
        for generation in std::iter::once(&self.current).chain(&self.previous) {
            if generation.may_contain(fingerprint)
                && let Some(value) = generation.keyspace.get(fingerprint)?
                && let Some(accepted) = number(&value, 0)
                && (now - accepted.cast_signed()).abs() < self.window
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Adds a fingerprint to a round; `accepted` is the round's time, as it is stored. A round
    /// that fails leaves a trace in the sieve, which costs a look-up at most.
    pub(super) fn add(&mut self, batch: &mut OwnedWriteBatch, key: Bytes, fingerprint: &Fingerprint, accepted: &Bytes) {
        if let Some(sieve) = &mut self.current.sieve {
            sieve.add(fingerprint);
        }
        batch.insert(&self.current.keyspace, key, accepted.clone());
    }
}
