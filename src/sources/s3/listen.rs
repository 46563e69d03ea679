//! One connection to `MinIO`'s listen API: an answer that never ends, a notification a line.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::HOST;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::config::{Listen, Secret, Selection};
use super::sign;
use crate::dial::{self, Trust};
use crate::fault::{Fault, FaultKind, Retry};
use crate::task::{self, Clock, Group, Shutdown};

const CONNECT: &str = "listen to the object storage";
const READ: &str = "read notifications";
/// For a connection.
const PATIENCE: Duration = Duration::from_secs(10);
/// A refusal comes at once. The answer itself begins with the first sign of life, and builds of `MinIO` that hold
/// back what they write begin it minutes later: without a refusal by then, the server listens.
const REFUSAL: Duration = Duration::from_secs(5);
/// Seconds between two signs of life of the server.
const PING: &str = "1";
/// When the connection is taken to be lost: those builds show signs of life 4 KiB at a time, every four minutes.
const SILENCE: Duration = Duration::from_secs(300);
/// The longest line; one has one record, whose key has at most 1 KiB.
const MAX_LINE: usize = 1 << 20;
/// How much of a refusal is read.
const MAX_REFUSAL: usize = 16 * 1024;

type Sender = http1::SendRequest<Empty<Bytes>>;
type Answering = Pin<Box<dyn Future<Output = Result<(Response<Incoming>, Sender), Fault>> + Send>>;

/// An open connection.
pub struct Link {
    answer: Answer,
    buffer: BytesMut,
    /// Moves the connection's bytes; ends with this.
    _driver: Group,
}

enum Answer {
    Awaited(Answering),
    /// The connection lasts as long as its sender.
    Begun(Incoming, #[expect(dead_code, reason = "it is held")] Sender),
}

impl Link {
    /// # Errors
    /// `Denied` when the keys are refused, `NotFound` without the bucket, `Unavailable` when nobody answers.
    pub(super) async fn open(settings: &Listen, selection: &Selection, clock: &Clock) -> Result<Self, Fault> {
        let Some(server) = &settings.server else {
            return Err(Fault::new(FaultKind::Malformed, CONNECT, "there is no address"));
        };
        let named = |fault: Fault| fault.with_context("server", server.to_string());
        let connecting = Box::pin(async {
            let (request, bucket) = (request(settings, selection, clock)?, selection.bucket.clone());
            let stream = TcpStream::connect((server.host.as_str(), server.port)).await.map_err(unreachable)?;
            if settings.tls {
                let name = ServerName::try_from(server.host.clone())
                    .map_err(|_| Fault::new(FaultKind::Malformed, CONNECT, "the server's name is no name for TLS"))?;
                let trust = Trust { ca: settings.ca.as_ref().map(Secret::expose), ..Trust::default() };
                let connector = tokio_rustls::TlsConnector::from(Arc::new(dial::tls(trust)?));
                let stream = connector.connect(name, stream).await.map_err(no_tls)?;
                exchange(stream, request, bucket).await
            } else {
                exchange(stream, request, bucket).await
            }
        });
        let silent = || Fault::new(FaultKind::Timeout, CONNECT, "the server does not answer");
        let (answer, driver) = task::within(PATIENCE, connecting).await.ok_or_else(silent).flatten().map_err(named)?;
        let mut link = Self { answer: Answer::Awaited(answer), buffer: BytesMut::new(), _driver: driver };
        match task::within(REFUSAL, link.body()).await {
            Some(Err(fault)) => Err(named(fault)),
            Some(Ok(_)) | None => Ok(link),
        }
    }

    /// The body of the answer, once that has begun. Cancel-safe.
    async fn body(&mut self) -> Result<&mut Incoming, Fault> {
        if let Answer::Awaited(answer) = &mut self.answer {
            let (answer, sender) = answer.await?;
            self.answer = Answer::Begun(answer.into_body(), sender);
        }
        match &mut self.answer {
            Answer::Begun(body, _) => Ok(body),
            Answer::Awaited(_) => Err(Fault::new(FaultKind::Internal, CONNECT, "there is no answer")),
        }
    }

    /// The next line. Cancel-safe.
    ///
    /// # Errors
    /// When the connection is lost, or the server falls silent.
    pub(super) async fn line(&mut self) -> Result<Bytes, Fault> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let mut line = self.buffer.split_to(end + 1);
                line.truncate(end);
                return Ok(line.freeze());
            }
            if self.buffer.len() > MAX_LINE {
                return Err(Fault::new(FaultKind::Malformed, READ, "a line does not end"));
            }
            let frame = task::within(SILENCE, async { Ok::<_, Fault>(self.body().await?.frame().await) }).await;
            let silent = || Fault::new(FaultKind::Timeout, READ, "the server has fallen silent");
            let ended = || Fault::new(FaultKind::Unavailable, READ, "the server has ended the connection");
            let frame = frame.ok_or_else(silent)??.ok_or_else(ended)?;
            let frame = frame.map_err(|error| ended().with_source(error))?;
            if let Ok(data) = frame.into_data() {
                self.buffer.extend_from_slice(&data);
            }
        }
    }
}

