//! The plan of `penstock intake`: which source feeds which topic.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::cli::workload::Endpoint;
use crate::flow::Topic;
use crate::intake::Overrides;
use crate::router::route::dead_letter_topic;

/// As it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanSpec {
    bus: Endpoint,
    feeds: Vec<FeedSpec>,
}

/// As it is written.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FeedSpec {
    /// The source Component.
    from: Endpoint,
    /// The topic that is subscribed to there.
    topic: String,
    /// The bus topic that is fed.
    to: String,
    namespace: String,
    event_source: String,
    event: String,
    /// Attributes that every event gets.
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

/// What is pumped where.
#[derive(Debug)]
pub struct Plan {
    pub bus: Endpoint,
    pub feeds: Vec<Feed>,
}

/// One event of an `EventSource`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feed {
    pub from: Endpoint,
    pub topic: Topic,
    pub to: Topic,
    pub dead_letters: Topic,
    pub namespace: String,
    pub event_source: String,
    pub event: String,
    pub overrides: Overrides,
}

impl Plan {
    /// Reads a plan.
    ///
    /// # Errors
    /// The first thing that is wrong with it, and where.
    pub fn read(text: &str) -> Result<Self, String> {
        let PlanSpec { bus, feeds: specs } = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let mut feeds: Vec<Feed> = Vec::with_capacity(specs.len());
        for (index, spec) in specs.into_iter().enumerate() {
            let feed = Feed::read(spec).map_err(|message| format!("feeds[{index}]: {message}"))?;
            if feeds.iter().any(|other| other.origin() == feed.origin()) {
                return Err(format!("feeds[{index}]: {} is fed already", feed.origin()));
            }
            feeds.push(feed);
        }
        Ok(Self { bus, feeds })
    }
}

impl Feed {
    fn read(spec: FeedSpec) -> Result<Self, String> {
        let topic = |name: &str| Topic::new(name).map_err(|error| error.to_string());
        let FeedSpec { from, namespace, event_source, event, .. } = spec;
        Ok(Self {
            from,
            topic: topic(&spec.topic)?,
            to: topic(&spec.to)?,
            dead_letters: topic(&dead_letter_topic(&spec.to))?,
            overrides: Overrides::new(&spec.attributes).map_err(|error| format!("attributes: {error}"))?,
            namespace,
            event_source,
            event,
        })
    }

    /// `/namespace/source/event`, as on one machine.
    pub fn origin(&self) -> String {
        format!("/{}/{}/{}", self.namespace, self.event_source, self.event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEED: &str = r#"{"from": {"component": "src"}, "topic": "orders", "to": "default-shop-orders",
        "namespace": "default", "eventSource": "shop", "event": "orders", "attributes": {"type": "order"}}"#;

    fn plan(feeds: &str) -> Result<Plan, String> {
        Plan::read(&format!(r#"{{"bus": {{"component": "bus", "frames": "off"}}, "feeds": [{feeds}]}}"#))
    }

    #[test]
    fn a_plan_is_read() {
        let plan = plan(FEED).unwrap();
        let feed = &plan.feeds[0];
        assert_eq!((plan.bus.component.as_str(), feed.from.component.as_str()), ("bus", "src"));
        assert_eq!((feed.to.as_str(), feed.dead_letters.as_str()), ("default-shop-orders", "default-shop-orders-dlq"));
        assert_eq!(feed.origin(), "/default/shop/orders");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let check = |feeds: &str, expected: &str| {
            let error = plan(feeds).unwrap_err();
            assert!(error.contains(expected), "{error}");
        };
        check("{", "line 1");
        check(&FEED.replace("topic", "topics"), "unknown field `topics`");
        check(&FEED.replace("default-shop-orders", "a b"), "feeds[0]: topic \"a b\"");
        check(&FEED.replace("\"type\"", "\"id\""), "feeds[0]: attributes");
        check(&format!("{FEED}, {FEED}"), "feeds[1]: /default/shop/orders is fed already");
    }

    #[test]
    fn the_plan_in_the_docs_can_be_read() {
        let page = include_str!("../../../docs/dapr.md");
        let blocks = page.split("```json\n").skip(1).filter_map(|rest| rest.split_once("```"));
        let plans: Vec<&str> = blocks.map(|(plan, _)| plan).filter(|plan| plan.contains("\"feeds\"")).collect();
        assert_eq!(plans.len(), 1);
        Plan::read(plans[0]).unwrap();
    }
}
