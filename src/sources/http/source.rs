//! One port: its events, its TLS, and the way up and down.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;

use super::config::{Config, TlsConfig};
use super::message::Reader;
use super::route::Routes;
use crate::fault::{Fault, FaultKind};
use crate::flow::{Outlet, Source as Run};
use crate::listen::{Limits, Listener, Tls};
use crate::task::{Clock, Shutdown};

/// One event of the port.
#[derive(Debug)]
pub struct Entry {
    pub config: Config,
    pub outlet: Outlet,
    /// The `source` of events that are wrapped.
    pub source: String,
    /// The `type` of events that are wrapped, such as [`super::DEFAULT_TYPE`].
    pub ty: String,
    /// Makes the events of a body instead of what is described here.
    pub reader: Option<Reader>,
}

/// Serves one port.
#[derive(Debug)]
pub struct Source {
    address: SocketAddr,
    tls: Option<Tls>,
    routes: Routes,
    listener: Option<Listener>,
}

impl Source {
    /// A source for events of one port. Opens nothing yet.
    ///
    /// # Errors
    /// When the events disagree on port or TLS, share a path, or a secret cannot be used.
    pub fn new(host: IpAddr, entries: Vec<Entry>, clock: Clock) -> Result<Self, Fault> {
        let Some(first) = entries.first() else { return Err(refused("it serves no event")) };
        let port = first.config.port;
        let tls_config = first.config.tls.clone();
        let tls = tls_config.as_ref().map(tls).transpose();
        let tls = tls.map_err(|fault| fault.with_context("event", first.source.as_str()))?;
        let routes = Routes::new(clock);
        for entry in entries {
            if entry.config.port != port || entry.config.tls != tls_config {
                return Err(disagree(port, &entry.config.path));
            }
            routes.add(entry)?;
        }
        Ok(Self { address: SocketAddr::new(host, port), tls, routes, listener: None })
    }

    /// Takes the port before [`Run::run`] does, so that a taken port is known early. Answers with
    /// the address, which tells the port that port 0 became.
    ///
    /// # Errors
    /// When the port cannot be had.
    pub async fn bind(&mut self) -> Result<SocketAddr, Fault> {
        let listener = Listener::bind(self.address, Limits::default(), self.tls.clone()).await?;
        let address = listener.local_addr();
        tracing::info!(%address, paths = self.routes.len(), "webhooks are served");
        self.listener = Some(listener);
        Ok(address)
    }
}

#[async_trait]
impl Run for Source {
    async fn run(mut self: Box<Self>, shutdown: Shutdown) -> Result<(), Fault> {
        if self.listener.is_none() {
            self.bind().await?;
        }
        let Some(listener) = self.listener.take() else { return Err(refused("its port was not opened")) };
        // Requests in flight hold their receipts: the listener waits for them on the way down.
        listener.serve(Arc::new(self.routes), &shutdown).await
    }
}

/// Whether certificate and key can be used, for whoever wants to know before anything starts.
///
/// # Errors
/// As [`Source::new`], because of the TLS setting.
pub fn check_tls(config: &TlsConfig) -> Result<(), Fault> {
    tls(config).map(|_| ())
}

pub(super) fn tls(config: &TlsConfig) -> Result<Tls, Fault> {
    let client_ca = config.client_ca.as_ref().map(|pem| pem.expose().as_bytes());
    Tls::from_pem(config.cert.expose().as_bytes(), config.key.expose().as_bytes(), client_ca)
}

/// Events of one port that cannot stand on it together.
pub(super) fn disagree(port: u16, path: &str) -> Fault {
    refused(format!("the events of port {port} do not agree on port and TLS ({path})"))
}

pub(super) fn refused(message: impl Into<String>) -> Fault {
    Fault::new(FaultKind::Rejected, "set up webhooks", message)
}
