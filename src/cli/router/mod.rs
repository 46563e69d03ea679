//! `penstock router`: from the bus Component to the sinks, through daprd.

mod plan;
mod sinks;
mod state;

use std::sync::Arc;

use clap::Args;

use super::dlq::Index;
use super::ledger::{Known, Ledger};
use super::narrator::{self, Telling};
use super::workload::{self, Context, Work};
use crate::fault::{Fault, FaultKind};
use crate::flow::{Bus as _, Store};
use crate::router::decision::Observer;
use crate::router::pipeline::{self, Joined, Router};
use crate::router::route::{Policy, Target, Trigger};
use crate::sidecar::Bus;
use crate::sinks::http::Client;
use crate::task::{Clock, Group, Shutdown};
use plan::Plan;
use sinks::Wiring;

/// Streams of each topic, unless the plan says otherwise: daprd hands out one frame at a time on each,
/// so that one which waits for a slow sink does not hold up all.
const STREAMS: usize = 4;

/// Delivers what arrives on a bus behind daprd, as Triggers say: the workload of a Trigger
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "An event is acknowledged to the bus when every subscriber that wants it is done with it. A plan:

  {\"bus\": {\"component\": \"bus\"}, \"group\": \"default-ship\",
   \"triggers\": [{\"namespace\": \"default\", \"name\": \"ship\", \"spec\": {
     \"eventSources\": [{\"name\": \"orders\", \"eventSourceName\": \"shop\", \"eventName\": \"orders\"}],
     \"subscribers\": [{\"sink\": {\"uri\": \"http://127.0.0.1:8080/\"}}]}}]}"
)]
pub struct Options {
    #[command(flatten)]
    workload: workload::Options,

    #[command(flatten)]
    telling: Telling,
}

/// Runs until a signal asks to stop.
///
/// # Errors
/// When a part cannot be started, or failed for good.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let ledger = options.telling.ledger(&Clock::system());
    let observer = narrator::observer(options.telling.narrator(), ledger.as_ref());
    let told = ledger.clone();
    let make = |context: Context| {
        let client = Client::new(context.clock.clone());
        Routing { client, context, observer, ledger, running: None }
    };
    workload::run(options.workload, told, make).await
}

/// The router that runs.
struct Routing {
    context: Context,
    client: Client,
    observer: Arc<dyn Observer>,
    ledger: Option<Arc<Ledger>>,
    running: Option<Shutdown>,
}

/// A router that has joined its groups.
struct Prepared {
    joined: Joined,
    bus: Arc<Bus>,
    store: Option<Arc<dyn Store>>,
    /// For the ledger.
    triggers: Vec<Trigger>,
    /// Where its dead letters are.
    letters: Index,
    shutdown: Shutdown,
}

impl Work for Routing {
    type Plan = Plan;
    type Prepared = Prepared;

    fn read(text: &str) -> Result<Plan, String> {
        Plan::read(text)
    }

    async fn prepare(&self, plan: Plan) -> Result<Prepared, Fault> {
        let Context { connection, metrics, clock, grace, .. } = &self.context;
        let letters = Index::of_router(&plan.bus.component, &plan.group, &plan.triggers);
        let about = connection.ready().await?;
        let mut bus = plan.bus.bus(connection, &about, clock)?;
        let store = state::store(&plan, &mut bus, &about).await?;
        let bus = Arc::new(bus);
        let wiring = Wiring { connection, about: &about, bus: bus.clone(), client: &self.client, known: &plan.sinks };
        let sinks = |target: &Target, policy: &Policy| wiring.sink(target, policy);
        let triggers = if self.ledger.is_some() { plan.triggers.clone() } else { Vec::new() };
        let wired = pipeline::Plan::new(plan.triggers, &sinks, metrics)?;
        let settings = pipeline::Settings {
            grace: *grace,
            parallelism: plan.bus.streams(&about, STREAMS),
            ..pipeline::Settings::new(plan.group)
        };
        let shutdown = Shutdown::new();
        let (metrics, observer, clock) = (metrics.clone(), self.observer.clone(), clock.clone());
        let router = Router::new(wired, settings, bus.clone(), metrics, observer, clock, &shutdown)?;
        let router = match &store {
            Some(store) => router.with_store(store.clone()),
            None => router,
        };
        Ok(Prepared { joined: router.join().await?, bus, store, triggers, letters, shutdown })
    }

    fn adopt(&mut self, prepared: Prepared, tasks: &mut Group) {
        let Prepared { joined, bus, store, triggers, letters, shutdown } = prepared;
        self.context.letters.tell(letters);
        if let Some(ledger) = &self.ledger {
            let known = triggers.into_iter().map(|trigger| Known { trigger, store: store.clone() });
            ledger.explain_by(known.collect());
        }
        let own = shutdown.clone();
        tasks.spawn(async move {
            let routed = joined.run().await;
            let closed = bus.close().await;
            if !own.is_requested() {
                let ended = Fault::new(FaultKind::Internal, "route events", "the router ended by itself");
                return routed.and(Err(ended));
            }
            routed.and(closed)
        });
        // The new one is a member of the same group already: nothing is missed between the two.
        if let Some(old) = self.running.replace(shutdown) {
            old.request();
        }
    }

    fn stop(&mut self) {
        if let Some(running) = &self.running {
            running.request();
        }
    }
}
