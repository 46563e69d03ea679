//! The thread of a reader: polls, so that a rebalance is answered at once whatever the owner does.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::topic_partition_list::TopicPartitionListElem;

use super::client::Told;
use super::desk::{Desk, Message};
use super::fault::{fault, is_login};
use super::offsets::{commit, committed, is_alive};
use super::window::Window;
use crate::task;

const READ: &str = "read from Kafka";
/// How long a commit waits for more to commit.
const COMMIT: Duration = Duration::from_millis(100);
/// After a commit that did not come about.
const AGAIN: Duration = Duration::from_secs(1);
/// The longest rest of the thread.
const REST: Duration = Duration::from_millis(500);
/// How long nobody may take messages before the partitions are paused. A pause throws away what the
/// client fetched ahead.
const STALLED: Duration = Duration::from_secs(1);

/// What the client calls.
pub(super) struct Watcher {
    pub desk: Arc<Desk>,
    pub told: Arc<Told>,
    pub topic: String,
    /// Partitions that came and were not looked at yet.
    pub assigned: Mutex<Vec<i32>>,
}

impl ClientContext for Watcher {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, text: &str) {
        self.told.log(facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.told.hear(error, reason);
    }
}

impl ConsumerContext for Watcher {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        self.told.stirred.store(true, Ordering::Release);
        let numbers = |list: &TopicPartitionList| -> Vec<i32> {
            list.elements().iter().map(TopicPartitionListElem::partition).collect()
        };
        match rebalance {
            Rebalance::Assign(list) => {
                let partitions = numbers(list);
                tracing::debug!(topic = self.topic, ?partitions, "partitions came");
                self.assigned.lock().unwrap_or_else(PoisonError::into_inner).extend(partitions);
            }
            Rebalance::Revoke(list) => {
                let partitions = numbers(list);
                tracing::debug!(topic = self.topic, ?partitions, "partitions go");
                self.assigned.lock().unwrap_or_else(PoisonError::into_inner).retain(|one| !partitions.contains(one));
                let commits = self.desk.revoke(&partitions);
                // Partitions that are lost are others' already.
                if !consumer.assignment_lost()
                    && let Err(error) = commit(consumer, &self.topic, &commits, CommitMode::Sync)
                {
                    tracing::debug!(%error, "what was settled last comes again");
                }
            }
            Rebalance::Error(error) => tracing::warn!(%error, "the partitions of a group cannot be shared"),
        }
    }

    fn commit_callback(&self, outcome: KafkaResult<()>, _: &TopicPartitionList) {
        self.told.stirred.store(true, Ordering::Release);
        match outcome {
            Ok(()) => self.told.answered(),
            Err(error) if is_alive(&error) => tracing::debug!(%error, "what was settled last may come again"),
            Err(error) => {
                tracing::debug!(%error, "offsets cannot be committed; trying again");
                self.desk.recommit();
            }
        }
    }
}

/// The thread.
pub(super) struct Worker {
    pub consumer: BaseConsumer<Watcher>,
    pub desk: Arc<Desk>,
    pub told: Arc<Told>,
}

impl Worker {
    /// Until the desk is told to stop.
    pub(super) fn run(self) {
        let topic = self.consumer.context().topic.clone();
        let (mut committed, mut failures) = (task::stopwatch(), 0_u32);
        let mut full_since = None;
        let mut paused = false;
        while !self.desk.is_stopping() {
            if !self.learn() {
                self.desk.wait(COMMIT);
                continue;
            }
            if self.desk.is_full() {
                let since = *full_since.get_or_insert_with(task::stopwatch);
                if since() >= STALLED {
                    // Still polled, for the sake of rebalances; partitions that came are paused, too.
                    self.flow(false);
                    paused = true;
                    self.poll();
                }
            } else {
                full_since = None;
                if std::mem::take(&mut paused) {
                    self.flow(true);
                }
                self.poll();
            }
            let span = if failures > 0 { AGAIN } else { COMMIT };
            if self.desk.is_dirty() && committed() >= span {
                committed = task::stopwatch();
                let begun = commit(&self.consumer, &topic, &self.desk.commits(), CommitMode::Async);
                failures = if let Err(error) = begun {
                    tracing::debug!(%error, "offsets cannot be committed; trying again");
                    self.desk.recommit();
                    failures.saturating_add(1)
                } else {
                    0
                };
            }
            let rest = if self.desk.is_dirty() { span.saturating_sub(committed()).max(COMMIT / 10) } else { REST };
            self.desk.wait(rest);
        }
        let partitions = self.desk.partitions();
        let commits = self.desk.revoke(&partitions);
        if let Err(error) = commit(&self.consumer, &topic, &commits, CommitMode::Sync) {
            tracing::debug!(%error, "what was settled last comes again");
        }
        // Leaves the group, which waits for the broker.
        drop(self.consumer);
    }

    /// Takes what is there, until the desk is full.
    fn poll(&self) {
        loop {
            match self.consumer.poll(Duration::ZERO) {
                Some(Ok(message)) => {
                    self.told.answered();
                    self.desk.take(Message::of(&message));
                    if self.desk.is_full() {
                        // There may be more: the client tells of what comes after nothing was there.
                        return;
                    }
                }
                Some(Err(error)) => self.hear(error),
                None if self.told.stirred.swap(false, Ordering::AcqRel) => {}
                None => return,
            }
            // A message of a partition of which nothing is known yet must not be taken.
            if self.desk.is_stopping() || !self.learn() {
                return;
            }
        }
    }

    fn hear(&self, error: KafkaError) {
        let fatal = matches!(error, KafkaError::MessageConsumptionFatal(_));
        // The login was taken once: the client tries again by itself.
        let login = is_login(&error);
        let heard = fault(READ, error);
        if fatal || (!login && !heard.is_retryable()) {
            tracing::debug!(fault = heard.chain(), "a reader ends");
            self.desk.fail(heard);
        } else {
            tracing::debug!(fault = heard.chain(), "the client complains");
        }
    }

    /// Asks what was committed for partitions that came; false as long as it is not known.
    fn learn(&self) -> bool {
        let watcher = self.consumer.context();
        let partitions = watcher.assigned.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if partitions.is_empty() {
            return true;
        }
        match committed(&self.consumer, &watcher.topic, &partitions) {
            Ok(found) => {
                for (partition, offset, text) in found {
                    let window = offset.map_or_else(Window::default, |offset| Window::resume(offset, &text));
                    self.desk.assign(partition, window);
                }
                watcher.assigned.lock().unwrap_or_else(PoisonError::into_inner).clear();
                true
            }
            Err(fault) => {
                tracing::debug!(fault = fault.chain(), "what a group has committed cannot be told yet");
                false
            }
        }
    }

    fn flow(&self, resume: bool) {
        let mut list = TopicPartitionList::new();
        for partition in self.desk.partitions() {
            list.add_partition(&self.consumer.context().topic, partition);
        }
        let changed = if resume { self.consumer.resume(&list) } else { self.consumer.pause(&list) };
        if let Err(error) = changed {
            tracing::debug!(%error, "partitions cannot be paused or resumed");
        }
    }
}
