//! `penstock component`: the kinds as Dapr pluggable components, for any user of Dapr.

mod attributes;
mod bus;
mod lent;
mod source;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use clap::builder::PossibleValuesParser;

use super::admin::{Admin, Watched};
use super::dlq::Desk;
use super::{limits, signals};
use crate::component::{Kind, Server};
use crate::fault::Fault;
use crate::sources::http::Ports;
use crate::task::{Clock, Group, Shutdown};
use crate::telemetry::Metrics;
use attributes::Attributed;

pub(super) use bus::folder as bus_folder;
use bus::{BusKind, Buses};
use source::{Means, SourceKind};

/// The kinds that are compiled in.
const KINDS: &[&str] = &[
    "eventbus.embedded",
    "eventbus.jetstream",
    #[cfg(feature = "kafka")]
    "eventbus.kafka",
    "eventbus.redis",
    "eventsource.http",
    "eventsource.cron",
    #[cfg(feature = "kafka")]
    "eventsource.kafka",
    "eventsource.kubernetes",
    "eventsource.mqtt",
    "eventsource.nats",
    "eventsource.rabbitmq",
    "eventsource.redis",
    "eventsource.s3",
];

/// Where daprd looks for sockets when it is told nothing.
const SOCKETS_DIR: &str = "/tmp/dapr-components-sockets";

/// What Dapr's injector sets in a component's container. daprd itself reads the other name, with
/// one letter more.
const INJECTED: &str = "DAPR_COMPONENT_SOCKETS_FOLDER";

/// Serves sources and buses as Dapr pluggable components
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Start it before daprd, which looks for sockets once. A Component of type pubsub.eventbus.embedded,
state.eventbus.embedded (or jetstream, kafka, redis) or pubsub.eventsource.http (or cron, kafka, kubernetes, mqtt, nats, rabbitmq,
redis, s3) then works from any Dapr app; the folder components/ has one of each. Restart daprd when this process was restarted."
)]
pub struct Options {
    #[command(flatten)]
    sockets: Offer,

    /// Where /metrics, /livez and /readyz are served; port 0 takes a free one. Not 9090, which is
    /// daprd's in the same pod
    #[arg(long, env = "PENSTOCK_ADMIN", default_value = "127.0.0.1:9091", value_name = "ADDRESS:PORT")]
    admin: SocketAddr,
}

/// Which components are served, and where.
#[derive(Args, Clone, Debug)]
pub struct Offer {
    /// Which components are served, one socket each; all of them by the command component alone
    #[arg(long, value_delimiter = ',', value_name = "KIND,...", value_parser = PossibleValuesParser::new(KINDS))]
    kind: Vec<String>,

    /// Where the sockets are; by default `DAPR_COMPONENT_SOCKETS_FOLDER`, else `/tmp/dapr-components-sockets`
    #[arg(long, env = "DAPR_COMPONENTS_SOCKETS_FOLDER", value_name = "FOLDER")]
    sockets_dir: Option<PathBuf>,

    /// Where embedded buses and schedules keep what they know. One process at a time
    #[arg(long, env = "PENSTOCK_DATA_DIR", default_value = ".penstock", value_name = "FOLDER")]
    data_dir: PathBuf,

    /// The address that webhooks listen on; their ports are in the Components
    #[arg(long, env = "PENSTOCK_BIND", default_value = "127.0.0.1", value_name = "ADDRESS")]
    bind: IpAddr,
}

/// Components on their sockets, and the buses behind them.
pub struct Served {
    server: Server,
    buses: Arc<Buses>,
}

impl Offer {
    /// Whether any kind was named.
    pub fn are_asked_for(&self) -> bool {
        !self.kind.is_empty()
    }

