//! The kubernetes source on a real API server: every change once it began, whoever is killed in between.

use std::collections::BTreeSet;
use std::path::Path;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value as Json, json};

use super::{source, trigger};
use crate::support::{ADMIN, ApiServer, GUEST, Penstock, Receiver, Run, Seen, eventually, sink};

/// A flow from the event `maps` (the inside of a YAML flow mapping) to a receiver.
fn write_flow(folder: &Path, settings: &str, receiver: &Receiver) {
    let yaml = source("kubernetes")
        + &format!("    maps: {{{settings}}}\n")
        + &trigger("all", &["maps"], &[sink(&receiver.uri("/"))]);
    std::fs::write(folder.join("flow.yaml"), yaml).unwrap();
}

fn run(folder: &Path, server: &ApiServer, user: &str) -> Run {
    Run::new(folder).env("KUBECONFIG", server.kubeconfig(user).display().to_string())
}

/// Waits until a process watches, for the first or for the `times`-th time.
async fn watching(process: &Penstock, times: usize) {
    let said = "watching Kubernetes objects";
    eventually("it watches", || async { process.log().matches(said).count() >= times }).await;
}

fn map(name: &str, labels: Json, value: &str) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": name, "labels": labels}, "data": {"value": value}})).unwrap()
}

async fn create(maps: &Api<ConfigMap>, name: &str) {
    maps.create(&PostParams::default(), &map(name, json!({"app": "shop"}), "1")).await.unwrap();
}

async fn change(maps: &Api<ConfigMap>, name: &str, value: &str) {
    let patch = Patch::Merge(json!({"data": {"value": value}}));
    maps.patch(name, &PatchParams::default(), &patch).await.unwrap();
}

/// What arrived: the last word of the type, and the name of the object.
fn arrived(receiver: &Receiver) -> Vec<(String, String)> {
    let seen = receiver.seen();
    let told = seen.iter().map(|seen| {
        let word = seen.header("ce-type").rsplit('.').next().unwrap_or_default().to_owned();
        (word, seen.header("ce-name").to_owned())
    });
    told.collect()
}

