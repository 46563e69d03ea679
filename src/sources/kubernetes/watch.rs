//! Follows one watch: changes are handed out in their order, and a version is written down when every change up to it
//! was kept.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt, ready};
use futures_util::stream::{FuturesOrdered, StreamExt, TryStreamExt};
use jiff::Timestamp;
use kube::Client;
use kube::core::WatchEvent;
use serde_json::Value as Json;

use super::known::{Before, Known};
use super::link::{self, GONE, LIST, Requests, WATCH};
use super::mark::{Mark, Past};
use super::message::{self, Change, Identity, Terms};
use super::source::Entry;
use crate::fault::{Fault, FaultKind};
use crate::flow::{Handout, Kept, Position};
use crate::task::{self, Backoff, Clock, Shutdown};

/// Changes that are handed out and not kept yet; what comes after them waits at the API server.
const BOUND: usize = 64;

/// A watch that ends sooner than this, without a change, is begun anew after a pause.
const SHORT: Duration = Duration::from_secs(5);

/// One watch.
pub(super) struct Watch {
    requests: Requests,
    client: Client,
    mark: Mark,
    terms: Terms,
    entry: Entry,
    clock: Clock,
    shutdown: Shutdown,
    known: Known,
    /// The version up to which changes were told, and when that was.
    told: Option<Past>,
    /// Changes that are out, in their order, each with its version.
    out: FuturesOrdered<BoxFuture<'static, (Kept, Past)>>,
    /// Whether the API server has answered once: from then on every failure passes.
    agreed: bool,
    /// Whether the latest watch brought something, or lasted.
    lively: bool,
}

/// Why following the changes has ended.
enum Ended {
    /// The stop was asked for.
    Stopped,
    /// The API server closed the watch, as it does from time to time.
    Closed,
    /// The API server no longer has what happened since.
    Gone,
}

impl Watch {
    pub(super) fn new(
        requests: Requests,
        client: Client,
        mark: Mark,
        terms: Terms,
        (entry, clock, shutdown): (Entry, Clock, Shutdown),
    ) -> Self {
        let (known, out) = (Known::default(), FuturesOrdered::new());
        let (told, agreed, lively) = (None, false, false);
        Self { requests, client, mark, terms, entry, clock, shutdown, known, told, out, agreed, lively }
    }

    pub(super) async fn run(mut self) -> Result<(), Fault> {
        let settings = &self.entry.config.backoff;
        let (steps, factor, jitter) = (settings.steps, settings.factor, settings.jitter);
        let pauses = Backoff { base: settings.base, factor, jitter, cap: settings.cap };
        let (mut failures, mut gone) = (0, false);
        loop {
            self.lively = false;
            let ended = self.follow(gone).await;
            if self.lively {
                failures = 0;
            }
            // A list that failed after a gap is still owed.
            gone = matches!(ended, Ok(Ended::Gone)) || (gone && ended.is_err() && !self.lively);
            let fault = match ended {
                Ok(Ended::Stopped) => break,
                Ok(Ended::Closed) if self.lively => continue,
                Ok(Ended::Closed) => {
                    Fault::new(FaultKind::Unavailable, WATCH, "the API server ended the watch at once")
                }
                Ok(Ended::Gone) => {
                    Fault::new(FaultKind::Unavailable, WATCH, "what has changed meanwhile is found by listing all")
                }
                Err(fault) => fault,
            };
            failures += 1;
            if (!self.agreed && !fault.is_retryable()) || steps.is_some_and(|steps| failures >= steps) {
                self.settle().await;
                return Err(fault);
            }
            let pause = pauses.pause(failures);
            tracing::warn!(fault = fault.chain(), failures, ?pause, "the watch is begun anew");
            if !self.pause(pause).await {
                break;
            }
        }
        self.settle().await;
        Ok(())
    }

