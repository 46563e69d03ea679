//! A pub/sub Component as a bus.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use tokio::sync::{mpsc, oneshot};

use super::answer::Done;
use super::connection::Connection;
use super::envelope;
use super::frames::{self, Outbound};
use super::pump::Pump;
use crate::fault::{Fault, FaultKind};
use crate::flow::{
    self, Capability, Group, Ordering, Outgoing, Position, Published, Received, Subscriber, Subscription, Topic,
};
use crate::frame::{Ask, Limits};
use crate::proto::dapr_runtime::PublishEventRequest;
use crate::task::{self, Clock, Shutdown};

/// daprd and components take 4 MiB a message. This leaves room for what a frame adds to an event.
const MAX_FRAMED_EVENT: usize = 3 << 20;

/// As base64 in JSON the event is a third larger, and daprd adds to it.
const MAX_SINGLE_EVENT: usize = 2 << 20;

/// How long open streams may take to end when the bus is closed.
const CLOSE_LIMIT: Duration = Duration::from_secs(10);

/// Single events on their way at once.
const MAX_SINGLES: usize = 16;

/// Whether many events travel in one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frames {
    /// The component is one of ours: frames, delays, de-duplication, heartbeats.
    On,
    /// Any Dapr pub/sub: one event per message, and what cannot be delivered is handed out again.
    Off,
}

/// How a bus uses its Component.
#[derive(Clone, Debug)]
pub struct Settings {
    pub frames: Frames,
    /// A frame closes before it is larger than this, unless one event is. From 64 KiB to 256 KiB daprd's
    /// cost per message has become small; above, only latency and memory grow.
    pub frame_bytes: usize,
    /// How often an idle stream must give a sign of life.
    pub heartbeat: Duration,
}

impl Settings {
    /// Frames of 256 KiB; a heartbeat every 5 seconds.
    pub fn new(frames: Frames) -> Self {
        Self { frames, frame_bytes: 256 << 10, heartbeat: Duration::from_secs(5) }
    }
}

/// A pub/sub Component behind daprd.
pub struct Bus {
    connection: Connection,
    component: Arc<str>,
    settings: Settings,
    clock: Clock,
    /// Events that are settled although their frames were not, by topic: the streams of a topic share
    /// what comes again.
    done: Mutex<HashMap<Topic, Arc<Done>>>,
    pumps: Mutex<task::Group>,
}

impl Bus {
    pub fn new(connection: Connection, component: &str, settings: Settings, clock: Clock) -> Self {
        let pumps = Mutex::new(task::Group::new(&Shutdown::new()));
        Self { connection, component: component.into(), settings, clock, done: Mutex::default(), pumps }
    }

    async fn publish_frames(&self, topic: &Topic, batch: &[Outgoing]) -> Vec<Result<Published, Fault>> {
        let mut answers = Vec::with_capacity(batch.len());
        // One after the other: the bus keeps the order of a batch.
        for outbound in frames::split(batch, self.settings.frame_bytes) {
            let Outbound { data, metadata, delayed, events } = outbound;
            let published = if delayed { Published::Delayed } else { Published::At(Position::default()) };
            let request = PublishEventRequest { data, metadata, ..self.request(topic) };
            let answer = self.send(request).await.map(|()| published);
            answers.extend(std::iter::repeat_n(answer, events));
        }
        answers
    }

    async fn publish_singles(&self, topic: &Topic, batch: &[Outgoing]) -> Vec<Result<Published, Fault>> {
        use futures_util::StreamExt as _;
        let singles = batch.iter().map(|outgoing| self.publish_single(topic, outgoing));
        futures_util::stream::iter(singles.collect::<Vec<_>>()).buffered(MAX_SINGLES).collect().await
    }

    async fn publish_single(&self, topic: &Topic, outgoing: &Outgoing) -> Result<Published, Fault> {
        if outgoing.delay.is_some() {
            return Err(Fault::new(FaultKind::Unsupported, "publish", "a Dapr pub/sub cannot delay events"));
        }
        let data = envelope::exact(&outgoing.event)
            .map_err(|error| Fault::new(FaultKind::Internal, "publish", error.to_string()))?;
        let data_content_type = envelope::CONTENT_TYPE.to_owned();
        self.send(PublishEventRequest { data, data_content_type, ..self.request(topic) }).await?;
        Ok(Published::At(Position::default()))
    }

    fn request(&self, topic: &Topic) -> PublishEventRequest {
        let (pubsub_name, topic) = (self.component.to_string(), topic.to_string());
        PublishEventRequest { pubsub_name, topic, ..PublishEventRequest::default() }
    }

    async fn send(&self, request: PublishEventRequest) -> Result<(), Fault> {
        let mut client = self.connection.client();
        let answer = self.connection.call("publish", client.publish_event(request)).await;
        answer.map_err(|fault| fault.with_context("component", &*self.component))
    }

