//! One member of a consumer group: takes events, has them delivered, settles them.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};

use crate::event::Event;
use crate::fault::{Fault, FaultKind};
use crate::flow::{Deduplicate, Outgoing, Poison, Position, Received, Subscriber, Topic, letter};
use crate::router::decision::Decision;
use crate::router::delivery::{Delivery, History, dead_letter_topic_of, unpark};
use crate::task::{self, Shutdown};
use crate::telemetry::Metrics;

use super::Settings;
use super::lane::{Hit, Hits, Lane};
use super::retries::Retries;

/// After this many events were taken, the other tasks get their turn, however many more are ready:
/// with events that nobody wants, a member could go on for ever. A few of the largest batches
/// of a bus, so that it costs nothing per event.
const TURN: usize = 1024;

/// The pause before an event that cannot be handed back begins anew.
const REST: Duration = Duration::from_secs(5);

/// What becomes of the events of a topic.
#[derive(Clone)]
pub(super) enum Route {
    Lane(Arc<Lane>),
    Retries(Arc<Retries>),
}

pub(super) struct Worker {
    pub route: Route,
    pub topic: Topic,
    pub member: Box<dyn Subscriber>,
    pub delivery: Arc<Delivery>,
    pub metrics: Arc<Metrics>,
    pub settings: Settings,
}

impl Worker {
    /// Works until `shutdown`, or until the bus is closed.
    ///
    /// # Errors
    /// When the subscription is over for good.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), Fault> {
        let Self { route, topic, mut member, delivery, metrics, settings } = self;
        let parks = delivery.bus.capability().delayed;
        let job = Job { route: &route, topic: &topic, delivery: &delivery, parks };
        let in_flight = metrics.in_flight();
        let mut flying = FuturesUnordered::new();
        let mut bytes = 0_usize;
        let mut turn = 0_usize;
        let mut stop = pin!(shutdown.requested());
        let ended = loop {
            // All that is ready first: each turn of the select below costs a boxed future.
            while let Some(Some(settled)) = task::at_length(flying.next()).now_or_never() {
                bytes -= settled;
            }
            if turn >= TURN {
                turn = 0;
                task::give_way().await;
            }
            // Every turn of the loop begins with something settled or taken.
            metrics.progressed(delivery.clock.now().as_duration().as_secs_f64());
            let room = flying.len() < settings.max_in_flight && bytes < settings.max_bytes_in_flight;
            tokio::select! {
                biased;
                () = &mut stop => break Ok(()),
                Some(settled) = task::at_length(flying.next()), if !flying.is_empty() => bytes -= settled,
                // Cancel-safe by contract.
                taken = member.next(), if room => match taken {
                    Ok(taken) if taken.is_empty() => break Ok(()),
                    Ok(taken) => {
                        job.arrived(taken.len());
                        turn += taken.len();
                        for received in taken {
                            let size = size(&received);
                            if let Some(work) = job.start(received) {
                                bytes += size;
                                let counted = in_flight.enter(1);
                                flying.push(async move {
                                    work.await;
                                    drop(counted);
                                    size
                                });
                            }
                        }
                    }
                    Err(fault) => break Err(fault),
                },
            }
        };
        // What does not finish in time is dropped with its receipts, and so handed out again.
        let drained =
            task::within(shutdown.left(settings.grace), async { while flying.next().await.is_some() {} }).await;
        if drained.is_none() {
            tracing::warn!(%topic, events = flying.len(), "stopped with events in flight: they will be handed out again");
        }
        ended
    }
}

fn size(received: &Received) -> usize {
    match &received.event {
        Ok(event) => event.record().len(),
        Err(poison) => poison.bytes.len(),
    }
}

/// What is done with each event of one topic.
#[derive(Clone, Copy)]
struct Job<'a> {
    route: &'a Route,
    topic: &'a Topic,
    delivery: &'a Delivery,
    /// Whether what happened to an event travels with it, or is known to the bus alone.
    parks: bool,
}

impl<'a> Job<'a> {
    fn arrived(&self, events: usize) {
        if let Route::Lane(lane) = self.route {
            lane.metrics.received(events as u64);
        }
    }

