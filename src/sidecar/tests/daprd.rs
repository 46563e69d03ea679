//! A stand-in for daprd that does what the test tells it to, over a real Unix-domain socket.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::sync::{Mutex as AsyncMutex, mpsc};
use tokio_stream::wrappers::{ReceiverStream, UnixListenerStream};
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

use crate::frame;
use crate::proto::dapr_runtime::dapr_server::{Dapr, DaprServer};
use crate::proto::dapr_runtime::subscribe_topic_events_request_alpha1::SubscribeTopicEventsRequestType as Asked;
use crate::proto::dapr_runtime::subscribe_topic_events_response_alpha1::SubscribeTopicEventsResponseType as Told;
use crate::proto::dapr_runtime::*;
use crate::sidecar::{Address, Connection, Sidecar};

type Message = Result<SubscribeTopicEventsResponseAlpha1, Status>;

/// One stream, as daprd sees it.
pub struct Session {
    pub initial: SubscribeTopicEventsRequestInitialAlpha1,
    messages: mpsc::Sender<Message>,
    requests: Streaming<SubscribeTopicEventsRequestAlpha1>,
    open: Arc<AtomicUsize>,
}

impl Session {
    pub async fn send(&self, id: &str, data: impl Into<bytes::Bytes>) {
        let message = TopicEventRequest { id: id.to_owned(), data: data.into(), ..TopicEventRequest::default() };
        self.send_message(message).await;
    }

    pub async fn send_message(&self, message: TopicEventRequest) {
        let told = Some(Told::EventMessage(message));
        let message = SubscribeTopicEventsResponseAlpha1 { subscribe_topic_events_response_type: told };
        self.messages.send(Ok(message)).await.unwrap();
    }

    /// The next answer: the id of its message, and the status. `None` when the other side is done.
    pub async fn answer(&mut self) -> Option<(String, i32)> {
        let request = self.requests.message().await.ok()??;
        let Some(Asked::EventProcessed(processed)) = request.subscribe_topic_events_request_type else {
            panic!("not an answer: {request:?}");
        };
        Some((processed.id, processed.status.unwrap().status))
    }

    /// Ends the stream with an error.
    pub async fn fail(self, status: Status) {
        self.messages.send(Err(status)).await.unwrap();
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What the stand-in saw, and what it answers.
#[derive(Default)]
pub struct State {
    pub published: Mutex<Vec<PublishEventRequest>>,
    pub bulks: Mutex<Vec<BulkPublishRequest>>,
    /// What a bulk publish is answered with, instead of a refusal.
    pub bulk_answer: Mutex<Option<BulkPublishResponse>>,
    /// Whether a packed frame is none to the component behind.
    pub old: AtomicBool,
    pub refuse_publish: Mutex<Option<Status>>,
    pub refuse_subscribe: Mutex<Option<Status>>,
    pub invoked: Mutex<Vec<InvokeBindingRequest>>,
    pub tokens: Mutex<Vec<Option<String>>>,
    /// Open streams and whether it was forced, at each request to shut down.
    pub shut_down: Mutex<Vec<(usize, bool)>>,
    /// Does not end until it is forced.
    pub stubborn: AtomicBool,
    gone: AtomicBool,
    open: Arc<AtomicUsize>,
    /// Key to value and etag.
    pub values: Mutex<BTreeMap<String, (bytes::Bytes, String)>>,
    writes: AtomicUsize,
    /// Whether transactions are made and not answered for.
    pub mute: AtomicBool,
    /// What comes before the number in an etag.
    pub etag_prefix: Mutex<String>,
}

pub struct Daprd {
    pub state: Arc<State>,
    sessions: AsyncMutex<mpsc::Receiver<Session>>,
    folder: TempDir,
    server: tokio::task::AbortHandle,
}

impl Daprd {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let state = Arc::new(State::default());
        let (sender, sessions) = mpsc::channel(16);
        let listener = UnixListener::bind(folder.path().join("s")).unwrap();
        let service = DaprServer::new(Service { state: state.clone(), sessions: sender });
        #[expect(clippy::disallowed_methods, reason = "ends with the test")]
        let server =
            tokio::spawn(Server::builder().add_service(service).serve_with_incoming(UnixListenerStream::new(listener)));
        Self { state, sessions: AsyncMutex::new(sessions), folder, server: server.abort_handle() }
    }

    pub fn socket(&self) -> std::path::PathBuf {
        Path::new(self.folder.path()).join("s")
    }

    pub fn connect(&self) -> Connection {
        self.connect_with(None)
    }

    pub fn connect_with(&self, token: Option<&str>) -> Connection {
        let address = Address::Unix(self.socket());
        Connection::new(Sidecar { address, token: token.map(str::to_owned) }).unwrap()
    }

    /// The next stream that is opened.
    pub async fn session(&self) -> Session {
        self.sessions.lock().await.recv().await.unwrap()
    }
}

impl Drop for Daprd {
    fn drop(&mut self) {
        self.server.abort();
    }
}

struct Service {
    state: Arc<State>,
    sessions: mpsc::Sender<Session>,
}

impl Service {
    fn seen<T>(&self, request: &Request<T>) -> Result<(), Status> {
        let token = request.metadata().get("dapr-api-token").map(|token| token.to_str().unwrap().to_owned());
        self.state.tokens.lock().unwrap().push(token);
        if self.state.gone.load(Ordering::SeqCst) { Err(Status::unavailable("gone")) } else { Ok(()) }
    }

