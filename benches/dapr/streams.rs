//! An app that does nothing but answer: streaming subscriptions of daprd, each message acknowledged as
//! soon as it is there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use penstock::proto::dapr_runtime::dapr_client::DaprClient;
use penstock::proto::dapr_runtime::subscribe_topic_events_request_alpha1::SubscribeTopicEventsRequestType as Kind;
use penstock::proto::dapr_runtime::subscribe_topic_events_response_alpha1::SubscribeTopicEventsResponseType as Reply;
use penstock::proto::dapr_runtime::{
    SubscribeTopicEventsRequestAlpha1, SubscribeTopicEventsRequestInitialAlpha1,
    SubscribeTopicEventsRequestProcessedAlpha1, TopicEventResponse,
};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

use super::harness::Run;
use super::support::Daprd;

/// How long the events of a round may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// What is subscribed to.
pub struct Subscribed<'a> {
    pub component: &'a str,
    /// One stream each.
    pub topics: Vec<String>,
    pub metadata: BTreeMap<String, String>,
}

/// Opens the streams and takes messages until `count` have come.
pub async fn take(daprd: &Daprd, subscribed: &Subscribed<'_>, count: usize) -> Run {
    let taken = Arc::new(AtomicUsize::new(0));
    let client = daprd.client().await;
    let start = Instant::now();
    let mut streams = JoinSet::new();
    for topic in &subscribed.topics {
        let initial = SubscribeTopicEventsRequestInitialAlpha1 {
            pubsub_name: subscribed.component.to_owned(),
            topic: topic.clone(),
            metadata: subscribed.metadata.clone(),
            dead_letter_topic: None,
        };
        streams.spawn(answer(client.clone(), initial, taken.clone()));
    }
    reach(&taken, count, start).await;
    Run { events: count, took: start.elapsed() }
}

/// Waits until `taken` is `count`.
pub async fn reach(taken: &AtomicUsize, count: usize, start: Instant) {
    while taken.load(Ordering::Relaxed) < count {
        let so_far = taken.load(Ordering::Relaxed);
        assert!(start.elapsed() < PATIENCE, "{so_far} of {count} events came");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn answer(
    mut client: DaprClient<Channel>,
    initial: SubscribeTopicEventsRequestInitialAlpha1,
    taken: Arc<AtomicUsize>,
) {
    let (answers, outgoing) = mpsc::channel(1024);
    let request = |kind| SubscribeTopicEventsRequestAlpha1 { subscribe_topic_events_request_type: Some(kind) };
    answers.send(request(Kind::InitialRequest(initial))).await.unwrap();
    let messages = client.subscribe_topic_events_alpha1(ReceiverStream::new(outgoing)).await.unwrap();
    let mut messages = messages.into_inner();
    while let Some(message) = messages.message().await.unwrap() {
        if let Some(Reply::EventMessage(event)) = message.subscribe_topic_events_response_type {
            let processed = SubscribeTopicEventsRequestProcessedAlpha1 {
                id: event.id,
                status: Some(TopicEventResponse::default()),
            };
            answers.send(request(Kind::EventProcessed(processed))).await.unwrap();
            taken.fetch_add(1, Ordering::Relaxed);
        }
    }
}
