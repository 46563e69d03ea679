use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http::header::HeaderName;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc::Receiver;

use super::config::{Algorithm, Encoding, Reply, Scheme, Signature, TlsConfig};
use super::*;
use crate::api::Secret;
use crate::event::{Data, Event};
use crate::fault::{Fault, FaultKind, Retry};
use crate::flow::{Outlet, Received, Source as _, outlet};
use crate::task::{Clock, Group, Shutdown};

/// How many events may wait in the tests' outlets.
const BOUND: usize = 2;

fn config() -> Config {
    Config {
        path: "/orders".to_owned(),
        port: 0,
        methods: vec![Method::POST],
        max_body_bytes: 1000,
        bearer: None,
        signature: None,
        tls: None,
        response: Reply::default(),
        json_body: false,
    }
}

fn entry(config: Config, outlet: Outlet) -> Entry {
    Entry { config, outlet, source: "/shop".to_owned(), ty: DEFAULT_TYPE.to_owned(), reader: None }
}

struct Served {
    address: SocketAddr,
    events: Receiver<Received>,
    shutdown: Shutdown,
    group: Group,
}

/// The largest event that the bus behind the tests' outlets takes.
const LARGEST: usize = 2000;

async fn serve(config: Config) -> Served {
    let (outlet, events) = outlet(BOUND);
    let outlet = outlet.limited(LARGEST);
    let clock = Clock::manual("2026-11-24T10:00:00Z".parse().unwrap());
    let mut source = Source::new(Ipv4Addr::LOCALHOST.into(), vec![entry(config, outlet)], clock).unwrap();
    let address = source.bind().await.unwrap();
    let shutdown = Shutdown::new();
    let mut group = Group::new(&shutdown);
    group.spawn(Box::new(source).run(shutdown.clone()));
    Served { address, events, shutdown, group }
}

struct Got {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Served {
    /// Sends a request and waits for the answer; nobody takes events meanwhile.
    async fn send(&self, request: http::request::Builder, body: impl Into<Bytes>) -> Got {
        send(self.address, request, body).await
    }

    /// Sends a request while `settle` decides on every event.
    async fn pump(
        &mut self,
        request: http::request::Builder,
        body: impl Into<Bytes>,
        mut settle: impl FnMut(Received) -> Event,
    ) -> (Got, Vec<Event>) {
        let mut taken = Vec::new();
        let mut answer = std::pin::pin!(send(self.address, request, body));
        loop {
            tokio::select! {
                got = &mut answer => return (got, taken),
                Some(received) = self.events.recv() => taken.push(settle(received)),
            }
        }
    }
}

async fn send(address: SocketAddr, request: http::request::Builder, body: impl Into<Bytes>) -> Got {
    let client = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new()).build_http();
    let mut request = request.body(Full::new(body.into())).unwrap();
    *request.uri_mut() = format!("http://{address}{}", request.uri()).parse().unwrap();
    let (head, body) = client.request(request).await.unwrap().into_parts();
    let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    Got { status: head.status, headers: head.headers, body }
}

fn post() -> http::request::Builder {
    Request::post("/orders")
}

fn ack(received: Received) -> Event {
    received.receipt.ack();
    received.event.unwrap()
}

fn binary_event() -> http::request::Builder {
    post().header("ce-specversion", "1.0").header("ce-id", "7").header("ce-source", "/a").header("ce-type", "t")
}