    /// Etags as the state API checks them: first write without one wants nothing there.
    fn write(&self, item: dapr_common_item::Item, deletes: bool) -> Result<(), Status> {
        let mut values = self.state.values.lock().unwrap();
        let first = item.options.is_some_and(|options| options.concurrency == 1);
        let known = values.get(&item.key).map(|(_, etag)| etag.clone());
        if first && known != item.etag.map(|etag| etag.value) {
            return Err(Status::aborted("possible etag mismatch"));
        }
        if deletes {
            values.remove(&item.key);
        } else {
            let number = self.state.writes.fetch_add(1, Ordering::SeqCst) + 1;
            let etag = format!("{}{number}", self.state.etag_prefix.lock().unwrap());
            values.insert(item.key, (item.value, etag));
        }
        Ok(())
    }
}

/// The generated name, shorter.
mod dapr_common_item {
    pub use crate::proto::dapr_common::StateItem as Item;
}

#[async_trait]
impl Dapr for Service {
    type SubscribeTopicEventsAlpha1Stream = ReceiverStream<Message>;

    async fn publish_event(&self, request: Request<PublishEventRequest>) -> Result<Response<()>, Status> {
        self.seen(&request)?;
        if let Some(status) = self.state.refuse_publish.lock().unwrap().clone() {
            return Err(status);
        }
        if self.state.old.load(Ordering::SeqCst) && frame::is_packed(&request.get_ref().data) {
            return Err(Status::internal("rpc error: code = InvalidArgument desc = failed to read a frame"));
        }
        self.state.published.lock().unwrap().push(request.into_inner());
        Ok(Response::new(()))
    }

    async fn bulk_publish_event(
        &self,
        _: Request<BulkPublishRequest>,
    ) -> Result<Response<BulkPublishResponse>, Status> {
        Err(Status::unimplemented("not used"))
    }

    async fn bulk_publish_event_alpha1(
        &self,
        request: Request<BulkPublishRequest>,
    ) -> Result<Response<BulkPublishResponse>, Status> {
        self.state.bulks.lock().unwrap().push(request.into_inner());
        let answer = self.state.bulk_answer.lock().unwrap().clone();
        answer.map(Response::new).ok_or_else(|| Status::internal("one of them was refused"))
    }

