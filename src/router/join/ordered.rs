//! Delivers matches in order: of those with the same `partitionkey` one after the other, each until it is delivered or with the
//! dead letters. Nothing is parked: what fails stays at its place in the outbox, and those of its key wait behind it there.

use std::collections::{HashMap, HashSet, VecDeque};

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::Notify;

use super::keys::{Keys, Part};
use super::outbox::Ready;
use super::{Means, RETRY, Setup};
use crate::fault::Fault;
use crate::task::{self, Shutdown};

/// Matches that are looked at together. As many behind failing ones hold up all others.
const PAGE: usize = 256;

/// The attribute by which events belong together.
const KEY: &str = "partitionkey";

/// What was read of the outbox, by the key of its events.
#[derive(Default)]
struct Lines {
    waiting: HashMap<String, VecDeque<Ready>>,
    /// Keys whose next match is ready, and is not under way.
    free: VecDeque<String>,
    /// All that was read and is not removed.
    known: HashSet<Bytes>,
    /// Whether there may be more behind the page that was read last.
    full: bool,
    /// How many matches of that page were new, and how many were removed since.
    taken: usize,
    removed: usize,
}

impl Lines {
    /// Whether it is worth to read the next page: much of it, or all that is not held up by failing ones, would be new.
    fn has_room(&self) -> bool {
        self.known.len() <= PAGE / 2 || self.removed >= self.taken
    }

    fn push(&mut self, ready: Ready) {
        self.taken += 1;
        let key = ready.event.attribute(KEY).map(|key| key.text().into_owned()).unwrap_or_default();
        self.known.insert(ready.key.clone());
        // An empty line is one whose first match is under way.
        let line = self.waiting.entry(key.clone()).or_insert_with(|| {
            self.free.push_back(key);
            VecDeque::new()
        });
        line.push_back(ready);
    }

    /// The next match of a key that none is under way of.
    fn next(&mut self) -> Option<(String, Ready)> {
        let key = self.free.pop_front()?;
        let ready = self.waiting.get_mut(&key)?.pop_front()?;
        Some((key, ready))
    }

    /// Notes that the match of the key is removed.
    fn done(&mut self, key: String, ready: &Ready) {
        self.known.remove(&ready.key);
        self.removed += 1;
        if self.waiting.get(&key).is_some_and(VecDeque::is_empty) {
            self.waiting.remove(&key);
        } else {
            self.free.push_back(key);
        }
    }
}

/// Delivers what is in the outbox, and what is put there later, until the stop is asked for.
pub(super) async fn run(setup: &Setup, means: &Means, fired: &Notify, shutdown: &Shutdown) -> Result<(), Fault> {
    let keys = Keys::new(&means.group, &setup.id);
    let concurrency = setup.destinations.first().map_or(1, |destination| destination.policy.concurrency);
    let mut lines = Lines::default();
    let mut under_way = FuturesUnordered::new();
    // Whether something may have been put into the outbox since it was read.
    let mut fired_since = true;
    loop {
        let wanted = if lines.full { lines.has_room() } else { fired_since };
        if wanted && !shutdown.is_requested() {
            fired_since = false;
            if let Err(fault) = read(setup, means, &keys, &mut lines).await {
                tracing::warn!(subscriber = setup.id, fault = fault.chain(), "cannot read what is to be delivered");
                rest(shutdown).await;
                fired_since = true;
                continue;
            }
        }
        while under_way.len() < concurrency
            && !shutdown.is_requested()
            && let Some((key, ready)) = lines.next()
        {
            under_way.push(finish(setup, means, key, ready, shutdown));
        }
        tokio::select! {
            () = shutdown.requested(), if under_way.is_empty() => return Ok(()),
            Some((key, ready, removed)) = under_way.next(), if !under_way.is_empty() => {
                if removed {
                    lines.done(key, &ready);
                }
            }
            () = fired.notified() => fired_since = true,
        }
    }
}

/// Takes in what is new on the first page of the outbox.
async fn read(setup: &Setup, means: &Means, keys: &Keys, lines: &mut Lines) -> Result<(), Fault> {
    let page = means.store.scan(keys.all(Part::Out).as_bytes(), PAGE).await?;
    (lines.full, lines.taken, lines.removed) = (page.len() >= PAGE, 0, 0);
    for stored in page {
        if !lines.known.contains(&stored.key) {
            lines.push(Ready::read(setup, means, keys, stored).await?);
        }
    }
    Ok(())
}

/// Delivers and removes a match; whether that is done.
async fn finish(setup: &Setup, means: &Means, key: String, ready: Ready, shutdown: &Shutdown) -> (String, Ready, bool) {
    let mut delivered = false;
    loop {
        let done = if delivered { Ok(()) } else { ready.send(setup, means).await };
        delivered = done.is_ok();
        let done = if delivered { ready.remove(setup, means).await } else { done };
        let Err(fault) = done else { return (key, ready, true) };
        if shutdown.is_requested() {
            return (key, ready, false);
        }
        tracing::warn!(subscriber = setup.id, fault = fault.chain(), "cannot finish with what is to be delivered");
        rest(shutdown).await;
    }
}

async fn rest(shutdown: &Shutdown) {
    tokio::select! {
        () = shutdown.requested() => {}
        () = task::sleep(RETRY) => {}
    }
}