    fn metadata(&self, subscription: &Subscription) -> BTreeMap<String, String> {
        let Settings { frames, frame_bytes, heartbeat } = self.settings;
        let limits = Limits { bytes: frame_bytes, events: subscription.max_in_flight.max(1), heartbeat };
        let ask = Ask { group: Some(subscription.group.to_string()), start: subscription.start, ..Ask::frames() };
        match frames {
            Frames::On => Ask { frames: Some(limits), ..ask }.metadata(),
            // Whoever knows these words needs them; whoever does not passes them over.
            Frames::Off => Ask { frames: None, ..ask }.metadata(),
        }
    }

    fn done(&self, topic: &Topic) -> Arc<Done> {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(done.entry(topic.clone()).or_default())
    }

    fn spawn(&self, pump: Pump) -> Shutdown {
        let mut pumps = self.pumps.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that ended make room: plans change while the process lives.
        while let Some(Some(_)) = pumps.next().now_or_never() {}
        let stop = pumps.shutdown().child();
        pumps.spawn(pump.run(stop.clone()));
        stop
    }
}

#[async_trait]
impl flow::Bus for Bus {
    fn capability(&self) -> Capability {
        let framed = self.settings.frames == Frames::On;
        Capability {
            delayed: framed,
            deduplicated: framed,
            durable: true,
            // Several streams compete, and what comes again comes later.
            ordering: Ordering::None,
            max_event_bytes: if framed { MAX_FRAMED_EVENT } else { MAX_SINGLE_EVENT },
        }
    }

    /// daprd does not say where an event was appended, nor whether it was there already: each is
    /// answered as appended, at no particular position.
    async fn publish(&self, topic: &Topic, batch: Vec<Outgoing>) -> Vec<Result<Published, Fault>> {
        let max = self.capability().max_event_bytes;
        let (mut fitting, mut fits) = (Vec::with_capacity(batch.len()), Vec::with_capacity(batch.len()));
        for outgoing in batch {
            let len = outgoing.event.record().len();
            fits.push(if len <= max { Ok(()) } else { Err(too_large(len, max)) });
            if len <= max {
                fitting.push(outgoing);
            }
        }
        let answers = match self.settings.frames {
            Frames::On => self.publish_frames(topic, &fitting).await,
            Frames::Off => self.publish_singles(topic, &fitting).await,
        };
        let mut answers = answers.into_iter();
        let missing = || Err(Fault::new(FaultKind::Internal, "publish", "an event was not answered for"));
        fits.into_iter().map(|fits| fits.and_then(|()| answers.next().unwrap_or_else(missing))).collect()
    }

    /// A component that does not know our words has one consumer group, its own (`consumerID`), and
    /// its own place to start.
    async fn subscribe(&self, subscription: Subscription) -> Result<Box<dyn Subscriber>, Fault> {
        // One message at a time: the stream itself is the queue.
        let (out, received) = mpsc::channel(1);
        let (joined, word) = oneshot::channel();
        let stop = self.spawn(Pump {
            connection: self.connection.clone(),
            component: Arc::clone(&self.component),
            topic: subscription.topic.clone(),
            metadata: self.metadata(&subscription),
            settings: self.settings.clone(),
            done: self.done(&subscription.topic),
            clock: self.clock.clone(),
            out,
            joined: Some(joined),
        });
        let member = Member { received, stop };
        match word.await {
            Ok(joined) => joined.map(|()| Box::new(member) as Box<dyn Subscriber>),
            Err(_) => Err(Fault::new(FaultKind::Closed, "subscribe", "the bus was closed")),
        }
    }

    async fn lag(&self, _topic: &Topic, _group: &Group) -> Result<u64, Fault> {
        Err(Fault::new(FaultKind::Unsupported, "ask for the lag", "daprd has no word for it"))
    }

    /// None: whatever ails daprd, or the component behind it, is not healed by restarting this process.
    fn ailment(&self) -> Option<Fault> {
        None
    }

    async fn close(&self) -> Result<(), Fault> {
        let closed = task::Group::new(&Shutdown::new());
        closed.shutdown().request();
        let pumps = std::mem::replace(&mut *self.pumps.lock().unwrap_or_else(PoisonError::into_inner), closed);
        pumps.shutdown().request();
        // What does not end in time is aborted: its events come again.
        task::within(CLOSE_LIMIT, pumps.join()).await.unwrap_or(Ok(()))
    }
}

fn too_large(len: usize, max: usize) -> Fault {
    Fault::new(FaultKind::TooLarge, "publish", "the event is larger than daprd carries")
        .with_context("bytes", len.to_string())
        .with_context("limit", max.to_string())
}

/// One stream of a topic.
struct Member {
    received: mpsc::Receiver<Vec<Received>>,
    stop: Shutdown,
}

#[async_trait]
impl Subscriber for Member {
    async fn next(&mut self) -> Result<Vec<Received>, Fault> {
        // Cancel-safe; ends when the pump does.
        Ok(self.received.recv().await.unwrap_or_default())
    }
}

/// The stream closes once everything that was handed out is settled.
impl Drop for Member {
    fn drop(&mut self) {
        self.stop.request();
    }
}
