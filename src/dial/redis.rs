//! The connection: one server, the master that sentinels name, or a cluster; login and TLS.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, Cmd, ConnectionAddr, ErrorKind, IntoConnectionInfo,
    RedisConnectionInfo, RedisError, RedisResult, TlsCertificates, TlsMode, Value,
};

use super::fault::fault;
use crate::api::Secret;
use crate::api::client::{Endpoint, Tls};
use crate::fault::{Fault, FaultKind};
use crate::task;

const OPERATION: &str = "connect to Redis";
/// How many times the limit for one server all of it may take: sentinels are asked one after the other.
const SERVERS: u32 = 3;

/// How the servers belong together.
#[derive(Clone, Copy, Debug)]
pub enum Servers<'a> {
    /// The first that answers.
    Node(&'a [Endpoint]),
    Cluster(&'a [Endpoint]),
    /// The master of this name, which the sentinels know.
    Sentinel {
        sentinels: &'a [Endpoint],
        master: &'a str,
    },
}

/// What to connect to, and how.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    pub servers: Servers<'a>,
    pub username: Option<&'a Secret>,
    pub password: Option<&'a Secret>,
    pub db: i64,
    pub tls: Option<&'a Tls>,
    /// For one server to take the connection and the login; without a limit when absent.
    pub dial: Option<Duration>,
    /// For every answer on the connection; without a limit when absent.
    pub answer: Option<Duration>,
}

/// An open connection. Cheap to clone: clones share it.
#[derive(Clone)]
pub enum Link {
    Node(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Link {
    /// Sends one command.
    ///
    /// # Errors
    /// As the client has them; [`fault`] tells what they mean.
    pub async fn query(&mut self, command: &Cmd) -> RedisResult<Value> {
        match self {
            Self::Node(connection) => command.query_async(connection).await,
            Self::Cluster(connection) => command.query_async(connection).await,
        }
    }
}

/// Connects, once.
///
/// # Errors
/// `Denied` for a wrong login, `Malformed` or `Rejected` for unusable TLS settings, `Unavailable` when no
/// server answers as a Redis server should.
pub async fn connect(target: &Target<'_>) -> Result<Link, Fault> {
    let (Servers::Node(servers) | Servers::Cluster(servers) | Servers::Sentinel { sentinels: servers, .. }) =
        target.servers;
    let names = servers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let dialling = Box::pin(dial(target, servers));
    let connected = match target.dial {
        None => Some(dialling.await),
        Some(limit) => task::within(limit * SERVERS, dialling).await,
    };
    let silent = || Fault::new(FaultKind::Unavailable, OPERATION, "the server does not answer");
    let connected = connected.ok_or_else(silent).and_then(|dialled| dialled.map_err(|error| refused(target, error)));
    connected.map_err(|fault| fault.with_context("servers", names))
}

fn refused(target: &Target<'_>, error: RedisError) -> Fault {
    let about_tls = target.tls.is_some() && error.is_io_error() && !error.is_connection_refusal();
    let found = fault(OPERATION, error);
    match found.kind() {
        FaultKind::Timeout => Fault::new(FaultKind::Unavailable, OPERATION, "the server does not answer"),
        // A handshake that does not come about looks like any broken connection.
        FaultKind::Unavailable if about_tls => {
            Fault::new(FaultKind::Unavailable, OPERATION, "TLS cannot be agreed on").with_source(found)
        }
        _ => found,
    }
}

async fn dial(target: &Target<'_>, servers: &[Endpoint]) -> RedisResult<Link> {
    let settings = AsyncConnectionConfig::new().set_connection_timeout(target.dial).set_response_timeout(target.answer);
    let certificates = target.tls.map(certificates);
    if certificates.is_some() && rustls::crypto::CryptoProvider::get_default().is_none() {
        // The client takes the process's own; that another thread was first is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
    }
    let addresses: Vec<ConnectionAddr> = servers.iter().map(|server| address(server, target.tls.is_some())).collect();
    match target.servers {
        Servers::Node(_) => {
            let mut refused = Err((ErrorKind::InvalidClientConfig, "no server is named").into());
            for address in addresses {
                let info = address.into_connection_info()?.set_redis_settings(login(target));
                let client = match certificates.clone() {
                    Some(certificates) => Client::build_with_tls(info, certificates)?,
                    None => Client::open(info)?,
                };
                match client.get_multiplexed_async_connection_with_config(&settings).await {
                    Ok(connection) => return Ok(Link::Node(connection)),
                    Err(error) => refused = Err(error),
                }
            }
            refused
        }
        Servers::Cluster(_) => cluster(target, addresses, certificates).await,
        Servers::Sentinel { master, .. } => {
            let mut client = sentinel(target, addresses, master, certificates)?;
            Ok(Link::Node(client.get_async_connection_with_config(&settings).await?))
        }
    }
}

async fn cluster(
    target: &Target<'_>,
    addresses: Vec<ConnectionAddr>,
    certificates: Option<TlsCertificates>,
) -> RedisResult<Link> {
    let mut builder = ClusterClient::builder(addresses).retries(1).overall_response_timeout(target.answer);
    if let Some(limit) = target.dial {
        builder = builder.connection_timeout(limit);
    }
    if let Some(limit) = target.answer {
        builder = builder.response_timeout(limit);
    }
    if let Some(username) = target.username {
        builder = builder.username(username.expose());
    }
    if let Some(password) = target.password {
        builder = builder.password(password.expose());
    }
    if let Some(certificates) = certificates {
        builder = builder.tls(TlsMode::Secure).certs(certificates);
    }
    Ok(Link::Cluster(builder.build()?.get_async_connection().await?))
}

fn sentinel(
    target: &Target<'_>,
    addresses: Vec<ConnectionAddr>,
    master: &str,
    certificates: Option<TlsCertificates>,
) -> RedisResult<SentinelClient> {
    let mut builder =
        SentinelClientBuilder::new(addresses, master, SentinelServerType::Master)?.set_client_to_redis_db(target.db);
    if let Some(username) = target.username {
        builder = builder.set_client_to_redis_username(username.expose());
    }
    if let Some(password) = target.password {
        builder = builder.set_client_to_redis_password(password.expose());
    }
    if let Some(certificates) = certificates {
        builder = builder
            .set_client_to_redis_tls_mode(TlsMode::Secure)
            .set_client_to_redis_certificates(certificates.clone())
            .set_client_to_sentinel_tls_mode(TlsMode::Secure)
            .set_client_to_sentinel_certificates(certificates);
    }
    builder.build()
}

fn address(server: &Endpoint, tls: bool) -> ConnectionAddr {
    let Endpoint { host, port } = server.clone();
    if tls {
        ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
    } else {
        ConnectionAddr::Tcp(host, port)
    }
}

fn login(target: &Target<'_>) -> RedisConnectionInfo {
    let mut info = RedisConnectionInfo::default().set_db(target.db);
    if let Some(username) = target.username {
        info = info.set_username(username.expose());
    }
    if let Some(password) = target.password {
        info = info.set_password(password.expose());
    }
    info
}

fn certificates(tls: &Tls) -> TlsCertificates {
    let bytes = |secret: &Secret| secret.expose().as_bytes().to_vec();
    let identity = tls.identity.as_ref();
    TlsCertificates {
        client_tls: identity.map(|(cert, key)| ClientTlsConfig { client_cert: bytes(cert), client_key: bytes(key) }),
        root_cert: tls.ca.as_ref().map(bytes),
    }
}
