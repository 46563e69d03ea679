//! `penstock intake`: from source Components to the bus Component, through daprd.

mod plan;

use std::sync::Arc;

use clap::Args;
use futures_util::future::{join_all, try_join_all};

use super::workload::{self, Context, Work};
use crate::fault::{Fault, FaultKind};
use crate::flow::{Bus as _, Group as ConsumerGroup, Outlet, Start, Subscriber, Subscription, outlet};
use crate::intake::{self, Intake};
use crate::sidecar::{About, Bus};
use crate::task::{self, Group, Shutdown};
use plan::{Feed, Plan};

/// The consumer group on sources that have such a thing and are not told another.
const CONSUMER_GROUP: &str = "penstock-intake";

/// Events of one feed that wait for the bus. What is read and not published holds its frame back, and
/// with it the source: a few batches are enough to keep the bus busy.
const OUTLET_BOUND: usize = 1024;

/// Publishes the events of source components to the bus component, both behind daprd
#[derive(Args, Clone, Debug)]
#[command(after_help = "An event is acknowledged to its source after the bus has it. A plan:

  {\"bus\": {\"component\": \"bus\"},
   \"feeds\": [{\"from\": {\"component\": \"shop-orders\"}, \"topic\": \"orders\", \"to\": \"default-shop-orders\",
              \"namespace\": \"default\", \"eventSource\": \"shop\", \"event\": \"orders\"}]}")]
pub struct Options {
    #[command(flatten)]
    workload: workload::Options,
}

/// Runs until a signal asks to stop.
///
/// # Errors
/// When a part cannot be started, or failed for good.
pub async fn run(options: Options) -> anyhow::Result<()> {
    workload::run(options.workload, None, |context| Pumps { context, bus: None, running: Vec::new() }).await
}

/// Everything that is pumped.
struct Pumps {
    context: Context,
    /// What the plan says about the bus, and the bus.
    bus: Option<(workload::Endpoint, Arc<Bus>)>,
    running: Vec<(Feed, Shutdown)>,
}

/// A feed that has joined its source.
struct Joined {
    feed: Feed,
    source: Bus,
    members: Vec<Box<dyn Subscriber>>,
}

/// A plan whose new feeds have joined.
struct Prepared {
    spec: workload::Endpoint,
    bus: Arc<Bus>,
    /// All feeds of the plan.
    feeds: Vec<Feed>,
    joined: Vec<Joined>,
}

impl Work for Pumps {
    type Plan = Plan;
    type Prepared = Prepared;

    fn read(text: &str) -> Result<Plan, String> {
        Plan::read(text)
    }

    async fn prepare(&self, plan: Plan) -> Result<Prepared, Fault> {
        let about = self.context.connection.ready().await?;
        let Plan { bus: spec, feeds } = plan;
        let (bus, kept): (_, &[_]) = match &self.bus {
            Some((known, bus)) if *known == spec => (Arc::clone(bus), &self.running),
            _ => (Arc::new(spec.bus(&self.context.connection, &about, &self.context.clock)?), &[]),
        };
        let new = feeds.iter().filter(|feed| !kept.iter().any(|(known, _)| known == *feed));
        let joined = try_join_all(new.map(|feed| self.join(feed, &about))).await?;
        Ok(Prepared { spec, bus, feeds, joined })
    }

    fn adopt(&mut self, prepared: Prepared, tasks: &mut Group) {
        let Prepared { spec, bus, feeds, joined } = prepared;
        self.bus = Some((spec, Arc::clone(&bus)));
        self.running.retain(|(feed, shutdown)| {
            let stays = feeds.contains(feed) && joined.iter().all(|joined| joined.feed != *feed);
            if !stays {
                shutdown.request();
            }
            stays
        });
        for joined in joined {
            let shutdown = Shutdown::new();
            self.running.push((joined.feed.clone(), shutdown.clone()));
            tasks.spawn(pump(joined, Arc::clone(&bus), self.context.clone(), shutdown));
        }
    }

    fn stop(&mut self) {
        for (_, shutdown) in &self.running {
            shutdown.request();
        }
    }
}

impl Pumps {
    async fn join(&self, feed: &Feed, about: &About) -> Result<Joined, Fault> {
        let source = feed.from.bus(&self.context.connection, about, &self.context.clock)?;
        let group = ConsumerGroup::new(CONSUMER_GROUP);
        let group = group.map_err(|error| Fault::new(FaultKind::Internal, "subscribe", error.to_string()))?;
        let subscription =
            Subscription { topic: feed.topic.clone(), group, start: Start::Earliest, max_in_flight: OUTLET_BOUND };
        let streams = feed.from.streams(about, 1);
        let members = try_join_all((0..streams).map(|_| source.subscribe(subscription.clone()))).await?;
        Ok(Joined { feed: feed.clone(), source, members })
    }
}

/// Pumps one feed until `shutdown`; then takes nothing new, and waits within the grace period for what
/// was taken.
async fn pump(joined: Joined, bus: Arc<Bus>, context: Context, shutdown: Shutdown) -> Result<(), Fault> {
    let Joined { feed, source, mut members } = joined;
    let (outlet, events) = outlet(OUTLET_BOUND);
    let settings = intake::Settings {
        bus,
        topic: feed.to.clone(),
        dead_letters: feed.dead_letters.clone(),
        origin: feed.origin(),
        overrides: feed.overrides.clone(),
        clock: context.clock.clone(),
        metrics: context.metrics.intake(&feed.namespace, &feed.event_source, &feed.event),
    };
    let intake = Intake::new(events, settings).run(Shutdown::new());
    let reading = async {
        let outlet = outlet;
        join_all(members.iter_mut().map(|member| read(member.as_mut(), &outlet, &shutdown))).await
    };
    let limit = async {
        shutdown.requested().await;
        task::sleep(context.grace).await;
    };
    tokio::select! {
        // The outlet goes with the last reader; the intake ends when it is empty.
        _ = futures_util::future::join(reading, intake) => {}
        () = limit => tracing::warn!(feed = feed.origin(), "stopped with events in flight: they will be handed out again"),
    }
    // The streams close when everything that they handed out is answered.
    drop(members);
    source.close().await
}

/// Hands on what one stream brings, until `shutdown`.
async fn read(member: &mut dyn Subscriber, outlet: &Outlet, shutdown: &Shutdown) {
    let handed = async {
        while let Ok(received) = member.next().await {
            if received.is_empty() {
                return;
            }
            for received in received {
                // Closed only when the intake is gone; then the receipt hands the event back.
                if outlet.send(received).await.is_err() {
                    return;
                }
            }
        }
    };
    tokio::select! {
        () = shutdown.requested() => {}
        () = handed => {}
    }
}
