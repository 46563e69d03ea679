//! The pub/sub service.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::Stream;
use tonic::{Request, Response, Status, Streaming};

use super::aside::Aside;
use super::instances::Instances;
use super::publish::{Call, Message};
use super::pull::Pull;
use super::status::status;
use crate::fault::Fault;
use crate::flow::Topic;
use crate::frame::Ask;
use crate::proto::dapr_components::pub_sub_server::PubSub as Service;
use crate::proto::dapr_components::{
    BulkMessageEntry, BulkPublishRequest, BulkPublishResponse, BulkPublishResponseFailedEntry, FeaturesRequest,
    FeaturesResponse, PauseRequest, PauseResponse, PingRequest, PingResponse, PubSubInitRequest, PubSubInitResponse,
    PublishRequest, PublishResponse, PullMessagesRequest, PullMessagesResponse, ResumeRequest, ResumeResponse,
};

/// What a bus can do that daprd would otherwise do itself: publish many in one call with an answer
/// for each, and forget a message after its time.
const BUS_FEATURES: [&str; 2] = ["BULK_PUBSUB", "MESSAGE_TTL"];

/// All Components of one kind, as daprd's pub/sub.
pub(super) struct PubSub {
    instances: Arc<Instances>,
}

impl PubSub {
    pub(super) fn new(instances: Arc<Instances>) -> Self {
        Self { instances }
    }
}

#[tonic::async_trait]
impl Service for PubSub {
    type PullMessagesStream = Pin<Box<dyn Stream<Item = Result<PullMessagesResponse, Status>> + Send>>;

    async fn init(&self, request: Request<PubSubInitRequest>) -> Result<Response<PubSubInitResponse>, Status> {
        let properties = request.get_ref().metadata.clone().unwrap_or_default().properties;
        self.instances.init(&request, properties).await?;
        Ok(Response::new(PubSubInitResponse {}))
    }

    async fn features(&self, request: Request<FeaturesRequest>) -> Result<Response<FeaturesResponse>, Status> {
        let is_bus = self.instances.find(&request)?.bus().is_ok();
        let features = if is_bus { BUS_FEATURES.map(str::to_owned).to_vec() } else { Vec::new() };
        Ok(Response::new(FeaturesResponse { features }))
    }

    async fn publish(&self, request: Request<PublishRequest>) -> Result<Response<PublishResponse>, Status> {
        let instance = self.instances.find(&request)?;
        let PublishRequest { data, topic, metadata, .. } = request.into_inner();
        let call = Call {
            bus: instance.bus()?.as_ref(),
            component: instance.name(),
            topic: &topic,
            counts: instance.counts(),
            now: self.instances.clock().now(),
        };
        let message = Message { data, metadata: &metadata };
        let kept = call.publish(std::iter::once(message)).await.pop().unwrap_or(Ok(()));
        kept.map_err(|fault| refused(instance.name(), &topic, &fault))?;
        Ok(Response::new(PublishResponse {}))
    }

    async fn bulk_publish(
        &self,
        request: Request<BulkPublishRequest>,
    ) -> Result<Response<BulkPublishResponse>, Status> {
        let instance = self.instances.find(&request)?;
        let BulkPublishRequest { entries, topic, metadata, .. } = request.into_inner();
        let call = Call {
            bus: instance.bus()?.as_ref(),
            component: instance.name(),
            topic: &topic,
            counts: instance.counts(),
            now: self.instances.clock().now(),
        };
        let results = call.publish(entries.iter().map(|entry| message(entry, &metadata))).await;
        let failed = entries.into_iter().zip(results).filter_map(|(entry, result)| {
            let fault = result.err()?;
            let error = refused(instance.name(), &topic, &fault).message().to_owned();
            Some(BulkPublishResponseFailedEntry { entry_id: entry.entry_id, error })
        });
        Ok(Response::new(BulkPublishResponse { failed_entries: failed.collect() }))
    }

    async fn pull_messages(
        &self,
        request: Request<Streaming<PullMessagesRequest>>,
    ) -> Result<Response<Self::PullMessagesStream>, Status> {
        let instance = self.instances.find(&request)?;
        let caller = instance.caller(&request)?;
        let mut requests = request.into_inner();
        let first = requests.message().await?.and_then(|first| first.topic);
        let first = first.ok_or_else(|| Status::invalid_argument("the first message names no topic"))?;
        let refused = |message: String| {
            let (component, topic) = (instance.name(), &first.name);
            instance.counts().errors.inc();
            tracing::error!(component, topic, "a subscription is refused: {message}");
            Status::invalid_argument(message)
        };
        let topic = Topic::new(&first.name).map_err(|error| refused(error.to_string()))?;
        let ask = Ask::read(&first.metadata).map_err(refused)?;
        let subscriber = instance.subscribe(topic.clone(), &ask, &caller).await.map_err(|fault| {
            instance.counts().errors.inc();
            tracing::error!(component = instance.name(), %topic, fault = fault.chain(), "a subscription failed");
            status(&fault)
        })?;
        let frames = ask.frames.is_some();
        tracing::info!(component = instance.name(), %topic, frames, in_flight = ask.in_flight, "subscribed");
        let paused = caller.paused.subscribe();
        let clock = self.instances.clock().clone();
        let aside = Aside {
            bus: instance.bus().ok().cloned(),
            component: instance.name().to_owned(),
            topic,
            clock: clock.clone(),
        };
        let shutdown = self.instances.shutdown().clone();
        let counts = instance.counts().clone();
        let pull = Pull { requests, subscriber, ask, aside, counts, paused, shutdown, clock };
        Ok(Response::new(Box::pin(pull.messages())))
    }

    /// Holds messages back on all streams of the Component to this daprd; answers are still taken.
    async fn pause(&self, request: Request<PauseRequest>) -> Result<Response<PauseResponse>, Status> {
        self.instances.find(&request)?.caller(&request)?.paused.send_replace(true);
        Ok(Response::new(PauseResponse {}))
    }

    async fn resume(&self, request: Request<ResumeRequest>) -> Result<Response<ResumeResponse>, Status> {
        self.instances.find(&request)?.caller(&request)?.paused.send_replace(false);
        Ok(Response::new(ResumeResponse {}))
    }

    async fn ping(&self, _: Request<PingRequest>) -> Result<Response<PingResponse>, Status> {
        Ok(Response::new(PingResponse {}))
    }
}

/// An entry; what holds for the call holds for entries that say nothing themselves.
fn message<'a>(entry: &'a BulkMessageEntry, metadata: &'a BTreeMap<String, String>) -> Message<'a> {
    let metadata = if entry.metadata.is_empty() { metadata } else { &entry.metadata };
    Message { data: entry.event.clone(), metadata }
}

fn refused(component: &str, topic: &str, fault: &Fault) -> Status {
    tracing::warn!(component, topic, fault = fault.chain(), "a message was not kept");
    status(fault)
}
