//! The running process: buses, routers, intakes and sources, started and stopped in order.
//!
//! Start: buses, then consumer groups (from then on nothing is missed), then ports. Stop: ports
//! first, then intakes empty themselves, then routers finish what is in flight, then buses close.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;

use super::Options;
use super::plan::{BusPlan, Feed, Plan};
use super::summary;
use crate::catalog::{self, Opened, SinkConfig};
use crate::cli::admin::Admin;
use crate::cli::ledger::Known;
use crate::cli::{dlq, limits, narrator, signals};
use crate::fault::{Fault, FaultKind};
use crate::flow::{self, Bus, Group as ConsumerGroup, Topic, outlet};
use crate::intake::{self, Intake};
use crate::router::decision::Observer;
use crate::router::pipeline::{self, Joined, Router};
use crate::router::route::{Policy, StatusCodes, Target, Trigger};
use crate::sinks;
use crate::task::{self, Clock, Group, Shutdown};
use crate::telemetry::Metrics;

/// The consumer group of a standalone router: one for all Triggers of a bus.
pub const CONSUMER_GROUP: &str = "penstock";

/// Events of one source that wait for the bus; a webhook that finds it full answers 503.
const OUTLET_BOUND: usize = 1024;

/// What every part is handed.
struct Context {
    clock: Clock,
    metrics: Arc<Metrics>,
    client: sinks::http::Client,
}

/// Starts everything, waits for a signal or a failure, stops everything.
///
/// # Errors
/// When a part cannot be started, or failed for good.
pub async fn run(plan: Plan, options: &Options) -> anyhow::Result<()> {
    let clock = Clock::system();
    let context = Context { metrics: Arc::new(Metrics::new()), client: sinks::http::Client::new(clock.clone()), clock };
    let asked = signals::shutdown()?;
    limits::raise_open_files();
    let (sourcing, routing) = (Shutdown::new(), Shutdown::new());

    let buses = open(&plan.buses, options, &context).await?;
    let index = dlq::Index::of(&plan);
    let narrator = options.telling.narrator();
    let ledger = options.telling.ledger(&context.clock);
    let observer = narrator::observer(narrator.clone(), ledger.as_ref());
    if let Some(ledger) = &ledger {
        let known = plan.buses.iter().zip(&buses).flat_map(|(plan, opened)| {
            let known = |trigger: &Trigger| Known { trigger: trigger.clone(), store: Some(opened.store.clone()) };
            plan.triggers.iter().map(known).collect::<Vec<_>>()
        });
        ledger.explain_by(known.collect());
    }
    let mut routers = Group::new(&routing);
    let mut watched = Vec::with_capacity(buses.len());
    for (opened, BusPlan { name, triggers, .. }) in buses.iter().zip(plan.buses) {
        watched.push((name, opened.bus.clone()));
        if let Some(router) = join(triggers, opened, &observer, &routing, &context).await? {
            routers.spawn(router.run());
        }
    }
    let open: Vec<(String, Arc<dyn Bus>)> = watched.clone();
    let desk = Arc::new(dlq::Desk::new(Box::new(move || open.clone()), Some(index)));
    let mut sources = Group::new(&sourcing);
    start(plan.feeds, &buses, options, &context, &mut sources).await?;
    let admin = Admin::new(context.metrics.clone(), context.clock.clone(), Box::new(move || watched.clone()));
    let admin = Arc::new(admin.with_ledger(ledger).with_desk(desk));
    let mut side = Group::new(&Shutdown::new());
    admin.serve(options.admin, &mut side).await?;
    if let Some(narrator) = narrator {
        let stop = side.shutdown().clone();
        side.spawn(summary::run(context.metrics.clone(), narrator, stop));
    }
    admin.set_ready(true);
    tracing::info!(data = %options.data_dir.display(), "ready");

    let (ended, early) = tokio::select! {
        () = asked.requested() => (None, None),
        // Cancel-safe: a task that ended is joined below.
        ended = sources.next(), if !sources.is_empty() => (ended, Some("a source")),
        ended = routers.next(), if !routers.is_empty() => (ended, Some("a router")),
    };
    admin.set_ready(false);
    let stop = Stop::within(options.grace);
    let outcome = ended.unwrap_or(Ok(())).and(stop.join("sources", &sourcing, sources).await);
    let outcome = outcome.and(stop.join("routers", &routing, routers).await);
    // A part that ends before it is asked to is a failure, even when none says why. One that does may end a moment
    // after those that it feeds.
    let outcome = outcome.and(early.map_or(Ok(()), |what| Err(ended_early(what))));
    for opened in &buses {
        opened.bus.close().await.context("cannot close the bus")?;
    }
    let showing = side.shutdown().clone();
    outcome.and(stop.join("metrics and health", &showing, side).await)?;
    tracing::info!("stopped");
    Ok(())
}

/// The grace period, from the moment that the stop was asked for and over all parts.
struct Stop {
    grace: Duration,
    elapsed: Box<dyn Fn() -> Duration + Send + Sync>,
}

impl Stop {
    /// Of the period, as much is left to the parts themselves to end what they do in good order;
    /// the rest is for closing the buses.
    const WORKING: f64 = 0.9;

    fn within(grace: Duration) -> Self {
        Self { grace, elapsed: Box::new(task::stopwatch()) }
    }

