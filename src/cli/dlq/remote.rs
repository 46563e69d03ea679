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
use super::order::{Answer, Order};
use crate::fault::FaultKind;
use crate::listen::{self, BodyLimits, read_body};

/// Where orders are taken.
pub const PATH: &str = "/dlq";

const JSON: &str = "application/json";

/// Sends the order, and waits until it is done.
///
/// # Errors
/// When there is no such process, or it refuses.
pub async fn send(address: SocketAddr, order: &Order) -> anyhow::Result<Answer> {
    let client: Client<HttpConnector, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let body = serde_json::to_vec(order)?;
    let request = Request::post(format!("http://{address}{PATH}")).header(CONTENT_TYPE, JSON);
    let answer = client.request(request.body(Full::new(Bytes::from(body)))?).await;
    let answer = answer.with_context(|| format!("no process answers on {address} (--admin)"))?;
    let status = answer.status();
    let body = answer.into_body().collect().await.context("the answer broke off")?.to_bytes();
    if status != StatusCode::OK {
        bail!("the process on {address} answers {status}: {}", String::from_utf8_lossy(&body).trim());
    }
    serde_json::from_slice(&body).context("the answer cannot be read: is it a penstock of this version?")
}

/// Takes an order from a process of this machine. A page that a browser of this machine shows can ask too: it cannot send
/// this content type without being let, and cannot name this host unless it is its own.
pub async fn take(desk: &Arc<Desk>, request: Request<Incoming>, peer: SocketAddr) -> listen::Answer {
    let refuse = |status: StatusCode, text: &str| listen::text(status, text);
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
    let body = match read_body(request.into_body(), BodyLimits::default()).await {
        Ok(body) => body,
        Err(fault) => return refuse(listen::status(&fault), fault.message()),
    };
    let order: Order = match serde_json::from_slice(&body) {
        Ok(order) => order,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    match desk.work(&order).await {
        Ok(answer) => {
            let mut told = listen::Answer::new(Full::new(json(&answer)));
            told.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static(JSON));
            told
        }
        Err(fault) if fault.kind() == FaultKind::Conflict => refuse(StatusCode::CONFLICT, fault.message()),
        Err(fault) if fault.kind() == FaultKind::NotFound => refuse(StatusCode::NOT_FOUND, fault.message()),
        Err(fault) => refuse(StatusCode::SERVICE_UNAVAILABLE, &fault.chain()),
    }
}

fn json(answer: &Answer) -> Bytes {
    // Strings, numbers and lists: they always become JSON.
    Bytes::from(serde_json::to_vec(answer).unwrap_or_default())
}
