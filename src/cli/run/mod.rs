//! `penstock run`: the whole path of an event in one process, with embedded buses.

mod engine;
mod plan;
mod summary;

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::check::{self, Access};
use super::documents;
use super::narrator::Telling;
use super::report::Report;
use super::secrets::Local;
use super::{Outcome, block_on, logs, supervise, terminal};

pub(super) use engine::{CONSUMER_GROUP, http_config, sink};
pub(super) use plan::{BusPlan, Feed, Plan, Reach, plan};

/// Runs a flow on this machine: EventSources, EventBuses and Triggers from YAML, with an embedded
/// bus that keeps every event on disk
#[expect(clippy::doc_markdown, reason = "the text is the help of the command")]
#[derive(Args, Clone, Debug)]
#[command(after_help = "Nothing that was answered 2xx is lost, whatever happens to the process. The first Ctrl-C or
SIGTERM finishes what is in flight within the grace period; the second one aborts, and what was in
flight is delivered again after the next start.

Examples:
  penstock run -f flow.yaml
  penstock run -f sources/ -f triggers/ --data-dir /var/lib/penstock --bind 0.0.0.0
  penstock run -f flow.yaml --dapr      the same flow through daprd, as on a cluster
  cat flow.yaml | penstock run -f -")]
pub struct Options {
    /// YAML to run: a file, a folder, or - for standard input. Several are read together
    #[arg(long = "file", short = 'f', required = true, value_name = "PATH")]
    files: Vec<PathBuf>,

    /// Where events are kept. One process at a time
    #[arg(long, env = "PENSTOCK_DATA_DIR", default_value = ".penstock", value_name = "FOLDER")]
    data_dir: PathBuf,

    /// The address that webhooks listen on; their ports are in the YAML
    #[arg(long, env = "PENSTOCK_BIND", default_value = "127.0.0.1", value_name = "ADDRESS")]
    bind: IpAddr,

    /// Where /metrics, /livez and /readyz are served; port 0 takes a free one
    #[arg(long, env = "PENSTOCK_ADMIN", default_value = "127.0.0.1:9090", value_name = "ADDRESS:PORT")]
    admin: SocketAddr,

    /// A folder that stands in for a cluster's Secrets, with files NAME/KEY
    #[arg(long, env = "PENSTOCK_SECRETS_DIR", value_name = "FOLDER")]
    secrets_dir: Option<PathBuf>,

    /// How long a stop may take to finish what is in flight, such as 20s
    #[arg(long, default_value = "20s", value_name = "DURATION", value_parser = crate::api::duration::parse)]
    grace: Duration,

    #[command(flatten)]
    telling: Telling,

    #[command(flatten, next_help_heading = "Through daprd")]
    dapr: supervise::Options,
}

/// What was read, and the way that it runs.
enum Work {
    Here(Plan),
    Dapr(supervise::Layout),
}

/// Runs until a signal asks to stop.
///
/// # Errors
/// When something that was right cannot be started, or fails for good while it runs.
pub fn run(options: &Options, logs: &logs::Options) -> anyhow::Result<Outcome> {
    let Some(work) = read(options)? else { return Ok(Outcome::Refused) };
    let run = async {
        match work {
            Work::Here(plan) => engine::run(plan, options).await,
            Work::Dapr(layout) => supervise::run(layout, &options.dapr, terms(options, logs)).await,
        }
    };
    block_on(run).map(|()| Outcome::Done)
}

fn terms(options: &Options, logs: &logs::Options) -> supervise::Terms {
    supervise::Terms {
        data_dir: options.data_dir.clone(),
        bind: options.bind,
        admin: options.admin,
        grace: options.grace,
        telling: options.telling.arguments(),
        logs: logs.pass_on(),
    }
}

/// Reads and judges everything before anything is touched; `None` when it was refused.
fn read(options: &Options) -> anyhow::Result<Option<Work>> {
    let (documents, mut report) = documents::load(&options.files, &mut std::io::stdin().lock());
    let secrets = Local::new(options.secrets_dir.clone());
    let dapr = options.dapr.are_asked_for();
    let (reach, access) = if dapr { (Reach::Daprd, Access::Daprd) } else { (Reach::Here, Access::Own) };
    check::judge(&documents, access, &secrets, &mut report);
    let plan = plan(&documents, reach, &secrets, &mut report);
    report.refuse_unsupported();
    let is_empty = plan.feeds.is_empty() && plan.buses.iter().all(|bus| bus.triggers.is_empty());
    let work = if reach == Reach::Daprd && !report.has_errors() {
        Work::Dapr(supervise::layout(&documents, &plan, &secrets, &mut report))
    } else {
        Work::Here(plan)
    };
    report.refuse_unsupported();
    print(&report)?;
    if report.has_errors() {
        return Ok(None);
    }
    if is_empty {
        writeln!(std::io::stderr(), "penstock: there is nothing to run: no EventSource and no Trigger in the files")?;
        return Ok(None);
    }
    Ok(Some(work))
}

fn print(report: &Report) -> anyhow::Result<()> {
    let mut err = std::io::stderr().lock();
    report.write_lines(&mut err, terminal::is_terminal())?;
    if report.has_errors() {
        writeln!(err, "{}: nothing was started", report.summary())?;
    }
    Ok(())
}
