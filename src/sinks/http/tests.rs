mod server;

use std::time::Duration;

use http::{HeaderValue, Uri, Version};
use jiff::Timestamp;
use server::{Server, Then, respond};

use super::{Client, Config, Endpoint, InvalidEndpoint, Sink, Success, answer};
use crate::event::codec::http::{Message, read, write_structured};
use crate::event::codec::{Format, http::write_binary};
use crate::event::{Data, Draft, Event};
use crate::fault::{Fault, FaultKind, Retry};
use crate::flow::{Accepted, Sink as _};
use crate::task::Clock;

const NOW: &str = "2024-05-01T00:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn event() -> Event {
    Draft::new("1", "/shop", "order")
        .with("datacontenttype", "application/json")
        .with("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .data(Data::Text("{\"a\": 1}"))
        .build()
        .unwrap()
}

fn client() -> Client {
    Client::new(Clock::manual(now()))
}

fn config(address: &str) -> Config {
    Config::new(Endpoint::new(address.parse().unwrap()).unwrap())
}

fn config_of(server: &Server) -> Config {
    config(&format!("http://{}/in?key=hidden", server.address))
}

async fn deliver(config: Config) -> Result<Accepted, Fault> {
    Sink::new(client(), config).deliver(&event()).await
}

#[tokio::test]
async fn binary_mode_posts_attributes_as_headers_and_data_as_body() {
    let server = Server::status(202).await;
    let accepted = deliver(config_of(&server)).await.unwrap();
    assert_eq!((accepted.code, accepted.reply), (Some(202), None));
    let request = server.requests().pop().unwrap();
    assert_eq!((request.method(), request.version()), (&http::Method::POST, Version::HTTP_11));
    assert_eq!(request.uri(), "/in?key=hidden");
    let headers = request.headers();
    assert_eq!(headers["traceparent"], "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    assert_eq!(headers["host"], server.address.to_string());
    assert!(headers["user-agent"].to_str().unwrap().starts_with("penstock/"));
    assert!(!headers.contains_key("prefer"));
    assert_eq!(&request.body()[..], b"{\"a\": 1}");
    assert_eq!(read(headers, request.body().clone()).unwrap(), Message::Event(event()));
}

#[tokio::test]
async fn structured_mode_posts_one_document() {
    let server = Server::status(200).await;
    let config = Config { structured: true, reply: true, ..config_of(&server) };
    deliver(config).await.unwrap();
    let request = server.requests().pop().unwrap();
    assert_eq!(request.headers()["content-type"], "application/cloudevents+json");
    assert_eq!(request.headers()["prefer"], "reply");
    assert!(request.headers().contains_key("traceparent"));
    assert_eq!(read(request.headers(), request.body().clone()).unwrap(), Message::Event(event()));
}

#[tokio::test]
async fn headers_of_the_sink_stand_beside_those_of_the_event() {
    let server = Server::status(200).await;
    let mut config = config_of(&server);
    for (name, value) in [("host", "fn.example"), ("x-team", "a"), ("ce-id", "other")] {
        config.headers.insert(name, HeaderValue::from_static(value));
    }
    deliver(config).await.unwrap();
    let request = server.requests().pop().unwrap();
    for (name, value) in [("host", "fn.example"), ("x-team", "a"), ("ce-id", "1")] {
        assert_eq!(request.headers().get_all(name).iter().collect::<Vec<_>>(), [value], "{name}");
    }
}

#[test]
fn the_status_decides_what_becomes_of_the_event() {
    let check = |code: u16, retry_after: Option<&'static str>, kind: FaultKind, retry: Retry| {
        let status = http::StatusCode::from_u16(code).unwrap();
        let value = retry_after.map(HeaderValue::from_static);
        assert_eq!(answer::classify(status, value.as_ref(), now()), (kind, retry), "{code} {retry_after:?}");
    };
    let never = [
        (300, FaultKind::Rejected),
        (301, FaultKind::Rejected),
        (304, FaultKind::Rejected),
        (307, FaultKind::Rejected),
        (400, FaultKind::Rejected),
        (401, FaultKind::Denied),
        (403, FaultKind::Denied),
        (405, FaultKind::Rejected),
        (407, FaultKind::Denied),
        (410, FaultKind::Rejected),
        (413, FaultKind::TooLarge),
        (414, FaultKind::TooLarge),
        (415, FaultKind::Rejected),
        (422, FaultKind::Rejected),
        (431, FaultKind::TooLarge),
        (499, FaultKind::Rejected),
        (600, FaultKind::Rejected),
    ];
    for (code, kind) in never {
        check(code, None, kind, Retry::Never);
    }
    let again = [
        (404, FaultKind::NotFound),
        (408, FaultKind::Timeout),
        (409, FaultKind::Conflict),
        (429, FaultKind::Throttled),
        (500, FaultKind::Unavailable),
        (501, FaultKind::Unavailable),
        (502, FaultKind::Unavailable),
        (503, FaultKind::Unavailable),
        (504, FaultKind::Timeout),
        (507, FaultKind::Full),
        (599, FaultKind::Unavailable),
    ];
    let two = Retry::After(Duration::from_secs(2));
    for (code, kind) in again {
        check(code, None, kind, Retry::Backoff);
        check(code, Some("2"), kind, two);
        check(code, Some("Wed, 01 May 2024 00:00:02 GMT"), kind, two);
        check(code, Some("later"), kind, Retry::Backoff);
    }
    check(413, Some("2"), FaultKind::TooLarge, two);
    check(413, Some("later"), FaultKind::TooLarge, Retry::Never);
    check(400, Some("2"), FaultKind::Rejected, Retry::Never);
    check(301, Some("2"), FaultKind::Rejected, Retry::Never);
}

