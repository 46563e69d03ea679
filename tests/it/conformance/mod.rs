//! What every [`Bus`] must do, whatever it is made of.
//!
//! A case is a function over a [`Backend`]; [`suite!`] turns all of them into tests of one kind.
//! A case that needs what the bus cannot do, by its `Capability`, says SKIPPED and ends.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "these are tests")]

mod crash;
mod delayed;
mod embedded;
mod groups;
mod jetstream;
#[cfg(feature = "kafka")]
mod kafka;
mod outage;
mod publish;
mod reading;
mod redelivery;
mod redis;
mod store;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use penstock::event::{Data, Draft, Event};
use penstock::flow::{
    Bus, Deduplicate, Group, Outgoing, Position, Published, Received, Start, Store, Subscriber, Subscription, Topic,
};
use penstock::task;

/// Where buses of one kind live across restarts. Each test has its own.
#[async_trait]
pub trait Backend: Send + Sync {
    /// Opens the bus, and the store that it is, too; again, after the one before was closed.
    async fn open_with_store(&self) -> (Arc<dyn Bus>, Arc<dyn Store>);

    /// Opens the bus alone.
    async fn open(&self) -> Arc<dyn Bus> {
        self.open_with_store().await.0
    }

    /// Turns what is stored at a position into bytes that are no event, while the bus is closed.
    /// False when this kind's storage cannot be reached from here.
    async fn damage(&self, topic: &Topic, position: Position) -> bool;
}

/// Makes every case a test of the backend that the expression makes.
macro_rules! suite {
    ($backend:expr) => {
        $crate::conformance::suite! { $backend;
            publish::what_is_published_is_received_with_every_attribute_and_byte,
            publish::positions_ascend_and_a_topic_keeps_its_order,
            publish::many_publishers_lose_nothing,
            publish::an_event_that_is_too_large_costs_only_itself,
            publish::a_repeated_event_is_taken_once_per_attempt,
            publish::publishing_to_a_closed_bus_is_refused_and_subscribers_end,
            groups::every_group_gets_everything_and_members_share,
            groups::a_group_that_starts_latest_exists_from_then_on,
            groups::a_slow_member_is_never_handed_more_than_it_asked_for,
            groups::a_member_that_takes_nothing_holds_no_more_than_it_may,
            groups::lag_counts_what_is_not_settled,
            groups::what_a_leaving_member_holds_goes_to_the_others,
            groups::a_late_group_reads_far_behind_in_order,
            redelivery::settled_events_stay_settled_after_a_restart_and_others_return,
            redelivery::out_of_order_acknowledgements_survive_a_restart,
            redelivery::a_refused_event_returns_after_its_pause_with_its_attempt,
            redelivery::a_dropped_receipt_returns_the_event_at_once,
            redelivery::cancelling_next_loses_nothing,
            redelivery::poison_costs_only_itself,
            delayed::a_delayed_event_arrives_after_its_delay_and_not_before,
            delayed::a_delayed_event_survives_a_restart,
            reading::readers_read_all_in_order_from_where_they_want_and_take_nothing_from_groups,
            reading::what_is_behind_a_position_is_counted,
            reading::cancelling_a_reader_passes_over_nothing,
            reading::the_end_says_where_a_topic_ends_and_how_old_what_follows_is_at_least,
            store::a_batch_is_written_as_a_whole_or_not_at_all,
            store::of_concurrent_writers_with_one_expectation_one_wins,
            store::a_scan_answers_a_prefix_in_key_order,
        }
    };
    ($backend:expr; $($room:ident :: $case:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                $crate::conformance::$room::$case(&$backend).await;
            }
        )*
    };
}
pub(crate) use suite;

/// Nothing here takes longer, unless it hangs.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub fn topic(name: &str) -> Topic {
    Topic::new(name).unwrap()
}

pub fn event(id: &str) -> Event {
    Draft::new(id, "/conformance", "test.event").data(Data::Text("{}")).build().unwrap()
}

pub fn outgoing(event: Event) -> Outgoing {
    Outgoing { event, delay: None, deduplicate: Deduplicate::Never }
}

/// Publishes events with these ids in one batch; all must be taken.
pub async fn publish(bus: &dyn Bus, topic: &Topic, ids: impl IntoIterator<Item = String>) -> Vec<Published> {
    let batch = ids.into_iter().map(|id| outgoing(event(&id))).collect();
    bus.publish(topic, batch).await.into_iter().map(|answer| answer.unwrap()).collect()
}

pub fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

pub async fn subscribe(bus: &dyn Bus, topic: &Topic, group: &str, max_in_flight: usize) -> Box<dyn Subscriber> {
    let group = Group::new(group).unwrap();
    let subscription = Subscription { topic: topic.clone(), group, start: Start::Earliest, max_in_flight };
    bus.subscribe(subscription).await.unwrap()
}

/// Receives exactly `count` events.
pub async fn take(subscriber: &mut dyn Subscriber, count: usize) -> Vec<Received> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let next = task::within(PATIENCE, subscriber.next()).await;
        let next = next.unwrap_or_else(|| panic!("{} of {count} events came", taken.len())).unwrap();
        assert!(!next.is_empty(), "the bus was closed after {} of {count} events", taken.len());
        taken.extend(next);
    }
    assert_eq!(taken.len(), count, "more events than expected: {:?}", ids(&taken));
    taken
}

pub fn ids(received: &[Received]) -> Vec<String> {
    received.iter().map(|received| received.event.as_ref().unwrap().id().to_owned()).collect()
}

pub fn ack_all(received: Vec<Received>) {
    for received in received {
        received.receipt.ack();
    }
}

/// Says why a case does not apply to this kind.
pub fn skipped(reason: &str) {
    println!("SKIPPED: {reason}");
}
