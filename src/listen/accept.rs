//! The socket, its connections, and the way down.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::rt::{Read, Write};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::{Handler, Limits, Tls};
use crate::fault::{Fault, FaultKind, Retry};
use crate::task::{self, Group, Shutdown};

/// The pause after the system refused another connection (out of files, out of memory): trying at
/// once would only burn the processor until one is closed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// HTTP/2 pings find out that a silent peer is gone.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// A bound socket that is not served yet.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    limits: Limits,
    tls: Option<Tls>,
}

impl Listener {
    /// Takes the address; port 0 takes a free one. Connections wait from now on.
    ///
    /// # Errors
    /// `Conflict` when the port is taken, `Denied` when it may not be used; both name the port.
    pub async fn bind(address: SocketAddr, limits: Limits, tls: Option<Tls>) -> Result<Self, Fault> {
        let socket = TcpListener::bind(address).await.map_err(|error| bind_fault(address, error))?;
        let address = socket.local_addr().map_err(|error| bind_fault(address, error))?;
        Ok(Self { socket, address, limits, tls })
    }

    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown`: then accepts nothing more, waits for the requests in flight, but
    /// no longer than the grace period, and closes.
    ///
    /// # Errors
    /// None today: what a connection does wrong costs that connection alone.
    pub async fn serve<H: Handler>(self, handler: Arc<H>, shutdown: &Shutdown) -> Result<(), Fault> {
        let mut connections = Group::new(shutdown);
        let room = Arc::new(Semaphore::new(self.limits.connections));
        let server = Arc::new(Server { handler, http: builder(&self.limits), limits: self.limits, tls: self.tls });
        loop {
            let accepted = tokio::select! {
                biased;
                () = shutdown.requested() => break,
                Some(ended) = connections.next(), if !connections.is_empty() => {
                    log_panic(&ended);
                    continue;
                }
                // Cancel-safe: the permit of a cancelled wait is given back.
                accepted = accept(&self.socket, &room) => accepted,
            };
            match accepted {
                Ok((stream, peer, permit)) => {
                    let server = Arc::clone(&server);
                    let shutdown = connections.shutdown().clone();
                    connections.spawn(async move {
                        server.connection(stream, peer, &shutdown).await;
                        drop(permit);
                        Ok(())
                    });
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(address = %self.address, %error, "cannot accept a connection");
                    tokio::select! {
                        () = shutdown.requested() => break,
                        () = task::sleep(ACCEPT_PAUSE) => {}
                    }
                }
            }
        }
        drop(self.socket);
        drain(connections, shutdown.left(self.limits.grace), self.address).await;
        Ok(())
    }
}

async fn accept(
    socket: &TcpListener,
    room: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(room).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = socket.accept().await?;
    Ok((stream, peer, permit))
}

/// Waits for the connections to end by themselves; what is left after `grace` is cut.
async fn drain(mut connections: Group, grace: Duration, address: SocketAddr) {
    let ended = task::within(grace, async {
        while let Some(ended) = connections.next().await {
            log_panic(&ended);
        }
    })
    .await;
    if ended.is_none() {
        tracing::warn!(%address, connections = connections.len(), "cut connections that outlived the grace period");
        connections.abort().await;
    }
}

fn log_panic(ended: &Result<(), Fault>) {
    if let Err(fault) = ended {
        tracing::error!(fault = %fault.chain(), "a connection ended in a bug");
    }
}

/// What the connections of one listener share.
struct Server<H> {
    handler: Arc<H>,
    http: auto::Builder<TokioExecutor>,
    limits: Limits,
    tls: Option<Tls>,
}

impl<H: Handler> Server<H> {
    async fn connection(&self, stream: TcpStream, peer: SocketAddr, shutdown: &Shutdown) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%peer, %error, "cannot turn off Nagle's algorithm");
        }
        let Some(tls) = &self.tls else { return self.requests(TokioIo::new(stream), peer, shutdown).await };
        let handshake = task::within(self.limits.header_timeout, tls.acceptor().accept(stream));
        let outcome = tokio::select! {
            () = shutdown.requested() => return,
            outcome = handshake => outcome,
        };
        match outcome {
            Some(Ok(stream)) => self.requests(TokioIo::new(stream), peer, shutdown).await,
            Some(Err(error)) => tracing::debug!(%peer, %error, "TLS handshake failed"),
            None => tracing::debug!(%peer, "TLS handshake timed out"),
        }
    }

    async fn requests<I: Read + Write + Unpin + Send + 'static>(&self, io: I, peer: SocketAddr, shutdown: &Shutdown) {
        let started = Arc::new(AtomicBool::new(false));
        let service = service_fn(|request| {
            started.store(true, Ordering::Relaxed);
            let handler = Arc::clone(&self.handler);
            async move { Ok::<_, Infallible>(handler.handle(request, peer).await) }
        });
        let mut connection = std::pin::pin!(self.http.serve_connection(io, service));
        // hyper guards the head of a request once it knows the protocol's version; until then, a
        // peer could stay silent for ever.
        let mut silence = std::pin::pin!(task::sleep(self.limits.header_timeout));
        let mut stop = std::pin::pin!(shutdown.requested());
        let mut watched = (true, true);
        let ended = loop {
            // Every future is pinned outside of the loop: no branch loses anything.
            tokio::select! {
                ended = connection.as_mut() => break ended,
                () = stop.as_mut(), if watched.0 => {
                    watched.0 = false;
                    connection.as_mut().graceful_shutdown();
                }
                () = silence.as_mut(), if watched.1 => {
                    watched.1 = false;
                    if !started.load(Ordering::Relaxed) {
                        tracing::debug!(%peer, "closed a connection that asked for nothing");
                        return;
                    }
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%peer, %error, "connection ended");
        }
    }
}

fn builder(limits: &Limits) -> auto::Builder<TokioExecutor> {
    // The executor runs the requests of an HTTP/2 connection, which ends after all of them.
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_headers(limits.headers)
        // hyper's own lower bound.
        .max_buf_size(limits.header_bytes.max(8 * 1024));
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        .max_concurrent_streams(limits.streams);
    builder
}

/// Errors of `accept` that say nothing about the socket: the peer went away in the queue.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

fn bind_fault(address: SocketAddr, error: io::Error) -> Fault {
    let port = address.port();
    let (kind, message) = match error.kind() {
        io::ErrorKind::AddrInUse => (FaultKind::Conflict, format!("port {port} is already in use")),
        io::ErrorKind::PermissionDenied => {
            (FaultKind::Denied, format!("port {port} needs more rights than this user has"))
        }
        io::ErrorKind::AddrNotAvailable => {
            (FaultKind::NotFound, format!("{} is no address of this machine", address.ip()))
        }
        _ => (FaultKind::Unavailable, format!("port {port} cannot be opened")),
    };
    Fault::new(kind, "listen", message)
        .with_retry(Retry::Never)
        .with_context("address", address.to_string())
        .with_source(error)
}
