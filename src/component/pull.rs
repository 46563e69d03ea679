//! One subscription of daprd: events out, answers in.
//!
//! daprd never opens a stream again that ended, so nothing but the end of the stream's own side,
//! or of this process, ends one: an outage of the bus is waited out by its subscriber, and what
//! cannot be sent is put aside.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::unfold;
use jiff::Timestamp;
use smallvec::smallvec;
use tokio::sync::watch;
use tonic::{Status, Streaming};

use super::ack::{InFlight, Receipts};
use super::aside::Aside;
use super::opaque;
use super::status::status;
use crate::event::Event;
use crate::event::codec::{self, json};
use crate::fault::{Fault, FaultKind};
use crate::flow::{Poison, Position, Receipt, Received, Subscriber};
use crate::frame::{self, Ask, EVENT_OVERHEAD, Frame, Framed, Limits, MAX_MESSAGE, Reads};
use crate::proto::dapr_components::{PullMessagesRequest, PullMessagesResponse};
use crate::task::{Clock, Shutdown, sleep};
use crate::telemetry;

/// How long a stop waits for daprd's answers to what it was sent; then they are handed out again
/// after the start. Shorter than any grace period of a pod.
const DRAIN: Duration = Duration::from_secs(5);

/// One subscription.
pub(super) struct Pull {
    pub requests: Streaming<PullMessagesRequest>,
    pub subscriber: Box<dyn Subscriber>,
    pub ask: Ask,
    pub aside: Aside,
    pub counts: telemetry::Component,
    /// Whether nothing new is sent for the time being.
    pub paused: watch::Receiver<bool>,
    pub shutdown: Shutdown,
    pub clock: Clock,
}

/// A subscription at work.
struct Running {
    pull: Pull,
    in_flight: InFlight,
    /// Taken from the bus and not sent yet.
    ready: VecDeque<Received>,
    /// Since the stop was asked for: the end of the wait for answers.
    stop: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

/// An event that is worth sending; to a reader also what is none.
struct Taken {
    event: Result<Event, Poison>,
    position: Position,
    appended: Timestamp,
    attempt: u32,
    receipt: Receipt,
}

/// What there is to do next.
enum Step {
    Answered(PullMessagesRequest),
    Ready(Vec<Received>),
    Quiet,
    Paused,
    Stop,
    End,
    Failed(Fault),
}

impl Pull {
    /// The messages to send. Dropping the stream hands everything unanswered out again.
    pub(super) fn messages(self) -> impl Stream<Item = Result<PullMessagesResponse, Status>> {
        let in_flight = InFlight::new(self.counts.clone());
        let running = Running { pull: self, in_flight, ready: VecDeque::new(), stop: None };
        unfold(Some(running), |running| async {
            let mut running = running?;
            match running.next().await {
                Ok(Some(message)) => Some((Ok(message), Some(running))),
                Ok(None) => None,
                Err(fault) => {
                    running.pull.counts.errors.inc();
                    tracing::error!(
                        component = running.pull.aside.component,
                        topic = %running.pull.aside.topic,
                        fault = fault.chain(),
                        "a subscription failed"
                    );
                    Some((Err(status(&fault)), None))
                }
            }
        })
    }
}

impl Running {
    /// The next message; `None` at the end.
    async fn next(&mut self) -> Result<Option<PullMessagesResponse>, Fault> {
        loop {
            if self.has_room()
                && let Some(message) = self.compose().await
            {
                return Ok(Some(message));
            }
            match self.step().await {
                Step::Answered(answer) => self.in_flight.settle(&answer),
                Step::Ready(taken) if taken.is_empty() => {
                    return Err(Fault::new(FaultKind::Closed, "take events", "there will be none any more"));
                }
                Step::Ready(taken) => self.ready.extend(taken),
                Step::Quiet => return Ok(Some(self.frame(Frame::default(), Receipts::new()))),
                Step::Paused => {}
                Step::Stop => {
                    self.stop = Some(Box::pin(sleep(DRAIN)));
                    // Nobody will send these: others may have them now.
                    self.ready.clear();
                }
                Step::End => return Ok(None),
                Step::Failed(fault) => return Err(fault),
            }
            if self.stop.is_some() && self.in_flight.is_empty() {
                return Ok(None);
            }
        }
    }

    /// Waits for whatever comes first. Every branch is cancel-safe: an answer and an event are
    /// taken out only when they are returned.
    async fn step(&mut self) -> Step {
        let room = self.has_room();
        let heartbeat = self.pull.ask.frames.map(|limits| limits.heartbeat);
        // An unanswered message is a sign of life of its own.
        let quiet = heartbeat.filter(|_| room && self.in_flight.is_empty());
        let Self { pull, ready, stop, .. } = self;
        let stopping = stop.is_some();
        tokio::select! {
            biased;
            answer = pull.requests.message() => match answer {
                Ok(Some(answer)) => Step::Answered(answer),
                Ok(None) => Step::End,
                Err(error) => {
                    tracing::debug!(%error, "daprd ended a subscription");
                    Step::End
                }
            },
            () = pull.shutdown.requested(), if !stopping => Step::Stop,
            () = async { if let Some(end) = stop { end.await } }, if stopping => Step::End,
            // A daprd that was forgotten will not say anything about pauses any more.
            Ok(()) = pull.paused.changed() => Step::Paused,
            taken = pull.subscriber.next(), if room && ready.is_empty() => match taken {
                Ok(taken) => Step::Ready(taken),
                Err(fault) => Step::Failed(fault),
            },
            () = sleep(quiet.unwrap_or_default()), if quiet.is_some() => Step::Quiet,
        }
    }

