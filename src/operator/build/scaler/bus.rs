//! The lag of what a router reads: of its consumer on each topic, of its retry topic, and of what waits for its time.
//!
//! A subscriber that joins events, gathers them, keeps their order or waits for a time has a place of its own in its
//! topics that no broker knows of, and one router at a time decides for it: its router stays, alone.

use std::collections::BTreeMap;

use serde_json::json;

use super::broker::{NO_MONITOR, SECRETS, kafka_access, kafka_group, nats_consumer, redis_streams};
use super::option::{merged, threshold};
use super::{Lag, Replicas, Scaler, proof, scaled_object};
use crate::api::event_source::ScaleOption;
use crate::buses::jetstream::config::names as jetstream;
use crate::buses::kafka::config as kafka;
use crate::buses::redis::config as redis;
use crate::layout::Component;
use crate::operator::build::Bus;
use crate::operator::child::Owner;
use crate::operator::names;
use crate::router::route::{Trigger, retry_topic};

/// More events than ever wait: what is counted against it asks for one replica and no more.
const NEVER: &str = "1000000000";

/// A router.
#[derive(Debug)]
pub struct Reader<'a> {
    pub workload: &'a str,
    /// Its consumer group.
    pub group: &'a str,
    pub bus: &'a Bus,
    /// Each with what it says of its own.
    pub triggers: Vec<(&'a Trigger, Option<&'a ScaleOption>)>,
}

/// Which topics the lag is of, and how many events of each a replica is for.
type Topics = BTreeMap<String, u64>;

/// What scales a router. Nothing when neither its Triggers nor their bus say `scaleOption`.
///
/// # Errors
/// What is missing for a scaler.
pub fn router(owner: &Owner, reader: &Reader<'_>) -> Result<Scaler, String> {
    let Reader { workload, group, bus, triggers } = reader;
    let streaming = bus.spec.nats_streaming.as_ref().and_then(|streaming| streaming.scale_option.as_ref());
    let inherited = merged(bus.spec.scale_option.as_ref(), streaming);
    let mut scaler = Scaler::default();
    let (mut topics, mut options, mut path) = (Topics::new(), Vec::new(), "spec.scaleOption".to_owned());
    for (trigger, own) in triggers {
        let Some(option) = merged(*own, inherited.as_ref()) else { continue };
        if own.is_none() {
            path = format!("spec.scaleOption of {}", bus.title());
        }
        let threshold = threshold(&option);
        for topic in consumed(trigger) {
            let least = topics.entry(topic.to_owned()).or_insert(threshold);
            *least = threshold.min(*least);
        }
        options.push(option);
    }
    let Some(threshold) = options.iter().map(threshold).min() else { return Ok(scaler) };
    topics.insert(retry_topic(group), threshold);
    // One Deployment serves all of them.
    let option = options.iter().skip(1).fold(options.first().cloned(), |all, one| merged(all.as_ref(), Some(one)));
    let option = option.unwrap_or_default();
    let about = |why: String| format!("{path}: {why}");
    let (component, _) = bus.made(owner, workload)?;
    let Some((lags, parameters)) = lags(&component, bus, group, &topics, &option).map_err(about)? else {
        scaler.warnings.push(about(format!(
            "has no effect: no lag is known of {}; write a ScaledObject of your own for the Deployment {workload}",
            component.ty
        )));
        return Ok(scaler);
    };
    let alone =
        triggers.iter().flat_map(|(trigger, _)| &trigger.subscribers).find(|subscriber| subscriber.join.is_some());
    let replicas = match alone {
        Some(subscriber) => {
            scaler.warnings.push(about(format!(
                "one replica stays, because the subscriber {:?} joins or gathers events, or keeps their order",
                subscriber.name
            )));
            Replicas::One
        }
        None if options.len() < triggers.len() => Replicas::OneAtLeast,
        None => Replicas::AsNeeded,
    };
    let proof = proof(&component, parameters, &option, owner, workload, &mut scaler.children).map_err(about)?;
    let triggers = lags.into_iter().map(|lag| lag.trigger(&option, proof.as_ref())).collect();
    scaler.children.push(scaled_object(owner, workload, triggers, &options, replicas));
    Ok(scaler)
}

/// The topics that are read in the name of the group: not those that are read for joins alone.
fn consumed(trigger: &Trigger) -> impl Iterator<Item = &str> {
    let inputs = trigger.inputs.iter().enumerate();
    inputs.filter(|(input, _)| !is_only_joined(trigger, *input)).map(|(_, input)| input.topic.as_str())
}

fn is_only_joined(trigger: &Trigger, input: usize) -> bool {
    let fires = trigger.subscribers.iter().any(|subscriber| subscriber.fires.contains(&input));
    let joins = trigger.subscribers.iter().filter_map(|subscriber| subscriber.join.as_ref());
    !fires && joins.into_iter().any(|join| join.rules.wants(input))
}

