//! Keeps one stream open: reads it, opens it again when it ends or falls silent.
//!
//! daprd never tells that a component behind an open stream is gone. So a stream of frames carries
//! heartbeats, and one that misses three is dead. Nor does it tell whether the component took a new
//! stream: one that was started again refuses it, because nobody initialised it, and daprd hides that. So
//! a frame without events is published after each opening, to hear whether the component is well.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, OptionFuture};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::answer::{self, Done, Room, Unanswered};
use super::bus::{Frames, Settings};
use super::connection::Connection;
use super::envelope;
use super::frames::{self, Inbound};
use super::streams::Open;
use crate::fault::{Fault, FaultKind};
use crate::flow::{Receipt, Received, Topic};
use crate::proto::dapr_runtime::subscribe_topic_events_request_alpha1::SubscribeTopicEventsRequestType as Request;
use crate::proto::dapr_runtime::subscribe_topic_events_response_alpha1::SubscribeTopicEventsResponseType as Response;
use crate::proto::dapr_runtime::topic_event_response::TopicEventResponseStatus as Answer;
use crate::proto::dapr_runtime::{
    PublishEventRequest, SubscribeTopicEventsRequestAlpha1, SubscribeTopicEventsRequestInitialAlpha1,
    SubscribeTopicEventsResponseAlpha1, TopicEventRequest,
};
use crate::task::{self, Backoff, Clock, Shutdown};

/// Messages of one stream that are not answered yet, at most. daprd 1.16 and later hands out one at a
/// time; older ones hand out as many as the component sends.
const MAX_UNANSWERED: usize = 8;

/// How long daprd may take to open a stream.
const OPEN_LIMIT: Duration = Duration::from_secs(10);

/// A heartbeat that does not come is lost with this many others: then the stream is dead.
const MISSED: u32 = 3;

/// How long events in flight may take when their stream is asked to close.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

/// Between two attempts to open a stream.
const REOPEN: Backoff =
    Backoff { base: Duration::from_millis(50), factor: 2.0, jitter: 0.2, cap: Duration::from_secs(5) };

/// Whether the member has joined, or never can.
pub(super) type Joined = oneshot::Sender<Result<(), Fault>>;

type Requests = mpsc::Sender<SubscribeTopicEventsRequestAlpha1>;

pub(super) struct Pump {
    pub connection: Connection,
    pub component: Arc<str>,
    pub topic: Topic,
    pub metadata: BTreeMap<String, String>,
    pub settings: Settings,
    pub done: Arc<Done>,
    pub clock: Clock,
    pub out: mpsc::Sender<Vec<Received>>,
    /// Taken when it is told.
    pub joined: Option<Joined>,
}

/// Why a stream is over.
enum Ended {
    /// The member is gone, or the bus closes.
    Stopped,
    /// daprd is to be shut down.
    Asked,
    Lost(Fault),
}

/// A stream and what belongs to it.
struct Stream {
    requests: Requests,
    messages: Streaming<SubscribeTopicEventsResponseAlpha1>,
    open: Open,
    pending: Arc<AtomicUsize>,
    /// Since the last sign of life.
    silent: Box<dyn Fn() -> Duration + Send + Sync>,
    /// Whether the component has given a sign of life.
    alive: bool,
    /// The question whether it is well, until it is answered.
    asking: Option<BoxFuture<'static, bool>>,
}

impl Pump {
    /// Pumps until `stop`. What cannot be had is waited for, unless it is refused before the first
    /// stream was open.
    ///
    /// # Errors
    /// None.
    pub async fn run(mut self, stop: Shutdown) -> Result<(), Fault> {
        let mut failures = 0;
        while !stop.is_requested() {
            let fault = match self.stream(&stop, &mut failures).await {
                Ended::Stopped => break,
                Ended::Asked => None,
                Ended::Lost(fault) if fault.kind() == FaultKind::Closed => break,
                Ended::Lost(fault) => Some(fault),
            };
            failures += 1;
            if let Some(fault) = fault {
                if !fault.is_retryable()
                    && let Some(joined) = self.joined.take()
                {
                    drop(joined.send(Err(fault)));
                    break;
                }
                // Once for each outage.
                if failures == 1 {
                    let (component, topic) = (&*self.component, self.topic.as_str());
                    tracing::warn!(component, topic, fault = fault.chain(), "the stream ended: opening it again");
                }
            }
            tokio::select! {
                () = stop.requested() => {}
                () = task::sleep(REOPEN.pause(failures)) => {}
            }
        }
        Ok(())
    }

