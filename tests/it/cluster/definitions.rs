//! The definitions of our kinds on a real API server: what was published applies as it is, what is wrong is
//! refused with its reason, and `penstock check` agrees in both.

use std::fs;
use std::path::Path;

use kube::Client;
use kube::api::{Api, PostParams};
use penstock::api::event_bus::EventBus;
use penstock::api::event_source::EventSource;
use penstock::api::trigger::Trigger;
use serde::de::DeserializeOwned;

use super::cases::{refused, taken};
use crate::published::{blocks, root};
use crate::support::{ADMIN, ApiServer, apply_foreign_crds, apply_own_crds, output};

/// What the API server says to an object of ours that is only tried: nothing, or why it is refused.
async fn tried(client: &Client, namespace: &str, kind: &str, yaml: String) -> Result<(), String> {
    let place = match kind {
        "EventSource" => format!("namespaces/{namespace}/eventsources"),
        "EventBus" => format!("namespaces/{namespace}/eventbus"),
        "ClusterEventBus" => "clustereventbus".to_owned(),
        _ => format!("namespaces/{namespace}/triggers"),
    };
    let uri = format!("/apis/events.openfunction.io/v1alpha1/{place}?dryRun=All&fieldValidation=Strict");
    let request = http::Request::post(uri).header("content-type", "application/yaml").body(yaml.into_bytes()).unwrap();
    client.request_text(request).await.map(drop).map_err(|fault| fault.to_string())
}

/// What `penstock check` says: nothing, or why it is refused.
async fn checked(folder: &Path, yaml: &str) -> Result<(), String> {
    let file = folder.join("case.yaml");
    fs::write(&file, yaml).unwrap();
    let out = output(["check".as_ref(), file.as_os_str()]).await;
    if out.status.code() == Some(0) { Ok(()) } else { Err(String::from_utf8_lossy(&out.stdout).into_owned()) }
}

/// The object of a case; `spec` is in YAML's flow style or begins with a line break.
fn object(kind: &str, spec: &str) -> String {
    format!("apiVersion: events.openfunction.io/v1alpha1\nkind: {kind}\nmetadata: {{name: x}}\nspec: {spec}\n")
}

