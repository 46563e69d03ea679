//! A pub/sub Component as a bus.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering as Memory};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt as _;
use tokio::sync::{mpsc, oneshot};

use super::answer::Done;
use super::bulk;
use super::connection::Connection;
use super::envelope;
use super::frames::{self, Outbound};
use super::pump::Pump;
use super::question::Questions;
use super::{Store, reader};
use crate::fault::{Fault, FaultKind};
use crate::flow::{
    self, Capability, End, Group, Ordering, Outgoing, Position, Published, Reader, Received, Subscriber, Subscription,
    Topic,
};
use crate::frame::{self, Ask, Limits, Reads};
use crate::proto::dapr_runtime::PublishEventRequest;
use crate::proto::penstock::About;
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
    /// Whether frames are packed, where the other end can unpack them.
    pub packed: bool,
}

impl Settings {
    /// Packed frames of 256 KiB; a heartbeat every 5 seconds.
    pub fn new(frames: Frames) -> Self {
        Self { frames, frame_bytes: 256 << 10, heartbeat: Duration::from_secs(5), packed: true }
    }
}

/// A pub/sub Component behind daprd.
pub struct Bus {
    connection: Connection,
    component: Arc<str>,
    settings: Settings,
    clock: Clock,
    /// Whether published frames are packed: until the component is found not to read them.
    packs: AtomicBool,
    /// Events that are settled although their frames were not, by topic: the streams of a topic share
    /// what comes again.
    done: Mutex<HashMap<Topic, Arc<Done>>>,
    pumps: Mutex<task::Group>,
    /// When a state store of the same bus stands beside it.
    questions: Option<(Questions, About)>,
}

impl Bus {
    pub fn new(connection: Connection, component: &str, settings: Settings, clock: Clock) -> Self {
        let pumps = Mutex::new(task::Group::new(&Shutdown::new()));
        let packs = AtomicBool::new(settings.packed);
        let (done, questions) = (Mutex::default(), None);
        Self { connection, component: component.into(), settings, clock, packs, done, pumps, questions }
    }

    /// Makes use of the state store Component of the same bus: the bus can then be read, asked for its ends and lags, and
    /// keep state in the store that is returned.
    ///
    /// # Errors
    /// `Unsupported` when its events have no order, or no times, or the Component is no state store of ours.
    pub async fn learn(&mut self, component: &str) -> Result<Store, Fault> {
        let questions = Questions { connection: self.connection.clone(), component: component.to_owned() };
        let about = questions.about().await?;
        if !about.readable || self.settings.frames == Frames::Off {
            let message = "the bus does not tell in which order and when it took events in";
            let fault = Fault::new(FaultKind::Unsupported, "join events behind daprd", message);
            return Err(fault.with_context("component", &*self.component));
        }
        let store = Store::of_bus(questions.clone(), &about);
        self.questions = Some((questions, about));
        Ok(store)
    }

    fn questions(&self) -> Result<&Questions, Fault> {
        let message = "a bus behind daprd is read with a state store Component of its own only";
        let unreadable = || Fault::new(FaultKind::Unsupported, "read a topic", message);
        self.questions.as_ref().map(|(questions, _)| questions).ok_or_else(unreadable)
    }

    async fn publish_frames(&self, topic: &Topic, batch: &[Outgoing]) -> Vec<Result<Published, Fault>> {
        let mut answers = Vec::with_capacity(batch.len());
        // One after the other: the bus keeps the order of a batch.
        for outbound in frames::split(batch, self.settings.frame_bytes) {
            let Outbound { data, metadata, delayed, events } = outbound;
            let published = if delayed { Published::Delayed } else { Published::At(Position::default()) };
            let answer = self.send_frame(topic, data, metadata).await.map(|()| published);
            answers.extend(std::iter::repeat_n(answer, events));
        }
        answers
    }

    /// Sends one frame. A component that is older than packed frames refuses them as no frame, of which
    /// it keeps nothing; from then on it gets plain ones.
    async fn send_frame(&self, topic: &Topic, data: Bytes, metadata: BTreeMap<String, String>) -> Result<(), Fault> {
        let packed = if self.packs.load(Memory::Relaxed) { frame::pack(data.clone()) } else { data.clone() };
        let is_packed = frame::is_packed(&packed);
        let request = PublishEventRequest { data: packed, metadata, ..self.request(topic) };
        let plain = PublishEventRequest { data, ..request.clone() };
        match self.send(request).await {
            Err(fault) if is_packed && !fault.is_retryable() => {
                self.send(plain).await?;
                self.packs.store(false, Memory::Relaxed);
                tracing::info!(component = &*self.component, "frames are not packed: the component does not read it");
                Ok(())
            }
            answer => answer,
        }
    }

    async fn publish_singles(&self, topic: &Topic, batch: &[Outgoing]) -> Vec<Result<Published, Fault>> {
        let messages: Vec<Result<Bytes, Fault>> = batch.iter().map(message).collect();
        let good: Vec<Bytes> = messages.iter().flatten().cloned().collect();
        let mut answers = Vec::with_capacity(good.len());
        for part in bulk::split(&good) {
            answers.extend(self.publish_part(topic, part).await);
        }
        let mut answers = answers.into_iter();
        let answer = |message: Result<Bytes, Fault>| {
            message?;
            answers.next().unwrap_or_else(unanswered)?;
            Ok(Published::At(Position::default()))
        };
        messages.into_iter().map(answer).collect()
    }

