//! The Components in `components/` are right, and tell of every key.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value as Json;

use super::*;
use crate::api::Problems;
use crate::api::metadata::Metadata;
use crate::buses::{embedded, jetstream, kafka, redis};
use crate::cli::documents;
use crate::component::Factory;
use crate::fault::FaultKind;
use crate::sources::{self, cron, http, kubernetes, mqtt, nats, rabbitmq};

fn components() -> BTreeMap<String, Json> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("components");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let component = documents::read_values(&text).remove(0);
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), component)
        })
        .collect()
}

/// Names and values as daprd hands them over; a secret is some text.
fn metadata(component: &Json) -> Metadata {
    let items = component["spec"]["metadata"].as_array().unwrap().iter();
    items
        .map(|item| {
            let value = match &item["value"] {
                Json::Null => "hunter2".to_owned(),
                Json::String(text) => text.clone(),
                other => other.to_string(),
            };
            (item["name"].as_str().unwrap().to_owned(), value)
        })
        .collect()
}

#[test]
fn every_kind_has_a_component_that_its_parser_takes() {
    let components = components();
    let types: Vec<&str> = components.values().map(|component| component["spec"]["type"].as_str().unwrap()).collect();
    for kind in KINDS {
        assert!(types.contains(&format!("pubsub.{kind}").as_str()), "no Component of {kind} in {types:?}");
    }
    for (file, component) in &components {
        let mut metadata = metadata(component);
        let mut problems = Problems::new();
        match component["spec"]["type"].as_str().unwrap().split_once('.').unwrap().1 {
            "eventbus.embedded" => {
                metadata.remove("bus").unwrap();
                embedded::config::Config::from_metadata(&metadata, &mut problems);
            }
            "eventbus.redis" => {
                metadata.remove("bus").unwrap();
                redis::config::Config::from_metadata(&metadata, &mut problems).unwrap();
            }
            "eventbus.kafka" => {
                metadata.remove("bus").unwrap();
                kafka::config::Config::from_metadata(&metadata, &mut problems).unwrap();
            }
            "eventbus.jetstream" => {
                metadata.remove("bus").unwrap();
                jetstream::config::Config::from_metadata(&metadata, &mut problems).unwrap();
            }
            "eventsource.http" => {
                metadata.remove("attributes.region").unwrap();
                http::Config::from_metadata("x", &metadata, &mut problems).unwrap();
            }
            "eventsource.redis" => {
                sources::redis::Config::from_metadata("x", &metadata, &mut problems).unwrap();
            }
            "eventsource.cron" => {
                cron::Config::from_metadata(&metadata, &mut problems).unwrap();
            }
            "eventsource.kafka" => {
                sources::kafka::Config::from_metadata(&metadata, &mut problems).unwrap();
            }
            "eventsource.mqtt" => {
                mqtt::Config::from_metadata(&metadata, &mut problems).unwrap();
            }
            "eventsource.kubernetes" => {
                kubernetes::Config::from_metadata(&metadata, &mut problems).unwrap();
            }
            "eventsource.nats" => {
                nats::Config::from_metadata(&metadata, &mut problems).unwrap();
            }
            "eventsource.s3" => {
                source::s3("x", &metadata, &mut problems).unwrap();
            }
            "eventsource.rabbitmq" => {
                rabbitmq::Config::from_metadata(&metadata, &mut problems).unwrap();
            }
            other => panic!("{file}: unknown type {other}"),
        }
        assert!(problems.is_empty(), "{file}: {problems}");
        assert!(component["scopes"].is_array(), "{file} is not scoped");
    }
}

fn embedded_bus(folder: &Path) -> BusKind {
    BusKind { buses: Arc::new(Buses::new(folder.to_owned(), Clock::system())), read: bus::embedded }
}

fn pairs(pairs: &[(&str, &str)]) -> Metadata {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn components_share_a_bus_by_its_name_and_must_agree() {
    let folder = tempfile::tempdir().unwrap();
    let buses = embedded_bus(folder.path());
    buses.make("one", &pairs(&[("bus", "main")])).await.unwrap();
    buses.make("two", &pairs(&[("bus", "main")])).await.unwrap();
    let fault = buses.make("three", &pairs(&[("bus", "main"), ("dedupWindow", "1m")])).await.err().unwrap();
    assert_eq!(fault.message(), "one, two use the bus \"main\" with other settings");
    buses.make("alone", &pairs(&[])).await.unwrap();
    buses.make("alone", &pairs(&[("dedupWindow", "1m")])).await.unwrap();
    let fault = buses.make("four", &pairs(&[("bus", "../x")])).await.err().unwrap();
    assert_eq!(fault.kind(), FaultKind::Rejected);
    buses.buses.close().await.unwrap();
}

#[tokio::test]
async fn an_unknown_key_is_refused_with_the_known_ones() {
    let folder = tempfile::tempdir().unwrap();
    let fault = embedded_bus(folder.path()).make("one", &pairs(&[("retention", "1h")])).await.err().unwrap();
    assert_eq!(
        fault.message(),
        "spec.metadata.retention: unknown field \"retention\" \
         (did you mean \"retention.age\"? known: retention.age, retention.size, dedupWindow)"
    );
}

#[tokio::test]
async fn the_attributes_of_a_component_are_judged_and_the_kind_does_not_see_them() {
    let folder = tempfile::tempdir().unwrap();
    let buses = Arc::new(Buses::new(folder.path().to_owned(), Clock::system()));
    let ports = Arc::new(Ports::new(IpAddr::from([127, 0, 0, 1]), Clock::system()));
    let means = Arc::new(Means { buses, ports, clock: Clock::system() });
    let kind: Arc<dyn Factory> = Arc::new(SourceKind { means, read: source::http });
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let make = async |name: &str, value: &str| {
        let metadata = pairs(&[("port", &port), (name, value)]);
        Attributed(kind.clone()).make("hooks", &metadata).await.map(drop).map_err(|fault| fault.to_string())
    };
    make("attributes.region", "eu").await.unwrap();
    let wrong = make("attributes.id", "1").await.unwrap_err();
    assert!(wrong.contains("spec.metadata: attributes.*"), "{wrong}");
    make("attributes.a b", "1").await.unwrap_err();
}
