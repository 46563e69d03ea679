use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::*;
use crate::task::{Group, Shutdown};
use std::sync::Arc;

/// Answers `/` with the body, waits for `release` on `/wait`, panics on `/panic`.
#[derive(Default)]
struct Echo {
    entered: Notify,
    release: Notify,
    seen: AtomicUsize,
}

impl Handler for Echo {
    async fn handle(&self, request: Request<Incoming>, _: SocketAddr) -> Answer {
        self.seen.fetch_add(1, Ordering::SeqCst);
        self.entered.notify_one();
        match request.uri().path() {
            "/panic" => panic!("a bug in the handler"),
            "/wait" => self.release.notified().await,
            _ => {}
        }
        let limits = BodyLimits { bytes: 1024, time: Duration::from_secs(10) };
        match read_body(request.into_body(), limits).await {
            Ok(body) => text(StatusCode::OK, &String::from_utf8_lossy(&body)),
            Err(fault) => text(status(&fault), &fault.to_string()),
        }
    }
}

struct Served {
    address: SocketAddr,
    echo: Arc<Echo>,
    shutdown: Shutdown,
    group: Group,
}

async fn serve(limits: Limits, tls: Option<Tls>) -> Served {
    let listener = Listener::bind(([127, 0, 0, 1], 0).into(), limits, tls).await.unwrap();
    let (address, echo, shutdown) = (listener.local_addr(), Arc::new(Echo::default()), Shutdown::new());
    let mut group = Group::new(&shutdown);
    let (handler, stop) = (Arc::clone(&echo), shutdown.clone());
    group.spawn(async move { listener.serve(handler, &stop).await });
    Served { address, echo, shutdown, group }
}

/// Sends `request` and reads until the server closes.
async fn raw(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

const CLOSE: &str = "host: x\r\nconnection: close\r\n";

#[tokio::test]
async fn both_versions_of_http_are_answered_on_one_port() {
    let served = serve(Limits::default(), None).await;
    let answer = raw(served.address, &format!("POST / HTTP/1.1\r\n{CLOSE}content-length: 2\r\n\r\nhi")).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nhi\n"), "{answer}");

    let client = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
        .http2_only(true)
        .build_http::<Full<Bytes>>();
    let request = Request::post(format!("http://{}/", served.address)).body(Full::from("hi")).unwrap();
    let answer = client.request(request).await.unwrap();
    assert_eq!((answer.status(), answer.version()), (StatusCode::OK, http::Version::HTTP_2));
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let served = serve(Limits::default(), None).await;
    let fault = Listener::bind(served.address, Limits::default(), None).await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Conflict);
    assert_eq!(fault.message(), format!("port {} is already in use", served.address.port()));
}

