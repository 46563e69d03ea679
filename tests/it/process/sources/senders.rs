//! Who may send: signatures, bearer tokens, TLS.

use std::path::Path;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use hyper_util::rt::TokioExecutor;
use ring::hmac;

use super::Flow;

/// A push as GitHub sends it; the spaces must survive.
const PUSH: &str = "{\"ref\": \"refs/heads/main\",  \"after\":\"6dcb09b5\"}";

fn sign(secret: &str, text: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), text.as_bytes())
}

fn hex(tag: &hmac::Tag) -> String {
    data_encoding::HEXLOWER.encode(tag.as_ref())
}

/// A folder as `--secrets-dir` wants it, with the secret `hooks/token`.
fn secrets(folder: &Path, value: &str) -> String {
    let secrets = folder.join("secrets");
    std::fs::create_dir_all(secrets.join("hooks")).unwrap();
    std::fs::write(secrets.join("hooks/token"), format!("{value}\n")).unwrap();
    secrets.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_github_push_is_taken_only_with_its_signature_wherever_the_secret_is_kept() {
    let hooks = [
        ("mounted", "signature: {scheme: github, secret: {secretKeyRef: {name: hooks, key: token}}}"),
        ("environment", "signature: {scheme: github, secret: {env: GITHUB_SECRET}}"),
    ];
    let flow = Flow::start_with(&hooks, |run, folder| {
        run.with(["--secrets-dir", &secrets(folder, "s3cret-mounted")]).env("GITHUB_SECRET", "s3cret-environment")
    })
    .await;
    let push = async |path: &str, id: &str, signature: &str| {
        let mut headers =
            vec![("content-type", "application/json"), ("x-github-event", "push"), ("x-github-delivery", id)];
        if !signature.is_empty() {
            headers.push(("x-hub-signature-256", signature));
        }
        flow.post(path, &headers, PUSH).await
    };
    for (path, secret, other) in
        [("/mounted", "s3cret-mounted", "s3cret-environment"), ("/environment", "s3cret-environment", "s3cret-mounted")]
    {
        let refused = push(path, "forged", &format!("sha256={}", hex(&sign(other, PUSH)))).await;
        assert_eq!((refused.code, refused.body.as_str()), (401, "the signature does not match\n"));
        let refused = push(path, "changed", &format!("sha256={}", hex(&sign(secret, "{}")))).await;
        assert_eq!((refused.code, refused.body.as_str()), (401, "the signature does not match\n"));
        let refused = push(path, "unsigned", "").await;
        assert_eq!((refused.code, refused.body.as_str()), (401, "the header x-hub-signature-256 is missing\n"));
        let taken = push(path, &path[1..], &format!("sha256={}", hex(&sign(secret, PUSH)))).await;
        assert_eq!(taken.code, 202, "{taken:?}");
    }
    assert!(!flow.process.log().contains("s3cret"), "{}", flow.process.log());

    let receiver = flow.delivers_only(&["environment", "mounted"]).await;
    for seen in receiver.seen() {
        assert_eq!(seen.header("ce-source"), format!("/default/clients/{}", seen.header("ce-id")));
        assert_eq!((seen.header("ce-type"), seen.header("ce-subject")), ("events.openfunction.io.http", "push"));
        assert_eq!((seen.header("content-type"), &seen.body[..]), ("application/json", PUSH.as_bytes()));
    }
}

#[tokio::test]
async fn a_stripe_event_is_taken_only_while_its_signature_is_young() {
    let hooks = [("stripe", "signature: {scheme: stripe, secret: {env: STRIPE_SECRET}}")];
    let flow = Flow::start_with(&hooks, |run, _| run.env("STRIPE_SECRET", "whsec")).await;
    let send = async |id: &str, secret: &str, age: u64| {
        let body = format!("{{\"id\": \"{id}\", \"type\": \"invoice.paid\", \"data\": {{}}}}");
        let at = UNIX_EPOCH.elapsed().unwrap().as_secs() - age;
        let signature = format!("t={at},v1={}", hex(&sign(secret, &format!("{at}.{body}"))));
        flow.post("/stripe", &[("stripe-signature", signature.as_str())], body).await
    };
    // Stripe's own tolerance is five minutes.
    let refused = send("evt_old", "whsec", 301).await;
    assert_eq!((refused.code, refused.body.as_str()), (401, "the signature's time is more than 300 s away\n"));
    let refused = send("evt_forged", "guess", 0).await;
    assert_eq!((refused.code, refused.body.as_str()), (401, "the signature does not match\n"));
    assert_eq!(send("evt_young", "whsec", 0).await.code, 202);
    let receiver = flow.delivers_only(&["evt_young"]).await;
    assert_eq!(receiver.seen()[0].header("ce-subject"), "invoice.paid");
}

#[tokio::test]
async fn a_generic_signature_may_be_base64_under_a_header_and_prefix_of_its_own() {
    let settings = "signature: {scheme: hmac, header: X-Sign, encoding: base64, prefix: \"v1,\", secret: {env: KEY}}";
    let flow = Flow::start_with(&[("partner", settings)], |run, _| run.env("KEY", "k3y")).await;
    let send = async |id: &str, signature: &str| {
        flow.post("/partner", &[("idempotency-key", id), ("x-sign", signature)], "order 7").await.code
    };
    let good = data_encoding::BASE64.encode(sign("k3y", "order 7").as_ref());
    let forged = data_encoding::BASE64.encode(sign("key", "order 7").as_ref());
    assert_eq!(send("forged", &format!("v1,{forged}")).await, 401);
    assert_eq!(send("bare", &good).await, 401);
    assert_eq!(send("hex", &format!("v1,{}", hex(&sign("k3y", "order 7")))).await, 401);
    assert_eq!(send("signed", &format!("v1,{good}")).await, 202);
    let receiver = flow.delivers_only(&["signed"]).await;
    assert_eq!(receiver.seen()[0].body, "order 7");
}

#[tokio::test]
async fn a_bearer_token_opens_the_door_and_nothing_else_does() {
    let flow = Flow::start_with(&[("api", "bearer: {env: API_TOKEN}")], |run, _| run.env("API_TOKEN", "t0ken")).await;
    let send = async |id: &str, authorization: Option<&str>| {
        let mut headers = vec![("webhook-id", id)];
        headers.extend(authorization.map(|value| ("authorization", value)));
        flow.post("/api", &headers, "{}").await
    };
    for (id, authorization, reason) in [
        ("wrong", Some("Bearer t0ke"), "the bearer token is wrong\n"),
        ("basic", Some("Basic t0ken"), "a bearer token is needed\n"),
        ("none", None, "a bearer token is needed\n"),
    ] {
        let refused = send(id, authorization).await;
        assert_eq!((refused.code, refused.body.as_str()), (401, reason), "{id}");
        assert_eq!(refused.headers["www-authenticate"], "Bearer", "{id}");
    }
    assert_eq!(send("right", Some("Bearer t0ken")).await.code, 202);
    assert!(!flow.process.log().contains("t0ke"), "{}", flow.process.log());
    flow.delivers_only(&["right"]).await;
}

#[tokio::test]
async fn a_webhook_over_tls_takes_its_certificate_from_files() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let pem = tempfile::tempdir().unwrap();
    let (cert, key) = (pem.path().join("tls.crt"), pem.path().join("tls.key"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let tls = format!("tls: {{cert: {{file: \"{}\"}}, key: {{file: \"{}\"}}}}", cert.display(), key.display());
    let flow = Flow::start(&[("secure", &tls)]).await;

    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let https = hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(config).https_only().enable_http1();
    let client = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(https.build());
    let request = Request::post(format!("https://localhost:{}/secure", flow.port)).header("webhook-id", "sealed");
    let answer = client.request(request.body(Full::new(Bytes::from("hi"))).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 202);
    // Who does not speak TLS gets no answer.
    flow.client.get(&flow.uri("/secure")).await.unwrap_err();
    flow.delivers_only(&["sealed"]).await;
}
