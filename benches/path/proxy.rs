//! The yardstick: a proxy that forwards each request over pooled connections and does nothing else.

use std::convert::Infallible;
use std::sync::Arc;

use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;

/// Forwards everything on `port` to the address `to`, until the process is killed.
pub fn run(port: u16, to: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client: Client<_, Incoming> = Client::builder(TokioExecutor::new()).build(connector);
        let to: Arc<str> = to.into();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let (client, to) = (client.clone(), to.clone());
            let service = service_fn(move |mut request: Request<Incoming>| {
                *request.uri_mut() = format!("http://{to}/").parse().unwrap();
                let client = client.clone();
                async move { Ok::<_, Infallible>(client.request(request).await.unwrap()) }
            });
            tokio::spawn(async move {
                let http = hyper::server::conn::http1::Builder::new();
                drop(http.serve_connection(TokioIo::new(stream), service).await);
            });
        }
    });
}