#[tokio::test]
async fn headers_over_the_limit_are_answered_431() {
    let served = serve(Limits { header_bytes: 8 * 1024, headers: 10, ..Limits::default() }, None).await;
    let big = format!("GET / HTTP/1.1\r\n{CLOSE}x: {}\r\n\r\n", "y".repeat(16 * 1024));
    let many = format!("GET / HTTP/1.1\r\n{CLOSE}{}\r\n", "x: y\r\n".repeat(20));
    for request in [big, many] {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut start = [0; 12];
        stream.read_exact(&mut start).await.unwrap();
        assert_eq!(std::str::from_utf8(&start).unwrap(), "HTTP/1.1 431");
    }
    assert_eq!(served.echo.seen.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn silent_and_half_asking_connections_are_closed() {
    let limits = Limits { header_timeout: Duration::from_millis(20), ..Limits::default() };
    let served = serve(limits, None).await;
    for start in ["", "PR", "GET / HTTP/1.1\r\nhost:"] {
        // Returns only because the server closes.
        let answer = raw(served.address, start).await;
        assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    assert_eq!(served.echo.seen.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn one_connection_more_than_the_limit_waits_for_its_turn() {
    let served = serve(Limits { connections: 1, ..Limits::default() }, None).await;
    let mut first = TcpStream::connect(served.address).await.unwrap();
    let mut second = TcpStream::connect(served.address).await.unwrap();
    // The second asks before the first does, and is not heard while the first is connected.
    second.write_all(format!("GET / HTTP/1.1\r\n{CLOSE}\r\n").as_bytes()).await.unwrap();
    first.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut start = [0; 12];
    first.read_exact(&mut start).await.unwrap();
    assert_eq!(served.echo.seen.load(Ordering::SeqCst), 1);
    drop(first);
    let mut answer = String::new();
    second.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn a_request_in_flight_is_answered_after_the_stop_and_no_new_one_is_taken() {
    let served = serve(Limits::default(), None).await;
    let request = format!("GET /wait HTTP/1.1\r\n{CLOSE}\r\n");
    let mut answer = std::pin::pin!(raw(served.address, &request));
    tokio::select! {
        _ = &mut answer => panic!("answered too early"),
        () = served.echo.entered.notified() => {}
    }
    served.shutdown.request();
    while TcpStream::connect(served.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    served.echo.release.notify_one();
    assert!(answer.await.starts_with("HTTP/1.1 200"));
    served.group.join().await.unwrap();
}

#[tokio::test]
async fn what_outlives_the_grace_period_is_cut() {
    let served = serve(Limits { grace: Duration::from_millis(10), ..Limits::default() }, None).await;
    let request = format!("GET /wait HTTP/1.1\r\n{CLOSE}\r\n");
    let mut answer = std::pin::pin!(raw(served.address, &request));
    tokio::select! {
        _ = &mut answer => panic!("answered too early"),
        () = served.echo.entered.notified() => {}
    }
    served.shutdown.request();
    let (answer, ended) = tokio::join!(answer, served.group.join());
    ended.unwrap();
    assert_eq!(answer, "");
}

#[tokio::test]
async fn a_panic_costs_one_connection_only() {
    let served = serve(Limits::default(), None).await;
    assert_eq!(raw(served.address, "GET /panic HTTP/1.1\r\nhost: x\r\n\r\n").await, "");
    assert!(raw(served.address, &format!("GET / HTTP/1.1\r\n{CLOSE}\r\n")).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_whether_announced_or_not() {
    let served = serve(Limits::default(), None).await;
    let announced = format!("POST / HTTP/1.1\r\n{CLOSE}content-length: 4000\r\n\r\n");
    let chunk = format!("800\r\n{}\r\n0\r\n\r\n", "x".repeat(0x800));
    let chunked = format!("POST / HTTP/1.1\r\n{CLOSE}transfer-encoding: chunked\r\n\r\n{chunk}");
    for request in [announced, chunked] {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut start = [0; 12];
        stream.read_exact(&mut start).await.unwrap();
        assert_eq!(std::str::from_utf8(&start).unwrap(), "HTTP/1.1 413");
    }
}

#[tokio::test]
async fn half_a_body_is_malformed_and_pieces_are_put_together() {
    let limits = BodyLimits { bytes: 10, time: Duration::from_secs(1) };
    let pieces = |pieces: Vec<Result<&'static str, std::io::Error>>| {
        http_body_util::StreamBody::new(futures_util::stream::iter(
            pieces.into_iter().map(|piece| piece.map(|text| http_body::Frame::data(Bytes::from(text)))),
        ))
    };
    let body = read_body(pieces(vec![Ok("ab"), Ok(""), Ok("cd"), Ok("ef")]), limits).await.unwrap();
    assert_eq!(body, "abcdef");
    let half = vec![Ok("ab"), Err(std::io::ErrorKind::UnexpectedEof.into())];
    assert_eq!(read_body(pieces(half), limits).await.unwrap_err().kind(), FaultKind::Malformed);
    let long = vec![Ok("12345"), Ok("123456")];
    assert_eq!(read_body(pieces(long), limits).await.unwrap_err().kind(), FaultKind::TooLarge);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_end_in_time_is_a_timeout() {
    let stream = futures_util::stream::pending::<Result<http_body::Frame<Bytes>, std::io::Error>>();
    let limits = BodyLimits { bytes: 10, time: Duration::from_secs(30) };
    let fault = read_body(http_body_util::StreamBody::new(stream), limits).await.unwrap_err();
    assert_eq!((fault.kind(), fault.message()), (FaultKind::Timeout, "it did not arrive within 30 s"));
}

struct Identity {
    cert: String,
    key: String,
}

fn identity() -> Identity {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    Identity { cert: made.cert.pem(), key: made.signing_key.serialize_pem() }
}

async fn over_tls(address: SocketAddr, server: &Identity, client: Option<&Identity>) -> std::io::Result<String> {
    let der = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(der(&server.cert)).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match client {
        None => builder.with_no_client_auth(),
        Some(client) => builder
            .with_client_auth_cert(
                vec![der(&client.cert)],
                PrivateKeyDer::from_pem_slice(client.key.as_bytes()).unwrap(),
            )
            .unwrap(),
    };
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    stream.write_all(format!("GET / HTTP/1.1\r\n{CLOSE}\r\n").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn tls_serves_and_lets_in_only_the_clients_it_should() {
    let (server, client, stranger) = (identity(), identity(), identity());
    let tls =
        |client_ca: Option<&[u8]>| Tls::from_pem(server.cert.as_bytes(), server.key.as_bytes(), client_ca).unwrap();

    let open = serve(Limits::default(), Some(tls(None))).await;
    assert!(over_tls(open.address, &server, None).await.unwrap().starts_with("HTTP/1.1 200"));
    assert!(over_tls(open.address, &stranger, None).await.is_err(), "the client must see another certificate");

    let closed = serve(Limits::default(), Some(tls(Some(client.cert.as_bytes())))).await;
    assert!(over_tls(closed.address, &server, Some(&client)).await.unwrap().starts_with("HTTP/1.1 200"));
    assert!(over_tls(closed.address, &server, Some(&stranger)).await.is_err());
    assert!(over_tls(closed.address, &server, None).await.is_err());
    assert_eq!(closed.echo.seen.load(Ordering::SeqCst), 1);
}

#[test]
fn unusable_pem_is_refused_by_part() {
    let good = identity();
    let check = |cert: &str, key: &str, ca: Option<&[u8]>, expected: &str| {
        let fault = Tls::from_pem(cert.as_bytes(), key.as_bytes(), ca).unwrap_err();
        assert_eq!(fault.message(), expected);
    };
    check("", &good.key, None, "the certificate holds no certificate in PEM");
    check(&good.cert, "secret", None, "the key is not a private key in PEM");
    check(&good.cert, &identity().key, None, "certificate and key do not fit");
    check(&good.cert, &good.key, Some(b"x"), "the client CA holds no certificate in PEM");
}