    /// Begins where it stands and follows the changes; after a gap, finds out first what has changed.
    async fn follow(&mut self, gone: bool) -> Result<Ended, Fault> {
        let Some(told) = self.start().await? else { return Ok(Ended::Stopped) };
        let version = if gone {
            let Some(version) = self.catch_up(&told).await? else { return Ok(Ended::Stopped) };
            version
        } else {
            told.version
        };
        let request = self.requests.watch(&version, self.entry.config.metadata_only)?;
        let began = task::stopwatch();
        let opened = tokio::select! {
            () = self.shutdown.requested() => return Ok(Ended::Stopped),
            opened = self.client.request_events::<Json>(request) => opened,
        };
        let changes = match opened {
            Ok(changes) => changes,
            Err(error) if link::is_gone(&error) => return Ok(Ended::Gone),
            Err(error) => return Err(link::fault(WATCH, error)),
        };
        self.agreed = true;
        tracing::info!(kind = self.terms.kind, identity = self.entry.identity, version, "watching Kubernetes objects");
        let mut changes = pin!(changes);
        loop {
            let change = tokio::select! {
                biased;
                () = self.shutdown.requested() => return Ok(Ended::Stopped),
                Some(kept) = self.out.next(), if !self.out.is_empty() => {
                    self.kept(kept).await;
                    continue;
                }
                change = changes.try_next(), if self.out.len() < BOUND => change,
            };
            self.lively = self.lively || began() >= SHORT;
            let (change, object) = match change {
                Ok(Some(WatchEvent::Added(object))) => (Change::Added, object),
                Ok(Some(WatchEvent::Modified(object))) => (Change::Modified, object),
                Ok(Some(WatchEvent::Deleted(object))) => (Change::Deleted, object),
                Ok(Some(WatchEvent::Bookmark(mark))) => {
                    self.pass(mark.metadata.resource_version);
                    self.lively = true;
                    continue;
                }
                Ok(Some(WatchEvent::Error(status))) if status.code == GONE => return Ok(Ended::Gone),
                Ok(Some(WatchEvent::Error(status))) => return Err(link::refusal(WATCH, status.code, &status.message)),
                Ok(None) => return Ok(Ended::Closed),
                Err(error) if link::is_gone(&error) => return Ok(Ended::Gone),
                Err(error) => return Err(link::fault(WATCH, error)),
            };
            self.lively = true;
            if !self.tell(change, object).await {
                return Ok(Ended::Stopped);
            }
        }
    }

    /// Where it stands; at its first run, it takes note of what is there and begins now. `None` when the stop was asked
    /// for meanwhile.
    async fn start(&mut self) -> Result<Option<Past>, Fault> {
        if let Some(told) = &self.told {
            return Ok(Some(told.clone()));
        }
        if let Some(past) = self.mark.load().await? {
            self.told = Some(past.clone());
            return Ok(Some(past));
        }
        let listed = tokio::select! {
            () = self.shutdown.requested() => return Ok(None),
            listed = self.requests.list(&self.client, true) => listed,
        };
        let (objects, version) = listed.map_err(|error| link::fault(LIST, error))?;
        for object in objects {
            self.known.note(Change::Added, Identity::of(&object));
        }
        self.known.complete = true;
        let past = Past { version, time: self.clock.now().to_string() };
        // Without this, a stop before the first change would forget what comes until the next start.
        self.mark.save(&past).await?;
        self.told = Some(past.clone());
        Ok(Some(past))
    }

    /// Lists all objects and tells what has changed; the version of the list. `None` when the stop was asked for
    /// meanwhile.
    async fn catch_up(&mut self, told: &Past) -> Result<Option<String>, Fault> {
        let listed = tokio::select! {
            () = self.shutdown.requested() => return Ok(None),
            listed = self.requests.list(&self.client, self.entry.config.metadata_only) => listed,
        };
        let (objects, version) = listed.map_err(|error| link::fault(LIST, error))?;
        let before = Before { version: &told.version, time: &told.time };
        let changes = self.known.compare(objects, &version, before);
        tracing::warn!(
            identity = self.entry.identity,
            since = told.version,
            changes = changes.len(),
            "the API server no longer had every change: objects that were deleted while nobody watched are not known"
        );
        for (change, object) in changes {
            // Nothing of it is written down before all of it is kept.
            if !self.hand_out(change, object, told.clone()).await {
                return Ok(None);
            }
        }
        self.pass(version.clone());
        Ok(Some(version))
    }