    /// Takes the sockets of the kinds that were named, or of all. daprd may be started when this returns.
    ///
    /// # Errors
    /// When a socket cannot be had.
    pub async fn open(&self, clock: &Clock, metrics: &Arc<Metrics>) -> Result<Served, Fault> {
        let buses = Arc::new(Buses::new(bus::folder(&self.data_dir), clock.clone()));
        let kinds = kinds(self, &buses, clock);
        let server = Server::bind(&sockets_dir(self), kinds, clock.clone(), metrics.clone()).await?;
        Ok(Served { server, buses })
    }
}

impl Served {
    /// The buses that are open, for the admin port.
    pub fn watched(&self) -> Watched {
        let buses = self.buses.clone();
        Box::new(move || buses.open_now())
    }

    /// The same, by the names of their Components.
    pub fn by_component(&self) -> Watched {
        let buses = self.buses.clone();
        Box::new(move || buses.by_component())
    }

    /// Serves until `shutdown`, then closes the buses.
    ///
    /// # Errors
    /// When a server fails, or a bus cannot be closed.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), Fault> {
        let served = self.server.run(shutdown).await;
        served.and(self.buses.close().await)
    }
}

/// Serves until a signal asks to stop.
///
/// # Errors
/// When a socket or the admin port cannot be had, or a server fails.
pub async fn run(options: &Options) -> anyhow::Result<()> {
    let clock = Clock::system();
    let asked = signals::shutdown()?;
    limits::raise_open_files();
    let metrics = Arc::new(Metrics::new());
    let served = options.sockets.open(&clock, &metrics).await?;
    let desk = Arc::new(Desk::new(served.watched(), None));
    let admin = Arc::new(Admin::new(metrics, clock, served.watched()).with_desk(desk));
    let mut side = Group::new(&Shutdown::new());
    admin.serve(options.admin, &mut side).await?;
    admin.set_ready(true);
    tracing::info!("ready");

    let stopping = admin.clone();
    let stopped = asked.clone();
    side.spawn(async move {
        stopped.requested().await;
        stopping.set_ready(false);
        Ok(())
    });
    let outcome = served.run(asked.clone()).await;
    asked.request();
    side.shutdown().request();
    outcome.and(side.join().await)?;
    tracing::info!("stopped");
    Ok(())
}

fn kinds(options: &Offer, buses: &Arc<Buses>, clock: &Clock) -> Vec<Kind> {
    let wanted = |name: &str| options.kind.is_empty() || options.kind.iter().any(|kind| kind == name);
    let bus = |name, read| Kind { name, keeps_state: true, factory: Arc::new(BusKind { buses: buses.clone(), read }) };
    let ports = Arc::new(Ports::new(options.bind, clock.clone()));
    let means = Arc::new(Means { buses: buses.clone(), ports, clock: clock.clone() });
    let source = |name, read| {
        let factory = Attributed(Arc::new(SourceKind { means: means.clone(), read }));
        Kind { name, keeps_state: false, factory: Arc::new(factory) }
    };
    let kinds = [
        bus("eventbus.embedded", bus::embedded),
        bus("eventbus.jetstream", bus::jetstream),
        #[cfg(feature = "kafka")]
        bus("eventbus.kafka", bus::kafka),
        bus("eventbus.redis", bus::redis),
        source("eventsource.http", source::http),
        source("eventsource.cron", source::cron),
        #[cfg(feature = "kafka")]
        source("eventsource.kafka", source::kafka),
        source("eventsource.kubernetes", source::kubernetes),
        source("eventsource.mqtt", source::mqtt),
        source("eventsource.nats", source::nats),
        source("eventsource.redis", source::redis),
        source("eventsource.rabbitmq", source::rabbitmq),
        source("eventsource.s3", source::s3),
    ];
    kinds.into_iter().filter(|kind| wanted(kind.name)).collect()
}

fn sockets_dir(options: &Offer) -> PathBuf {
    let named = options.sockets_dir.clone().or_else(|| std::env::var_os(INJECTED).map(PathBuf::from));
    named.unwrap_or_else(|| SOCKETS_DIR.into())
}

#[cfg(test)]
mod tests;
