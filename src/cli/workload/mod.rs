//! What `penstock intake` and `penstock router` share: a process beside daprd that does what a plan
//! says, and goes on when the plan changes.
//!
//! A plan is a JSON file; on a cluster the operator writes it into a `ConfigMap`. A new plan is prepared
//! beside the old one and takes its place when everything of it could be had; until then, or when it
//! is wrong, the old one runs on, and the log, `/readyz` and a metric say so.

mod file;
mod sidecar;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::admin::{Admin, Watched};
use super::component::Offer;
use super::dlq;
use super::ledger::Ledger;
use super::{limits, signals};
use crate::fault::{Fault, FaultKind, Retry};
use crate::sidecar::Connection;
use crate::task::{self, Clock, Group, Shutdown};
use crate::telemetry::Metrics;
use file::PlanFile;

pub use sidecar::Endpoint;

/// A plan that was refused for something outside of it, such as a component that is not there yet, is
/// tried again this often.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// How a workload runs.
#[derive(Args, Clone, Debug)]
#[group(skip)]
pub struct Options {
    /// What to do, as JSON. The file is watched: an edit is applied while the process runs
    #[arg(long, env = "PENSTOCK_PLAN", value_name = "FILE")]
    plan: PathBuf,

    #[command(flatten)]
    dapr: sidecar::Options,

    #[command(flatten)]
    sockets: Offer,

    /// Where /metrics, /livez and /readyz are served; port 0 takes a free one. Not 9090, which is
    /// daprd's in the same pod
    #[arg(long, env = "PENSTOCK_ADMIN", default_value = "127.0.0.1:9091", value_name = "ADDRESS:PORT")]
    admin: SocketAddr,

    /// How long a stop, or an edit of the plan, may take to finish what is in flight, such as 20s
    #[arg(long, default_value = "20s", value_name = "DURATION", value_parser = crate::api::duration::parse)]
    grace: Duration,
}

/// What a workload is handed.
#[derive(Clone)]
pub struct Context {
    pub connection: Connection,
    pub metrics: Arc<Metrics>,
    pub clock: Clock,
    pub grace: Duration,
    /// Takes orders for dead letters, on the buses that this process has open.
    pub letters: Arc<dlq::Desk>,
}

/// What is done with a plan.
pub trait Work: Sized {
    /// A plan in which every word has been read.
    type Plan;
    /// Everything that a plan needs, had and not yet used.
    type Prepared;

    /// Reads a plan.
    ///
    /// # Errors
    /// Everything that is wrong with it, for a person.
    fn read(text: &str) -> Result<Self::Plan, String>;

    /// Has everything that the plan needs, beside what runs. Cancelling it leaves no trace.
    ///
    /// # Errors
    /// When something cannot be had.
    async fn prepare(&self, plan: Self::Plan) -> Result<Self::Prepared, Fault>;

    /// Puts what was prepared in the place of what runs, which finishes beside it.
    fn adopt(&mut self, prepared: Self::Prepared, tasks: &mut Group);

    /// Asks everything that runs to finish.
    fn stop(&mut self);
}

/// Runs until a signal asks to stop, or a part fails for good.
///
/// # Errors
/// When a part cannot be started, or failed for good.
pub async fn run<W: Work>(
    options: Options,
    ledger: Option<Arc<Ledger>>,
    make: impl FnOnce(Context) -> W,
) -> anyhow::Result<()> {
    let asked = signals::shutdown()?;
    limits::raise_open_files();
    let (clock, metrics) = (Clock::system(), Arc::new(Metrics::new()));
    let mut components = Group::new(&Shutdown::new());
    let (watched, by_component) = serve(&options.sockets, &clock, &metrics, &mut components).await?;
    let letters = Arc::new(dlq::Desk::new(by_component, None));
    let admin = Admin::new(metrics.clone(), clock.clone(), watched).with_ledger(ledger);
    let admin = Arc::new(admin.with_desk(letters.clone()));
    let mut side = Group::new(&Shutdown::new());
    admin.serve(options.admin, &mut side).await?;
    let connection = Connection::new(options.dapr.sidecar()?)?;
    side.spawn(connection.clone().keep(side.shutdown().clone()));

    let context = Context { connection, metrics, clock, grace: options.grace, letters };
    let mut desk = Desk {
        work: make(context.clone()),
        tasks: Group::new(&Shutdown::new()),
        file: PlanFile::new(options.plan),
        admin: admin.clone(),
        context,
        running: false,
    };
    let outcome = tokio::select! {
        () = asked.requested() => Ok(()),
        failed = desk.serve() => Err(failed),
        ended = components.next(), if !components.is_empty() => ended.unwrap_or(Ok(())),
    };
    admin.set_ready(false);
    desk.work.stop();
    let outcome = outcome.and(desk.tasks.join().await);
    // Last: what was in flight is answered through them.
    components.shutdown().request();
    let outcome = outcome.and(components.join().await);
    side.shutdown().request();
    outcome.and(side.join().await)?;
    tracing::info!("stopped");
    Ok(())
}

