//! The lag of what an intake reads.

use serde_json::json;

use super::broker::{NO_MONITOR, SECRETS, kafka_access, kafka_group, nats_consumer, redis_streams};
use super::option::threshold;
use super::{Lag, Replicas, Scaler, proof, scaled_object};
use crate::api::event_source::ScaleOption;
use crate::layout::{Component, Event};
use crate::operator::child::Owner;

/// What scales the intake of these events. Nothing when no event says `scaleOption`.
///
/// # Errors
/// What is missing for a scaler.
pub fn intake(owner: &Owner, workload: &str, events: &[(Event<'_>, Component)]) -> Result<Scaler, String> {
    let mut scaler = Scaler::default();
    let (mut triggers, mut options, mut covered) = (Vec::new(), Vec::new(), 0);
    for (event, component) in events {
        let Some(option) = event.settings.get("scaleOption").filter(|option| !option.is_null()) else { continue };
        let path = event.path().field("scaleOption");
        let option: ScaleOption = serde_json::from_value(option.clone()).map_err(|error| format!("{path}: {error}"))?;
        let about = |why: String| format!("{path}: {why}");
        let (lags, parameters, heeded) = match lags(event, component, &option) {
            Ok(found) => found,
            Err(Unknown::Missing(why)) => return Err(about(why)),
            Err(Unknown::NoScaler(why)) => {
                scaler.warnings.push(about(format!("has no effect: {why}")));
                continue;
            }
        };
        for field in option.chosen().filter(|field| !heeded.contains(field)) {
            scaler.warnings.push(format!("{}: has no effect on {}", path.field(field), event.kind));
        }
        let proof = proof(component, parameters, &option, owner, workload, &mut scaler.children).map_err(about)?;
        triggers.extend(lags.into_iter().map(|lag| lag.trigger(&option, proof.as_ref())));
        options.push(option);
        covered += 1;
    }
    if covered > 0 {
        let replicas = if covered == events.len() { Replicas::AsNeeded } else { Replicas::OneAtLeast };
        scaler.children.push(scaled_object(owner, workload, triggers, &options, replicas));
    }
    Ok(scaler)
}

/// Why no lag is known.
enum Unknown {
    /// Something has to be said for it.
    Missing(String),
    /// KEDA cannot ask for it.
    NoScaler(String),
}

/// Lags, the keys of the Component that are secrets of the scaler with what it calls them, and the fields that count.
type Known = (Vec<Lag>, &'static [(&'static str, &'static str)], &'static [&'static str]);

/// What KEDA asks of the broker of an event.
fn lags(event: &Event<'_>, component: &Component, option: &ScaleOption) -> Result<Known, Unknown> {
    let known: Known = match event.kind {
        "redis" => (redis(component, option), &SECRETS, &["consumerGroup", "topic"]),
        "rabbitmq" => (vec![rabbitmq(component, option)], &SECRETS, &[]),
        "kafka" => (vec![kafka(component, option)?], &SECRETS, &["consumerGroup", "topic"]),
        "nats" => (vec![nats(component, option)?], &[], &["natsServerMonitoringEndpoint", "durableName"]),
        kind => return Err(Unknown::NoScaler(format!("there is no scaler of KEDA for {kind}"))),
    };
    Ok(known)
}

/// The group and the stream are those of the source. What was handed out and not settled is no lag to Redis, and would
/// be forgotten by a workload that sleeps.
fn redis(component: &Component, option: &ScaleOption) -> Vec<Lag> {
    let text = |key: &str| component.text(key).unwrap_or_default();
    let mut metadata = json!({
        "stream": option.topic.as_deref().unwrap_or(text("stream")),
        "consumerGroup": option.consumer_group.as_deref().unwrap_or(text("consumerGroup")),
    });
    for (key, name) in
        [("enableTLS", "enableTLS"), ("redisDB", "databaseIndex"), ("sentinelMasterName", "sentinelMaster")]
    {
        if let Some(value) = component.text(key) {
            metadata[name] = value.into();
        }
    }
    if ["tls.ca", "tls.cert", "tls.key"].iter().any(|key| component.has(key)) {
        metadata["enableTLS"] = "true".into();
    }
    let (kind, address) = match (text("redisType"), component.has("sentinelMasterName")) {
        ("cluster", _) => ("redis-cluster-streams", "addresses"),
        (_, true) => ("redis-sentinel-streams", "addresses"),
        _ => ("redis-streams", "address"),
    };
    metadata[address] = text("redisHost").into();
    redis_streams(kind, &metadata, threshold(option))
}

fn rabbitmq(component: &Component, option: &ScaleOption) -> Lag {
    let mut metadata = json!({
        "queueName": component.text("queue"), "protocol": "auto", "mode": "QueueLength",
        "value": threshold(option).to_string(),
    });
    if option.auth_ref.is_none() {
        metadata["host"] = component.text("url").into();
    }
    if component.text("tls.insecureSkipVerify") == Some("true") {
        metadata["unsafeSsl"] = "true".into();
    }
    Lag::new("rabbitmq", metadata)
}

fn kafka(component: &Component, option: &ScaleOption) -> Result<Lag, Unknown> {
    let text = |key: &str| component.text(key);
    let group = ["consumerGroup.groupName", "scaleOption.consumerGroup"].iter().find_map(|key| text(key));
    let Some(group) = group else {
        return Err(Unknown::NoScaler("one partition alone is read without a consumer group".to_owned()));
    };
    // A group that has committed nothing counts as one event behind, so that it is not asleep before it has begun.
    let oldest = text("consumerGroup.oldest") == Some("true");
    let brokers = text("brokers").or(text("url")).unwrap_or_default();
    let topic = option.topic.as_deref().or(text("topic")).unwrap_or_default();
    let offset = if oldest { "earliest" } else { "latest" };
    let mut metadata = kafka_group(brokers, topic, group, &threshold(option).to_string(), offset);
    let mechanism = text("sasl.mechanism").or((text("authRequired") == Some("true")).then_some("PLAIN"));
    let insecure = text("tls.insecureSkipVerify") == Some("true");
    let tls = insecure || ["tls.ca", "tls.cert", "tls.key"].iter().any(|key| component.has(key));
    kafka_access(&mut metadata, mechanism, tls, insecure);
    Ok(Lag::new("kafka", metadata))
}

fn nats(component: &Component, option: &ScaleOption) -> Result<Lag, Unknown> {
    let Some(stream) = component.text("jetstream.stream") else {
        return Err(Unknown::NoScaler("a core subject keeps nothing, so it has no lag".to_owned()));
    };
    let Some(endpoint) = &option.nats_server_monitoring_endpoint else {
        return Err(Unknown::Missing(NO_MONITOR.to_owned()));
    };
    let durable = option.durable_name.as_deref().or(component.text("jetstream.durable")).unwrap_or_default();
    let metadata = nats_consumer(endpoint, stream, durable, &threshold(option).to_string());
    Ok(Lag::new("nats-jetstream", metadata))
}
