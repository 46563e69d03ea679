//! The connections, shared by all HTTP sinks of a process.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use tokio::sync::{OnceCell, Semaphore};
use tower::limit::{ConcurrencyLimit, GlobalConcurrencyLimitLayer};
use tower::timeout::Timeout;
use tower::{Service, ServiceBuilder};

use super::answer::{Answer, MAX_REPLY, MAX_UNWANTED};
use super::config::Config;
use crate::fault::{Fault, FaultKind};
use crate::task::{self, Clock};

/// Exchanges at the same time, over all sinks of a process. Each may hold a socket; more than this
/// would starve the other rooms of file descriptors, and no function behind them would be faster.
const MAX_EXCHANGES: usize = 2048;

/// Idle connections kept per host. A pool that is smaller than the exchanges that run at once opens
/// and closes connections all the time, which costs more than the exchanges themselves; what a
/// quieter time does not need is closed after [`IDLE`]. Large enough for several busy subscribers of
/// one host, small enough to leave file descriptors to the others.
const MAX_IDLE: usize = 512;

/// How long an idle connection is kept: shorter than the idle time of common proxies and servers.
const IDLE: Duration = Duration::from_secs(50);

/// How long connecting may take. Shorter than the usual timeout of an attempt, so that a host that
/// swallows packets is named as unreachable and not as slow.
const CONNECT: Duration = Duration::from_secs(10);

/// An HTTP/2 connection with exchanges in flight is probed this often, and given up when the probe
/// is not answered in as long: otherwise a vanished peer would fail every exchange by timeout.
const PROBE: Duration = Duration::from_secs(15);

/// The largest head of an answer.
const MAX_HEAD: usize = 64 * 1024;

type Pool<C> = legacy::Client<C, Full<Bytes>>;

/// The connections of a process. Cloning shares them; nothing is opened before the first exchange.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    http1: Pool<HttpConnector>,
    http2: Pool<HttpConnector>,
    https: OnceCell<Pool<HttpsConnector<HttpConnector>>>,
    tls: Option<ClientConfig>,
    exchanges: Arc<Semaphore>,
    clock: Clock,
}

impl Client {
    /// A client that trusts the system's root certificates. They are read at the first `https`
    /// exchange: a process that needs none pays nothing.
    pub fn new(clock: Clock) -> Self {
        Self::build(None, clock)
    }

    /// A client with its own idea of trust, such as a private authority. The ALPN protocols are
    /// the client's to name.
    pub fn with_tls(tls: ClientConfig, clock: Clock) -> Self {
        Self::build(Some(tls), clock)
    }

    fn build(tls: Option<ClientConfig>, clock: Clock) -> Self {
        Self(Arc::new(Inner {
            http1: pool_settings().build(connector()),
            http2: pool_settings().http2_only(true).build(connector()),
            https: OnceCell::new(),
            tls,
            exchanges: Arc::new(Semaphore::new(MAX_EXCHANGES)),
            clock,
        }))
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// The layers that one sink's requests go through, from the outside in.
    pub(super) fn stack(&self, config: &Config) -> Stack {
        ServiceBuilder::new()
            // Outside the timeout: waiting for a free place is our own congestion, and must not
            // look like a slow sink. It waits instead of shedding load, because whoever delivers
            // bounds what it has in flight, and a shed event would only cost an attempt.
            .layer(GlobalConcurrencyLimitLayer::with_semaphore(Arc::clone(&self.0.exchanges)))
            // Around the whole exchange: connecting, sending, and reading the answer to its end.
            .timeout(config.timeout)
            .service(Exchange {
                client: self.clone(),
                version: match (config.endpoint.is_https(), config.http2) {
                    (true, _) => Version::Negotiated,
                    (false, true) => Version::Http2,
                    (false, false) => Version::Http1,
                },
                limit: if config.reply { MAX_REPLY } else { MAX_UNWANTED },
            })
    }

    async fn send(&self, version: Version, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Fault> {
        let sent = match version {
            Version::Http1 => self.0.http1.request(request).await,
            Version::Http2 => self.0.http2.request(request).await,
            Version::Negotiated => self.https().await?.request(request).await,
        };
        sent.map_err(unreachable)
    }

    async fn https(&self) -> Result<&Pool<HttpsConnector<HttpConnector>>, Fault> {
        self.0
            .https
            .get_or_try_init(|| async {
                let mut tls = match &self.0.tls {
                    Some(tls) => tls.clone(),
                    // Reads files.
                    None => task::blocking("deliver", system_tls).await?,
                };
                // The builder names them, and panics when it finds any.
                tls.alpn_protocols.clear();
                let mut tcp = connector();
                tcp.enforce_http(false);
                let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_all_versions();
                Ok(pool_settings().build(connector.wrap_connector(tcp)))
            })
            .await
    }
}

/// Which HTTP version a request is sent with.
#[derive(Clone, Copy, Debug)]
enum Version {
    Http1,
    Http2,
    Negotiated,
}

fn connector() -> HttpConnector {
    let mut connector = HttpConnector::new();
    // An event is one small write that somebody waits for.
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(CONNECT));
    connector
}

/// What all pools have in common. A request that found its pooled connection closed before a byte
/// of it was sent goes out again on another one, inside the pool: that is no second attempt.
fn pool_settings() -> legacy::Builder {
    let mut builder = legacy::Client::builder(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(MAX_IDLE)
        .http1_max_buf_size(MAX_HEAD)
        .http2_keep_alive_interval(PROBE)
        .http2_keep_alive_timeout(PROBE);
    builder
}

fn system_tls() -> Result<ClientConfig, Fault> {
    use hyper_rustls::ConfigBuilderExt;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let unavailable = |message| Fault::new(FaultKind::Unavailable, "deliver", message);
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unavailable("TLS cannot be set up").with_source(error))?;
    let roots = builder
        .with_native_roots()
        .map_err(|error| unavailable("the system's root certificates cannot be read").with_source(error))?;
    Ok(roots.with_no_client_auth())
}

/// The one mapping from the HTTP client's error to a fault. Whatever it says (no route, refused,
/// reset, closed in the middle, no HTTP), nothing says that the event was taken, and another
/// attempt may find another state.
fn unreachable(error: legacy::Error) -> Fault {
    let message = if error.is_connect() { "cannot connect" } else { "the connection broke before an answer came" };
    Fault::new(FaultKind::Unavailable, "deliver", message).with_source(error)
}

/// One sink's layers around the exchange.
pub(super) type Stack = ConcurrencyLimit<Timeout<Exchange>>;

/// One request and its whole answer: the innermost service.
#[derive(Clone)]
pub(super) struct Exchange {
    client: Client,
    version: Version,
    limit: usize,
}

impl Service<Request<Full<Bytes>>> for Exchange {
    type Response = Answer;
    type Error = Fault;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, Fault>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
        let Self { client, version, limit } = self.clone();
        Box::pin(async move { Answer::read(client.send(version, request).await?, limit).await })
    }
}
