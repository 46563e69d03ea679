//! Ports whose events come and go one by one: those of Dapr Components, which daprd initialises
//! one after the other.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Weak};

use async_trait::async_trait;
use tokio::sync::Mutex;

use super::config::TlsConfig;
use super::route::{Route, Routes};
use super::source::{Entry, disagree, tls};
use crate::fault::Fault;
use crate::flow::Source;
use crate::listen::{Limits, Listener};
use crate::task::{self, Clock, Group, Shutdown};

/// The ports of one address. A port is open while one of its events is there.
#[derive(Debug)]
pub struct Ports {
    host: IpAddr,
    clock: Clock,
    open: Arc<Mutex<HashMap<u16, Weak<Port>>>>,
}

#[derive(Debug)]
struct Port {
    tls: Option<TlsConfig>,
    routes: Arc<Routes>,
    serving: Group,
}

impl Ports {
    /// Opens nothing yet.
    pub fn new(host: IpAddr, clock: Clock) -> Self {
        Self { host, clock, open: Arc::default() }
    }

    /// Puts an event on its port, which is open when this returns. The event is there while the
    /// source that is returned runs; what is sent to it after that is told to come again, as long as
    /// others keep the port open.
    ///
    /// # Errors
    /// When the port cannot be had, is used with another TLS setting, or another event has the path;
    /// or when a secret cannot be used.
    pub async fn join(&self, entry: Entry) -> Result<Box<dyn Source>, Fault> {
        let mut open = self.open.lock().await;
        let number = entry.config.port;
        let known = open.get(&number).and_then(Weak::upgrade);
        let port = match known {
            Some(port) if port.tls == entry.config.tls => port,
            Some(_) => return Err(disagree(number, &entry.config.path)),
            None => {
                let port = Arc::new(self.bind(&entry).await?);
                open.insert(number, Arc::downgrade(&port));
                port
            }
        };
        let (path, source) = (entry.config.path.clone(), entry.source.clone());
        let served = Served(port.routes.add(entry)?);
        tracing::info!(port = number, path, source, "a webhook is served");
        Ok(Box::new(Seat { served, port, open: Arc::clone(&self.open) }))
    }

    async fn bind(&self, first: &Entry) -> Result<Port, Fault> {
        let secured = first.config.tls.as_ref().map(tls).transpose();
        let secured = secured.map_err(|fault| fault.with_context("event", first.source.as_str()))?;
        let address = SocketAddr::new(self.host, first.config.port);
        let listener = Listener::bind(address, Limits::default(), secured).await?;
        let routes = Arc::new(Routes::new(self.clock.clone()));
        let mut serving = Group::new(&Shutdown::new());
        let (handler, stop) = (Arc::clone(&routes), serving.shutdown().clone());
        serving.spawn(async move { listener.serve(handler, &stop).await });
        Ok(Port { tls: first.config.tls.clone(), routes, serving })
    }
}

/// A route that is closed when nobody is left to serve it.
struct Served(Arc<Route>);

impl Drop for Served {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// One event on its port.
struct Seat {
    served: Served,
    port: Arc<Port>,
    open: Arc<Mutex<HashMap<u16, Weak<Port>>>>,
}

#[async_trait]
impl Source for Seat {
    async fn run(self: Box<Self>, shutdown: Shutdown) -> Result<(), Fault> {
        shutdown.requested().await;
        let grace = shutdown.left(Limits::default().grace);
        let Self { served, port, open } = *self;
        served.0.close();
        let last = {
            // Nobody joins while it is found out who is the last.
            let _one = open.lock().await;
            Arc::into_inner(port)
        };
        // Requests in flight hold their receipts: they are waited for on the way down.
        if let Some(port) = last {
            port.serving.shutdown().request_within(grace);
            return port.serving.join().await;
        }
        if task::within(grace, served.0.answered()).await.is_none() {
            tracing::warn!("a webhook was stopped before all of its requests were answered");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use http::StatusCode;
    use tokio::sync::mpsc::Receiver;

    use super::super::config::Config;
    use super::*;
    use crate::api::{FieldPath, Problems, secret};
    use crate::flow::{Received, outlet};

    /// A port that nobody listens on.
    fn free_port() -> u16 {
        std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
    }

    fn entry(port: u16, path: &str) -> (Entry, Receiver<Received>) {
        let (raw, root) = (serde_json::json!({"port": port, "path": path}), FieldPath::root());
        let raw = serde_json::from_value(raw).unwrap();
        let config = Config::parse(&raw, "x", &root, &secret::Unresolved, &mut Problems::new()).unwrap();
        let (outlet, events) = outlet(4);
        (Entry { config, outlet, source: format!("/tests{path}"), ty: "t".to_owned(), reader: None }, events)
    }

    /// Posts a body; the status of the answer.
    async fn post(port: u16, path: &str) -> StatusCode {
        let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let io = hyper_util::rt::TokioIo::new(stream);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
        let body = http_body_util::Full::new(bytes::Bytes::from_static(b"{}"));
        let request = http::Request::post(path).header("host", "x").body(body).unwrap();
        tokio::select! {
            answer = sender.send_request(request) => answer.unwrap().status(),
            _ = connection => panic!("the connection ended"),
        }
    }

    async fn acknowledge(mut events: Receiver<Received>) -> Receiver<Received> {
        events.recv().await.unwrap().receipt.ack();
        events
    }

    #[tokio::test]
    async fn events_share_a_port_and_the_last_closes_it() {
        let (ports, port) = (Ports::new(Ipv4Addr::LOCALHOST.into(), Clock::system()), free_port());
        let ((one, one_events), (two, two_events)) = (entry(port, "/one"), entry(port, "/two"));
        let mut running = Vec::new();
        for entry in [one, two] {
            let (source, mut group) = (ports.join(entry).await.unwrap(), Group::new(&Shutdown::new()));
            let stop = group.shutdown().clone();
            group.spawn(source.run(stop));
            running.push(group);
        }
        let (status, one_events) = tokio::join!(post(port, "/one"), acknowledge(one_events));
        assert_eq!(status, StatusCode::ACCEPTED);
        let (status, _two_events) = tokio::join!(post(port, "/two"), acknowledge(two_events));
        assert_eq!(status, StatusCode::ACCEPTED);
        assert_eq!(post(port, "/three").await, StatusCode::NOT_FOUND);

        let first = running.remove(0);
        first.shutdown().request();
        first.join().await.unwrap();
        drop(one_events);
        // Not 404: a sender would give up.
        assert_eq!(post(port, "/one").await, StatusCode::SERVICE_UNAVAILABLE);
        let (again, again_events) = entry(port, "/one");
        let again = ports.join(again).await.unwrap();
        let (status, _again_events) = tokio::join!(post(port, "/one"), acknowledge(again_events));
        assert_eq!(status, StatusCode::ACCEPTED);

        drop(again);
        let second = running.remove(0);
        second.shutdown().request();
        second.join().await.unwrap();
        assert!(tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err());
    }

    #[tokio::test]
    async fn a_path_that_is_taken_is_refused() {
        let (ports, port) = (Ports::new(Ipv4Addr::LOCALHOST.into(), Clock::system()), free_port());
        let _one = ports.join(entry(port, "/one").0).await.unwrap();
        let fault = ports.join(entry(port, "/one").0).await.err().unwrap();
        assert_eq!(fault.message(), format!("two events of port {port} share the path /one"));
    }
}