#[tokio::test]
async fn what_is_wrong_is_refused_by_the_api_server_and_by_check() {
    let server = ApiServer::shared().await;
    let client = server.client(ADMIN).await;
    apply_own_crds(&client).await;
    let namespace = server.namespace("refused").await;
    let folder = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    let mut judge = |by: &str, yaml: &str, expected: &str, said: Result<(), String>| match said {
        Err(reason) if reason.contains(expected) => {}
        said => wrong.push(format!("{by} says {said:?}, not {expected:?}, to\n{yaml}")),
    };
    for ((kind, spec), server_says, check_says) in refused() {
        let yaml = object(kind, &spec);
        judge("check", &yaml, check_says, checked(folder.path(), &yaml).await);
        let said = tried(&client, &namespace, kind, yaml.clone()).await;
        judge("the server", &yaml, server_says, said);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn what_is_right_is_taken_by_the_api_server_and_by_check() {
    let server = ApiServer::shared().await;
    let client = server.client(ADMIN).await;
    apply_own_crds(&client).await;
    let namespace = server.namespace("taken").await;
    let folder = tempfile::tempdir().unwrap();
    for (kind, spec) in taken() {
        let yaml = object(kind, &spec);
        assert_eq!(checked(folder.path(), &yaml).await, Ok(()), "{yaml}");
        assert_eq!(tried(&client, &namespace, kind, yaml.clone()).await, Ok(()), "{yaml}");
    }
}

#[tokio::test]
async fn every_published_object_applies_as_it_is() {
    let server = ApiServer::shared().await;
    let client = server.client(ADMIN).await;
    apply_own_crds(&client).await;
    apply_foreign_crds(&client).await;
    let mut texts = Vec::new();
    let mut folders: Vec<_> = ["components", "examples", "docs"].map(|name| root().join(name)).into();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.extension().and_then(|extension| extension.to_str()) {
                None if path.is_dir() => folders.push(path),
                Some("yaml") => texts.push((path.display().to_string(), fs::read_to_string(path).unwrap())),
                Some("md") => {
                    let page = fs::read_to_string(&path).unwrap();
                    texts.extend(blocks(&page).into_iter().map(|block| (path.display().to_string(), block)));
                }
                _ => {}
            }
        }
    }
    let mut tries = 0;
    let mut wrong = Vec::new();
    for (place, text) in texts.iter().filter(|(_, text)| text.contains("kind: ")) {
        let arguments = ["create", "--dry-run=server", "--validate=strict", "-f", "-"];
        let out = server.kubectl(&arguments, text).await;
        let said = String::from_utf8_lossy(&out.stderr);
        tries += 1;
        if !out.status.success() {
            wrong.push(format!("{place}: {said}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(tries >= 20, "the published objects were not found");
}

/// Reads back an object that kubectl applied.
async fn stored<K>(client: &Client, namespace: &str, name: &str) -> K
where
    K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>
        + Clone
        + DeserializeOwned
        + std::fmt::Debug,
{
    Api::namespaced(client.clone(), namespace).get(name).await.unwrap()
}

#[tokio::test]
async fn the_documents_of_the_proposal_mean_what_they_say() {
    let server = ApiServer::shared().await;
    let client = server.client(ADMIN).await;
    apply_own_crds(&client).await;
    let namespace = server.namespace("proposal").await;
    let folder = root().join("examples/proposal");
    let arguments = ["apply", "--validate=strict", "--namespace", &namespace, "-f", folder.to_str().unwrap()];
    let out = server.kubectl(&arguments, "").await;
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let names = server.kubectl(&["get", "es,eb,tr", "--namespace", &namespace, "--output=name"], "").await;
    let names = String::from_utf8(names.stdout).unwrap();
    let name = |kind: &str| {
        let line = names.lines().find_map(|line| line.strip_prefix(&format!("{kind}.events.openfunction.io/")));
        line.unwrap_or_default().to_owned()
    };
    let source: EventSource = stored(&client, &namespace, &name("eventsource")).await;
    assert_eq!(source.spec.kafka.unwrap().len(), 1);
    assert_eq!(source.spec.workload.as_deref(), Some("deployment"), "a default");
    let bus: EventBus = stored(&client, &namespace, &name("eventbus")).await;
    assert!(bus.spec.bus.nats.unwrap().native.is_some());
    let trigger: Trigger = stored(&client, &namespace, &name("trigger")).await;
    assert!(trigger.spec.event_sources.unwrap().len() >= 2);
    assert!(trigger.spec.subscribers.iter().all(|subscriber| subscriber.condition.is_some()));
    // The status is written apart from the spec, and printed.
    let mut shown: EventBus = stored(&client, &namespace, &name("eventbus")).await;
    let ready =
        serde_json::json!({"conditions": [{"type": "Ready", "status": "True", "reason": "Connected", "message": ""}]});
    shown.status = Some(serde_json::from_value(ready).unwrap());
    let buses: Api<EventBus> = Api::namespaced(client.clone(), &namespace);
    buses.replace_status(&name("eventbus"), &PostParams::default(), &shown).await.unwrap();
    let table = server.kubectl(&["get", "eb", "--namespace", &namespace], "").await;
    let table = String::from_utf8(table.stdout).unwrap();
    let columns: Vec<&str> = table.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(columns, ["NAME", "READY", "REASON", "AGE"]);
    assert!(table.contains("Connected"), "{table}");
    // What the schema sets as a default is not written by every apply anew.
    let again = server.kubectl(&arguments, "").await;
    let said = String::from_utf8(again.stdout).unwrap();
    assert!(said.lines().all(|line| line.ends_with("unchanged")), "{said}");
}

#[tokio::test]
async fn the_shapes_of_openfunction_apply_as_they_are() {
    let server = ApiServer::shared().await;
    let client = server.client(ADMIN).await;
    apply_own_crds(&client).await;
    let text = fs::read_to_string(root().join("src/cli/check/tests/openfunction.yaml")).unwrap();
    let out = server.kubectl(&["create", "--dry-run=server", "--validate=strict", "-f", "-"], &text).await;
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let said = String::from_utf8(out.stdout).unwrap();
    assert_eq!(said.lines().count(), text.matches("\nkind: ").count(), "{said}");
}
