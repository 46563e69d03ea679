//! The connection: one server, the master that sentinels name, or a cluster; login and TLS.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::sentinel::{SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, Cmd, ConnectionAddr, ConnectionInfo, IntoConnectionInfo,
    RedisConnectionInfo, RedisResult, TlsCertificates, TlsMode, Value,
};

use super::config::{Config, Topology};
use super::fault::fault;
use crate::api::client::Tls;
use crate::fault::{Fault, FaultKind};
use crate::task;

const OPERATION: &str = "connect to Redis";
/// For one server to take the connection and the login.
const DIAL: Duration = Duration::from_secs(3);
/// For all of it: sentinels are asked one after the other.
const OVERALL: Duration = Duration::from_secs(6);

/// An open connection. Cheap to clone: clones share it.
#[derive(Clone)]
pub(super) enum Link {
    Node(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Link {
    pub(super) async fn query(&mut self, command: &Cmd) -> RedisResult<Value> {
        match self {
            Self::Node(connection) => command.query_async(connection).await,
            Self::Cluster(connection) => command.query_async(connection).await,
        }
    }
}

/// Connects, once; every answer on the connection may take `patience`.
///
/// # Errors
/// `Denied` for a wrong login, `Malformed` for unusable TLS settings, `Unavailable` when no server
/// answers as a Redis server should.
pub(super) async fn connect(config: &Config, patience: Duration) -> Result<Link, Fault> {
    let servers = config.servers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let connected = match task::within(OVERALL, Box::pin(dial(config, patience))).await {
        Some(connected) => connected.map_err(|error| refused(config, error)),
        None => Err(Fault::new(FaultKind::Unavailable, OPERATION, "the server does not answer")),
    };
    connected.map_err(|fault| fault.with_context("servers", servers))
}

fn refused(config: &Config, error: redis::RedisError) -> Fault {
    let about_tls = config.tls.is_some() && error.is_io_error() && !error.is_connection_refusal();
    let found = fault(OPERATION, error);
    // A handshake that does not come about looks like any broken connection.
    match found.kind() {
        FaultKind::Timeout => Fault::new(FaultKind::Unavailable, OPERATION, "the server does not answer"),
        FaultKind::Unavailable if about_tls => {
            Fault::new(FaultKind::Unavailable, OPERATION, "TLS cannot be agreed on").with_source(found)
        }
        _ => found,
    }
}

async fn dial(config: &Config, patience: Duration) -> RedisResult<Link> {
    let settings = AsyncConnectionConfig::new().set_connection_timeout(Some(DIAL)).set_response_timeout(Some(patience));
    let certificates = config.tls.as_ref().map(certificates);
    if certificates.is_some() && rustls::crypto::CryptoProvider::get_default().is_none() {
        // The client takes the process's own; that another thread was first is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
    }
    let addresses = config.servers.iter().map(|server| match config.tls {
        None => ConnectionAddr::Tcp(server.host.clone(), server.port),
        Some(_) => {
            ConnectionAddr::TcpTls { host: server.host.clone(), port: server.port, insecure: false, tls_params: None }
        }
    });
    let addresses: Vec<ConnectionAddr> = addresses.collect();
    match &config.topology {
        Topology::Node => {
            let mut refused = Err((redis::ErrorKind::InvalidClientConfig, "no server is named").into());
            for address in addresses {
                let info = address.into_connection_info()?.set_redis_settings(login(config));
                match client(info, certificates.clone())?.get_multiplexed_async_connection_with_config(&settings).await
                {
                    Ok(connection) => return Ok(Link::Node(connection)),
                    Err(error) => refused = Err(error),
                }
            }
            refused
        }
        Topology::Cluster => {
            let mut builder = ClusterClient::builder(addresses)
                .retries(1)
                .connection_timeout(DIAL)
                .response_timeout(patience)
                .overall_response_timeout(Some(patience));
            if let Some(username) = &config.username {
                builder = builder.username(username.expose());
            }
            if let Some(password) = &config.password {
                builder = builder.password(password.expose());
            }
            if let Some(certificates) = certificates {
                builder = builder.tls(TlsMode::Secure).certs(certificates);
            }
            Ok(Link::Cluster(builder.build()?.get_async_connection().await?))
        }
        Topology::Sentinel(master) => {
            let mut builder = SentinelClientBuilder::new(addresses, master, SentinelServerType::Master)?
                .set_client_to_redis_db(config.db);
            if let Some(username) = &config.username {
                builder = builder.set_client_to_redis_username(username.expose());
            }
            if let Some(password) = &config.password {
                builder = builder.set_client_to_redis_password(password.expose());
            }
            if let Some(certificates) = certificates {
                builder = builder
                    .set_client_to_redis_tls_mode(TlsMode::Secure)
                    .set_client_to_redis_certificates(certificates.clone())
                    .set_client_to_sentinel_tls_mode(TlsMode::Secure)
                    .set_client_to_sentinel_certificates(certificates);
            }
            Ok(Link::Node(builder.build()?.get_async_connection_with_config(&settings).await?))
        }
    }
}

fn client(info: ConnectionInfo, certificates: Option<TlsCertificates>) -> RedisResult<Client> {
    match certificates {
        Some(certificates) => Client::build_with_tls(info, certificates),
        None => Client::open(info),
    }
}

fn login(config: &Config) -> RedisConnectionInfo {
    let mut info = RedisConnectionInfo::default().set_db(config.db);
    if let Some(username) = &config.username {
        info = info.set_username(username.expose());
    }
    if let Some(password) = &config.password {
        info = info.set_password(password.expose());
    }
    info
}

fn certificates(tls: &Tls) -> TlsCertificates {
    let bytes = |secret: &crate::api::Secret| secret.expose().as_bytes().to_vec();
    TlsCertificates {
        client_tls: tls
            .identity
            .as_ref()
            .map(|(cert, key)| ClientTlsConfig { client_cert: bytes(cert), client_key: bytes(key) }),
        root_cert: tls.ca.as_ref().map(bytes),
    }
}