    /// One stream, from open to end.
    async fn stream(&mut self, stop: &Shutdown, failures: &mut u32) -> Ended {
        let opened = tokio::select! {
            () = stop.requested() => return Ended::Stopped,
            opened = async { (self.connection.streams().open().await, self.open().await) } => opened,
        };
        let (open, (requests, messages)) = match opened {
            (open, Ok(opened)) => (open, opened),
            (_, Err(fault)) => return Ended::Lost(fault),
        };
        let (pending, silent) = (Arc::new(AtomicUsize::new(0)), Box::new(task::stopwatch()));
        let mut stream = Stream { requests, messages, open, pending, silent, alive: false, asking: None };
        let ended = loop {
            match self.step(&mut stream, stop).await {
                Ok(()) if stream.alive => {
                    if *failures > 0 {
                        tracing::info!(component = &*self.component, topic = %self.topic, "the stream is back");
                        *failures = 0;
                    }
                    self.tell_joined();
                }
                Ok(()) => {}
                Err(ended) => break ended,
            }
        };
        if !matches!(ended, Ended::Lost(_)) {
            stream.close().await;
        }
        ended
    }

    async fn open(&self) -> Result<(Requests, Streaming<SubscribeTopicEventsResponseAlpha1>), Fault> {
        let initial = SubscribeTopicEventsRequestInitialAlpha1 {
            pubsub_name: self.component.to_string(),
            topic: self.topic.to_string(),
            metadata: self.metadata.clone(),
            dead_letter_topic: None,
        };
        let (requests, queue) = mpsc::channel(MAX_UNANSWERED + 1);
        let request = Some(Request::InitialRequest(initial));
        // The queue is empty and has room.
        drop(requests.try_send(SubscribeTopicEventsRequestAlpha1 { subscribe_topic_events_request_type: request }));
        let mut client = self.connection.client();
        match task::within(OPEN_LIMIT, client.subscribe_topic_events_alpha1(ReceiverStream::new(queue))).await {
            Some(Ok(response)) => Ok((requests, response.into_inner())),
            Some(Err(status)) => Err(self.fault(&status)),
            None => Err(Fault::new(FaultKind::Timeout, "subscribe", "daprd did not open the stream")),
        }
    }

    fn fault(&self, status: &tonic::Status) -> Fault {
        self.connection.fault("subscribe", status).with_context("component", &*self.component)
    }

    /// Waits for the next message and takes it; or for the end.
    async fn step(&self, stream: &mut Stream, stop: &Shutdown) -> Result<(), Ended> {
        let room = tokio::select! {
            () = stop.requested() => return Err(Ended::Stopped),
            () = stream.open.closing.requested() => return Err(Ended::Asked),
            // Fails only when the stream does not read its requests any more: it tells why itself.
            room = stream.requests.clone().reserve_owned() => room.ok(),
        };
        let message = tokio::select! {
            () = stop.requested() => return Err(Ended::Stopped),
            () = stream.open.closing.requested() => return Err(Ended::Asked),
            // Cancel-safe: a message is in the stream until it is whole.
            message = stream.messages.message() => message,
            well = OptionFuture::from(stream.asking.as_mut()), if stream.asking.is_some() => {
                stream.asking = None;
                stream.alive |= well == Some(true);
                return Ok(());
            }
            // Without heartbeats nobody can tell that a stream is dead.
            () = task::sleep(self.settings.heartbeat), if self.settings.frames == Frames::On => {
                return self.silence(stream);
            }
        };
        stream.silent = Box::new(task::stopwatch());
        let message = match message {
            Ok(Some(message)) => message.subscribe_topic_events_response_type,
            Ok(None) => return Err(lost("daprd ended the stream")),
            Err(status) => return Err(Ended::Lost(self.fault(&status))),
        };
        match (message, room) {
            (Some(Response::EventMessage(message)), Some(room)) => {
                stream.alive = true;
                self.take(message, room, stream, stop).await
            }
            (Some(Response::InitialResponse(_)), _) => {
                match self.settings.frames {
                    Frames::On => stream.asking = Some(self.ask().boxed()),
                    Frames::Off => stream.alive = true,
                }
                Ok(())
            }
            (None, _) => Ok(()),
            (_, None) => Err(lost("daprd takes no answers any more")),
        }
    }

