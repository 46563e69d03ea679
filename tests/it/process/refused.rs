//! What `penstock run` refuses before anything starts: exit code 2, and the place of the mistake.

use super::sources::{hook, source, trigger};
use crate::support::{free_port, output, output_to, refused};

const NOTHING: [&str; 0] = [];

/// A flow that would run.
fn flow() -> String {
    source("http") + &hook("post", free_port(), "path: /") + &trigger("one", &["post"], &["topic: t".to_owned()])
}

/// Checks that the flow is refused because of the line `line`.
async fn check(yaml: &str, line: usize, message: &str) {
    let text = refused(yaml, NOTHING).await;
    assert!(text.contains(&format!("flow.yaml:{line}:")) && text.contains(message), "{text}");
}

#[tokio::test]
async fn mistakes_are_refused_with_their_place() {
    let unknown = flow().replace("eventSources:", "eventSource:");
    check(&unknown, 12, "did you mean \"eventSources\"?").await;
    let secret = "signature: {scheme: github, secret: {env: PENSTOCK_TEST_NEVER_SET}}";
    let message = "spec.http.post.signature.secret: environment variable PENSTOCK_TEST_NEVER_SET is not set";
    check(&(source("http") + &hook("post", free_port(), secret)), 6, message).await;
    let port = free_port();
    let twice = source("http") + &hook("one", port, "path: /in") + &hook("two", port, "path: /in");
    check(&twice, 7, &format!("spec.http.two.path: \"one\" has the path /in of port {port} already")).await;
}

#[tokio::test]
async fn what_only_a_cluster_or_a_later_version_can_run_is_refused_with_its_place() {
    let port = free_port();
    let shared = source("http")
        + &hook("one", port, "path: /in")
        + "---\n"
        + &source("http").replace("clients", "others")
        + &hook("two", port, "path: /in");
    check(&shared, 13, &format!("EventSource default/clients has this path of port {port} already")).await;
    let subscriber = "topic: t";
    let reference = "sink: {ref: {apiVersion: v1, kind: Service, name: func1}}";
    check(&flow().replace(subscriber, reference), 15, "can only be found in a cluster").await;
    let filtered = flow().replace("eventName: post}", "eventName: post, transform: {jq: .data}}");
    check(&filtered, 13, "transform.jq: changing the data by jq is not supported by this version yet").await;
    let bus = "---\napiVersion: events.openfunction.io/v1alpha1\nkind: ClusterEventBus\nmetadata: {name: default}\n";
    let bus = |from: &str| flow() + bus + "spec: {embedded: {}, allowedNamespaces: {from: " + from + "}}\n";
    check(&bus("Same"), 4, "ClusterEventBus \"default\" does not let namespace default in").await;
    check(&bus("Selector, selector: {}"), 20, "the labels of namespaces are known in a cluster only").await;
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_is_refused_with_its_place() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let check = async |cert: &str, key: &str, message: &str| {
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let (cert, key) = (file("tls.crt", cert), file("tls.key", key));
        let tls = format!("tls: {{cert: {{file: \"{cert}\"}}, key: {{file: \"{key}\"}}}}");
        let yaml = source("http") + &hook("post", free_port(), &tls);
        check(&yaml, 6, &format!("spec.http.post.tls: failed to set up TLS: {message}")).await;
    };
    let (cert, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    check("hello", &key, "the certificate holds no certificate in PEM").await;
    check(&cert, "hello", "the key is not a private key in PEM").await;
    check(&cert, &other.signing_key.serialize_pem(), "certificate and key do not fit").await;
}

#[tokio::test]
async fn nothing_to_run_and_a_wrong_command_line_are_refused() {
    let bus = "apiVersion: events.openfunction.io/v1alpha1\nkind: EventBus\nmetadata: {name: default}\nspec: {embedded: {}}\n";
    let text = refused(bus, NOTHING).await;
    assert!(text.contains("there is nothing to run: no EventSource and no Trigger in the files"), "{text}");
    let text = refused(&flow(), ["--log", "info,penstock=loud"]).await;
    assert!(text.contains("info,penstock=loud") && text.contains("write a level such as \"info\""), "{text}");
}

#[tokio::test]
async fn a_reader_that_goes_away_ends_a_command_quietly_and_does_not_change_its_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wrong.yaml");
    std::fs::write(&file, flow().replace("eventSources:", "eventSource:")).unwrap();
    let check = async |arguments: &[&str], code: i32| {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let out = output_to(writer, arguments).await;
        assert_eq!(
            (out.status.code(), String::from_utf8_lossy(&out.stderr).as_ref()),
            (Some(code), ""),
            "{arguments:?}"
        );
    };
    check(&["crd"], 0).await;
    check(&["version"], 0).await;
    check(&["check", file.to_str().unwrap()], 2).await;
    // The same, with a reader.
    assert_eq!(output(["check", file.to_str().unwrap()]).await.status.code(), Some(2));
}
