//! Servers on loopback: one that speaks HTTP, and one that writes what it likes.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::fault::Fault;
use crate::task::{Group, Shutdown};

/// What a raw server does after its answer.
#[derive(Clone, Copy, Debug)]
pub enum Then {
    Close,
    Wait,
}

/// A server that lives as long as this value.
pub struct Server {
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<Request<Bytes>>>>,
    _tasks: Group,
}

impl Server {
    /// Answers every request with `answer`, over HTTP/1.1 or HTTP/2.
    pub async fn http(answer: impl Fn() -> Response<Full<Bytes>> + Clone + Send + Sync + 'static) -> Self {
        let requests = Arc::default();
        let seen = Arc::clone(&requests);
        Self::start(requests, move |stream| serve(stream, seen.clone(), answer.clone())).await
    }

    /// As [`Server::http`], with this status and nothing else.
    pub async fn status(code: u16) -> Self {
        Self::http(move || respond(code, &[], "")).await
    }

    /// As [`Server::http`] behind TLS; the second value trusts its certificate.
    pub async fn https(
        answer: impl Fn() -> Response<Full<Bytes>> + Clone + Send + Sync + 'static,
    ) -> (Self, ClientConfig) {
        let (acceptor, trust) = tls();
        let requests = Arc::default();
        let seen = Arc::clone(&requests);
        let server = Self::start(requests, move |stream| {
            let (acceptor, seen, answer) = (acceptor.clone(), Arc::clone(&seen), answer.clone());
            async move {
                // A client that does not trust the certificate breaks the handshake.
                if let Ok(stream) = acceptor.accept(stream).await {
                    serve(stream, seen, answer).await;
                }
            }
        });
        (server.await, trust)
    }

    /// Reads each request's head, writes `answer`, and then closes the connection or, with
    /// `Then::Wait`, says nothing more.
    pub async fn raw(answer: &'static str, then: Then) -> Self {
        Self::start(Arc::default(), move |mut stream| async move {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                match stream.read_u8().await {
                    Ok(byte) => head.push(byte),
                    Err(_) => return,
                }
            }
            // The other side may be gone: that is what these tests are about.
            let written = stream.write_all(answer.as_bytes()).await;
            if let (Ok(()), Then::Wait) = (written, then) {
                std::future::pending::<()>().await;
            }
        })
        .await
    }

    async fn start<F>(
        requests: Arc<Mutex<Vec<Request<Bytes>>>>,
        serve: impl Fn(TcpStream) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&connections);
        let mut tasks = Group::new(&Shutdown::new());
        tasks.spawn(async move {
            let mut open = Group::default();
            while let Ok((stream, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                let connection = serve(stream);
                open.spawn(async move {
                    connection.await;
                    Ok::<(), Fault>(())
                });
            }
            Ok(())
        });
        Self { address, connections, requests, _tasks: tasks }
    }

    /// How many connections were accepted.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// The requests so far, in the order in which they came.
    pub fn requests(&self) -> Vec<Request<Bytes>> {
        std::mem::take(&mut *self.requests.lock().unwrap())
    }
}

/// An answer of this status, with these headers and this body.
pub fn respond(code: u16, headers: &[(&'static str, &'static str)], body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    for (name, value) in headers {
        response.headers_mut().insert(*name, value.parse().unwrap());
    }
    response
}

async fn serve<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    stream: S,
    requests: Arc<Mutex<Vec<Request<Bytes>>>>,
    answer: impl Fn() -> Response<Full<Bytes>> + Clone + Send + Sync + 'static,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let (requests, answer) = (Arc::clone(&requests), answer.clone());
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            requests.lock().unwrap().push(Request::from_parts(head, body));
            Ok::<_, hyper::Error>(answer())
        }
    });
    // The client may close at any time, which ends the connection with an error.
    drop(auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await);
}

/// A certificate for 127.0.0.1 by an authority of its own, and a client that trusts it.
fn tls() -> (TlsAcceptor, ClientConfig) {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let certificate = certified.cert.der().clone();
    let key = PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der());
    let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key.into())
        .unwrap();
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let mut client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.alpn_protocols = vec![b"http/1.1".to_vec()];
    (TlsAcceptor::from(Arc::new(server)), client)
}