/// Serves the components that were asked for; their buses, by their own names and by the Components'.
async fn serve(
    sockets: &Offer,
    clock: &Clock,
    metrics: &Arc<Metrics>,
    group: &mut Group,
) -> anyhow::Result<(Watched, Watched)> {
    if !sockets.are_asked_for() {
        return Ok((Box::new(Vec::new), Box::new(Vec::new)));
    }
    let served = sockets.open(clock, metrics).await?;
    let watched = (served.watched(), served.by_component());
    let shutdown = group.shutdown().clone();
    group.spawn(served.run(shutdown));
    Ok(watched)
}

/// Where plans arrive.
struct Desk<W> {
    work: W,
    /// What runs, and what finishes.
    tasks: Group,
    file: PlanFile,
    admin: Arc<Admin>,
    context: Context,
    /// Whether a plan has been adopted.
    running: bool,
}

impl<W: Work> Desk<W> {
    /// Applies one plan after the other; returns only when a part has failed.
    async fn serve(&mut self) -> Fault {
        match self.context.connection.ready().await {
            Ok(about) => tracing::info!(version = about.version, "daprd is ready"),
            Err(fault) => return fault,
        }
        let mut text = self.file.next().await;
        loop {
            let applied = tokio::select! {
                // A plan that cannot be had must not keep a better one out.
                newer = self.file.next() => {
                    text = newer;
                    continue;
                }
                Some(Err(fault)) = self.tasks.next(), if !self.tasks.is_empty() => return fault,
                applied = apply(&self.work, &text) => applied,
            };
            let retry = self.conclude(applied);
            text = match self.wait(text, retry).await {
                Ok(text) => text,
                Err(fault) => return fault,
            };
        }
    }

    /// Waits for a newer plan, or until it is time to try this one again, while parts of older ones
    /// finish.
    async fn wait(&mut self, text: String, retry: Option<Duration>) -> Result<String, Fault> {
        let mut retry = std::pin::pin!(retry_after(retry));
        loop {
            tokio::select! {
                newer = self.file.next() => return Ok(newer),
                () = &mut retry => return Ok(text),
                Some(ended) = self.tasks.next(), if !self.tasks.is_empty() => ended?,
            }
        }
    }

    /// Adopts what was prepared, or says why not; when to try again.
    fn conclude(&mut self, applied: Result<W::Prepared, Fault>) -> Option<Duration> {
        match applied {
            Ok(prepared) => {
                self.work.adopt(prepared, &mut self.tasks);
                self.running = true;
                self.context.metrics.plan_refused(false);
                self.admin.set_note(None);
                self.admin.set_ready(true);
                tracing::info!(plan = %self.file, "the plan is applied");
                None
            }
            Err(fault) => {
                let old = if self.running { "the old one runs on" } else { "nothing runs yet" };
                tracing::error!(plan = %self.file, fault = fault.chain(), "the plan is refused: {old}");
                self.context.metrics.plan_refused(true);
                self.admin.set_note(Some(format!("the plan is refused, {old}: {}", fault.chain())));
                (fault.retry() != Retry::Never).then_some(RETRY_AFTER)
            }
        }
    }
}

/// Never, when there is no pause.
async fn retry_after(pause: Option<Duration>) {
    match pause {
        Some(pause) => task::sleep(pause).await,
        None => std::future::pending().await,
    }
}

async fn apply<W: Work>(work: &W, text: &str) -> Result<W::Prepared, Fault> {
    let plan = W::read(text).map_err(|message| Fault::new(FaultKind::Malformed, "read the plan", message))?;
    work.prepare(plan).await
}
