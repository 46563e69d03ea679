//! `penstock wait`: waits until a process beside this one serves its sockets.
//!
//! The hook of a pod: the kubelet starts the next container, daprd, when it is over, and daprd looks for sockets
//! once.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::bail;
use clap::Args;

use super::supervise::probe;
use crate::task;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// Waits until another penstock in the same pod serves its sockets
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// The other one's admin port, which it opens after its sockets
    #[arg(long, env = "PENSTOCK_ADMIN", default_value = "127.0.0.1:9091", value_name = "ADDRESS:PORT")]
    admin: SocketAddr,

    /// How long it may take
    #[arg(long, default_value = "60s", value_name = "DURATION", value_parser = crate::api::duration::parse)]
    limit: Duration,
}

/// Returns when the admin port answers.
///
/// # Errors
/// When it does not in time.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let answers = async {
        while probe::get(options.admin.port(), "/livez").await.is_err() {
            task::sleep(LOOK).await;
        }
    };
    if task::within(options.limit, answers).await.is_none() {
        bail!("nobody answers on port {} of this machine", options.admin.port());
    }
    Ok(())
}
