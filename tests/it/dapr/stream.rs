//! A streaming subscription, as an app holds it with the generated client.

use std::collections::BTreeMap;

use penstock::proto::dapr_runtime::subscribe_topic_events_request_alpha1::SubscribeTopicEventsRequestType as Request;
use penstock::proto::dapr_runtime::subscribe_topic_events_response_alpha1::SubscribeTopicEventsResponseType as Response;
use penstock::proto::dapr_runtime::topic_event_response::TopicEventResponseStatus as Verdict;
use penstock::proto::dapr_runtime::{
    SubscribeTopicEventsRequestAlpha1, SubscribeTopicEventsRequestInitialAlpha1,
    SubscribeTopicEventsRequestProcessedAlpha1, SubscribeTopicEventsResponseAlpha1, TopicEventRequest,
    TopicEventResponse,
};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::support::{Daprd, PATIENCE};

/// A streaming subscription that is open.
pub struct Stream {
    requests: mpsc::Sender<SubscribeTopicEventsRequestAlpha1>,
    responses: Streaming<SubscribeTopicEventsResponseAlpha1>,
}

impl Stream {
    /// Opens it and waits for daprd's word that it is open.
    pub async fn open(daprd: &Daprd, topic: &str, metadata: BTreeMap<String, String>) -> Self {
        let (requests, outgoing) = mpsc::channel(8);
        let initial = SubscribeTopicEventsRequestInitialAlpha1 {
            pubsub_name: "bus".to_owned(),
            topic: topic.to_owned(),
            metadata,
            dead_letter_topic: None,
        };
        requests.send(request(Request::InitialRequest(initial))).await.unwrap();
        let mut client = daprd.client().await;
        let responses = client.subscribe_topic_events_alpha1(ReceiverStream::new(outgoing)).await.unwrap();
        let mut stream = Self { requests, responses: responses.into_inner() };
        assert!(matches!(stream.response().await, Response::InitialResponse(_)));
        stream
    }

    /// The next event.
    pub async fn next(&mut self) -> TopicEventRequest {
        match self.response().await {
            Response::EventMessage(event) => event,
            Response::InitialResponse(_) => panic!("opened twice"),
        }
    }

    async fn response(&mut self) -> Response {
        let response = timeout(PATIENCE, self.responses.message()).await.expect("nothing came").unwrap();
        response.expect("the stream ended").subscribe_topic_events_response_type.unwrap()
    }

    pub async fn answer(&self, event: &TopicEventRequest, verdict: Verdict) {
        let status = Some(TopicEventResponse { status: verdict.into() });
        let processed = SubscribeTopicEventsRequestProcessedAlpha1 { id: event.id.clone(), status };
        self.requests.send(request(Request::EventProcessed(processed))).await.unwrap();
    }

    pub async fn ack(&self, event: &TopicEventRequest) {
        self.answer(event, Verdict::Success).await;
    }
}

fn request(of: Request) -> SubscribeTopicEventsRequestAlpha1 {
    SubscribeTopicEventsRequestAlpha1 { subscribe_topic_events_request_type: Some(of) }
}
