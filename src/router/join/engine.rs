//! Decides on events, in the order of the bus's times over all topics of one subscriber.

use std::time::Duration;

use futures_util::future::try_join;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;

use super::inbox::Observed;
use super::memory::Memory;
use super::record::{Item, Out, encode};
use super::{Means, RETRY, Setup, ordered, outbox};
use crate::event::Event;
use crate::fault::{Fault, FaultKind};
use crate::router::condition::Step;
use crate::router::decision::Decision;
use crate::task::{self, Shutdown};

/// Events that are decided on in one write.
const BATCH: usize = 256;

/// While events wait for another topic to be read, it is looked at this often.
const POLL: Duration = Duration::from_millis(5);

/// A deadline is believed to be over this long after it: by then the bus has finished to append what it had
/// given an earlier time.
const SETTLE: SignedDuration = SignedDuration::from_millis(500);

/// The longest sleep with nothing to do.
const IDLE: Duration = Duration::from_secs(3600);

/// One subscriber's joins, at work.
pub struct Engine {
    setup: Setup,
    means: Means,
    /// Told when something was put into the outbox.
    fired: Notify,
}

impl Engine {
    pub fn new(setup: Setup, means: Means) -> Self {
        Self { setup, means, fired: Notify::new() }
    }

    /// Decides and delivers until the stop is asked for. What was not decided on by then is handed out again after
    /// the next start, and what is in the outbox is delivered then.
    ///
    /// # Errors
    /// When the state cannot be read, or somebody else became its owner.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), Fault> {
        let memory = Memory::load(&self.setup, &self.means).await?;
        let deciding = self.decide(memory, &shutdown);
        let delivering = async {
            if self.setup.join.ordered {
                return ordered::run(&self.setup, &self.means, &self.fired, &shutdown).await;
            }
            outbox::run(&self.setup, &self.means, &self.fired, &shutdown).await
        };
        try_join(deciding, delivering).await.map(|_| ())
    }

    async fn decide(&self, mut memory: Memory, shutdown: &Shutdown) -> Result<(), Fault> {
        while !shutdown.is_requested() {
            let limit = self.limit(&memory).await;
            if let Some(limit) = limit
                && self.advance(&mut memory, limit, shutdown).await?
            {
                continue;
            }
            tokio::select! {
                () = shutdown.requested() => {}
                () = self.setup.inbox.arrived() => {}
                () = task::sleep(self.pause(&memory)) => {}
            }
        }
        Ok(())
    }

    /// Up to which time every topic was read; nothing when nothing waits for it.
    async fn limit(&self, memory: &Memory) -> Option<Timestamp> {
        let now = self.means.delivery.clock.now();
        let settled = now.checked_sub(SETTLE).unwrap_or(now);
        let due = memory.state.first_deadline().filter(|deadline| *deadline < settled).map(|_| settled);
        // The bus gives its times in the order in which it appends: when an event is here, nothing earlier is to come.
        let wanted = self.setup.inbox.newest().max(due)?;
        let mut limit = wanted;
        for progress in &self.setup.topics {
            if progress.read() > wanted.as_microsecond() {
                continue;
            }
            // The lag first: what is read in between makes it too large, and then it is asked for again.
            let lag = self.means.bus.lag(&progress.topic, &self.means.group).await;
            if lag.is_ok_and(|lag| lag <= progress.open()) {
                continue;
            }
            let before = Timestamp::from_microsecond(progress.read().saturating_sub(1));
            limit = limit.min(before.unwrap_or(Timestamp::MIN));
        }
        Some(limit)
    }

    fn pause(&self, memory: &Memory) -> Duration {
        if self.setup.inbox.newest().is_some() {
            return POLL;
        }
        let now = self.means.delivery.clock.now();
        let left = |deadline: Timestamp| {
            let left = deadline.duration_since(now).saturating_add(SETTLE);
            Duration::try_from(left).unwrap_or_default().max(POLL)
        };
        memory.state.first_deadline().map_or(IDLE, left).min(IDLE)
    }

    /// Decides on what came up to `limit`, and writes it down; whether there was anything.
    async fn advance(&self, memory: &mut Memory, limit: Timestamp, shutdown: &Shutdown) -> Result<bool, Fault> {
        let batch = self.setup.inbox.take(limit, BATCH);
        let mut done = Vec::with_capacity(batch.len());
        // With a full batch there may be more up to the limit, which may cancel what is due.
        let upto = if batch.len() < BATCH { Some(limit) } else { None };
        let mut changed = !batch.is_empty();
        for observed in batch {
            self.fire_due(memory, observed.at)?;
            self.observe(memory, &observed)?;
            done.push(observed.done);
        }
        if let Some(limit) = upto {
            changed |= self.fire_due(memory, limit)?;
        }
        if !changed {
            return Ok(false);
        }
        let writes = memory.writes()?;
        loop {
            match self.means.store.write(writes.clone()).await {
                Ok(revisions) => {
                    memory.wrote(&revisions)?;
                    break;
                }
                // A router that takes over has decided on what is dropped here.
                Err(fault) if fault.kind() == FaultKind::Conflict && shutdown.is_requested() => return Ok(false),
                Err(fault) if fault.kind() == FaultKind::Conflict => {
                    let fault = Fault::new(FaultKind::Conflict, "write the state of a join", "it has another owner")
                        .with_context("subscriber", self.setup.id.as_str())
                        .with_source(fault);
                    return Err(fault);
                }
                Err(fault) => {
                    tracing::warn!(subscriber = self.setup.id, fault = fault.chain(), "cannot write what was joined");
                    tokio::select! {
                        // The receipts are dropped: the events are handed out again, and decided on again.
                        () = shutdown.requested() => return Ok(false),
                        () = task::sleep(RETRY) => {}
                    }
                }
            }
        }
        for done in done {
            // Who does not wait any more will be handed it again, and it is known then.
            done.send(()).unwrap_or_default();
        }
        self.fired.notify_one();
        Ok(true)
    }

    fn observe(&self, memory: &mut Memory, observed: &Observed) -> Result<(), Fault> {
        let Observed { at, topic, position, inputs, event, .. } = observed;
        let topic = &self.setup.topics[*topic].topic;
        if memory.knows(topic.as_str(), *position) {
            return Ok(());
        }
        memory.apply(topic.as_str(), *position);
        let item = Item { event: event.clone(), topic: topic.clone(), position: *position };
        let step = self.setup.join.rules.observe(&mut memory.state, inputs, *at, &item);
        let metrics = self.setup.destinations.first().map(|destination| &destination.metrics);
        let word = match &step {
            Step::Waiting => "waits for others",
            Step::Holding => "fulfils the condition, and is held",
            Step::Blocked => "is blocked by what is negated",
            Step::Fired(_) => "fulfils the condition",
            Step::Full => "finds too many that are held",
        };
        self.means.delivery.tell(event, || Decision::Joined { subscriber: &self.setup.id, step: word });
        match step {
            Step::Waiting | Step::Holding => {
                if let Some(metrics) = metrics {
                    metrics.waiting.inc();
                }
            }
            Step::Blocked => {
                if let Some(metrics) = metrics {
                    metrics.blocked.inc();
                }
            }
            Step::Fired(found) => {
                self.fire(memory, &outbox::joined(&self.setup, &found)?, &found.events[&found.last].item);
            }
            Step::Full => memory.push(out(event, &item, true)),
        }
        Ok(())
    }

    /// Fires what was due before `time`; whether there was anything.
    fn fire_due(&self, memory: &mut Memory, time: Timestamp) -> Result<bool, Fault> {
        let due = self.setup.join.rules.due(&mut memory.state, time);
        for found in &due {
            self.fire(memory, &outbox::joined(&self.setup, found)?, &found.events[&found.last].item);
        }
        Ok(!due.is_empty())
    }

    fn fire(&self, memory: &mut Memory, event: &Event, last: &Item) {
        for destination in &self.setup.destinations {
            destination.metrics.matched.inc();
        }
        memory.push(out(event, last, false));
    }
}

/// What is delivered, and where the event stood that came last.
fn out(event: &Event, last: &Item, overflow: bool) -> Out {
    Out {
        event: encode(event),
        topic: last.topic.as_str().to_owned(),
        place: (last.position.major, last.position.minor),
        overflow,
    }
}