    /// Nothing came for the time of a heartbeat.
    fn silence(&self, stream: &mut Stream) -> Result<(), Ended> {
        // daprd hands out the next message, heartbeat or not, only after the answer to this one.
        if stream.pending.load(Ordering::SeqCst) > 0 {
            stream.silent = Box::new(task::stopwatch());
            return Ok(());
        }
        if (stream.silent)() >= self.settings.heartbeat * MISSED {
            return Err(lost("the component has gone silent"));
        }
        Ok(())
    }

    /// Asks the component whether it is well, by a frame without events. That it was never initialised
    /// is an answer on which the connection acts.
    fn ask(&self) -> impl Future<Output = bool> + Send + 'static {
        let request = PublishEventRequest {
            pubsub_name: self.component.to_string(),
            topic: self.topic.to_string(),
            metadata: frames::question(),
            ..PublishEventRequest::default()
        };
        let connection = self.connection.clone();
        async move {
            let mut client = connection.client();
            match connection.call("ask a component", client.publish_event(request)).await {
                Ok(()) => true,
                // A source takes nothing, and is well.
                Err(fault) => fault.kind() == FaultKind::Unsupported,
            }
        }
    }

    /// Hands out the events of a message.
    async fn take(
        &self,
        message: TopicEventRequest,
        room: Room,
        stream: &mut Stream,
        stop: &Shutdown,
    ) -> Result<(), Ended> {
        let events = match self.settings.frames {
            Frames::On => frames::read(&message.data),
            Frames::Off => {
                let mut alone = Inbound::bare(envelope::read(&message));
                alone.attempt = self.done.attempt(&answer::mark(&alone));
                vec![alone]
            }
        };
        if events.is_empty() {
            let heard = answer::send(room, message.id, Answer::Success);
            return if heard { Ok(()) } else { Err(lost("daprd takes no answers any more")) };
        }
        let marks = events.iter().map(answer::mark).collect();
        let frame = Unanswered::new(message.id, room, marks, Arc::clone(&self.done), Arc::clone(&stream.pending));
        let frame = Arc::new(frame);
        let now = self.clock.now();
        let mut open = frame.open().peekable();
        let mut received = Vec::with_capacity(events.len());
        for (index, Inbound { event, position, appended, attempt }) in events.into_iter().enumerate() {
            if open.next_if_eq(&index).is_some() {
                let receipt = Receipt::new(frame.clone(), index as u64);
                received.push(Received { event, position, appended: appended.unwrap_or(now), attempt, receipt });
            }
        }
        drop(open);
        if received.is_empty() {
            frame.answer_if_settled();
            return Ok(());
        }
        tokio::select! {
            () = stop.requested() => Err(Ended::Stopped),
            () = stream.open.closing.requested() => Err(Ended::Asked),
            sent = self.out.send(received) => sent.map_err(|_| Ended::Stopped),
        }
    }

    fn tell_joined(&mut self) {
        if let Some(joined) = self.joined.take() {
            // Nobody waits any more when the subscription was given up.
            drop(joined.send(Ok(())));
        }
    }
}

fn lost(message: &str) -> Ended {
    Ended::Lost(Fault::new(FaultKind::Unavailable, "read a stream", message))
}

impl Stream {
    /// Lets the events in flight be answered, then closes: the answers must arrive before the end.
    async fn close(self) {
        let Self { requests, mut messages, open, .. } = self;
        // From now on only the answers that are owed hold the way back open; daprd ends the stream
        // when the last of them is sent. What it hands out meanwhile is not answered, and comes again.
        drop(requests);
        task::within(CLOSE_LIMIT, async { while let Ok(Some(_)) = messages.message().await {} }).await;
        drop(open);
    }
}