    /// Begins with an event; `None` when it is done with already, because nobody wants it.
    fn start(self, received: Received) -> Option<impl Future<Output = ()> + 'a> {
        let todo = match (&received.event, self.route) {
            (Err(_), _) => Todo::Bury(None),
            (Ok(_), Route::Retries(retries)) => Todo::Resume(retries),
            (Ok(event), Route::Lane(lane)) => {
                self.delivery.tell(event, || Decision::Received { topic: self.topic });
                match lane.hits(event, &*self.delivery.observer) {
                    Ok(wanted) if wanted.is_empty() => {
                        self.delivery.tell(event, || Decision::Unmatched { topic: self.topic });
                        received.receipt.ack();
                        return None;
                    }
                    // Only those want it who join it, and they read it for themselves.
                    Ok(wanted) if wanted.hits.list.is_empty() => {
                        received.receipt.ack();
                        return None;
                    }
                    Ok(wanted) => Todo::Deliver(lane, wanted.hits),
                    Err(fault) => Todo::Bury(Some(fault)),
                }
            }
        };
        Some(self.finish(received, todo))
    }

    async fn finish(self, received: Received, todo: Todo<'a>) {
        let Received { event, position, attempt, receipt, .. } = received;
        let result = match (&event, todo) {
            (Ok(event), Todo::Deliver(lane, hits)) => {
                let history = History::new(self.topic.clone(), position);
                if self.parks {
                    self.deliver(lane, &hits, event, history).await
                } else {
                    Box::pin(self.deliver_here(lane, &hits, event, history.handed_out(attempt))).await
                }
            }
            (Ok(event), Todo::Resume(retries)) => match unpark(event, position) {
                Ok(parked) => Box::pin(retries.resume(self.delivery, parked)).await,
                Err(fault) => Box::pin(self.bury(event, &fault)).await,
            },
            (Ok(event), Todo::Bury(fault)) => Box::pin(self.bury(event, &fault.unwrap_or_else(undecided))).await,
            (Err(poison), _) => Box::pin(self.bury_poison(poison, position)).await,
        };
        match result {
            Ok(()) => receipt.ack(),
            Err(fault) => {
                if let Ok(event) = &event {
                    self.delivery.tell(event, || Decision::Returned { fault: &fault });
                }
                // At a stop nothing was wrong with it.
                if !self.parks && self.delivery.shutdown.is_requested() {
                    drop(receipt);
                } else {
                    receipt.nack(fault);
                }
            }
        }
    }

    /// To all destinations, each until it is done. A bus that cannot park may drop what is handed back (Dapr's own
    /// components do), so that it waits here, as one of those that are in flight at most.
    async fn deliver_here(self, lane: &Lane, hits: &Hits, event: &Event, history: History) -> Result<(), Fault> {
        let deliver = |hit: &Hit| {
            let (to, hit) = (lane.destination(*hit), *hit);
            let history = match to.body {
                Some(_) => history.clone().of_input(lane.input(hit)),
                None => history.clone(),
            };
            async move {
                loop {
                    match self.delivery.deliver_in_order(to, hits.event(hit, event), history.clone()).await {
                        // The dead letters cannot be written: all of it again.
                        Err(fault) if !self.delivery.shutdown.is_requested() => {
                            self.delivery.tell(event, || Decision::Returned { fault: &fault });
                            task::sleep(REST).await;
                        }
                        done => return done,
                    }
                }
            }
        };
        join_all(hits.list.iter().map(deliver)).await.into_iter().collect()
    }

    /// To all destinations at once; the first fault, if any.
    async fn deliver(self, lane: &Lane, hits: &Hits, event: &Event, history: History) -> Result<(), Fault> {
        // Only who builds a body asks by which input the event came.
        let of = |hit: Hit, history: History| match lane.destination(hit).body {
            Some(_) => history.of_input(lane.input(hit)),
            None => history,
        };
        if let [hit] = hits.list[..] {
            return self.delivery.deliver(lane.destination(hit), hits.event(hit, event), of(hit, history)).await;
        }
        let deliver = |hit: &Hit| {
            self.delivery.deliver(lane.destination(*hit), hits.event(*hit, event), of(*hit, history.clone()))
        };
        let all = hits.list.iter().map(deliver);
        Box::pin(join_all(all)).await.into_iter().collect()
    }

    /// An event that cannot be routed.
    async fn bury(self, event: &Event, fault: &Fault) -> Result<(), Fault> {
        self.write(letter::unfit(event, fault, self.topic, self.limit())?).await
    }

    async fn bury_poison(self, poison: &Poison, position: Position) -> Result<(), Fault> {
        let origin = format!("/topics/{}", self.topic);
        let letter = letter::poison(poison, &origin, self.topic, position, self.delivery.clock.now())?;
        self.write(letter::fit(&letter, self.limit())?).await
    }

    fn limit(self) -> usize {
        self.delivery.bus.capability().max_event_bytes
    }

    async fn write(self, event: Event) -> Result<(), Fault> {
        let topic = dead_letter_topic_of(self.topic)?;
        let outgoing = Outgoing { event, delay: None, deduplicate: Deduplicate::Never };
        let answer = self.delivery.bus.publish(&topic, vec![outgoing]).await.pop();
        answer.unwrap_or_else(|| Err(Fault::new(FaultKind::Internal, "publish", "the bus gave no answer"))).map(drop)
    }
}

fn undecided() -> Fault {
    Fault::new(FaultKind::Internal, "route an event", "nobody knows where it goes")
}

/// What is to be done with one event.
enum Todo<'a> {
    Deliver(&'a Lane, Hits),
    Resume(&'a Retries),
    /// To the dead letters, for this fault or its own.
    Bury(Option<Fault>),
}
