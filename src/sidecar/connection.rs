//! One daprd: where it is, whether it is there, what it has loaded, and how it is made to begin anew.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use hyper_util::rt::TokioIo;
use tokio::sync::Notify;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Request, Response, Status};

use super::status;
use super::streams::Streams;
use crate::fault::{Fault, FaultKind};
use crate::proto::dapr_runtime::dapr_client::DaprClient;
use crate::proto::dapr_runtime::{GetMetadataRequest, GetMetadataResponse, ShutdownRequest};
use crate::task::{self, Backoff, Shutdown};

/// How long one call may take. daprd sets no limit of its own: a broker that hangs would hang us.
const CALL_LIMIT: Duration = Duration::from_secs(30);

/// daprd is on this machine: it accepts at once or is not there.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// daprd punishes clients that ping more often than every 8 seconds.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_LIMIT: Duration = Duration::from_secs(10);

/// Between looks for a daprd that is not there yet: it starts within 200 ms.
const RETURN: Backoff =
    Backoff { base: Duration::from_millis(50), factor: 2.0, jitter: 0.2, cap: Duration::from_secs(1) };

/// How long open streams may take to close before daprd is asked to shut down all the same.
const CLOSE_LIMIT: Duration = Duration::from_secs(10);

/// daprd ends 35 ms after it was asked, or hangs.
const END_LIMIT: Duration = Duration::from_secs(5);
const END_LOOK: Duration = Duration::from_millis(20);

/// At least this long between two requests to shut down: a daprd that comes back without having
/// initialised its components will not do so by being asked more often.
const RESTART_PAUSE: Duration = Duration::from_secs(10);

/// The largest message taken from daprd. It sends at most its `--max-body-size`, 4 MiB unless set.
pub(super) const MAX_MESSAGE: usize = 16 << 20;

/// Where daprd listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// `host:port`.
    Tcp(String),
    Unix(PathBuf),
}

impl Address {
    /// Reads an address as Dapr's SDKs do: `host:port`, `http://host:port`, `dns:host:port`,
    /// `unix:///path`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.is_empty() { Err("unix: needs a path".to_owned()) } else { Ok(Self::Unix(path.into())) };
        }
        if text.starts_with("https:") || text.ends_with("?tls=true") {
            return Err(format!("{text:?} asks for TLS: only a daprd beside this process can be used"));
        }
        let authority = ["http://", "dns://", "dns:"].iter().find_map(|scheme| text.strip_prefix(scheme));
        let authority = authority.unwrap_or(text).trim_end_matches('/');
        match format!("http://{authority}").parse::<Uri>() {
            Ok(uri) if uri.port_u16().is_some_and(|port| port > 0) && uri.path() == "/" => {
                Ok(Self::Tcp(authority.to_owned()))
            }
            _ => Err(format!("{text:?} is not an address: write it like \"127.0.0.1:50001\" or \"unix:///path\"")),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(authority) => f.write_str(authority),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

/// Which daprd, and what opens its door.
#[derive(Clone)]
pub struct Sidecar {
    pub address: Address,
    /// What daprd was given as `DAPR_API_TOKEN`.
    pub token: Option<String>,
}

/// Adds the token to every call.
#[derive(Clone)]
pub(super) struct Credentials(Option<MetadataValue<Ascii>>);

impl Interceptor for Credentials {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request.metadata_mut().insert("dapr-api-token", token.clone());
        }
        Ok(request)
    }
}

pub(super) type Client = DaprClient<InterceptedService<Channel, Credentials>>;

/// A Component that daprd has loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComponentInfo {
    pub name: String,
    /// Such as `pubsub.eventbus.embedded` or `bindings.http`.
    pub ty: String,
}

/// What daprd says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// Such as `1.18.1`; `edge` when it was built without saying.
    pub version: String,
    pub components: Vec<ComponentInfo>,
}

