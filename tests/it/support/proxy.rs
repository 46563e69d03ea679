//! A network between a client and a server of this machine that is slow, or cut.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, tcp};
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// How it is at the moment.
struct State {
    millis: AtomicU64,
    is_cut: AtomicBool,
    /// Told when all connections are to end.
    cuts: watch::Sender<u64>,
}

/// Hands on what comes to a free port, until it is dropped.
pub struct Proxy {
    pub port: u16,
    state: Arc<State>,
    accepting: AbortHandle,
}

impl Proxy {
    /// A proxy of `port`, which takes its time with nothing yet.
    pub async fn start(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let state = State { millis: AtomicU64::new(0), is_cut: AtomicBool::new(false), cuts: watch::Sender::new(0) };
        let state = Arc::new(state);
        let shared = state.clone();
        let accepting = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                if !shared.is_cut.load(Ordering::SeqCst) {
                    tokio::spawn(hand_on(client, port, shared.clone()));
                }
            }
        });
        Self { port: own, state, accepting: accepting.abort_handle() }
    }

    /// Whatever is sent takes so long from now on, each way.
    pub fn delay(&self, delay: Duration) {
        self.state.millis.store(u64::try_from(delay.as_millis()).unwrap(), Ordering::SeqCst);
    }

    /// Ends all connections and takes no more, until it is mended.
    pub fn cut(&self) {
        self.state.is_cut.store(true, Ordering::SeqCst);
        self.state.cuts.send_modify(|count| *count += 1);
    }

    pub fn mend(&self) {
        self.state.is_cut.store(false, Ordering::SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

async fn hand_on(client: TcpStream, port: u16, state: Arc<State>) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    let mut cuts = state.cuts.subscribe();
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        () = copy(from_client, to_server, &state) => {}
        () = copy(from_server, to_client, &state) => {}
        _ = cuts.changed() => {}
    }
}

/// Copies until one side is done; what the other side still had to say to one that is gone is lost, as in a network.
async fn copy(mut from: tcp::OwnedReadHalf, mut to: tcp::OwnedWriteHalf, state: &State) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = from.read(&mut buffer).await.unwrap_or(0);
        if read == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(state.millis.load(Ordering::SeqCst))).await;
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
