//! `scaleOption`: what an object says, and what it has from its bus.

use crate::api::event_source::ScaleOption;
use crate::api::{FieldPath, Problems, client};

/// The own option with what it leaves open from another one. `None` when neither is said.
pub fn merged(own: Option<&ScaleOption>, other: Option<&ScaleOption>) -> Option<ScaleOption> {
    let (own, other) = match (own, other) {
        (Some(own), Some(other)) => (own.clone(), other.clone()),
        (one, another) => return one.or(another).cloned(),
    };
    let metadata = match (own.metadata, other.metadata) {
        (Some(own), Some(mut metadata)) => {
            metadata.extend(own);
            Some(metadata)
        }
        (one, another) => one.or(another),
    };
    Some(ScaleOption {
        polling_interval: own.polling_interval.or(other.polling_interval),
        cooldown_period: own.cooldown_period.or(other.cooldown_period),
        min_replica_count: own.min_replica_count.or(other.min_replica_count),
        max_replica_count: own.max_replica_count.or(other.max_replica_count),
        advanced: own.advanced.or(other.advanced),
        metadata,
        auth_ref: own.auth_ref.or(other.auth_ref),
        consumer_group: own.consumer_group.or(other.consumer_group),
        topic: own.topic.or(other.topic),
        lag_threshold: own.lag_threshold.or(other.lag_threshold),
        nats_server_monitoring_endpoint: own.nats_server_monitoring_endpoint.or(other.nats_server_monitoring_endpoint),
        queue_group: own.queue_group.or(other.queue_group),
        durable_name: own.durable_name.or(other.durable_name),
        subject: own.subject.or(other.subject),
    })
}

/// Events per replica. What is wrong with it was told by whoever read the object.
pub fn threshold(option: &ScaleOption) -> u64 {
    client::lag_threshold(Some(option), &FieldPath::root(), &mut Problems::new())
}