async fn arrives(receiver: &Receiver, word: &str, name: &str) {
    let wanted = (word.to_owned(), name.to_owned());
    eventually(&format!("{name} is {word}"), || async { arrived(receiver).contains(&wanted) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_become_events_and_what_is_not_asked_for_does_not() {
    let server = ApiServer::shared().await;
    let [namespace, other] = [server.namespace("one").await, server.namespace("two").await];
    let client = server.client(ADMIN).await;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &namespace);
    let others: Api<ConfigMap> = Api::namespaced(client.clone(), &other);
    create(&maps, "before").await;
    let (folder, receiver) = (tempfile::tempdir().unwrap(), Receiver::start().await);
    let watched = "apiVersion: v1, kind: ConfigMap";
    let chosen = "labelSelector: app=shop, fieldSelector: metadata.name!=hidden";
    write_flow(folder.path(), &format!("{watched}, namespaces: [{namespace}, {other}], {chosen}"), &receiver);
    let process = run(folder.path(), &server, ADMIN).start().await;
    watching(&process, 2).await;
    create(&maps, "hidden").await;
    maps.create(&PostParams::default(), &map("unlabelled", json!({}), "1")).await.unwrap();
    create(&maps, "a").await;
    create(&others, "b").await;
    change(&maps, "a", "2").await;
    change(&maps, "before", "2").await;
    maps.delete("a", &DeleteParams::default()).await.unwrap();
    for (word, name) in [("added", "a"), ("added", "b"), ("modified", "a"), ("deleted", "a"), ("modified", "before")] {
        arrives(&receiver, word, name).await;
    }
    assert_eq!(process.stop().await, Some(0));
    let seen = receiver.seen();
    assert_eq!(seen.len(), 5, "{:?}", arrived(&receiver));
    let find = |word: &str, name: &str| {
        let is = |seen: &&Seen| seen.header("ce-type").ends_with(word) && seen.header("ce-name") == name;
        seen.iter().find(is).unwrap()
    };
    let added = find("added", "a");
    assert_eq!(added.header("ce-type"), "events.openfunction.io.kubernetes.added");
    assert_eq!(added.header("ce-source"), "/default/clients/maps");
    assert_eq!(added.header("ce-subject"), format!("/api/v1/namespaces/{namespace}/configmaps/a"));
    assert_eq!((added.header("ce-kind"), added.header("ce-namespace")), ("ConfigMap", namespace.as_str()));
    let body: Json = serde_json::from_slice(&added.body).unwrap();
    assert_eq!((&body["kind"], &body["data"]["value"]), (&json!("ConfigMap"), &json!("1")));
    let [uid, version] = ["uid", "resourceVersion"].map(|name| body["metadata"][name].as_str().unwrap().to_owned());
    assert_eq!(added.header("ce-id"), format!("{uid}/{version}/added"));
    let modified: Json = serde_json::from_slice(&find("modified", "a").body).unwrap();
    assert_eq!(modified["data"]["value"], "2");
    // Of another watch, the mark of this one says nothing; of an object's metadata alone, no content comes.
    write_flow(
        folder.path(),
        &format!("{watched}, namespaces: [{namespace}], object: metadata, events: [deleted]"),
        &receiver,
    );
    let process = run(folder.path(), &server, ADMIN).start().await;
    watching(&process, 1).await;
    create(&maps, "c").await;
    maps.delete("c", &DeleteParams::default()).await.unwrap();
    arrives(&receiver, "deleted", "c").await;
    assert_eq!(process.stop().await, Some(0));
    assert_eq!(receiver.count(), 6, "{:?}", arrived(&receiver));
    let seen = receiver.seen();
    let body: Json = serde_json::from_slice(&seen[5].body).unwrap();
    assert_eq!((&body["kind"], body.get("data")), (&json!("ConfigMap"), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_end_the_process_with_the_reason() {
    let server = ApiServer::shared().await;
    let namespace = server.namespace("refusals").await;
    let (folder, receiver) = (tempfile::tempdir().unwrap(), Receiver::start().await);
    let refused = async |settings: &str, user: &str, reason: &str| {
        write_flow(folder.path(), settings, &receiver);
        let (code, log) = run(folder.path(), &server, user).spawn().log_when_ended().await;
        assert_eq!(code, Some(1), "{log}");
        assert!(log.contains(reason), "{log}");
    };
    let maps = format!("apiVersion: v1, kind: ConfigMap, namespaces: [{namespace}]");
    let denied = format!(
        "configmaps is forbidden: User \"guest\" cannot list resource \"configmaps\" in API group \"\" in the namespace \"{namespace}\""
    );
    refused(&maps, GUEST, &denied).await;
    refused(&maps, "nobody", "Unauthorized").await;
    refused("apiVersion: v1, kind: ConfigMop", ADMIN, "the API server knows no kind ConfigMop of v1").await;
    refused("apiVersion: shop.example/v1, kind: Order", ADMIN, "the API server knows no kind Order of shop.example/v1")
        .await;
    refused("apiVersion: v1, kind: Namespace, namespaces: [a]", ADMIN, "are in no namespace").await;
    refused(&format!("{maps}, fieldSelector: data.value=1"), ADMIN, "data.value").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_change_is_lost_when_the_process_is_killed_or_away() {
    let server = ApiServer::shared().await;
    let namespace = server.namespace("killed").await;
    let maps: Api<ConfigMap> = Api::namespaced(server.client(ADMIN).await, &namespace);
    let (folder, receiver) = (tempfile::tempdir().unwrap(), Receiver::start().await);
    write_flow(folder.path(), &format!("apiVersion: v1, kind: ConfigMap, namespaces: [{namespace}]"), &receiver);
    let mut made = 0;
    for round in 1..=4 {
        let process = run(folder.path(), &server, ADMIN).start().await;
        watching(&process, 1).await;
        for _ in 0..20 {
            made += 1;
            create(&maps, &format!("m{made}")).await;
        }
        // Somewhere in the middle of them.
        eventually("some have arrived", || async { receiver.count() >= 20 * round / 2 }).await;
        process.kill().await;
        // While nobody watches: added, changed, deleted.
        create(&maps, &format!("away{round}")).await;
        change(&maps, &format!("away{round}"), "2").await;
        maps.delete(&format!("m{made}"), &DeleteParams::default()).await.unwrap();
    }
    let process = run(folder.path(), &server, ADMIN).start().await;
    let all: BTreeSet<(String, String)> = (1..=made)
        .map(|number| ("added".to_owned(), format!("m{number}")))
        .chain((1..=4).flat_map(|round| {
            let away = format!("away{round}");
            [
                ("added".to_owned(), away.clone()),
                ("modified".to_owned(), away),
                ("deleted".to_owned(), format!("m{}", round * 20)),
            ]
        }))
        .collect();
    eventually("every change arrives", || async { arrived(&receiver).into_iter().collect::<BTreeSet<_>>() == all })
        .await;
    assert_eq!(process.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_is_killed_is_waited_for() {
    let mut server = ApiServer::start().await;
    let namespace = server.namespace("outage").await;
    let (folder, receiver) = (tempfile::tempdir().unwrap(), Receiver::start().await);
    let backoff = "connectionBackoff: {duration: 100ms, cap: 1s}";
    write_flow(
        folder.path(),
        &format!("apiVersion: v1, kind: ConfigMap, namespaces: [{namespace}], {backoff}"),
        &receiver,
    );
    let process = run(folder.path(), &server, ADMIN).start().await;
    watching(&process, 1).await;
    let maps: Api<ConfigMap> = Api::namespaced(server.client(ADMIN).await, &namespace);
    create(&maps, "a").await;
    create(&maps, "gone").await;
    arrives(&receiver, "added", "gone").await;
    process.signal(rustix::process::Signal::STOP);
    // Nobody reads these from the API server that is killed, and the next one does not have them: it answers 410.
    create(&maps, "b").await;
    change(&maps, "a", "2").await;
    maps.delete("gone", &DeleteParams::default()).await.unwrap();
    server.kill();
    process.signal(rustix::process::Signal::CONT);
    server.run().await;
    for (word, name) in [("added", "b"), ("modified", "a"), ("deleted", "gone")] {
        arrives(&receiver, word, name).await;
    }
    let maps: Api<ConfigMap> = Api::namespaced(server.client(ADMIN).await, &namespace);
    create(&maps, "c").await;
    arrives(&receiver, "added", "c").await;
    let once: BTreeSet<_> = arrived(&receiver).into_iter().collect();
    assert_eq!((once.len(), receiver.count()), (6, 6), "{:?}", arrived(&receiver));
    // The API server is away when the process starts.
    assert_eq!(process.stop().await, Some(0));
    server.kill();
    let process = run(folder.path(), &server, ADMIN).start().await;
    eventually("it tries", || async { process.log().contains("no connection to the Kubernetes API") }).await;
    server.run().await;
    watching(&process, 1).await;
    let maps: Api<ConfigMap> = Api::namespaced(server.client(ADMIN).await, &namespace);
    create(&maps, "d").await;
    arrives(&receiver, "added", "d").await;
    assert_eq!(process.stop().await, Some(0));
}