    fn has_room(&self) -> bool {
        self.stop.is_none() && self.in_flight.len() < self.pull.ask.in_flight && !*self.pull.paused.borrow()
    }

    /// A message of what is ready; `None` when nothing of it can be sent.
    async fn compose(&mut self) -> Option<PullMessagesResponse> {
        match self.pull.ask.frames {
            Some(limits) => self.compose_frame(limits).await,
            None => self.compose_single().await,
        }
    }

    async fn compose_single(&mut self) -> Option<PullMessagesResponse> {
        while let Some(Taken { event, receipt, .. }) = self.take().await {
            // Only readers get anything else, and they ask for frames.
            let Ok(event) = event else { continue };
            let (data, content_type) = single(&event);
            if data.len() > MAX_MESSAGE {
                self.pull.aside.oversized(&event, data.len(), receipt).await;
                continue;
            }
            self.pull.counts.singles.inc();
            let id = self.in_flight.hold(smallvec![receipt]);
            return Some(self.message(data, content_type, id));
        }
        None
    }

    /// Fills a frame with what is ready, and waits for nothing more.
    async fn compose_frame(&mut self, limits: Limits) -> Option<PullMessagesResponse> {
        let (mut frame, mut receipts) = (Frame::default(), Receipts::new());
        while let Some(Taken { event, position, appended, attempt, receipt }) = self.take().await {
            let mut event = event.map(opaque::open);
            let size = |event: &Event| event.record().len() + EVENT_OVERHEAD;
            let bytes = event.as_ref().map_or(EVENT_OVERHEAD, size);
            if bytes > MAX_MESSAGE
                && let Ok(oversized) = &event
            {
                if !self.is_reader() {
                    self.pull.aside.oversized(oversized, bytes, receipt).await;
                    continue;
                }
                // Somebody else's to bury; whoever reads must know that there was something.
                event = Err(oversize(oversized, bytes));
            }
            if !frame.is_empty() && frame.bytes() + bytes > limits.bytes {
                self.ready.push_front(Received { event, position, appended, attempt, receipt });
                break;
            }
            frame.push(&Framed { event, position, appended, attempt });
            receipts.push(receipt);
            if frame.len() >= limits.events {
                break;
            }
        }
        (!frame.is_empty()).then(|| self.frame(frame, receipts))
    }

    /// The next event that is worth sending.
    async fn take(&mut self) -> Option<Taken> {
        while let Some(received) = self.ready.pop_front() {
            let Received { event, position, appended, attempt, receipt } = received;
            match event {
                // What is read is read by everybody who reads, at whatever time.
                event if self.is_reader() => return Some(Taken { event, position, appended, attempt, receipt }),
                Ok(event) if opaque::has_expired(&event, self.pull.clock.now()) => receipt.ack(),
                Ok(event) => return Some(Taken { event: Ok(event), position, appended, attempt, receipt }),
                Err(poison) => self.pull.aside.poison(&poison, position, receipt).await,
            }
        }
        None
    }

    fn is_reader(&self) -> bool {
        self.pull.ask.reads != Reads::InGroup
    }

    fn frame(&mut self, frame: Frame, receipts: Receipts) -> PullMessagesResponse {
        let counts = &self.pull.counts;
        if receipts.is_empty() { &counts.heartbeats } else { &counts.frames }.inc();
        let id = self.in_flight.hold(receipts);
        let data = frame.finish();
        let packed = self.pull.ask.frames.is_some_and(|limits| limits.packed);
        let data = if packed { frame::pack(data) } else { data };
        self.message(data, codec::PROTOBUF_BATCH, id)
    }

    fn message(&self, data: Bytes, content_type: &str, id: String) -> PullMessagesResponse {
        PullMessagesResponse {
            data,
            // daprd looks its streams up by this: it must be the name that was asked for.
            topic_name: self.pull.aside.topic.to_string(),
            metadata: BTreeMap::new(),
            content_type: content_type.to_owned(),
            id,
        }
    }
}

/// However it ended: by daprd, by its connection, by a stop.
impl Drop for Running {
    fn drop(&mut self) {
        let (component, unanswered) = (&self.pull.aside.component, self.in_flight.len());
        tracing::info!(component, topic = %self.pull.aside.topic, unanswered, "a subscription ended");
    }
}

/// An event that no message can carry, as what a reader gets of it.
fn oversize(event: &Event, bytes: usize) -> Poison {
    let message = format!("its message has {bytes} bytes, and daprd takes at most {MAX_MESSAGE}");
    Poison { bytes: event.record().clone(), fault: Fault::new(FaultKind::TooLarge, "send an event to daprd", message) }
}

/// The message of one event, and its content type. Bytes have none: daprd would read them by it.
fn single(event: &Event) -> (Bytes, &'static str) {
    opaque::bytes(event).map_or_else(
        || {
            let mut out = Vec::new();
            json::write_encoded(event, &mut out);
            (out.into(), codec::JSON)
        },
        |bytes| (bytes, ""),
    )
}
