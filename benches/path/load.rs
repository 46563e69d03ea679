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

    /// How many events it received so far.
    pub fn received(&self) -> u64 {
        self.seen.count.load(Ordering::Relaxed)
    }

    pub fn now_micros(&self) -> u64 {
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

/// One round of load.
#[derive(Clone, Copy)]
pub struct Round {
    pub connections: usize,
    /// How many are posted in a second, over all connections; as many as are taken when absent.
    pub per_second: Option<u32>,
    pub time: Duration,
}

/// What a round of load came to.
pub struct Load {
    delivered: u64,
    took: Duration,
    pub p50: Duration,
    pub p99: Duration,
}

impl Load {
    /// Posts 1 KiB events to the address, one at a time on each connection, and waits until all of
    /// them were delivered.
    pub async fn run(address: &str, sink: &Sink, round: Round) -> Self {
        let Round { connections, per_second, time } = round;
        let before = sink.received();
        sink.seen.micros.lock().unwrap().clear();
        let start = Instant::now();
        let clients: Vec<_> = (0..connections)
            .map(|client| {
                let (address, seen) = (address.to_owned(), sink.seen.clone());
                let period = per_second.map(|rate| Duration::from_secs(1) * connections as u32 / rate);
                // Not all at once: the connections take turns.
                let first = period.unwrap_or_default() * client as u32 / connections as u32;
                let pace = Pace { start: start + first, period, end: start + time };
                tokio::spawn(async move { post(&address, client, seen, pace).await })
            })
            .collect();
        let mut posted = 0;
        for client in clients {
            posted += client.await.unwrap();
        }
        while sink.received() < before + posted {
            assert!(start.elapsed() < time + PATIENCE, "{} events never arrived", {
                before + posted - sink.received()
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

/// When one client posts.
struct Pace {
    start: Instant,
    /// Between two events; none is left out when one is late.
    period: Option<Duration>,
    end: Instant,
}

/// One client on one connection; how many events were confirmed.
async fn post(address: &str, client: usize, seen: Arc<Seen>, pace: Pace) -> u64 {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let filler = "x".repeat(960);
    let body = Bytes::from(format!("{{\"order\": {{\"total\": 120.5, \"note\": \"{filler}\"}}, \"n\": 1}}"));
    // Ids must differ between rounds too: the bus recognises what it has seen before.
    let round = seen.start.elapsed().as_nanos();
    let mut posted = 0;
    loop {
        if let Some(period) = pace.period {
            tokio::time::sleep_until((pace.start + period * posted as u32).into()).await;
        }
        if Instant::now() >= pace.end {
            return posted;
        }
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
}
