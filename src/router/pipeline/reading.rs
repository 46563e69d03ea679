//! Reads a topic for the subscribers that join its events.
//!
//! Apart from the consumer group, so that those who join none share the topic among as many members as they like:
//! one reader for each of its parts, in order, from a place that the subscribers keep with their state.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::event::Event;
use crate::fault::{Fault, FaultKind};
use crate::flow::{Deduplicate, Outgoing, Poison, Position, Read, Reader, Topic, letter};
use crate::router::decision::{Decision, Observer, Unobserved};
use crate::router::delivery::{Delivery, dead_letter_topic_of};
use crate::router::join::{Inbox, Observed, Progress, Setup};
use crate::task::{self, Shutdown};
use crate::telemetry::{Flying, InFlight, Metrics};

use super::Settings;
use super::lane::{Lane, Wanted};

/// The pause after what could not be buried, or a reader that could not be had.
const RETRY: Duration = Duration::from_millis(200);

/// After this many events the other tasks get their turn.
const TURN: usize = 1024;

/// Permits of bytes stand for so many.
const BYTES: usize = 1024;

/// What is read of one topic for those who join its events.
pub(super) struct Reading {
    /// The inputs that somebody joins.
    pub lane: Arc<Lane>,
    /// Who joins them, and which of its topics this is.
    pub inboxes: Vec<(Arc<Inbox>, usize)>,
    pub progress: Arc<Progress>,
    /// Whether no group reads the topic: then what is to be told, counted and buried is told, counted and buried here.
    pub alone: bool,
}

/// What events that were read and not decided on take up.
struct Room {
    events: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    most: u32,
    in_flight: InFlight,
}

/// What one event takes up.
struct Taken {
    _event: OwnedSemaphorePermit,
    _bytes: OwnedSemaphorePermit,
    _flying: Flying,
}

impl Room {
    fn new(settings: &Settings, metrics: &Metrics) -> Self {
        let most = settings.max_bytes_in_flight / BYTES;
        Self {
            events: Arc::new(Semaphore::new(settings.max_in_flight.max(1))),
            bytes: Arc::new(Semaphore::new(most.max(1))),
            most: u32::try_from(most.max(1)).unwrap_or(u32::MAX),
            in_flight: metrics.in_flight(),
        }
    }

    /// Waits until there is room. An event that is larger than all of it comes alone.
    async fn take(&self, event: &Event) -> Result<Arc<Taken>, Fault> {
        let size = u32::try_from(event.record().len() / BYTES + 1).unwrap_or(u32::MAX).min(self.most);
        let closed = |_| Fault::new(FaultKind::Internal, "join events", "there is no room any more");
        let event = self.events.clone().acquire_owned().await.map_err(closed)?;
        let bytes = self.bytes.clone().acquire_many_owned(size).await.map_err(closed)?;
        Ok(Arc::new(Taken { _event: event, _bytes: bytes, _flying: self.in_flight.enter(1) }))
    }
}

impl Reading {
    pub fn topic(&self) -> &Topic {
        &self.lane.topic
    }

    /// The same for another part of the topic.
    pub fn of_part(&self, number: u32, setups: &mut [Setup]) -> Self {
        let progress = Arc::new(Progress::new(self.topic().part(number)));
        let mut inboxes = Vec::with_capacity(self.inboxes.len());
        // In their order: the lane's inputs know them by their places.
        for (inbox, _) in &self.inboxes {
            if let Some(setup) = setups.iter_mut().find(|setup| Arc::ptr_eq(&setup.inbox, inbox)) {
                inboxes.push((inbox.clone(), setup.topics.len()));
                setup.topics.push(progress.clone());
            }
        }
        Self { lane: self.lane.clone(), inboxes, progress, alone: self.alone }
    }

    /// Reads from behind the position until the stop is asked for, or the bus is closed.
    ///
    /// # Errors
    /// When the topic cannot be read any more.
    pub async fn run(
        self,
        after: Option<Position>,
        delivery: Arc<Delivery>,
        settings: Settings,
        metrics: Arc<Metrics>,
        shutdown: Shutdown,
    ) -> Result<(), Fault> {
        let room = Room::new(&settings, &metrics);
        tokio::select! {
            () = shutdown.requested() => Ok(()),
            // What was taken and not put before the others is read again after the next start.
            ended = self.read_all(after, &delivery, &room, &metrics) => ended,
        }
    }

