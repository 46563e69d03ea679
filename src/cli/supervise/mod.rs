//! `penstock run --dapr`: the same documents on the way that a cluster takes, on one machine.
//!
//! One daprd, and beside it the component process, an intake and a router, each started by this process and
//! started again when it ends. What they are told stands in files below the data directory, as a person
//! would write it. This process moves no event itself.
//!
//! - `layout`: the documents as Components and plans.
//! - `place`: the files and the sockets.
//! - `daprd`: which daprd, and whether it will do.
//! - `launch`: the command lines.
//! - `process`, `lines`, `lifeline`: one child, what it prints, and its end when this process ends.
//! - `fleet`: all of them: started in order, healed, stopped in order.
//! - `board`, `probe`: who is ready, and the admin port; `tales`: what the routers tell there.

mod board;
mod daprd;
mod fleet;
mod launch;
mod layout;
pub mod lifeline;
mod lines;
mod place;
pub mod probe;
mod process;
mod tales;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use clap::builder::PossibleValuesParser;

use super::{limits, signals};
use crate::task::{Group, Shutdown};
use board::Board;
use fleet::Fleet;
use launch::Launch;
use place::Place;

pub use layout::{Layout, layout};

/// How daprd is used.
#[derive(Args, Clone, Debug)]
#[group(skip)]
pub struct Options {
    /// Runs the flow as a cluster does: through daprd, with a component process, an intake and a router
    /// of its own. What ends is started again
    #[arg(long)]
    dapr: bool,

    /// The daprd to start, 1.14 or later; by default `PENSTOCK_DAPRD`, else the one in `PATH`, else that of
    /// `dapr init`
    #[arg(long, requires = "dapr", value_name = "PATH")]
    daprd: Option<PathBuf>,

    /// What daprd logs
    #[arg(long, requires = "dapr", default_value = "error", value_name = "LEVEL",
          value_parser = PossibleValuesParser::new(["debug", "info", "warn", "error"]))]
    daprd_log: String,
}

impl Options {
    /// Whether daprd is asked for.
    pub fn are_asked_for(&self) -> bool {
        self.dapr
    }
}

/// What the other options of `run` say.
#[derive(Clone, Debug)]
pub struct Terms {
    pub data_dir: PathBuf,
    pub bind: IpAddr,
    pub admin: SocketAddr,
    pub grace: Duration,
    /// What the router is told about its lines.
    pub telling: Vec<String>,
    pub logs: super::logs::Passed,
}

/// Starts everything, keeps it running until a signal asks to stop, stops everything.
///
/// # Errors
/// When there is no daprd that will do, a process ends before all were ready, or a stop fails.
pub async fn run(layout: Layout, options: &Options, terms: Terms) -> anyhow::Result<()> {
    let asked = signals::shutdown()?;
    limits::raise_open_files();
    let daprd = daprd::find(options.daprd.as_deref()).await?;
    let place = Place::take(&terms.data_dir)?;
    place.write(&layout)?;
    tracing::info!(daprd = %daprd.path.display(), version = daprd.version, files = %place.folder().display(), "starting daprd and the processes around it");

    let board = Arc::new(Board::new(layout.letters));
    let mut side = Group::new(&Shutdown::new());
    board.serve(terms.admin, &mut side).await?;
    let grace = terms.grace;
    let launch = Launch::new(daprd.path, options.daprd_log.clone(), place, terms, layout.kinds, layout.secrets)?;
    let mut fleet = Fleet::new(launch, layout.workloads, board)?;
    let kept = fleet.keep(&asked).await;
    fleet.stop(grace).await;
    side.shutdown().request();
    kept.and(side.join().await.map_err(Into::into))?;
    tracing::info!("stopped");
    Ok(())
}