    async fn subscribe_topic_events_alpha1(
        &self,
        request: Request<Streaming<SubscribeTopicEventsRequestAlpha1>>,
    ) -> Result<Response<Self::SubscribeTopicEventsAlpha1Stream>, Status> {
        self.seen(&request)?;
        if let Some(status) = self.state.refuse_subscribe.lock().unwrap().clone() {
            return Err(status);
        }
        let mut requests = request.into_inner();
        let first = requests.message().await?.unwrap().subscribe_topic_events_request_type;
        let Some(Asked::InitialRequest(initial)) = first else { panic!("not the initial request: {first:?}") };
        let (messages, queue) = mpsc::channel(16);
        let told = Some(Told::InitialResponse(SubscribeTopicEventsResponseInitialAlpha1 {}));
        messages
            .try_send(Ok(SubscribeTopicEventsResponseAlpha1 { subscribe_topic_events_response_type: told }))
            .unwrap();
        self.state.open.fetch_add(1, Ordering::SeqCst);
        let open = self.state.open.clone();
        self.sessions.send(Session { initial, messages, requests, open }).await.unwrap();
        Ok(Response::new(ReceiverStream::new(queue)))
    }

    async fn invoke_binding(
        &self,
        request: Request<InvokeBindingRequest>,
    ) -> Result<Response<InvokeBindingResponse>, Status> {
        self.seen(&request)?;
        self.state.invoked.lock().unwrap().push(request.into_inner());
        let metadata = [("statusCode".to_owned(), "201".to_owned())].into();
        Ok(Response::new(InvokeBindingResponse { metadata, ..InvokeBindingResponse::default() }))
    }

    async fn get_state(&self, request: Request<GetStateRequest>) -> Result<Response<GetStateResponse>, Status> {
        self.seen(&request)?;
        let found = self.state.values.lock().unwrap().get(&request.get_ref().key).cloned();
        let (data, etag) = found.unwrap_or_default();
        Ok(Response::new(GetStateResponse { data, etag, ..GetStateResponse::default() }))
    }

    async fn save_state(&self, request: Request<SaveStateRequest>) -> Result<Response<()>, Status> {
        for item in request.into_inner().states {
            self.write(item, false)?;
        }
        Ok(Response::new(()))
    }

    async fn delete_state(&self, request: Request<DeleteStateRequest>) -> Result<Response<()>, Status> {
        let DeleteStateRequest { key, etag, options, .. } = request.into_inner();
        self.write(dapr_common_item::Item { key, etag, options, ..Default::default() }, true)?;
        Ok(Response::new(()))
    }

    async fn execute_state_transaction(
        &self,
        request: Request<ExecuteStateTransactionRequest>,
    ) -> Result<Response<()>, Status> {
        let before = self.state.values.lock().unwrap().clone();
        for operation in request.into_inner().operations {
            let deletes = operation.operation_type == "delete";
            if let Err(status) = self.write(operation.request.unwrap(), deletes) {
                *self.state.values.lock().unwrap() = before;
                return Err(Status::internal(status.message()));
            }
        }
        if self.state.mute.load(Ordering::SeqCst) {
            return Err(Status::unavailable("the connection broke"));
        }
        Ok(Response::new(()))
    }

    async fn get_metadata(
        &self,
        request: Request<GetMetadataRequest>,
    ) -> Result<Response<GetMetadataResponse>, Status> {
        self.seen(&request)?;
        let component = RegisteredComponents {
            name: "bus".to_owned(),
            r#type: "pubsub.eventbus.embedded".to_owned(),
            ..RegisteredComponents::default()
        };
        Ok(Response::new(GetMetadataResponse {
            runtime_version: "1.18.1".to_owned(),
            registered_components: vec![component],
            ..GetMetadataResponse::default()
        }))
    }

    async fn shutdown(&self, request: Request<ShutdownRequest>) -> Result<Response<()>, Status> {
        let forced = request.metadata().contains_key("dapr-force-shutdown");
        self.state.shut_down.lock().unwrap().push((self.state.open.load(Ordering::SeqCst), forced));
        if forced || !self.state.stubborn.load(Ordering::SeqCst) {
            self.state.gone.store(true, Ordering::SeqCst);
        }
        Ok(Response::new(()))
    }
}