impl About {
    /// Whether several streams may read one topic: since 1.16. A version that is no number is new.
    pub fn takes_parallel_streams(&self) -> bool {
        let mut numbers = self.version.split('.').map(|number| number.parse::<u32>().ok());
        match (numbers.next().flatten(), numbers.next().flatten()) {
            (Some(major), Some(minor)) => (major, minor) >= (1, 16),
            _ => true,
        }
    }

    pub fn component(&self, name: &str) -> Option<&ComponentInfo> {
        self.components.iter().find(|component| component.name == name)
    }
}

/// A connection to one daprd. Cloning shares it. It connects when it is used, and again when it
/// broke.
#[derive(Clone)]
pub struct Connection(Arc<Inner>);

struct Inner {
    client: Client,
    address: Address,
    streams: Streams,
    /// Told when a component says that it was never initialised.
    forgotten: Notify,
}

impl Connection {
    /// # Errors
    /// `Rejected` when the token cannot be sent.
    pub fn new(sidecar: Sidecar) -> Result<Self, Fault> {
        let refused = |message: String| Fault::new(FaultKind::Rejected, "connect to daprd", message);
        let token = sidecar.token.map(|token| token.parse::<MetadataValue<Ascii>>());
        let mut token =
            token.transpose().map_err(|_| refused("the API token cannot be sent in a header".to_owned()))?;
        if let Some(token) = &mut token {
            token.set_sensitive(true);
        }
        let channel = channel(&sidecar.address).map_err(|error| refused(error.to_string()))?;
        let client = DaprClient::with_interceptor(channel, Credentials(token)).max_decoding_message_size(MAX_MESSAGE);
        let (address, streams, forgotten) = (sidecar.address, Streams::new(), Notify::new());
        Ok(Self(Arc::new(Inner { client, address, streams, forgotten })))
    }

    /// Waits until daprd answers: it has then loaded its components.
    ///
    /// # Errors
    /// `Denied` when it does not take our token; everything else is waited out.
    pub async fn ready(&self) -> Result<About, Fault> {
        let mut failures = 0;
        loop {
            match self.about().await {
                Ok(about) => return Ok(about),
                Err(fault) if fault.kind() == FaultKind::Denied => return Err(fault),
                Err(fault) if failures == 0 => {
                    tracing::info!(address = %self.0.address, fault = fault.chain(), "waiting for daprd");
                }
                Err(_) => {}
            }
            failures += 1;
            task::sleep(RETURN.pause(failures)).await;
        }
    }