    /// Takes note of a change and hands it out; whether it goes on.
    async fn tell(&mut self, change: Change, object: Json) -> bool {
        let identity = Identity::of(&object);
        let past = self.past(identity.version.clone());
        self.known.note(change, identity);
        let goes_on = self.hand_out(change, object, past.clone()).await;
        if goes_on {
            self.told = Some(past);
        }
        goes_on
    }

    /// Hands a change out when it is wanted; with it, everything up to `past` is told. Whether it goes on.
    async fn hand_out(&mut self, change: Change, object: Json, past: Past) -> bool {
        let wanted = self.entry.config.wanted;
        let wanted = match change {
            Change::Added => wanted.added,
            Change::Modified => wanted.modified,
            Change::Deleted => wanted.deleted,
        };
        let now = self.clock.now();
        while self.out.len() >= BOUND {
            let Some(kept) = self.out.next().await else { break };
            self.kept(kept).await;
        }
        if !wanted {
            self.out.push_back(ready((Kept::Yes, past)).boxed());
            return true;
        }
        let event = message::read(change, object, &self.terms, &now.to_string());
        let mut handout = Handout::new(self.entry.outlet.clone(), event, position(&past, now), now, 1).insisting();
        // Cancel-safe, and what is not handed out is not kept: it comes again after the restart.
        tokio::select! {
            biased;
            () = self.shutdown.requested() => return false,
            given = handout.give() => if given.is_err() { return false },
        }
        let kept = handout.kept(self.shutdown.clone());
        self.out.push_back(async move { (kept.await, past) }.boxed());
        true
    }

    /// Nothing is owed up to this version when everything before it is kept.
    fn pass(&mut self, version: String) {
        let past = self.past(version);
        self.told = Some(past.clone());
        self.out.push_back(ready((Kept::Yes, past)).boxed());
    }

    fn past(&self, version: String) -> Past {
        Past { version, time: self.clock.now().to_string() }
    }

    /// Writes down how far it has come, with everything that is kept by now. Failing is no reason to stop: the next
    /// mark covers this one, and at worst a restart repeats changes under their old ids.
    async fn kept(&mut self, first: (Kept, Past)) {
        let mut last = None;
        let mut next = Some(first);
        while let Some((Kept::Yes, past)) = next {
            last = Some(past);
            next = self.out.next().now_or_never().flatten();
        }
        if let Some((kept, past)) = next {
            // Only a stop leaves a change behind: nothing after it may be written down.
            tracing::debug!(?kept, version = past.version, "a change comes again after the restart");
            self.out.clear();
        }
        let Some(past) = last else { return };
        if let Err(fault) = self.mark.save(&past).await {
            tracing::warn!(fault = fault.chain(), identity = self.entry.identity, "how far a watch came is not saved");
        }
    }

    /// Waits, while what is out is settled; whether it goes on.
    async fn pause(&mut self, pause: Duration) -> bool {
        let mut over = pin!(task::sleep(pause));
        loop {
            tokio::select! {
                biased;
                () = self.shutdown.requested() => return false,
                Some(kept) = self.out.next(), if !self.out.is_empty() => self.kept(kept).await,
                () = &mut over => return true,
            }
        }
    }

    /// Waits for the receipts that are out.
    async fn settle(&mut self) {
        while let Some(kept) = self.out.next().await {
            self.kept(kept).await;
        }
    }
}

/// By the version, or else by the time.
fn position(past: &Past, now: Timestamp) -> Position {
    let major = past.version.parse().ok();
    Position { major: major.unwrap_or_else(|| u64::try_from(now.as_millisecond()).unwrap_or_default()), minor: 0 }
}