    /// Publishes some messages in one call. When that fails as a whole, nobody knows which of them were kept
    /// and which one is to blame: each goes alone then, so that it costs only itself.
    async fn publish_part(&self, topic: &Topic, part: &[Bytes]) -> Vec<Result<(), Fault>> {
        use futures_util::StreamExt as _;
        if part.len() > 1 {
            let mut client = self.connection.client();
            let call = client.bulk_publish_event_alpha1(bulk::request(&self.component, topic.as_str(), part));
            match self.connection.call("publish", call).await {
                Ok(response) => return bulk::answers(&response, part.len()),
                Err(fault) => {
                    let (component, fault) = (&*self.component, fault.chain());
                    tracing::debug!(component, %topic, fault, "a bulk publish failed: each event goes alone");
                }
            }
        }
        let singles = part.iter().map(|data| {
            let data_content_type = envelope::CONTENT_TYPE.to_owned();
            self.send(PublishEventRequest { data: data.clone(), data_content_type, ..self.request(topic) })
        });
        futures_util::stream::iter(singles.collect::<Vec<_>>()).buffered(MAX_SINGLES).collect().await
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
        let Settings { frames, frame_bytes, heartbeat, packed } = self.settings;
        let limits = Limits { bytes: frame_bytes, events: subscription.max_in_flight.max(1), heartbeat, packed };
        let ask = Ask { group: Some(subscription.group.to_string()), start: subscription.start, ..Ask::frames() };
        match frames {
            Frames::On => Ask { frames: Some(limits), ..ask }.metadata(),
            // Whoever knows these words needs them; whoever does not passes them over.
            Frames::Off => Ask { frames: None, ..ask }.metadata(),
        }
    }

    fn done(&self, topic: &Topic) -> Arc<Done> {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        let alone = self.settings.frames == Frames::Off;
        Arc::clone(done.entry(topic.clone()).or_insert_with(|| Arc::new(Done::new(alone))))
    }

    /// Opens a stream of a topic.
    async fn open(
        &self,
        topic: &Topic,
        metadata: BTreeMap<String, String>,
        reads: Reads,
        done: Arc<Done>,
    ) -> Result<Box<dyn Subscriber>, Fault> {
        // One message at a time: the stream itself is the queue.
        let (out, received) = mpsc::channel(1);
        let (joined, word) = oneshot::channel();
        let stop = self.spawn(Pump {
            connection: self.connection.clone(),
            component: Arc::clone(&self.component),
            topic: topic.clone(),
            metadata,
            reads,
            settings: self.settings.clone(),
            done,
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
            max_event_bytes: match &self.questions {
                _ if !framed => MAX_SINGLE_EVENT,
                Some((_, about)) => usize::try_from(about.max_event_bytes).unwrap_or(usize::MAX).min(MAX_FRAMED_EVENT),
                None => MAX_FRAMED_EVENT,
            },
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
        fits.into_iter().map(|fits| fits.and_then(|()| answers.next().unwrap_or_else(unanswered))).collect()
    }

    /// A component that does not know our words has one consumer group, its own (`consumerID`), and
    /// its own place to start.
    async fn subscribe(&self, subscription: Subscription) -> Result<Box<dyn Subscriber>, Fault> {
        let (metadata, done) = (self.metadata(&subscription), self.done(&subscription.topic));
        self.open(&subscription.topic, metadata, Reads::InGroup, done).await
    }

    async fn read(&self, topic: &Topic, after: Option<Position>) -> Result<Box<dyn Reader>, Fault> {
        self.questions()?;
        let Settings { frame_bytes, heartbeat, packed, .. } = self.settings;
        let limits = Limits { bytes: frame_bytes, heartbeat, packed, ..Limits::default() };
        // One frame at a time: a daprd that hands out several at once could swap them.
        let ask = Ask { frames: Some(limits), in_flight: 1, ..Ask::frames() };
        let stream = self.open(topic, ask.metadata(), Reads::After(after), Arc::default()).await?;
        Ok(Box::new(reader::Reader(stream)))
    }

    async fn end(&self, topic: &Topic) -> Result<End, Fault> {
        self.questions()?.end(topic).await
    }

    async fn begin(&self, topic: &Topic) -> Result<Option<Position>, Fault> {
        self.questions()?.begin(topic).await
    }

    async fn behind(&self, topic: &Topic, after: Option<Position>) -> Result<u64, Fault> {
        self.questions()?.behind(topic, after).await
    }

    async fn lag(&self, topic: &Topic, group: &Group) -> Result<u64, Fault> {
        self.questions()?.lag(topic, group).await
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

/// One event as one message.
fn message(outgoing: &Outgoing) -> Result<Bytes, Fault> {
    if outgoing.delay.is_some() {
        return Err(Fault::new(FaultKind::Unsupported, "publish", "a Dapr pub/sub cannot delay events"));
    }
    envelope::exact(&outgoing.event).map_err(|error| Fault::new(FaultKind::Internal, "publish", error.to_string()))
}

fn unanswered<T>() -> Result<T, Fault> {
    Err(Fault::new(FaultKind::Internal, "publish", "an event was not answered for"))
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