#[tokio::test]
async fn a_refusal_keeps_code_and_beginning_of_the_body_and_hides_the_query() {
    let server =
        Server::http(|| respond(503, &[("retry-after", "7")], format!("no\x1b[2J disk{}", "x".repeat(4096)))).await;
    let fault = deliver(config_of(&server)).await.unwrap_err();
    assert_eq!((fault.kind(), fault.code()), (FaultKind::Unavailable, Some(503)));
    assert_eq!(fault.retry(), Retry::After(Duration::from_secs(7)));
    let body = fault.body().unwrap();
    assert!(body.starts_with("no[2J diskxxx"), "{body}");
    assert_eq!(body.len(), 1023, "1024 bytes without the control character");
    assert_eq!(
        fault.chain(),
        format!("failed to deliver: the answer is 503 Service Unavailable (address http://{}/in?...)", server.address)
    );
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_says_where_it_led() {
    let server = Server::http(|| respond(308, &[("location", "https://u:p@new.example/in?key=1")], "")).await;
    let fault = deliver(config_of(&server)).await.unwrap_err();
    assert_eq!((fault.kind(), fault.retry()), (FaultKind::Rejected, Retry::Never));
    let text = fault.to_string();
    assert!(text.contains("308 Permanent Redirect; redirects are not followed"), "{text}");
    assert!(text.contains("location https://new.example/in?..., address"), "{text}");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn allowed_status_codes_replace_every_2xx() {
    let check = async |code: u16, taken: bool| {
        let server = Server::status(code).await;
        let config = Config { success: Success::Only(vec![200, 409]), ..config_of(&server) };
        let outcome = deliver(config).await;
        assert_eq!(outcome.is_ok(), taken, "{code}: {outcome:?}");
        outcome
    };
    check(200, true).await.unwrap();
    assert_eq!(check(409, true).await.unwrap().code, Some(409));
    let fault = check(202, false).await.unwrap_err();
    assert_eq!(fault.retry(), Retry::Backoff, "a success that the list does not name is tried again");
    assert!(fault.message().contains("not among the allowed status codes"), "{fault}");
}

#[tokio::test]
async fn an_answer_that_is_none_is_retried() {
    const BROKE: &str = "the connection broke before an answer came";
    const WITHIN: &str = "the connection broke within the answer";
    const LATE: &str = "no whole answer within 200ms";
    let check = async |answer: &'static str, then: Then, kind: FaultKind, message: &str| {
        let server = Server::raw(answer, then).await;
        let timeout = match then {
            Then::Close => Duration::from_secs(60),
            Then::Wait => Duration::from_millis(200),
        };
        let fault = deliver(Config { timeout, ..config_of(&server) }).await.unwrap_err();
        assert_eq!((fault.kind(), fault.retry()), (kind, Retry::Backoff), "{answer:?}: {fault:?}");
        assert_eq!(fault.message(), message, "{answer:?}: {fault:?}");
    };
    check("", Then::Close, FaultKind::Unavailable, BROKE).await;
    check("SSH-2.0-OpenSSH_9.6\r\n", Then::Close, FaultKind::Unavailable, BROKE).await;
    check("HTTP/1.1 200 OK\r\ncontent-le", Then::Close, FaultKind::Unavailable, BROKE).await;
    check("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab", Then::Close, FaultKind::Unavailable, WITHIN).await;
    check(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\nzz",
        Then::Close,
        FaultKind::Unavailable,
        WITHIN,
    )
    .await;
    check("", Then::Wait, FaultKind::Timeout, LATE).await;
    check("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab", Then::Wait, FaultKind::Timeout, LATE).await;
}

#[tokio::test]
async fn a_host_that_refuses_is_unavailable() {
    // Bound, so that nobody else gets the port, but not listening.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let fault = deliver(config(&format!("http://{}/", socket.local_addr().unwrap()))).await.unwrap_err();
    assert_eq!((fault.kind(), fault.retry(), fault.code()), (FaultKind::Unavailable, Retry::Backoff, None));
    assert!(fault.chain().contains("cannot connect"), "{}", fault.chain());
}

#[tokio::test]
async fn a_body_that_is_not_wanted_is_cut_and_the_status_counts() {
    let server = Server::http(|| respond(200, &[], vec![b'x'; 16 * 1024 * 1024])).await;
    let accepted = deliver(config_of(&server)).await.unwrap();
    assert_eq!((accepted.code, accepted.reply), (Some(200), None));
}

#[tokio::test]
async fn connections_are_used_again_by_all_sinks_of_a_client() {
    let check = async |code: u16, http2: bool, length: usize| {
        let server = Server::http(move || respond(code, &[], vec![b'x'; length])).await;
        let client = client();
        for _ in 0..3 {
            let sink = Sink::new(client.clone(), Config { http2, ..config_of(&server) });
            for _ in 0..3 {
                assert_eq!(sink.deliver(&event()).await.is_ok(), code == 200);
            }
        }
        let requests = server.requests();
        assert_eq!((server.connections(), requests.len()), (1, 9), "{code} {http2} {length}");
        let version = if http2 { Version::HTTP_2 } else { Version::HTTP_11 };
        assert!(requests.iter().all(|request| request.version() == version));
    };
    check(200, false, 0).await;
    check(200, false, answer::MAX_UNWANTED).await;
    check(500, false, 1000).await;
    check(200, true, 1000).await;
}

#[tokio::test]
async fn https_negotiates_http2_and_trusts_only_its_authorities() {
    let (server, trust) = Server::https(|| respond(204, &[], "")).await;
    let config = config(&format!("https://{}/", server.address));
    let trusting = Sink::new(Client::with_tls(trust, Clock::manual(now())), config.clone());
    assert_eq!(trusting.deliver(&event()).await.unwrap().code, Some(204));
    assert_eq!(trusting.deliver(&event()).await.unwrap().code, Some(204));
    assert_eq!(server.connections(), 1);
    assert!(server.requests().iter().all(|request| request.version() == Version::HTTP_2));

    let (stranger, _) = Server::https(|| respond(204, &[], "")).await;
    let config = self::config(&format!("https://{}/", stranger.address));
    let (_, other) = Server::https(|| respond(204, &[], "")).await;
    let fault = Sink::new(Client::with_tls(other, Clock::manual(now())), config).deliver(&event()).await.unwrap_err();
    assert_eq!((fault.kind(), fault.retry()), (FaultKind::Unavailable, Retry::Backoff));
    assert!(fault.chain().contains("certificate"), "{}", fault.chain());
    assert!(stranger.requests().is_empty());
}

#[tokio::test]
async fn a_reply_is_taken_only_where_one_is_wanted() {
    fn answer() -> http::Response<http_body_util::Full<bytes::Bytes>> {
        let mut response = respond(200, &[], "");
        *response.body_mut() = http_body_util::Full::new(write_binary(&event(), response.headers_mut()));
        response
    }
    let server = Server::http(answer).await;
    assert_eq!(deliver(config_of(&server)).await.unwrap().reply, None);
    let reply = deliver(Config { reply: true, ..config_of(&server) }).await.unwrap().reply;
    assert_eq!(reply, Some(event()));
}

#[tokio::test]
async fn an_answer_is_a_reply_or_none_or_a_fault_that_says_why() {
    const JSON: &str = "application/cloudevents+json";
    const BATCH: &str = "application/cloudevents-batch+json";
    let one = String::from_utf8(write_structured(&event(), Format::Json).1.to_vec()).unwrap();
    let ask = async |content_type: &'static str, body: String| {
        let server = Server::http(move || respond(200, &[("content-type", content_type)], body.clone())).await;
        deliver(Config { reply: true, ..config_of(&server) }).await.map(|accepted| accepted.reply)
    };
    let refused = async |content_type: &'static str, body: String, kind: FaultKind| {
        let fault = ask(content_type, body).await.unwrap_err();
        assert_eq!((fault.kind(), fault.retry(), fault.code()), (kind, Retry::Never, Some(200)), "{fault}");
        assert_eq!(fault.operation(), "read the reply");
    };
    assert_eq!(ask(JSON, one.clone()).await.unwrap(), Some(event()));
    assert_eq!(ask(BATCH, format!("[{one}]")).await.unwrap(), Some(event()));
    assert_eq!(ask(BATCH, "[]".to_owned()).await.unwrap(), None);
    assert_eq!(ask("application/json", "{\"ok\": true}".to_owned()).await.unwrap(), None);
    assert_eq!(ask("text/html", "x".repeat(2 * answer::MAX_REPLY)).await.unwrap(), None);
    refused(JSON, "{}".to_owned(), FaultKind::Malformed).await;
    refused(BATCH, format!("[{one},{one}]"), FaultKind::Unsupported).await;
    refused(JSON, " ".repeat(2 * answer::MAX_REPLY), FaultKind::TooLarge).await;
}

#[test]
fn an_endpoint_is_an_absolute_address_without_credentials() {
    let check = |text: &str, expected: Result<&str, InvalidEndpoint>| {
        let shown = Endpoint::new(text.parse::<Uri>().unwrap()).map(|endpoint| endpoint.display());
        assert_eq!(shown, expected.map(str::to_owned), "{text}");
    };
    check("http://host", Ok("http://host/"));
    check("https://host:8443/a/b", Ok("https://host:8443/a/b"));
    check("HTTP://[::1]:80/a?code=secret", Ok("http://[::1]:80/a?..."));
    check("/a", Err(InvalidEndpoint::NotAbsolute));
    check("host:80", Err(InvalidEndpoint::NotAbsolute));
    check("ftp://host/a", Err(InvalidEndpoint::NotAbsolute));
    check("http://user:password@host/", Err(InvalidEndpoint::Credentials));
    check("http://user@host/", Err(InvalidEndpoint::Credentials));
    check("http://:80/", Err(InvalidEndpoint::NoHost));
}