    /// Asks the parts to stop and waits for them. What does not end by itself is dropped with its
    /// receipts: it is handed out again after the next start.
    async fn join(&self, what: &str, shutdown: &Shutdown, parts: Group) -> Result<(), Fault> {
        let elapsed = (self.elapsed)();
        shutdown.request_within(self.grace.mul_f64(Self::WORKING).saturating_sub(elapsed));
        let joined = task::within(self.grace.saturating_sub(elapsed), parts.join()).await;
        joined.unwrap_or_else(|| {
            tracing::warn!(what, "cut off at the end of the grace period");
            Ok(())
        })
    }
}

fn ended_early(what: &str) -> Fault {
    Fault::new(FaultKind::Internal, "run", format!("{what} ended by itself"))
}

async fn open(plans: &[BusPlan], options: &Options, context: &Context) -> anyhow::Result<Vec<Opened>> {
    let mut buses = Vec::with_capacity(plans.len());
    for plan in plans {
        let folder = options.data_dir.join("bus").join(&plan.folder);
        let opened = catalog::open(plan.config.clone(), &folder, &context.clock).await;
        buses.push(opened.with_context(|| format!("EventBus {}", plan.name))?);
    }
    Ok(buses)
}

/// Joins the consumer group for all Triggers of a bus; `None` when it has none.
async fn join(
    triggers: Vec<Trigger>,
    opened: &Opened,
    observer: &Arc<dyn Observer>,
    shutdown: &Shutdown,
    context: &Context,
) -> anyhow::Result<Option<Joined>> {
    if triggers.is_empty() {
        return Ok(None);
    }
    let Opened { bus, store } = opened;
    let sinks = |target: &Target, policy: &Policy| sink(target, policy, bus, &context.client);
    let plan = pipeline::Plan::new(triggers, &sinks, &context.metrics)?;
    let group = ConsumerGroup::new(CONSUMER_GROUP)?;
    let settings = pipeline::Settings::new(group);
    let (metrics, observer, clock) = (context.metrics.clone(), observer.clone(), context.clock.clone());
    let router = Router::new(plan, settings, bus.clone(), metrics, observer, clock, shutdown)?;
    Ok(Some(router.with_store(store.clone()).join().await?))
}

/// The sink of a target, as far as one machine can tell.
///
/// # Errors
/// When the target is behind daprd or in a cluster, or is not legal.
pub fn sink(
    target: &Target,
    policy: &Policy,
    bus: &Arc<dyn Bus>,
    client: &sinks::http::Client,
) -> Result<Arc<dyn flow::Sink>, Fault> {
    let refused = |message: String| Fault::new(FaultKind::Rejected, "set up a sink", message);
    let config = match target {
        Target::Http(uri) => SinkConfig::Http(Box::new(http_config(uri, policy)?)),
        Target::Topic(topic) => SinkConfig::Topic(Topic::new(topic).map_err(|error| refused(error.to_string()))?),
        Target::Log => SinkConfig::Log,
        Target::Component { .. } | Target::Object { .. } => {
            return Err(refused(format!("{target} cannot be reached from here")));
        }
    };
    Ok(catalog::sink(config, bus, client))
}

/// How an address is delivered to.
///
/// # Errors
/// When it is not legal.
pub fn http_config(uri: &http::Uri, policy: &Policy) -> Result<sinks::http::Config, Fault> {
    let refused = |message: String| Fault::new(FaultKind::Rejected, "set up a sink", message);
    let endpoint = sinks::http::Endpoint::new(uri.clone()).map_err(|error| refused(error.to_string()))?;
    Ok(sinks::http::Config {
        structured: policy.structured,
        timeout: policy.timeout,
        reply: policy.reply,
        success: match &policy.success {
            StatusCodes::Every2xx => sinks::http::Success::Every2xx,
            StatusCodes::Only(codes) => sinks::http::Success::Only(codes.clone()),
        },
        ..sinks::http::Config::new(endpoint)
    })
}

/// Opens the ports and starts intakes and sources.
async fn start(
    feeds: Vec<Feed>,
    buses: &[Opened],
    options: &Options,
    context: &Context,
    group: &mut Group,
) -> anyhow::Result<()> {
    let mut listening = Vec::with_capacity(feeds.len());
    for feed in feeds {
        let Opened { bus, store } = buses[feed.bus].clone();
        let (outlet, events) = outlet(OUTLET_BOUND);
        let outlet = outlet.limited(intake::max_event_bytes(&*bus));
        let metrics = context.metrics.intake(&feed.namespace, &feed.source, &feed.event);
        let (identity, origin) = (feed.identity(), feed.origin());
        let settings = intake::Settings {
            bus,
            topic: feed.topic,
            dead_letters: feed.dead_letters,
            origin: origin.clone(),
            overrides: feed.overrides,
            clock: context.clock.clone(),
            metrics,
        };
        // It ends when its source is gone, not when the stop is asked for: a webhook that is being
        // answered waits for its event to be kept.
        group.spawn(Intake::new(events, settings).run(Shutdown::new()));
        listening.push((feed.config.entry(outlet, identity, origin), store));
    }
    for source in catalog::sources(listening, options.bind, &context.clock).await? {
        let run = source.run(group.shutdown().clone());
        group.spawn(run);
    }
    Ok(())
}
