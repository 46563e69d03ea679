//! `penstock component`: the kinds as Dapr pluggable components, for any user of Dapr.

mod bus;
mod source;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use clap::builder::PossibleValuesParser;

use super::admin::Admin;
use super::{limits, signals};
use crate::component::{Kind, Server};
use crate::task::{Clock, Group, Shutdown};
use crate::telemetry::Metrics;
use bus::EmbeddedBus;
use source::{CronSource, HttpSource};

/// The kinds that are compiled in.
const KINDS: [&str; 3] = ["eventbus.embedded", "eventsource.http", "eventsource.cron"];

/// Where daprd looks for sockets when it is told nothing.
const SOCKETS_DIR: &str = "/tmp/dapr-components-sockets";

/// What Dapr's injector sets in a component's container. daprd itself reads the other name, with
/// one letter more.
const INJECTED: &str = "DAPR_COMPONENT_SOCKETS_FOLDER";

/// Serves sources and buses as Dapr pluggable components
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Start it before daprd, which looks for sockets once. A Component of type pubsub.eventbus.embedded,
state.eventbus.embedded, pubsub.eventsource.http or pubsub.eventsource.cron then works from any Dapr
app; the folder components/ has one of each. Restart daprd when this process was restarted."
)]
pub struct Options {
    /// What is served, one socket each; all when absent
    #[arg(long, value_delimiter = ',', value_name = "KIND,...", value_parser = PossibleValuesParser::new(KINDS))]
    kind: Vec<String>,

    /// Where the sockets are; by default DAPR_COMPONENT_SOCKETS_FOLDER, else /tmp/dapr-components-sockets
    #[arg(long, env = "DAPR_COMPONENTS_SOCKETS_FOLDER", value_name = "FOLDER")]
    sockets_dir: Option<PathBuf>,

    /// Where embedded buses and schedules keep what they know. One process at a time
    #[arg(long, env = "PENSTOCK_DATA_DIR", default_value = ".penstock", value_name = "FOLDER")]
    data_dir: PathBuf,

    /// The address that webhooks listen on; their ports are in the Components
    #[arg(long, env = "PENSTOCK_BIND", default_value = "127.0.0.1", value_name = "ADDRESS")]
    bind: IpAddr,

    /// Where /metrics, /livez and /readyz are served; port 0 takes a free one. Not 9090, which is
    /// daprd's in the same pod
    #[arg(long, env = "PENSTOCK_ADMIN", default_value = "127.0.0.1:9091", value_name = "ADDRESS:PORT")]
    admin: SocketAddr,
}

/// Serves until a signal asks to stop.
///
/// # Errors
/// When a socket or the admin port cannot be had, or a server fails.
pub async fn run(options: &Options) -> anyhow::Result<()> {
    let clock = Clock::system();
    let asked = signals::shutdown()?;
    limits::raise_open_files();
    let buses = Arc::new(EmbeddedBus::new(options.data_dir.join("bus").join("components"), clock.clone()));
    let kinds = kinds(options, &buses, &clock);
    let server = Server::bind(&sockets_dir(options), kinds, clock.clone()).await?;

    let watched = buses.clone();
    let ailment = Box::new(move || watched.ailment());
    let admin = Arc::new(Admin::new(Arc::new(Metrics::new()), clock, ailment));
    let mut side = Group::new(&Shutdown::new());
    admin.serve(options.admin, &mut side).await?;
    admin.set_ready(true);
    tracing::info!("ready");

    let served = server.run(asked).await;
    admin.set_ready(false);
    let closed = buses.close().await;
    side.shutdown().request();
    served.and(closed).and(side.join().await)?;
    tracing::info!("stopped");
    Ok(())
}

fn kinds(options: &Options, buses: &Arc<EmbeddedBus>, clock: &Clock) -> Vec<Kind> {
    let wanted = |name: &str| options.kind.is_empty() || options.kind.iter().any(|kind| kind == name);
    let kinds = [
        Kind { name: KINDS[0], keeps_state: true, factory: buses.clone() },
        Kind {
            name: KINDS[1],
            keeps_state: false,
            factory: Arc::new(HttpSource { host: options.bind, clock: clock.clone() }),
        },
        Kind {
            name: KINDS[2],
            keeps_state: false,
            factory: Arc::new(CronSource { buses: buses.clone(), clock: clock.clone() }),
        },
    ];
    kinds.into_iter().filter(|kind| wanted(kind.name)).collect()
}

fn sockets_dir(options: &Options) -> PathBuf {
    let named = options.sockets_dir.clone().or_else(|| std::env::var_os(INJECTED).map(PathBuf::from));
    named.unwrap_or_else(|| SOCKETS_DIR.into())
}

#[cfg(test)]
mod tests;
