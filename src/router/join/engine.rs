//! Decides on events, in the order of the bus's times over all topics of one subscriber.

use std::ops::Range;
use std::time::Duration;

use futures_util::future::try_join;
use jiff::Timestamp;
use smallvec::SmallVec;
use tokio::sync::Notify;

use super::inbox::{Observed, Order};
use super::memory::Memory;
use super::progress::Bound;
use super::record::{About, Item, What};
use super::{Means, RETRY, Setup, Starts, ordered, outbox};
use crate::event::Event;
use crate::event::codec::json;
use crate::fault::{Fault, FaultKind};
use crate::flow::letter::{self, HEADROOM};
use crate::flow::{Position, Revision, Topic, Write};
use crate::router::condition::{Batch, Key, Match, Step};
use crate::router::decision::Decision;
use crate::task::{self, Shutdown};
use crate::telemetry::Subscriber;

/// While something waits for what the bus says of the end of a topic, it is asked this often at first, and less and less
/// often.
const POLL: Duration = Duration::from_millis(2);
const SLOW_POLL: Duration = Duration::from_millis(50);

/// How often the places up to which events are decided on are written when nothing else is to be.
const CHECKPOINT: Duration = Duration::from_secs(1);

/// The longest sleep with nothing to do.
const IDLE: Duration = Duration::from_secs(3600);

/// For a router that takes over to ask this one to stop.
const HANDOVER: Duration = Duration::from_secs(5);

/// What is stored around an event may take so many bytes.
const AROUND: usize = 4096;

/// The inputs that accepted an event, and what each of them saw.
type Accepted = SmallVec<[(usize, Item); 1]>;

/// One subscriber's joins, at work.
pub struct Engine {
    setup: Setup,
    means: Means,
    memory: Memory,
    /// The largest event that can be kept and put aside.
    most: usize,
}

/// What is shared with the outbox while decisions are made.
struct Desk<'a> {
    setup: &'a Setup,
    means: &'a Means,
    /// Told when something was put into the outbox.
    fired: &'a Notify,
    most: usize,
}

impl Engine {
    /// Becomes the owner of what the subscriber remembers.
    ///
    /// # Errors
    /// When that cannot be read.
    pub async fn open(setup: Setup, means: Means, starts: &Starts) -> Result<Self, Fault> {
        let memory = Memory::load(&setup, &means, starts).await?;
        let limit = means.bus.capability().max_event_bytes;
        let most = limit.saturating_sub(HEADROOM).max(limit / 2);
        let engine = Self { setup, means, memory, most };
        engine.memory.tell(&engine.setup);
        Ok(engine)
    }

    /// The topics that it reads, and the position behind which it wants to.
    pub fn places(&self) -> impl Iterator<Item = (&Topic, Option<Position>)> {
        self.setup.topics.iter().map(|progress| (&progress.topic, self.memory.applied(&progress.topic)))
    }

    /// Decides and delivers until the stop is asked for. What was not decided on by then is read again after
    /// the next start, and what is in the outbox is delivered then.
    ///
    /// # Errors
    /// When somebody else became the owner.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), Fault> {
        let Self { setup, means, memory, most } = self;
        let fired = Notify::new();
        let desk = Desk { setup: &setup, means: &means, fired: &fired, most };
        let delivering = async {
            if setup.join.ordered {
                return ordered::run(&setup, &means, &fired, &shutdown).await;
            }
            outbox::run(&setup, &means, &fired, &shutdown).await
        };
        try_join(desk.decide(memory, &shutdown), delivering).await.map(|_| ())
    }
}

