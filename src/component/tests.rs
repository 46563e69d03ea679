//! The services over a pipe, with the generated clients, on an embedded bus.

use std::collections::BTreeMap;
use std::sync::Mutex as StdMutex;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::io::DuplexStream;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status, Streaming};

use super::instances::Instances;
use super::opaque::OPAQUE_TYPE;
use super::*;
use crate::buses::embedded::Embedded;
use crate::buses::embedded::config::Config;
use crate::event::{Data, Draft, Event};
use crate::flow::{self, Deduplicate, Position, Receipt, Settle, Topic, Verdict, outlet};
use crate::frame::{self, DAPRD_LIMIT, MAX_MESSAGE, Terms};
use crate::proto::dapr_components::pub_sub_client::PubSubClient;
use crate::proto::dapr_components::{
    AckMessageError, BulkMessageEntry, BulkPublishRequest, FeaturesRequest, MetadataRequest, PauseRequest,
    PubSubInitRequest, PublishRequest, PullMessagesRequest, PullMessagesResponse, ResumeRequest, Topic as ProtoTopic,
};
use crate::task::{Clock, Shutdown, within};
use crate::telemetry::Metrics;

mod pub_sub;
mod sockets;
mod sources;
mod state;

/// A factory of what a test made before; remembers what it was asked for.
struct Ready {
    made: StdMutex<Vec<Made>>,
    asked: StdMutex<Vec<BTreeMap<String, String>>>,
}

#[async_trait]
impl Factory for Ready {
    async fn make(&self, _: &str, metadata: &BTreeMap<String, String>) -> Result<Made, Fault> {
        self.asked.lock().unwrap().push(metadata.clone());
        let made = self.made.lock().unwrap().pop();
        made.ok_or_else(|| Fault::new(crate::fault::FaultKind::Rejected, "read the Component", "unknown field"))
    }
}

/// A kind behind a pipe.
struct Served {
    channel: Channel,
    factory: Arc<Ready>,
    clock: Clock,
    metrics: Arc<Metrics>,
    shutdown: Shutdown,
}

impl Served {
    #[expect(clippy::disallowed_methods, reason = "the server ends with the test's runtime")]
    async fn start(made: Vec<Made>) -> Self {
        let factory = Arc::new(Ready { made: StdMutex::new(made), asked: StdMutex::default() });
        let (clock, shutdown) = (Clock::manual(jiff::Timestamp::UNIX_EPOCH), Shutdown::new());
        let metrics = Arc::new(Metrics::new());
        let kind = Kind { name: "eventbus.test", keeps_state: true, factory: factory.clone() };
        let instances = Arc::new(Instances::new(kind, clock.clone(), metrics.clone(), shutdown.clone()));
        let (client, server) = tokio::io::duplex(1 << 20);
        let routes = routes(&instances).unwrap();
        tokio::spawn(async move {
            let incoming = tokio_stream::once(Ok::<_, std::io::Error>(server));
            tonic::transport::Server::builder().add_routes(routes).serve_with_incoming(incoming).await.unwrap();
        });
        Self { channel: connect(client).await, factory, clock, metrics, shutdown }
    }

    fn pub_sub(&self) -> PubSubClient<Channel> {
        PubSubClient::new(self.channel.clone())
            .max_decoding_message_size(DAPRD_LIMIT)
            .max_encoding_message_size(usize::MAX)
    }

    async fn init(&self, name: &str) {
        self.init_with(name, &[("consumerID", "app")]).await.unwrap();
    }

    async fn init_with(&self, name: &str, properties: &[(&str, &str)]) -> Result<(), Status> {
        let metadata = Some(MetadataRequest { properties: map(properties) });
        self.pub_sub().init(named(name, PubSubInitRequest { metadata })).await.map(|_| ())
    }

    async fn publish(&self, data: &[u8], metadata: &[(&str, &str)]) -> Result<(), Status> {
        let request = PublishRequest {
            data: data.to_vec().into(),
            topic: "orders".to_owned(),
            metadata: map(metadata),
            ..PublishRequest::default()
        };
        self.pub_sub().publish(named("bus", request)).await.map(|_| ())
    }

    async fn pull(&self, metadata: &[(&str, &str)]) -> Pulled {
        self.try_pull("bus", metadata).await.unwrap()
    }

    async fn try_pull(&self, name: &str, metadata: &[(&str, &str)]) -> Result<Pulled, Status> {
        let (requests, outgoing) = mpsc::channel(64);
        let topic = ProtoTopic { name: "orders".to_owned(), metadata: map(metadata) };
        let first = PullMessagesRequest { topic: Some(topic), ..PullMessagesRequest::default() };
        requests.send(first).await.unwrap();
        let outgoing = tokio_stream::wrappers::ReceiverStream::new(outgoing);
        let messages = self.pub_sub().pull_messages(named(name, outgoing)).await?.into_inner();
        Ok(Pulled { requests, messages })
    }
}

async fn connect(client: DuplexStream) -> Channel {
    let client = Arc::new(StdMutex::new(Some(client)));
    let connector = tower::service_fn(move |_: http::Uri| {
        let client = client.lock().unwrap().take();
        async move { client.map(TokioIo::new).ok_or_else(|| std::io::Error::other("the pipe is gone")) }
    });
    Endpoint::from_static("http://component").connect_with_connector(connector).await.unwrap()
}

/// A call for the Component `name`.
fn named<T>(name: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("x-component-instance", AsciiMetadataValue::try_from(name).unwrap());
    request
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// A subscription, as daprd holds it.
struct Pulled {
    requests: mpsc::Sender<PullMessagesRequest>,
    messages: Streaming<PullMessagesResponse>,
}

impl Pulled {
    async fn next(&mut self) -> PullMessagesResponse {
        let next = within(Duration::from_secs(20), self.messages.message()).await;
        next.expect("no message came").unwrap().expect("the stream ended")
    }

    /// Whether nothing comes for a while: for what must not come at all.
    async fn is_quiet(&mut self) -> bool {
        within(Duration::from_millis(150), self.messages.message()).await.is_none()
    }

    async fn ack(&self, message: &PullMessagesResponse) {
        self.answer(message, None).await;
    }

    async fn nack(&self, message: &PullMessagesResponse) {
        self.answer(message, Some(AckMessageError { message: "retry".to_owned() })).await;
    }

    async fn answer(&self, message: &PullMessagesResponse, ack_error: Option<AckMessageError>) {
        let answer = PullMessagesRequest { topic: None, ack_message_id: message.id.clone(), ack_error };
        self.requests.send(answer).await.unwrap();
    }
}

struct Folder {
    _folder: tempfile::TempDir,
    bus: Arc<Embedded>,
}

async fn bus() -> (Folder, Made) {
    let folder = tempfile::tempdir().unwrap();
    let bus = Arc::new(Embedded::open(folder.path(), Config::default(), Clock::system()).await.unwrap());
    let made = Made::Bus { bus: bus.clone(), store: bus.clone() };
    (Folder { _folder: folder, bus }, made)
}

/// A Component named `bus` on an embedded bus, initialised.
async fn served() -> (Folder, Served) {
    let (folder, made) = bus().await;
    let served = Served::start(vec![made]).await;
    served.init("bus").await;
    (folder, served)
}

fn event(id: &str) -> Event {
    let draft = Draft::new(id, "/s", "t").with("datacontenttype", "application/json");
    draft.data(Data::Text("{\"a\": 9007199254740993}")).build().unwrap()
}
