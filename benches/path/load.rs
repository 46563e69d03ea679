//! The clients that post events, and the sink that receives them.

use std::convert::Infallible;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use super::target::Target;

/// How long the last events may take to arrive.
const PATIENCE: Duration = Duration::from_secs(60);

/// Receives events, notes how long each was under way.
pub struct Sink {
    pub address: String,
    seen: Arc<Seen>,
}

struct Seen {
    start: Instant,
    count: AtomicU64,
    micros: Mutex<Vec<u32>>,
}

impl Sink {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let seen = Arc::new(Seen { start: Instant::now(), count: AtomicU64::new(0), micros: Mutex::new(Vec::new()) });
        let noting = seen.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let seen = noting.clone();
                let service = service_fn(move |request| receive(request, seen.clone()));
                tokio::spawn(async move {
                    let http = hyper::server::conn::http1::Builder::new();
                    drop(http.serve_connection(TokioIo::new(stream), service).await);
                });
            }
        });
        Self { address, seen }
    }

    fn now_micros(&self) -> u64 {
        u64::try_from(self.seen.start.elapsed().as_micros()).unwrap()
    }
}

async fn receive(request: Request<Incoming>, seen: Arc<Seen>) -> Result<Response<Full<Bytes>>, Infallible> {
    let sent: u64 = request.headers()["ce-sent"].to_str().unwrap().parse().unwrap();
    request.into_body().collect().await.unwrap();
    let now = u64::try_from(seen.start.elapsed().as_micros()).unwrap();
    seen.micros.lock().unwrap().push(u32::try_from(now - sent).unwrap_or(u32::MAX));
    seen.count.fetch_add(1, Ordering::Relaxed);
    Ok(Response::builder().status(204).body(Full::default()).unwrap())
}

/// What a round of load came to.
pub struct Load {
    delivered: u64,
    took: Duration,
    p50: Duration,
    p99: Duration,
}

impl Load {
    /// Posts 1 KiB events over `connections` for `time`, one at a time on each, and waits until all
    /// of them were delivered.
    pub async fn run(target: &Target, sink: &Sink, connections: usize, time: Duration) -> Self {
        let before = sink.seen.count.load(Ordering::Relaxed);
        sink.seen.micros.lock().unwrap().clear();
        let start = Instant::now();
        let clients: Vec<_> = (0..connections)
            .map(|client| {
                let (address, seen) = (target.address.clone(), sink.seen.clone());
                tokio::spawn(async move { post(&address, client, seen, start, time).await })
            })
            .collect();
        let mut posted = 0;
        for client in clients {
            posted += client.await.unwrap();
        }
        while sink.seen.count.load(Ordering::Relaxed) < before + posted {
            assert!(start.elapsed() < time + PATIENCE, "{} events never arrived", {
                before + posted - sink.seen.count.load(Ordering::Relaxed)
            });
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let took = start.elapsed();
        let mut micros = std::mem::take(&mut *sink.seen.micros.lock().unwrap());
        micros.sort_unstable();
        let at = |share: f64| Duration::from_micros(u64::from(micros[(micros.len() as f64 * share) as usize]));
        debug_assert!(sink.now_micros() > 0);
        Self { delivered: posted, took, p50: at(0.5), p99: at(0.99) }
    }

    pub fn delivered(&self) -> u64 {
        self.delivered
    }

    pub fn per_second(&self) -> f64 {
        self.delivered as f64 / self.took.as_secs_f64()
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (p50, p99) = (self.p50.as_secs_f64() * 1e3, self.p99.as_secs_f64() * 1e3);
        write!(f, "{:.0} events/s, p50 {p50:.1} ms, p99 {p99:.1} ms", self.per_second())
    }
}

/// One client on one connection; how many events were confirmed.
async fn post(address: &str, client: usize, seen: Arc<Seen>, start: Instant, time: Duration) -> u64 {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let filler = "x".repeat(960);
    let body = Bytes::from(format!("{{\"order\": {{\"total\": 120.5, \"note\": \"{filler}\"}}, \"n\": 1}}"));
    // Ids must differ between rounds too: the bus recognises what it has seen before.
    let round = seen.start.elapsed().as_nanos();
    let mut posted = 0;
    while start.elapsed() < time {
        let request = Request::post("/")
            .header("host", address)
            .header("content-type", "application/json")
            .header("ce-specversion", "1.0")
            .header("ce-id", format!("{round}-{client}-{posted}"))
            .header("ce-source", "/bench")
            .header("ce-type", "com.example.bench")
            .header("ce-sent", seen.start.elapsed().as_micros().to_string())
            .body(Full::new(body.clone()))
            .unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert!(response.status().is_success(), "{}", response.status());
        response.into_body().collect().await.unwrap();
        posted += 1;
    }
    posted
}