    async fn read_all(
        &self,
        after: Option<Position>,
        delivery: &Delivery,
        room: &Room,
        metrics: &Metrics,
    ) -> Result<(), Fault> {
        self.progress.begin(after);
        let mut reader = self.open(after, delivery).await?;
        let mut turn = 0;
        loop {
            let read = reader.next().await?;
            if read.is_empty() {
                return Ok(());
            }
            metrics.progressed(delivery.clock.now().as_duration().as_secs_f64());
            if self.alone {
                self.lane.metrics.received(read.len() as u64);
            }
            turn += read.len();
            for read in read {
                self.take(read, delivery, room).await?;
            }
            if turn >= TURN {
                turn = 0;
                task::give_way().await;
            }
        }
    }

    async fn open(&self, after: Option<Position>, delivery: &Delivery) -> Result<Box<dyn Reader>, Fault> {
        loop {
            match delivery.bus.read(&self.progress.topic, after).await {
                Err(fault) if fault.is_retryable() => {
                    tracing::warn!(topic = %self.topic(), fault = fault.chain(), "cannot read for those who join");
                    task::sleep(RETRY).await;
                }
                reader => return reader,
            }
        }
    }

    /// Puts one event before those who join it.
    async fn take(&self, read: Read, delivery: &Delivery, room: &Room) -> Result<(), Fault> {
        let Read { event, position, appended } = read;
        let at = self.progress.time(appended);
        match event {
            Ok(event) => self.put(&event, at, position, delivery, room).await?,
            Err(poison) if self.alone => self.bury_poison(&poison, position, delivery).await?,
            // Those who read for the group bury it.
            Err(_) => {}
        }
        self.progress.read(at, position);
        Ok(())
    }

    async fn put(
        &self,
        event: &Event,
        at: Timestamp,
        position: Position,
        delivery: &Delivery,
        room: &Room,
    ) -> Result<(), Fault> {
        let observer: &dyn Observer = if self.alone { &*delivery.observer } else { &Unobserved };
        if self.alone {
            delivery.tell(event, || Decision::Received { topic: self.topic() });
        }
        let wanted = match self.lane.hits(event, observer) {
            Ok(wanted) => wanted,
            Err(fault) if self.alone => {
                let letter = letter::unfit(event, &fault, self.topic(), delivery.bus.capability().max_event_bytes)?;
                return self.bury(&letter, delivery).await;
            }
            Err(_) => return Ok(()),
        };
        if wanted.is_empty() {
            if self.alone {
                delivery.tell(event, || Decision::Unmatched { topic: self.topic() });
            }
            return Ok(());
        }
        self.observe(&wanted, event, at, position, &room.take(event).await?);
        Ok(())
    }

    fn observe(&self, wanted: &Wanted, event: &Event, at: Timestamp, position: Position, room: &Arc<Taken>) {
        for (join, inputs) in &wanted.joins {
            let accepted = inputs.iter().map(|(input, changed)| (*input, wanted.hits.seen(*changed, event).clone()));
            let (inbox, topic) = &self.inboxes[*join as usize];
            let (accepted, room) = (accepted.collect(), Arc::clone(room) as Arc<dyn Send + Sync>);
            inbox.put(Observed { at, topic: *topic, position, accepted, room });
        }
    }

    async fn bury_poison(&self, poison: &Poison, position: Position, delivery: &Delivery) -> Result<(), Fault> {
        let origin = format!("/topics/{}", self.topic());
        let letter = letter::poison(poison, &origin, self.topic(), position, delivery.clock.now())?;
        self.bury(&letter, delivery).await
    }

    /// Until it is with the dead letters: nobody would read it again.
    async fn bury(&self, letter: &Event, delivery: &Delivery) -> Result<(), Fault> {
        let topic = dead_letter_topic_of(self.topic())?;
        let event = letter::fit(letter, delivery.bus.capability().max_event_bytes)?;
        loop {
            let outgoing = Outgoing { event: event.clone(), delay: None, deduplicate: Deduplicate::Never };
            match delivery.bus.publish(&topic, vec![outgoing]).await.pop() {
                Some(Ok(_)) => return Ok(()),
                Some(Err(fault)) => {
                    tracing::warn!(topic = %self.topic(), fault = fault.chain(), "cannot write a dead letter yet");
                }
                None => {}
            }
            task::sleep(RETRY).await;
        }
    }
}
