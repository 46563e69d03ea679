//! A server that receives events and answers as the test tells it to.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Seen {
    /// A header as text; empty when absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// What the receiver answers.
#[derive(Clone, Debug)]
pub struct Reply {
    pub code: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: &'static str,
    /// The answer waits for a permit.
    pub gate: Option<Arc<Semaphore>>,
}

impl Reply {
    pub fn code(code: u16) -> Self {
        Self { code, headers: Vec::new(), body: "", gate: None }
    }
}

/// Listens on a free port of the loopback interface until it is dropped.
#[derive(Debug)]
pub struct Receiver {
    port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
    accepting: AbortHandle,
}

impl Receiver {
    /// Answers every request with 200.
    pub async fn start() -> Self {
        Self::answering(|_, _| Reply::code(200)).await
    }

    /// Answers every request with 200, on a port that was chosen before.
    pub async fn start_on(port: u16) -> Self {
        Self::listen(port, |_, _| Reply::code(200)).await
    }

    /// Answers with what `answer` says for the n-th request (from 0).
    pub async fn answering(answer: impl Fn(usize, &Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen(0, answer).await
    }

    async fn listen(port: u16, answer: impl Fn(usize, &Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let answer = Arc::new(answer);
        let log = seen.clone();
        let accepting = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (log, answer) = (log.clone(), answer.clone());
                let service = service_fn(move |request| receive(request, log.clone(), answer.clone()));
                tokio::spawn(async move {
                    // A peer that goes away in the middle is part of these tests.
                    let builder = Builder::new(TokioExecutor::new());
                    drop(builder.serve_connection(TokioIo::new(stream), service).await);
                });
            }
        });
        Self { port, seen, accepting: accepting.abort_handle() }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn uri(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// All requests so far, in order.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn receive(
    request: Request<Incoming>,
    log: Arc<Mutex<Vec<Seen>>>,
    answer: Arc<impl Fn(usize, &Seen) -> Reply>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else {
        return Ok(Response::builder().status(400).body(Full::default()).unwrap());
    };
    let request = Seen { path: head.uri.path().to_owned(), headers: head.headers, body: body.to_bytes() };
    let reply = {
        let mut log = log.lock().unwrap();
        let reply = answer(log.len(), &request);
        log.push(request);
        reply
    };
    if let Some(gate) = reply.gate {
        gate.acquire().await.unwrap().forget();
    }
    let mut response = Response::builder().status(reply.code);
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    Ok(response.body(Full::new(Bytes::from_static(reply.body.as_bytes()))).unwrap())
}
