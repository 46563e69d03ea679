//! What is left to do, topic by topic.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::flow::{Bus, Group, Topic};
use crate::router::join::Progress;
use crate::task::{self, Shutdown};
use crate::telemetry::Metrics;

/// How often the lag of every topic is asked for: as often as Prometheus usually scrapes.
const INTERVAL: Duration = Duration::from_secs(15);

/// While those who join events find out from where on they read.
const SOON: Duration = Duration::from_millis(500);

/// What is asked about.
pub(super) struct Lag {
    pub bus: Arc<dyn Bus>,
    pub group: Group,
    /// The topics that the group reads.
    pub topics: Vec<Topic>,
    /// And those that are read for subscribers that join events.
    pub joined: Vec<Arc<Progress>>,
}

impl Lag {
    /// Keeps the gauges up to date until `stop`. A bus that cannot tell leaves them alone.
    pub async fn watch(self, metrics: &Metrics, stop: &Shutdown) {
        while !stop.is_requested() {
            let mut backlog = 0_u64;
            for (topic, events) in self.measure().await {
                metrics.lag(topic.as_str(), self.group.as_str(), events);
                backlog = backlog.saturating_add(events);
            }
            metrics.backlog(backlog);
            let begins = self.joined.iter().any(|progress| !progress.is_begun());
            tokio::select! {
                () = stop.requested() => {}
                () = task::sleep(if begins { SOON } else { INTERVAL }) => {}
            }
        }
    }

    /// By topic: what the group has not settled, or what somebody who joins has not decided on, whichever is more.
    async fn measure(&self) -> BTreeMap<Topic, u64> {
        let (mut lags, mut undecided) = (BTreeMap::new(), BTreeMap::<_, u64>::new());
        for topic in &self.topics {
            if let Ok(lag) = self.bus.lag(topic, &self.group).await {
                lags.insert(topic.clone(), lag);
            }
        }
        // Before they have begun nobody knows from where they read.
        for progress in self.joined.iter().filter(|progress| progress.is_begun()) {
            if let Ok(behind) = self.bus.behind(&progress.topic, progress.decided()).await {
                *undecided.entry(progress.topic.whole()).or_default() += behind;
            }
        }
        for (topic, behind) in undecided {
            let most = lags.entry(topic).or_default();
            *most = behind.max(*most);
        }
        lags
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;
    use crate::fault::{Fault, FaultKind};
    use crate::flow::{Capability, Outgoing, Position, Published, Subscriber, Subscription};
    use crate::router::tests::MemoryBus;

    /// Topics of ten events, of which the group has settled all but those that the name of the topic says.
    struct Counted(MemoryBus);

    #[async_trait]
    impl Bus for Counted {
        fn capability(&self) -> Capability {
            self.0.capability()
        }

        async fn publish(&self, topic: &Topic, batch: Vec<Outgoing>) -> Vec<Result<Published, Fault>> {
            self.0.publish(topic, batch).await
        }

        async fn subscribe(&self, subscription: Subscription) -> Result<Box<dyn Subscriber>, Fault> {
            self.0.subscribe(subscription).await
        }

        async fn behind(&self, _: &Topic, after: Option<Position>) -> Result<u64, Fault> {
            Ok(after.map_or(10, |after| 9 - after.major))
        }

        async fn lag(&self, topic: &Topic, _: &Group) -> Result<u64, Fault> {
            topic.as_str().parse().map_err(|_| Fault::new(FaultKind::NotFound, "ask for the lag", "no such group"))
        }

        fn ailment(&self) -> Option<Fault> {
            None
        }

        async fn close(&self) -> Result<(), Fault> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn of_a_topic_counts_who_has_most_before_it() {
        let topic = |name: &str| Topic::new(name).unwrap();
        let joined = |name: &str, decided: &[Option<u64>]| {
            let progress = Progress::new(topic(name));
            for (number, major) in decided.iter().enumerate() {
                let position = major.map(|major| Position { major, minor: 0 });
                progress.decide(&number.to_string(), position);
            }
            Arc::new(progress)
        };
        let part = Progress::new(topic("only-joined").part(1));
        part.decide("0", Some(Position { major: 5, minor: 0 }));
        let lag = Lag {
            bus: Arc::new(Counted(MemoryBus::new())),
            group: Group::new("g").unwrap(),
            topics: vec![topic("3"), topic("5"), topic("8")],
            joined: vec![
                joined("5", &[Some(9)]),
                joined("8", &[Some(9), None]),
                joined("only-joined", &[Some(7), Some(8)]),
                Arc::new(part),
                joined("not-begun", &[]),
            ],
        };
        let told = lag.measure().await;
        let told: Vec<_> = told.iter().map(|(topic, lag)| (topic.as_str(), *lag)).collect();
        assert_eq!(told, [("3", 3), ("5", 5), ("8", 10), ("only-joined", 6)]);
    }
}