fn structured(id: &str) -> String {
    format!(r#"{{"specversion":"1.0","id":"{id}","source":"/a","type":"t","data":{{"n": 1.0}}}}"#)
}

#[tokio::test]
async fn the_answer_waits_for_the_receipt() {
    let mut served = serve(config()).await;
    let mut answer = std::pin::pin!(send(served.address, post(), "hi"));
    let received = tokio::select! {
        got = &mut answer => panic!("answered {} before the bus had it", got.status),
        received = served.events.recv() => received.unwrap(),
    };
    assert_eq!((received.attempt, received.appended.to_string().as_str()), (1, "2026-11-24T10:00:00Z"));
    received.receipt.ack();
    let got = answer.await;
    assert_eq!((got.status, got.body.as_str()), (StatusCode::ACCEPTED, ""));
}

#[tokio::test]
async fn what_is_not_kept_is_sent_back() {
    let mut served = serve(config()).await;
    let mut check = async |settle: fn(Received), status: u16, retry_after: Option<&str>| {
        let settle = |received: Received| {
            let event = received.event.clone().unwrap();
            settle(received);
            event
        };
        let (got, taken) = served.pump(post(), "hi", settle).await;
        assert_eq!((got.status.as_u16(), taken.len()), (status, 1));
        assert_eq!(got.headers.get("retry-after").map(|value| value.to_str().unwrap()), retry_after);
    };
    check(|received| received.receipt.ack(), 202, None).await;
    check(drop, 503, Some("1")).await;
    check(|received| received.receipt.nack(Fault::new(FaultKind::Full, "publish", "disk")), 503, Some("1")).await;
    check(|received| received.receipt.nack(Fault::new(FaultKind::TooLarge, "publish", "big")), 413, None).await;
    let later = |received: Received| {
        let later = Retry::After(Duration::from_secs(7));
        received.receipt.nack(Fault::new(FaultKind::Throttled, "publish", "slow").with_retry(later));
    };
    check(later, 503, Some("7")).await;

    served.events.close();
    let got = served.send(post(), "hi").await;
    assert_eq!((got.status, got.headers["retry-after"].as_bytes()), (StatusCode::SERVICE_UNAVAILABLE, &b"1"[..]));
}

#[tokio::test]
async fn an_event_that_the_bus_cannot_keep_whole_is_refused_at_the_door_with_all_of_its_batch() {
    let mut served = serve(Config { max_body_bytes: 2 * LARGEST, ..config() }).await;
    let check = async |served: &Served, request: http::request::Builder, body: String| {
        assert!(body.len() <= 2 * LARGEST);
        let got = served.send(request, body).await;
        assert_eq!((got.status.as_u16(), got.body.as_str()), (413, "the event is larger than the bus takes\n"));
    };
    let large = "x".repeat(LARGEST);
    check(&served, post(), large.clone()).await;
    let event =
        |id: u8, data: &str| format!(r#"{{"specversion":"1.0","id":"{id}","source":"s","type":"t","data":"{data}"}}"#);
    let batch = format!("[{},{}]", event(1, "small"), event(2, &large));
    check(&served, post().header("content-type", "application/cloudevents-batch+json"), batch).await;
    assert!(served.events.try_recv().is_err(), "nothing of it may be kept");
}

#[tokio::test]
async fn a_full_queue_turns_requests_away_at_once() {
    let mut served = serve(config()).await;
    let (first, second) = (send(served.address, post(), "1"), send(served.address, post(), "2"));
    let mut waiting = std::pin::pin!(async { tokio::join!(first, second) });
    // Both places of the queue are taken once the outlet has no room.
    tokio::select! {
        _ = &mut waiting => panic!("answered without a receipt"),
        () = async { while served.events.len() < BOUND { tokio::task::yield_now().await } } => {}
    }
    let got = served.send(post(), "3").await;
    assert_eq!((got.status, got.headers["retry-after"].as_bytes()), (StatusCode::SERVICE_UNAVAILABLE, &b"1"[..]));
    for _ in 0..BOUND {
        ack(served.events.recv().await.unwrap());
    }
    let (first, second) = waiting.await;
    assert_eq!((first.status, second.status), (StatusCode::ACCEPTED, StatusCode::ACCEPTED));
}

#[tokio::test]
async fn cloudevents_are_kept_as_they_are_in_every_mode() {
    let mut served = serve(config()).await;
    let request = binary_event().header("ce-subject", "a%20b").header("content-type", "text/plain");
    let (got, taken) = served.pump(request, "hi", ack).await;
    assert_eq!((got.status, taken[0].id(), taken[0].source()), (StatusCode::ACCEPTED, "7", "/a"));
    assert_eq!((taken[0].subject(), taken[0].data()), (Some("a b"), Some(Data::Text("hi"))));

    let request = post().header("content-type", "application/cloudevents+json; charset=utf-8");
    let (got, taken) = served.pump(request, structured("8"), ack).await;
    assert_eq!((got.status, taken[0].data()), (StatusCode::ACCEPTED, Some(Data::Text("{\"n\": 1.0}"))));
}

#[tokio::test]
async fn a_batch_is_kept_as_a_whole_or_sent_back() {
    let mut served = serve(config()).await;
    let batch = || post().header("content-type", "application/cloudevents-batch+json");
    // More events than the outlet has room for.
    let body = format!("[{}]", (0..5).map(|id| structured(&id.to_string())).collect::<Vec<_>>().join(","));
    let (got, taken) = served.pump(batch(), body.clone(), ack).await;
    assert_eq!(got.status, StatusCode::ACCEPTED);
    assert_eq!(taken.iter().map(Event::id).collect::<Vec<_>>(), ["0", "1", "2", "3", "4"]);

    let one_lost = |received: Received| {
        let event = received.event.clone().unwrap();
        if event.id() != "3" {
            received.receipt.ack();
        }
        event
    };
    let (got, taken) = served.pump(batch(), body, one_lost).await;
    assert_eq!((got.status, taken.len()), (StatusCode::SERVICE_UNAVAILABLE, 5));

    assert_eq!(served.send(batch(), "[]").await.status, StatusCode::ACCEPTED);
    assert!(served.events.is_empty());
}

#[tokio::test]
async fn what_claims_to_be_a_cloudevent_and_is_none_is_a_bad_request() {
    let served = serve(config()).await;
    let check = async |request: http::request::Builder, body: &'static str, reason: &str| {
        let got = served.send(request, body).await;
        assert_eq!(got.status, StatusCode::BAD_REQUEST);
        assert!(got.body.starts_with(reason), "{}", got.body);
    };
    check(post().header("ce-specversion", "1.0"), "", "the required attribute id is missing").await;
    check(binary_event().header("ce-x", &b"\xC3\x28"[..]), "", "attribute x: the ce-x header is not UTF-8").await;
    check(binary_event().header("ce-time", "now"), "", "time \"now\" is not an RFC 3339").await;
    check(post().header("content-type", "application/cloudevents+json"), "{", "JSON cannot be read").await;
    check(post().header("content-type", "application/cloudevents+avro"), "", "the content type cannot be read").await;
    assert!(served.events.is_empty());
}

#[tokio::test]
async fn everything_else_is_wrapped_and_a_redelivery_has_the_same_id() {
    let mut served = serve(config()).await;
    let github = || {
        post()
            .header("x-github-delivery", "72d3162e")
            .header("x-github-event", "push")
            .header("content-type", "application/json")
            .header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
            .header("tracestate", "a=b")
    };
    let (_, first) = served.pump(github(), "{\"a\": 1 }\n", ack).await;
    let (_, again) = served.pump(github(), "{\"a\": 1 }\n", ack).await;
    assert_eq!(first, again);
    let event = &first[0];
    assert_eq!((event.id(), event.source(), event.ty()), ("72d3162e", "/shop", "events.openfunction.io.http"));
    assert_eq!((event.subject(), event.time()), (Some("push"), Some("2026-11-24T10:00:00Z")));
    assert_eq!(event.data(), Some(Data::Text("{\"a\": 1 }\n")));
    let text = |name: &str| event.attribute(name).unwrap().text().into_owned();
    assert_eq!(text("traceparent"), "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    assert_eq!(text("tracestate"), "a=b");

    let (_, one) = served.pump(post().header("x-request-id", "same"), &[0xFF][..], ack).await;
    let (_, two) = served.pump(post().header("x-request-id", "same"), "{}", ack).await;
    assert_ne!(one[0].id(), two[0].id(), "two deliveries without a delivery id are two events");
    assert_eq!((one[0].data(), one[0].data_content_type()), (Some(Data::Binary(&[0xFF])), None));
    assert_eq!(two[0].data_content_type(), Some("application/json"));
    let (_, named) = served.pump(post().header("webhook-id", "msg_1"), "", ack).await;
    assert_eq!((named[0].id(), named[0].data()), ("msg_1", None));
}

#[tokio::test]
async fn a_body_that_must_be_json_and_is_not_is_a_bad_request() {
    let mut served = serve(Config { json_body: true, ..config() }).await;
    let got = served.send(post(), "hi").await;
    assert_eq!(got.status, StatusCode::BAD_REQUEST);
    assert!(got.body.starts_with("the body, which must be JSON, cannot be read"), "{}", got.body);
    let (got, taken) = served.pump(post().header("content-type", "text/plain"), "[]", ack).await;
    assert_eq!((got.status, taken[0].data_content_type()), (StatusCode::ACCEPTED, Some("application/json")));
}

fn sign(secret: &str, text: &str) -> String {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
    data_encoding::HEXLOWER.encode(ring::hmac::sign(&key, text.as_bytes()).as_ref())
}

#[tokio::test]
async fn only_signed_bodies_get_in() {
    let scheme = Scheme::Hmac {
        header: HeaderName::from_static("x-hub-signature-256"),
        algorithm: Algorithm::Sha256,
        encoding: Encoding::Hex,
        prefix: "sha256=".to_owned(),
    };
    let signature = Some(Signature { scheme, secret: Secret::new("s3cret") });
    let mut served = serve(Config { signature, ..config() }).await;
    let signed = |secret: &str| post().header("x-hub-signature-256", format!("sha256={}", sign(secret, "hi")));
    let (got, taken) = served.pump(signed("s3cret"), "hi", ack).await;
    assert_eq!((got.status, taken.len()), (StatusCode::ACCEPTED, 1));
    let check = async |request: http::request::Builder, body: &'static str, reason: &str| {
        let got = served.send(request, body).await;
        assert_eq!((got.status, got.body.as_str()), (StatusCode::UNAUTHORIZED, reason));
    };
    check(signed("guess"), "hi", "the signature does not match\n").await;
    check(signed("s3cret"), "hi ", "the signature does not match\n").await;
    check(post(), "hi", "the header x-hub-signature-256 is missing\n").await;
    assert!(served.events.is_empty());
}

#[tokio::test]
async fn a_stripe_event_keeps_its_own_id_and_type() {
    let scheme = Scheme::Stripe { tolerance: Duration::from_secs(300) };
    let signature = Some(Signature { scheme, secret: Secret::new("whsec") });
    let mut served = serve(Config { signature, ..config() }).await;
    let body = r#"{"id":"evt_1","type":"invoice.paid","data":{}}"#;
    let now = "2026-11-24T10:00:00Z".parse::<jiff::Timestamp>().unwrap().as_second();
    let header = format!("t={now},v1={}", sign("whsec", &format!("{now}.{body}")));
    let (got, taken) = served.pump(post().header("stripe-signature", header), body, ack).await;
    assert_eq!(got.status, StatusCode::ACCEPTED);
    assert_eq!((taken[0].id(), taken[0].subject()), ("evt_1", Some("invoice.paid")));
    let old = now - 301;
    let header = format!("t={old},v1={}", sign("whsec", &format!("{old}.{body}")));
    let got = served.send(post().header("stripe-signature", header), body).await;
    assert_eq!(got.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn only_bearers_of_the_token_get_in() {
    let mut served = serve(Config { bearer: Some(Secret::new("tok")), ..config() }).await;
    let (got, _) = served.pump(post().header("authorization", "Bearer tok"), "hi", ack).await;
    assert_eq!(got.status, StatusCode::ACCEPTED);
    let got = served.send(post().header("authorization", "Bearer tik"), "hi").await;
    assert_eq!((got.status, got.headers["www-authenticate"].as_bytes()), (StatusCode::UNAUTHORIZED, &b"Bearer"[..]));
    assert!(served.events.is_empty());
}

#[tokio::test]
async fn paths_and_methods_are_exact_and_senders_may_ask_first() {
    let served = serve(Config { methods: vec![Method::POST, Method::PUT], ..config() }).await;
    for path in ["/", "/orders/", "/Orders", "/orders2"] {
        let got = served.send(Request::post(path), "hi").await;
        assert_eq!((got.status, got.body.as_str()), (StatusCode::NOT_FOUND, "not found\n"), "{path}");
    }
    let got = served.send(Request::get("/orders?x=y"), "").await;
    assert_eq!(got.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(got.headers["allow"], "OPTIONS, POST, PUT");
    let ask = Request::options("/orders").header("webhook-request-origin", "events.example.com");
    let got = served.send(ask, "").await;
    assert_eq!(got.status, StatusCode::OK);
    assert_eq!(got.headers["webhook-allowed-origin"], "events.example.com");
    assert_eq!(got.headers["webhook-allowed-rate"], "*");
    assert_eq!(got.headers["allow"], "OPTIONS, POST, PUT");
}

#[tokio::test]
async fn bodies_over_the_limit_half_bodies_and_packed_bodies_are_refused() {
    let mut served = serve(config()).await;
    let got = served.send(post(), "x".repeat(1001)).await;
    assert_eq!(got.status, StatusCode::PAYLOAD_TOO_LARGE);
    let got = served.send(post().header("content-encoding", "gzip"), "x").await;
    assert_eq!(got.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let (got, _) = served.pump(post(), "x".repeat(1000), ack).await;
    assert_eq!(got.status, StatusCode::ACCEPTED);

    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(b"POST /orders HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhalf").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(!answer.starts_with("HTTP/1.1 2"), "{answer}");
    assert!(served.events.is_empty());
}

#[tokio::test]
async fn the_answer_to_what_was_kept_is_the_configured_one() {
    let response = Reply { code: StatusCode::OK, body: "thanks".to_owned() };
    let mut served = serve(Config { response, ..config() }).await;
    let (got, _) = served.pump(post(), "hi", ack).await;
    assert_eq!((got.status, got.body.as_str()), (StatusCode::OK, "thanks"));
}

#[tokio::test]
async fn a_stop_waits_for_the_receipts_that_are_out() {
    let mut served = serve(config()).await;
    let mut answer = std::pin::pin!(send(served.address, post(), "hi"));
    let received = tokio::select! {
        _ = &mut answer => panic!("answered too early"),
        received = served.events.recv() => received.unwrap(),
    };
    served.shutdown.request();
    while TcpStream::connect(served.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    received.receipt.ack();
    assert_eq!(answer.await.status, StatusCode::ACCEPTED);
    served.group.join().await.unwrap();
}

#[tokio::test]
async fn https_is_served_with_the_given_certificate() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let tls = TlsConfig {
        cert: Secret::new(made.cert.pem()),
        key: Secret::new(made.signing_key.serialize_pem()),
        client_ca: None,
    };
    let mut served = serve(Config { tls: Some(tls), ..config() }).await;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector =
        hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(client).https_only().enable_http2().build();
    let client = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new()).build(connector);
    let uri = format!("https://localhost:{}/orders", served.address.port());
    let request = Request::post(uri).body(Full::new(Bytes::from("hi"))).unwrap();
    let (answer, received) = tokio::join!(client.request(request), async { ack(served.events.recv().await.unwrap()) });
    assert_eq!((answer.unwrap().status(), received.data()), (StatusCode::ACCEPTED, Some(Data::Text("hi"))));
}

#[tokio::test]
async fn events_of_one_port_must_agree() {
    let check = |entries: Vec<Config>, expected: &str| {
        let entries = entries.into_iter().map(|config| entry(config, outlet(1).0)).collect();
        let fault = Source::new(Ipv4Addr::LOCALHOST.into(), entries, Clock::system()).unwrap_err();
        assert_eq!(fault.message(), expected);
    };
    check(vec![], "it serves no event");
    check(vec![config(), config()], "two events of port 0 share the path /orders");
    let other = Config { path: "/x".to_owned(), port: 1, ..config() };
    check(vec![config(), other], "the events of port 0 do not agree on port and TLS (/x)");
    let tls = TlsConfig { cert: Secret::new("x"), key: Secret::new("y"), client_ca: None };
    check(vec![Config { tls: Some(tls), ..config() }], "the certificate holds no certificate in PEM");
    check(vec![Config { bearer: Some(Secret::default()), ..config() }], "the bearer token is empty");
}
