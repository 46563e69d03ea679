//! The sockets of all kinds, and the services behind them.

use std::path::Path;
use std::sync::Arc;

use tokio_stream::wrappers::UnixListenerStream;
use tonic::service::Routes;

use super::Kind;
use super::instances::Instances;
use super::pub_sub::PubSub;
use super::socket::Socket;
use super::state::State;
use crate::fault::{Fault, FaultKind};
use crate::proto::COMPONENT_DESCRIPTORS;
use crate::proto::dapr_components::pub_sub_server::{self, PubSubServer};
use crate::proto::dapr_components::state_store_server::{self, StateStoreServer};
use crate::proto::dapr_components::transactional_state_store_server::{self, TransactionalStateStoreServer};
use crate::task::{Clock, Group, Shutdown};
use crate::telemetry::Metrics;

/// The largest request taken. daprd's own API takes 4 MiB unless it is told otherwise; a message
/// that it was told to take is then refused for its size here, not by a broken connection.
const MAX_REQUEST: usize = 64 << 20;

/// Components on their sockets.
pub struct Server {
    served: Vec<(Kind, Socket)>,
    clock: Clock,
    metrics: Arc<Metrics>,
}

impl Server {
    /// Takes one socket per kind in `folder`. daprd may be started from the moment this returns.
    ///
    /// # Errors
    /// When a socket cannot be had; those that were taken are removed again.
    pub async fn bind(folder: &Path, kinds: Vec<Kind>, clock: Clock, metrics: Arc<Metrics>) -> Result<Self, Fault> {
        let mut served = Vec::with_capacity(kinds.len());
        for kind in kinds {
            let socket = Socket::bind(folder, kind.name).await?;
            tracing::info!(path = %socket.path().display(), "a component is served");
            served.push((kind, socket));
        }
        Ok(Self { served, clock, metrics })
    }

    /// Serves until `shutdown`: then takes nothing new, waits for daprd's answers to what it was
    /// sent, stops what was made, and removes the sockets.
    ///
    /// # Errors
    /// When a server fails.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), Fault> {
        let mut servers = Group::new(&shutdown);
        for (kind, mut socket) in self.served {
            let stop = servers.shutdown().clone();
            let instances = Arc::new(Instances::new(kind, self.clock.clone(), self.metrics.clone(), stop.clone()));
            servers.spawn(async move {
                let Some(listener) = socket.take() else { return Ok(()) };
                let served = tonic::transport::Server::builder()
                    .add_routes(routes(&instances)?)
                    .serve_with_incoming_shutdown(UnixListenerStream::new(listener), stop.requested())
                    .await;
                instances.stop().await;
                served.map_err(|error| {
                    Fault::new(FaultKind::Unavailable, "serve a component", error.to_string())
                        .with_context("path", socket.path().display().to_string())
                })
            });
        }
        servers.join().await
    }
}

/// The services of one kind: its own, and the reflection by which daprd finds out which they are.
///
/// # Errors
/// Never: the descriptors were made by this build.
pub fn routes(instances: &Arc<Instances>) -> Result<Routes, Fault> {
    let mut names = vec![pub_sub_server::SERVICE_NAME];
    let pub_sub = PubSubServer::new(PubSub::new(instances.clone())).max_decoding_message_size(MAX_REQUEST);
    let mut routes = Routes::new(pub_sub);
    if instances.kind().keeps_state {
        names.extend([state_store_server::SERVICE_NAME, transactional_state_store_server::SERVICE_NAME]);
        let state = Arc::new(State::new(instances.clone()));
        let store = StateStoreServer::from_arc(state.clone()).max_decoding_message_size(MAX_REQUEST);
        let transactions = TransactionalStateStoreServer::from_arc(state).max_decoding_message_size(MAX_REQUEST);
        routes = routes.add_service(store).add_service(transactions);
    }
    // daprd asks in v1alpha; people's tools ask in v1.
    let reflection = || {
        let builder = tonic_reflection::server::Builder::configure();
        let builder = builder.register_encoded_file_descriptor_set(COMPONENT_DESCRIPTORS);
        names.iter().fold(builder, |builder, name| builder.with_service_name(*name))
    };
    let broken = |error: tonic_reflection::server::Error| {
        Fault::new(FaultKind::Internal, "serve a component", "its descriptors are broken").with_source(error)
    };
    let alpha = reflection().build_v1alpha().map_err(broken)?;
    let stable = reflection().build_v1().map_err(broken)?;
    Ok(routes.add_service(alpha).add_service(stable))
}
