//! Parked events that come back.

use std::collections::HashMap;
use std::sync::Arc;

use crate::fault::Fault;
use crate::router::decision::Decision;
use crate::router::delivery::{Delivery, Destination, Parked};
use crate::telemetry::Metrics;

/// Where parked events find their destinations.
pub(super) struct Retries {
    pub destinations: HashMap<String, Arc<Destination>>,
    pub metrics: Arc<Metrics>,
}

impl Retries {
    /// Goes on with a parked event where it stopped.
    ///
    /// # Errors
    /// When it is not safe: its receipt must not be acknowledged.
    pub async fn resume(&self, delivery: &Delivery, parked: Parked) -> Result<(), Fault> {
        let Some(destination) = self.destinations.get(&parked.key) else {
            let gone = Destination::gone(&parked.key, &self.metrics);
            return match parked.grave {
                Some(grave) => delivery.bury(&gone, parked, grave).await,
                None => delivery.bury_orphan(&gone, &parked.event, &parked.history).await,
            };
        };
        if let Some(grave) = parked.grave {
            return delivery.bury(destination, parked, grave).await;
        }
        let attempts = parked.history.attempts;
        delivery.tell(&parked.event, || Decision::Replayed { subscriber: &destination.id, attempts });
        delivery.deliver(destination, &parked.event, parked.history).await
    }
}