impl Desk<'_> {
    async fn decide(&self, mut memory: Memory, shutdown: &Shutdown) -> Result<(), Fault> {
        let mut written = task::stopwatch();
        let mut poll = POLL;
        while !shutdown.is_requested() {
            if self.advance(&mut memory, shutdown).await? {
                (written, poll) = (task::stopwatch(), POLL);
                continue;
            }
            if memory.is_behind() && written() >= CHECKPOINT {
                self.write(&mut memory, shutdown).await?;
                written = task::stopwatch();
            }
            let waits = self.waits(&memory);
            if waits {
                self.ask_for_ends().await;
            }
            let checkpoint = if memory.is_behind() { CHECKPOINT.saturating_sub(written()) } else { IDLE };
            let pause = if waits { poll } else { self.pause(&memory).min(checkpoint) };
            poll = if waits { (poll * 2).min(SLOW_POLL) } else { POLL };
            tokio::select! {
                () = shutdown.requested() => {}
                () = self.setup.inbox.arrived() => {}
                () = task::sleep(pause) => {}
            }
        }
        if memory.is_behind() {
            self.write(&mut memory, shutdown).await?;
        }
        Ok(())
    }

    fn bounds(&self) -> SmallVec<[Bound; 4]> {
        self.setup.topics.iter().map(|progress| progress.bound()).collect()
    }

    /// Whether something is to be decided on as soon as it is known that nothing comes before it.
    fn waits(&self, memory: &Memory) -> bool {
        let now = self.means.delivery.clock.now();
        !self.setup.inbox.is_empty() || self.deadline(memory).is_some_and(|deadline| deadline < now)
    }

    /// Asks the bus for the ends of topics. What it does not say is asked for again.
    async fn ask_for_ends(&self) {
        for progress in &self.setup.topics {
            match self.means.bus.end(&progress.topic).await {
                Ok(end) => progress.ended(&end),
                Err(fault) => tracing::debug!(topic = %progress.topic, fault = fault.chain(), "no end is known"),
            }
        }
    }

    /// When the first match, or batch, is due.
    fn deadline(&self, memory: &Memory) -> Option<Timestamp> {
        let hold = memory.state.first_deadline();
        hold.into_iter().chain(self.batch_deadline(memory)).min()
    }

    fn batch_deadline(&self, memory: &Memory) -> Option<Timestamp> {
        self.setup.join.batch.as_ref()?.deadline(&memory.gathered)
    }

    fn pause(&self, memory: &Memory) -> Duration {
        let now = self.means.delivery.clock.now();
        let left = |deadline: Timestamp| Duration::try_from(deadline.duration_since(now)).unwrap_or_default();
        self.deadline(memory).map_or(IDLE, |deadline| left(deadline) + POLL).min(IDLE)
    }

    /// Decides on what can be decided on, and writes it down; whether there was anything.
    async fn advance(&self, memory: &mut Memory, shutdown: &Shutdown) -> Result<bool, Fault> {
        // Before anything is taken: what is put there later comes after these.
        let bounds = self.bounds();
        let mut rooms = Vec::new();
        let mut full = false;
        while let Some(observed) = self.setup.inbox.take(|order| is_decidable(&bounds, *order)) {
            if !self.fire_due(memory, observed.at)? {
                self.setup.inbox.put_back(observed);
                full = true;
                break;
            }
            self.observe(memory, &observed)?;
            rooms.push(observed.room);
            if memory.is_full() {
                full = true;
                break;
            }
        }
        let frontier = bounds.iter().map(Bound::time).min();
        if let Some(frontier) = frontier.filter(|_| !full) {
            self.fire_due(memory, frontier)?;
        }
        // What was read and wanted by nobody is decided on as well.
        for (topic, (bound, progress)) in bounds.iter().zip(&self.setup.topics).enumerate() {
            if let Some(position) = bound.position().filter(|position| !self.setup.inbox.has(topic, *position)) {
                memory.apply(&progress.topic, position);
            }
        }
        let changed = memory.is_changed();
        if changed {
            self.write(memory, shutdown).await?;
        }
        memory.tell(self.setup);
        Ok(changed || !rooms.is_empty())
    }

    /// Writes down what was decided on.
    async fn write(&self, memory: &mut Memory, shutdown: &Shutdown) -> Result<(), Fault> {
        let writes = memory.writes()?;
        match self.until_written(writes, shutdown).await {
            Ok(revisions) => memory.wrote(&revisions)?,
            // What was decided on is decided on again after the next start, or by who took over.
            Err(_) if shutdown.is_requested() => return Ok(()),
            Err(fault) => {
                let lost = Fault::new(FaultKind::Conflict, "write the state of a join", "it has another owner");
                return Err(lost.with_context("subscriber", self.setup.id.as_str()).with_source(fault));
            }
        }
        self.fired.notify_one();
        Ok(())
    }

    /// # Errors
    /// `Conflict` when somebody else is the owner; any fault when the stop was asked for.
    async fn until_written(&self, writes: Vec<Write>, shutdown: &Shutdown) -> Result<Vec<Revision>, Fault> {
        loop {
            match self.means.store.write(writes.clone()).await {
                Err(fault) if fault.kind() == FaultKind::Conflict => {
                    // A router that takes over asks this one to stop.
                    task::within(HANDOVER, shutdown.requested()).await;
                    return Err(fault);
                }
                Err(fault) => {
                    tracing::warn!(subscriber = self.setup.id, fault = fault.chain(), "cannot write what was joined");
                    tokio::select! {
                        () = shutdown.requested() => return Err(fault),
                        () = task::sleep(RETRY) => {}
                    }
                }
                written => return written,
            }
        }
    }

    fn observe(&self, memory: &mut Memory, observed: &Observed) -> Result<(), Fault> {
        let Observed { at, topic, position, accepted, .. } = observed;
        let topic = &self.setup.topics[*topic].topic;
        if memory.applied(topic) >= Some(*position) {
            return Ok(());
        }
        memory.apply(topic, *position);
        let topic = topic.whole();
        let item = |event: &Event| Item { event: event.clone(), topic: topic.clone(), position: *position };
        let largest = accepted.iter().max_by_key(|(_, event)| event.record().len());
        if let Some((_, event)) = largest.filter(|(_, event)| event.record().len() > self.most) {
            self.tell(event, "is too large to be kept");
            return self.too_large(memory, item(event).about("", *at), event);
        }
        let mut groups: SmallVec<[(Key, Accepted); 1]> = SmallVec::new();
        for (input, event) in accepted {
            let Some(key) = self.key(*input, event) else {
                self.tell(event, "has no key by which it could be joined");
                self.count(|metrics| metrics.keyless.inc());
                continue;
            };
            match groups.iter_mut().find(|(known, _)| *known == key) {
                Some((_, group)) => group.push((*input, item(event))),
                None => groups.push((key, SmallVec::from_iter([(*input, item(event))]))),
            }
        }
        for (key, group) in groups {
            self.step(memory, &key, *at, &group)?;
        }
        Ok(())
    }

    /// By what an event that this input accepted is joined; nothing when it does not have it.
    fn key(&self, input: usize, event: &Event) -> Option<Key> {
        match &self.setup.join.correlate {
            None => Some(Key::from("")),
            Some(by) => by.get(&input)?.of(event).map(Key::from),
        }
    }

    fn step(&self, memory: &mut Memory, key: &Key, at: Timestamp, accepted: &[(usize, Item)]) -> Result<(), Fault> {
        let Some((_, first)) = accepted.first() else { return Ok(()) };
        let (step, evicted) = self.setup.join.rules.observe(&mut memory.state, key, at, accepted);
        if evicted > 0 {
            self.count(|metrics| metrics.evicted.inc_by(evicted as u64));
        }
        self.tell(
            &first.event,
            match &step {
                Step::Waiting => "waits for others",
                Step::Holding => "fulfils the condition, and is held",
                Step::Blocked => "is blocked by what is negated",
                Step::Fired(_) => "fulfils the condition",
                Step::Full => "finds too many that are held",
            },
        );
        match step {
            Step::Waiting | Step::Holding => self.count(|metrics| metrics.waiting.inc()),
            Step::Blocked => self.count(|metrics| metrics.blocked.inc()),
            Step::Fired(found) => self.fire(memory, &found, at)?,
            Step::Full => memory.push(first.about(key, at), What::Overflow, &first.event)?,
        }
        Ok(())
    }

    fn tell(&self, event: &Event, step: &str) {
        self.means.delivery.tell(event, || Decision::Joined { subscriber: &self.setup.id, step });
    }

    /// Counts for the subscriber, once for all its targets.
    fn count(&self, count: impl FnOnce(&Subscriber) -> u64) {
        if let Some(destination) = self.setup.destinations.first() {
            count(&destination.metrics);
        }
    }

    /// Fires what was due before `time`, in order; false when that is not all, because one write takes no more.
    fn fire_due(&self, memory: &mut Memory, time: Timestamp) -> Result<bool, Fault> {
        loop {
            if memory.is_full() {
                return Ok(self.deadline(memory).is_none_or(|deadline| deadline >= time));
            }
            let (hold, batch) = (memory.state.first_deadline(), self.batch_deadline(memory));
            let first = hold.filter(|hold| batch.is_none_or(|batch| *hold <= batch));
            if let Some(found) = first.and_then(|_| self.setup.join.rules.due(&mut memory.state, time)) {
                self.fire(memory, &found, found.deadline)?;
                continue;
            }
            let Some(batch) = self.setup.join.batch.as_ref().filter(|_| first.is_none()) else { return Ok(true) };
            let Some(range) = batch.due(&mut memory.gathered, time) else { return Ok(true) };
            self.close(memory, &range)?;
        }
    }

    /// A match, at the time of its decision.
    fn fire(&self, memory: &mut Memory, found: &Match<Item>, at: Timestamp) -> Result<(), Fault> {
        for destination in &self.setup.destinations {
            destination.metrics.matched.inc();
        }
        let event = outbox::joined(self.setup, found)?;
        let about = found.events[&found.last].item.about(&found.key, at);
        if event.record().len() > self.most {
            return self.too_large(memory, about, &event);
        }
        match &self.setup.join.batch {
            Some(batch) => self.gather(memory, batch, about, &event, at),
            None => memory.push(about, What::Event, &event),
        }
    }

    fn gather(
        &self,
        memory: &mut Memory,
        batch: &Batch,
        about: About,
        event: &Event,
        at: Timestamp,
    ) -> Result<(), Fault> {
        let mut text = Vec::new();
        json::write(event, &mut text);
        if text.len() > self.most {
            return self.too_large(memory, about, event);
        }
        let (bytes, most) = (text.len() as u64 + 1, (self.most - AROUND.min(self.most)) as u64);
        let (number, complete) = batch.gather(&mut memory.gathered, at, bytes, most);
        memory.gather(number, &about, &text)?;
        for range in complete {
            self.close(memory, &range)?;
        }
        Ok(())
    }

    fn close(&self, memory: &mut Memory, range: &Range<u64>) -> Result<(), Fault> {
        let topic = self.setup.topics.first().map(|progress| &progress.topic);
        memory.push_batch(topic, range)
    }

    /// It can neither be kept nor put aside: its dead letter is cut.
    fn too_large(&self, memory: &mut Memory, about: About, event: &Event) -> Result<(), Fault> {
        memory.push(about, What::TooLarge, &letter::fit(event, self.most)?)
    }
}

/// Whether nothing that was not read yet comes before the event with this order.
fn is_decidable(bounds: &[Bound], order: Order) -> bool {
    // Its own topic is read in order.
    bounds.iter().enumerate().all(|(topic, bound)| topic == order.2 || bound.is_after(order, topic))
}
