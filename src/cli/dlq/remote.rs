//! Orders to the desk of a running process, over its admin port.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::desk::Desk;
use super::index::Index;
use super::order::{Answer, Order};
use crate::fault::FaultKind;
use crate::listen::{self, BodyLimits, read_body};

/// Where orders are taken.
pub const PATH: &str = "/dlq";

const JSON: &str = "application/json";

/// The largest order: with the index of thousands of Triggers.
const LARGEST: usize = 16 << 20;

/// Sends the order, and waits until it is done.
///
/// # Errors
/// When there is no such process, or it refuses.
pub async fn send(address: SocketAddr, order: &Order) -> anyhow::Result<Answer> {
    let (status, body) =
        ask(address, order).await.with_context(|| format!("no process answers on {address} (--admin)"))?;
    if status != StatusCode::OK {
        bail!("the process on {address} answers {status}: {}", String::from_utf8_lossy(&body).trim());
    }
    serde_json::from_slice(&body).context("the answer cannot be read: is it a penstock of this version?")
}

/// What the process answers.
async fn ask(address: SocketAddr, order: &Order) -> anyhow::Result<(StatusCode, Bytes)> {
    let client: Client<HttpConnector, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let body = serde_json::to_vec(order)?;
    let request = Request::post(format!("http://{address}{PATH}")).header(CONTENT_TYPE, JSON);
    let answer = client.request(request.body(Full::new(Bytes::from(body)))?).await?;
    let status = answer.status();
    Ok((status, answer.into_body().collect().await.context("the answer broke off")?.to_bytes()))
}

/// Takes an order from a process of this machine.
pub async fn take(desk: &Arc<Desk>, request: Request<Incoming>, peer: SocketAddr) -> listen::Answer {
    let order = match read(request, peer).await {
        Ok(order) => order,
        Err((status, why)) => return listen::text(status, &why),
    };
    match desk.work(&order).await {
        Ok(answer) => told(json(&answer)),
        Err(fault) if fault.kind() == FaultKind::Conflict => listen::text(StatusCode::CONFLICT, fault.message()),
        Err(fault) if fault.kind() == FaultKind::NotFound => listen::text(StatusCode::NOT_FOUND, fault.message()),
        Err(fault) => listen::text(StatusCode::SERVICE_UNAVAILABLE, &fault.chain()),
    }
}

/// Takes an order, and has it done by the process that has the buses open; `to` is its admin port, `None` while it is being started.
pub async fn pass_on(index: &Index, to: Option<u16>, request: Request<Incoming>, peer: SocketAddr) -> listen::Answer {
    let order = match read(request, peer).await {
        Ok(order) => Order { index: Some(index.clone()), ..order },
        Err((status, why)) => return listen::text(status, &why),
    };
    let away =
        || listen::text(StatusCode::SERVICE_UNAVAILABLE, "the process that has the buses is starting or stopping");
    let Some(port) = to else { return away() };
    match ask(SocketAddr::from(([127, 0, 0, 1], port)), &order).await {
        Ok((StatusCode::OK, answer)) => told(answer),
        Ok((status, why)) => listen::text(status, String::from_utf8_lossy(&why).trim()),
        Err(_) => away(),
    }
}

/// The order in a request, or the status and the reason of a refusal. A page that a browser of this machine shows can ask too: it cannot send this content type without
/// being let, and cannot name this host unless it is its own.
async fn read(request: Request<Incoming>, peer: SocketAddr) -> Result<Order, (StatusCode, String)> {
    let refuse = |status: StatusCode, text: &str| Err((status, text.to_owned()));
    if !peer.ip().to_canonical().is_loopback() {
        return refuse(StatusCode::FORBIDDEN, "dead letters are worked on from this machine only");
    }
    if request.method() != Method::POST || request.headers().get(CONTENT_TYPE).is_none_or(|kind| kind != JSON) {
        return refuse(StatusCode::METHOD_NOT_ALLOWED, "only POST, with content-type application/json");
    }
    let host =
        request.headers().get(HOST).and_then(|host| host.to_str().ok()).and_then(|host| host.parse::<Uri>().ok());
    let is_here = |host: &str| host == "localhost" || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok();
    if !host.as_ref().and_then(Uri::host).is_some_and(is_here) {
        return refuse(StatusCode::FORBIDDEN, "the host must be an address or localhost");
    }
    let limits = BodyLimits { bytes: LARGEST, ..BodyLimits::default() };
    let body = match read_body(request.into_body(), limits).await {
        Ok(body) => body,
        Err(fault) => return refuse(listen::status(&fault), fault.message()),
    };
    serde_json::from_slice(&body).or_else(|error| refuse(StatusCode::BAD_REQUEST, &error.to_string()))
}

fn told(answer: Bytes) -> listen::Answer {
    let mut told = listen::Answer::new(Full::new(answer));
    told.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static(JSON));
    told
}

fn json(answer: &Answer) -> Bytes {
    // Strings, numbers and lists: they always become JSON.
    Bytes::from(serde_json::to_vec(answer).unwrap_or_default())
}
