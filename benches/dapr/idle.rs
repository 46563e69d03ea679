//! The yardstick for one event per message: a component that sends the same message for ever and
//! does nothing with the answers.

use std::path::Path;
use std::pin::Pin;

use futures_util::Stream;
use futures_util::stream::unfold;
use penstock::event::codec::json;
use penstock::proto::COMPONENT_DESCRIPTORS;
use penstock::proto::dapr_components::pub_sub_server::{PubSub, PubSubServer, SERVICE_NAME};
use penstock::proto::dapr_components::{
    BulkPublishRequest, BulkPublishResponse, FeaturesRequest, FeaturesResponse, PauseRequest, PauseResponse,
    PingRequest, PingResponse, PubSubInitRequest, PubSubInitResponse, PublishRequest, PublishResponse,
    PullMessagesRequest, PullMessagesResponse, ResumeRequest, ResumeResponse,
};
use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::{Request, Response, Status, Streaming};

use super::events;

/// The word that starts this binary as the component.
pub const ROLE: &str = "idle";

/// Messages sent ahead on each stream, as Penstock's components do.
const IN_FLIGHT: usize = 8;

/// Serves the component on the socket until the process is killed.
pub async fn serve(socket: &Path) {
    let listener = UnixListener::bind(socket).unwrap();
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(COMPONENT_DESCRIPTORS)
        .with_service_name(SERVICE_NAME)
        .build_v1alpha()
        .unwrap();
    let mut event = Vec::new();
    json::write_encoded(&events::event("idle", 1), &mut event);
    let component = PubSubServer::new(Idle { event: event.into() });
    let server = tonic::transport::Server::builder().add_service(component).add_service(reflection);
    server.serve_with_incoming(UnixListenerStream::new(listener)).await.unwrap();
}

struct Idle {
    event: bytes::Bytes,
}

/// One stream.
struct Pull {
    requests: Streaming<PullMessagesRequest>,
    message: PullMessagesResponse,
    sent: usize,
    answered: usize,
}

#[tonic::async_trait]
impl PubSub for Idle {
    type PullMessagesStream = Pin<Box<dyn Stream<Item = Result<PullMessagesResponse, Status>> + Send>>;

    async fn init(&self, _: Request<PubSubInitRequest>) -> Result<Response<PubSubInitResponse>, Status> {
        Ok(Response::new(PubSubInitResponse {}))
    }

    async fn features(&self, _: Request<FeaturesRequest>) -> Result<Response<FeaturesResponse>, Status> {
        Ok(Response::new(FeaturesResponse::default()))
    }

    async fn publish(&self, _: Request<PublishRequest>) -> Result<Response<PublishResponse>, Status> {
        Ok(Response::new(PublishResponse {}))
    }

    async fn bulk_publish(&self, _: Request<BulkPublishRequest>) -> Result<Response<BulkPublishResponse>, Status> {
        Ok(Response::new(BulkPublishResponse::default()))
    }

    async fn pull_messages(
        &self,
        request: Request<Streaming<PullMessagesRequest>>,
    ) -> Result<Response<Self::PullMessagesStream>, Status> {
        let mut requests = request.into_inner();
        let first = requests.message().await?.and_then(|first| first.topic);
        let topic_name = first.ok_or_else(|| Status::invalid_argument("no topic"))?.name;
        let content_type = "application/cloudevents+json".to_owned();
        let message = PullMessagesResponse { data: self.event.clone(), topic_name, content_type, ..Default::default() };
        let pull = Pull { requests, message, sent: 0, answered: 0 };
        Ok(Response::new(Box::pin(unfold(pull, |mut pull| async {
            while pull.sent - pull.answered >= IN_FLIGHT {
                pull.requests.message().await.ok()??;
                pull.answered += 1;
            }
            pull.sent += 1;
            let message = PullMessagesResponse { id: pull.sent.to_string(), ..pull.message.clone() };
            Some((Ok(message), pull))
        }))))
    }

    async fn pause(&self, _: Request<PauseRequest>) -> Result<Response<PauseResponse>, Status> {
        Ok(Response::new(PauseResponse {}))
    }

    async fn resume(&self, _: Request<ResumeRequest>) -> Result<Response<ResumeResponse>, Status> {
        Ok(Response::new(ResumeResponse {}))
    }

    async fn ping(&self, _: Request<PingRequest>) -> Result<Response<PingResponse>, Status> {
        Ok(Response::new(PingResponse {}))
    }
}