/// Lags, and the keys of the bus's Component that are secrets of the scaler, with what it calls them.
type Known = (Vec<Lag>, &'static [(&'static str, &'static str)]);

/// What KEDA asks of the bus. `None` when it cannot ask.
fn lags(
    component: &Component,
    bus: &Bus,
    group: &str,
    topics: &Topics,
    option: &ScaleOption,
) -> Result<Option<Known>, String> {
    let of = names::bus(&bus.namespace, &bus.name);
    Ok(match component.ty.as_str() {
        "pubsub.eventbus.jetstream" => Some((in_jetstream(component, &of, group, topics, option)?, &[])),
        "pubsub.eventbus.redis" => Some((in_redis(bus, &of, group, topics), &SECRETS)),
        "pubsub.eventbus.kafka" => Some((in_kafka(bus, &of, group, topics), &SECRETS)),
        _ => None,
    })
}

/// What waits for its time is in one stream for all.
fn in_jetstream(
    component: &Component,
    of: &str,
    group: &str,
    topics: &Topics,
    option: &ScaleOption,
) -> Result<Vec<Lag>, String> {
    let endpoint = option.nats_server_monitoring_endpoint.as_ref().ok_or(NO_MONITOR)?;
    let stream = component.text("stream").map_or_else(|| jetstream::stream("", of), str::to_owned);
    let mut lags: Vec<Lag> = topics
        .iter()
        .map(|(topic, threshold)| {
            let consumer = jetstream::consumer(topic, group);
            Lag::new("nats-jetstream", nats_consumer(endpoint, &stream, &consumer, &threshold.to_string()))
        })
        .collect();
    let waiting = nats_consumer(endpoint, &jetstream::delayed_stream(&stream), jetstream::MOVER, NEVER);
    lags.push(Lag::awake("nats-jetstream", waiting));
    Ok(lags)
}

/// What waits for its time is in a sorted set beside the retry topic.
fn in_redis(bus: &Bus, of: &str, group: &str, topics: &Topics) -> Vec<Lag> {
    let spec = bus.spec.redis.clone().unwrap_or_default();
    let mut metadata = json!({});
    if spec.tls.is_some() {
        metadata["enableTLS"] = "true".into();
    }
    if let Some(db) = spec.db {
        metadata["databaseIndex"] = db.to_string().into();
    }
    let (streams, set) = if let Some(sentinel) = &spec.sentinel {
        metadata["sentinelMaster"] = sentinel.master.as_str().into();
        metadata["addresses"] = sentinel.addresses.join(",").into();
        ("redis-sentinel-streams", "redis-sentinel")
    } else {
        let (address, streams, set) = match spec.cluster {
            Some(true) => ("addresses", "redis-cluster-streams", "redis-cluster"),
            _ => ("address", "redis-streams", "redis"),
        };
        metadata[address] = spec.address.unwrap_or_default().into();
        (streams, set)
    };
    let prefix = redis::prefix("", of);
    let mut lags = Vec::new();
    for (topic, threshold) in topics {
        let mut metadata = metadata.clone();
        metadata["stream"] = redis::stream(&prefix, topic).into();
        metadata["consumerGroup"] = group.into();
        lags.extend(redis_streams(streams, &metadata, *threshold));
    }
    metadata["listName"] = redis::delayed(&redis::stream(&prefix, &retry_topic(group))).into();
    metadata["listLength"] = NEVER.into();
    lags.push(Lag::awake(set, metadata));
    lags
}

/// What waits for its time is in one topic for all.
fn in_kafka(bus: &Bus, of: &str, group: &str, topics: &Topics) -> Vec<Lag> {
    let spec = bus.spec.kafka.clone().unwrap_or_default();
    let metadata = |topic: &str, group: &str, threshold: &str| {
        let mut metadata = kafka_group(&spec.brokers, topic, group, threshold, "earliest");
        let insecure = spec.tls.as_ref().is_some_and(|tls| tls.insecure_skip_verify == Some(true));
        kafka_access(
            &mut metadata,
            spec.sasl.as_ref().map(|sasl| sasl.mechanism.as_str()),
            spec.tls.is_some(),
            insecure,
        );
        metadata
    };
    let mut lags: Vec<Lag> = topics
        .iter()
        .map(|(topic, threshold)| {
            Lag::new("kafka", metadata(topic, &kafka::group(group, topic), &threshold.to_string()))
        })
        .collect();
    let name = kafka::name("", of);
    lags.push(Lag::awake("kafka", metadata(&kafka::delayed(&name), &kafka::mover(&name), NEVER)));
    lags
}