fn request(settings: &Listen, selection: &Selection, clock: &Clock) -> Result<Request<Empty<Bytes>>, Fault> {
    let Selection { bucket, events, prefix, suffix } = selection;
    let path = bucket.as_ref().map_or_else(|| "/".to_owned(), |bucket| format!("/{bucket}/"));
    let mut pairs = vec![("ping", PING), ("prefix", prefix), ("suffix", suffix)];
    pairs.extend(events.iter().map(|event| ("events", event.as_str())));
    let query = sign::query(&pairs);
    let default_port = if settings.tls { 443 } else { 80 };
    let host = match &settings.server {
        Some(server) if server.port == default_port => server.host.clone(),
        Some(server) => server.to_string(),
        None => String::new(),
    };
    let mut request = Request::get(format!("{path}?{query}")).header(HOST, &host);
    if let Some((access_key, secret_key)) = &settings.login {
        let (region, now) = (settings.region.as_str(), clock.now());
        let unsigned = sign::Request { host: &host, path: &path, query: &query, region, now };
        let signed = unsigned.sign(access_key.expose(), secret_key.expose());
        request = request
            .header("authorization", signed.authorization)
            .header("x-amz-date", signed.date)
            .header("x-amz-content-sha256", signed.content);
    }
    request
        .body(Empty::new())
        .map_err(|error| Fault::new(FaultKind::Malformed, CONNECT, "the settings make no request").with_source(error))
}

/// Sends the request; its answer to come, and what moves the connection's bytes.
async fn exchange<S>(
    stream: S,
    request: Request<Empty<Bytes>>,
    bucket: Option<String>,
) -> Result<(Answering, Group), Fault>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let broken = |error: hyper::Error| {
        Fault::new(FaultKind::Unavailable, CONNECT, "the server does not answer as it should").with_source(error)
    };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let mut driver = Group::new(&Shutdown::new());
    driver.spawn(async move { connection.await.map_err(broken) });
    let answering = async move {
        let answer = sender.send_request(request).await.map_err(broken)?;
        if answer.status() == StatusCode::OK { Ok((answer, sender)) } else { Err(refused(answer, bucket).await) }
    };
    Ok((Box::pin(answering), driver))
}

async fn refused(answer: Response<Incoming>, bucket: Option<String>) -> Fault {
    let status = answer.status();
    let body = http_body_util::Limited::new(answer.into_body(), MAX_REFUSAL).collect();
    let body = task::within(PATIENCE, body).await.and_then(Result::ok).map(http_body_util::Collected::to_bytes);
    let body = body.unwrap_or_default();
    let text = String::from_utf8_lossy(&body);
    // The answer is XML of which one word counts.
    let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>")).map(|(code, _)| code);
    let (kind, message) = match status.as_u16() {
        401 | 403 => (FaultKind::Denied, "the server refuses the keys, or does not permit it"),
        404 => (FaultKind::NotFound, "there is no such bucket"),
        429 => (FaultKind::Throttled, "the server asks to slow down"),
        500.. => (FaultKind::Unavailable, "the server cannot serve at the moment"),
        _ => (FaultKind::Rejected, "the server refuses"),
    };
    let mut fault = Fault::new(kind, CONNECT, message).with_code(status.as_u16());
    if kind == FaultKind::NotFound {
        fault = fault.with_retry(Retry::Never);
    }
    if let Some(bucket) = bucket {
        fault = fault.with_context("bucket", bucket);
    }
    match code {
        Some(code) => fault.with_context("code", crate::fault::excerpt(code.as_bytes(), 64)),
        None => fault,
    }
}

fn unreachable(error: std::io::Error) -> Fault {
    Fault::new(FaultKind::Unavailable, CONNECT, "the server cannot be reached").with_source(error)
}

fn no_tls(error: std::io::Error) -> Fault {
    // Certificates that do not fit will not fit the next time either.
    let retry = if error.kind() == std::io::ErrorKind::InvalidData { Retry::Never } else { Retry::Backoff };
    Fault::new(FaultKind::Unavailable, CONNECT, "TLS cannot be agreed on").with_retry(retry).with_source(error)
}
