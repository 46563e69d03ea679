//! `penstock operator`: what a cluster's objects say, brought about and kept.

mod judge;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use super::admin::Admin;
use super::{limits, signals};
use crate::operator::{LeaseName, Operator, Settings};
use crate::sinks::http::Endpoint;
use crate::task::{Clock, Group, Shutdown};
use crate::telemetry::Metrics;
use judge::Checks;

/// Keeps a cluster as its EventSources, EventBuses and Triggers say
#[expect(clippy::doc_markdown, reason = "the text is the help of the command")]
#[derive(Args, Clone, Debug)]
#[command(after_help = "In a pod it uses the pod's ServiceAccount; elsewhere the current context of a kubeconfig.
The folder manifests/ has everything for a cluster: kubectl apply -k manifests/default")]
pub struct Options {
    /// A namespace to look after; several are named one by one. The whole cluster without any
    #[arg(long = "namespace", env = "PENSTOCK_NAMESPACES", value_delimiter = ',', value_name = "NAMESPACE")]
    namespaces: Vec<String>,

    /// The image of the workloads that are made
    #[arg(long, env = "PENSTOCK_IMAGE", default_value = concat!("penstock:", env!("CARGO_PKG_VERSION")), value_name = "IMAGE")]
    image: String,

    /// The domain of the cluster's Services
    #[arg(long, env = "PENSTOCK_CLUSTER_DOMAIN", default_value = "cluster.local", value_name = "DOMAIN")]
    cluster_domain: String,

    /// The address of the KEDA HTTP add-on's interceptor; by default the one that its manifests and its chart make
    /// in the namespace keda
    #[arg(long, env = "PENSTOCK_KEDA_HTTP", value_parser = interceptor, value_name = "ADDRESS")]
    keda_http: Option<String>,

    /// How many objects are looked at at the same time
    #[arg(long, default_value_t = 8, value_name = "NUMBER")]
    workers: usize,

    /// The namespace of the Lease that one of several operators holds; by default the pod's own, and outside of
    /// a cluster there is no lease
    #[arg(long, env = "POD_NAMESPACE", value_name = "NAMESPACE")]
    lease_namespace: Option<String>,

    /// The name of the Lease. Operators that look after different namespaces need different ones
    #[arg(long, default_value = "penstock-operator", value_name = "NAME")]
    lease_name: String,

    /// Who this process is among others like it
    #[arg(long, env = "POD_NAME", value_name = "NAME")]
    identity: Option<String>,

    /// A kubeconfig; by default what KUBECONFIG names, or else ~/.kube/config
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,

    /// Where /metrics, /livez and /readyz are served; port 0 takes a free one
    #[arg(long, env = "PENSTOCK_ADMIN", default_value = "127.0.0.1:9091", value_name = "ADDRESS:PORT")]
    admin: SocketAddr,
}

/// The Service of the KEDA HTTP add-on's interceptor, and its namespace.
const INTERCEPTOR: &str = "keda-add-ons-http-interceptor-proxy.keda";

fn interceptor(text: &str) -> Result<String, String> {
    let uri: http::Uri = text.parse().map_err(|_| "it is no address".to_owned())?;
    Endpoint::new(uri).map_err(|error| error.to_string())?;
    Ok(text.to_owned())
}

/// Runs until a signal asks to stop.
///
/// # Errors
/// When there is no cluster to talk to, or the lease is lost.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let asked = signals::shutdown()?;
    limits::raise_open_files();
    let clock = Clock::system();
    let client = client(options.kubeconfig.as_deref()).await?;
    let mut metrics = Metrics::new();
    let counts = metrics.operator();
    let admin = Arc::new(Admin::new(Arc::new(metrics), clock.clone(), Box::new(Vec::new)));
    let mut side = Group::new(&Shutdown::new());
    admin.serve(options.admin, &mut side).await?;

    let lease = options.lease_namespace.clone().filter(|namespace| !namespace.is_empty());
    let lease = lease.map(|namespace| LeaseName { namespace, name: options.lease_name.clone() });
    if lease.is_some() {
        // One that waits for the lease is well.
        admin.set_note(Some("waiting for the lease".to_owned()));
        admin.set_ready(true);
    }
    let domain = options.cluster_domain;
    let keda_http = options.keda_http.unwrap_or_else(|| format!("http://{INTERCEPTOR}.svc.{domain}:8080"));
    let settings = Settings {
        image: options.image,
        namespaces: options.namespaces,
        domain,
        keda_http,
        workers: options.workers,
        identity: options.identity.unwrap_or_else(|| format!("penstock-{:08x}", fastrand::u32(..))),
        lease,
    };
    let operator = Operator { client, settings, judge: Arc::new(Checks), clock, counts };
    let told = admin.clone();
    let ready = move || {
        told.set_note(None);
        told.set_ready(true);
        tracing::info!("ready");
    };
    let outcome = operator.run(&asked, ready).await;
    admin.set_ready(false);
    side.shutdown().request();
    outcome.and(side.join().await)?;
    tracing::info!("stopped");
    Ok(())
}

/// A client of the cluster around this process, or of the one that a kubeconfig names.
async fn client(kubeconfig: Option<&std::path::Path>) -> anyhow::Result<Client> {
    // The client takes the cryptography of the process; it is an error only when there is one already.
    drop(rustls::crypto::ring::default_provider().install_default());
    let config = match kubeconfig {
        Some(path) => {
            let read = Kubeconfig::read_from(path).with_context(|| format!("the kubeconfig {}", path.display()))?;
            Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await.context("the kubeconfig")?
        }
        None => Config::infer().await.context("there is no cluster: neither a ServiceAccount nor a kubeconfig")?,
    };
    Client::try_from(config).context("cannot talk to the cluster")
}