    /// What daprd says about itself.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn about(&self) -> Result<About, Fault> {
        let mut client = self.client();
        let metadata = self.call("ask daprd about itself", client.get_metadata(GetMetadataRequest {})).await?;
        let GetMetadataResponse { runtime_version, registered_components, .. } = metadata;
        let components = registered_components.into_iter();
        let components = components.map(|known| ComponentInfo { name: known.name, ty: known.r#type }).collect();
        Ok(About { version: runtime_version, components })
    }

    /// Runs until `shutdown`. When a component behind daprd says that it was never initialised (it was
    /// started again, and daprd has not noticed), closes every stream and asks daprd to shut down, for
    /// its supervisor to start it again.
    ///
    /// # Errors
    /// None.
    pub async fn keep(self, shutdown: Shutdown) -> Result<(), Fault> {
        let kept = async {
            loop {
                self.0.forgotten.notified().await;
                self.restart().await;
                task::sleep(RESTART_PAUSE).await;
                // What was said meanwhile was about the daprd that is gone; who means the new one
                // says it again.
                let _stale = self.0.forgotten.notified().now_or_never();
            }
        };
        tokio::select! {
            () = shutdown.requested() => {}
            () = kept => {}
        }
        Ok(())
    }

    async fn restart(&self) {
        tracing::warn!("a component was started again and daprd has not initialised it: asking daprd to shut down");
        // daprd does not end while a stream is open.
        let _held = self.0.streams.hold();
        if task::within(CLOSE_LIMIT, self.0.streams.closed()).await.is_none() {
            tracing::warn!(streams = self.0.streams.count(), "streams did not close in time");
        }
        for forced in [false, true] {
            let answer = self.shut_down(forced).await;
            let gone = async {
                while self.about().await.is_ok() {
                    task::sleep(END_LOOK).await;
                }
            };
            if task::within(END_LIMIT, gone).await.is_some() {
                return;
            }
            let fault = answer.err().map(|fault| fault.chain());
            tracing::warn!(forced, fault, "daprd did not shut down");
        }
    }

    /// Asks daprd to end. `forced` counts since 1.18; older ones take it as an ordinary request.
    async fn shut_down(&self, forced: bool) -> Result<(), Fault> {
        let mut request = Request::new(ShutdownRequest {});
        if forced {
            request.metadata_mut().insert("dapr-force-shutdown", MetadataValue::from_static("true"));
        }
        let mut client = self.client();
        self.call("shut daprd down", client.shutdown(request)).await.map(drop)
    }

    pub(super) fn client(&self) -> Client {
        self.0.client.clone()
    }

    pub(super) fn streams(&self) -> &Streams {
        &self.0.streams
    }

    /// Waits for the answer to a call, within the limit.
    pub(super) async fn call<T>(
        &self,
        operation: &'static str,
        answer: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, Fault> {
        match task::within(CALL_LIMIT, answer).await {
            Some(Ok(response)) => Ok(response.into_inner()),
            Some(Err(status)) => Err(self.fault(operation, &status)),
            None => Err(Fault::new(FaultKind::Timeout, operation, "daprd gave no answer")),
        }
    }

    /// The fault that a status stands for; one that tells of a component without memory is acted on.
    pub(super) fn fault(&self, operation: &'static str, status: &Status) -> Fault {
        if status::is_uninitialised(status) {
            self.0.forgotten.notify_one();
        }
        status::fault(operation, status)
    }
}

fn channel(address: &Address) -> Result<Channel, tonic::transport::Error> {
    let tune = |endpoint: Endpoint| {
        let endpoint = endpoint.connect_timeout(CONNECT_LIMIT).keep_alive_timeout(PING_LIMIT);
        endpoint.http2_keep_alive_interval(PING_EVERY)
    };
    match address {
        Address::Tcp(authority) => Ok(tune(Endpoint::from_shared(format!("http://{authority}"))?).connect_lazy()),
        Address::Unix(path) => {
            let path = path.clone();
            let connector = tower::service_fn(move |_: Uri| {
                let path = path.clone();
                async move { tokio::net::UnixStream::connect(path).await.map(TokioIo::new) }
            });
            // The address is for the `:authority` header alone.
            Ok(tune(Endpoint::from_static("http://daprd")).connect_with_connector_lazy(connector))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_the_sdks_do() {
        let check = |text: &str, expected: &str| assert_eq!(Address::parse(text).unwrap().to_string(), expected);
        check("127.0.0.1:50001", "127.0.0.1:50001");
        check("http://localhost:50001/", "localhost:50001");
        check("dns:localhost:50001", "localhost:50001");
        check("[::1]:50001", "[::1]:50001");
        check("unix:///run/dapr.sock", "unix:///run/dapr.sock");
        check("unix:/run/dapr.sock", "unix:///run/dapr.sock");
        for wrong in ["", "localhost", "localhost:0", "https://localhost:50001", "unix:", "a b:1"] {
            Address::parse(wrong).unwrap_err();
        }
    }

    #[test]
    fn parallel_streams_came_with_1_16() {
        let check = |version: &str, expected| {
            let about = About { version: version.to_owned(), components: Vec::new() };
            assert_eq!(about.takes_parallel_streams(), expected, "{version}");
        };
        check("1.14.4", false);
        check("1.15.13", false);
        check("1.16.0", true);
        check("1.18.1", true);
        check("2.0.0-rc.1", true);
        check("edge", true);
    }
}
