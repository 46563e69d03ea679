//! The real daprd, as a child process on the loopback interface.

use std::fs;
use std::path::{Path, PathBuf};

use http::Method;
use penstock::proto::dapr_runtime::dapr_client::DaprClient;
use tokio::process::Command;
use tonic::transport::{Channel, Endpoint};

use super::process::Process;
use super::{Client, eventually, free_port};

/// The module that pins the version.
const MODULE: &str = include_str!("../../tools/daprd/go.mod");

/// The variable that names another daprd than the one that `make tools` builds.
const OTHER: &str = "PENSTOCK_DAPRD";

/// The daprd under test.
pub fn daprd_path() -> PathBuf {
    if let Some(path) = std::env::var_os(OTHER) {
        return path.into();
    }
    let version = MODULE.lines().find_map(|line| line.strip_prefix("require github.com/dapr/dapr v")).unwrap();
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache");
    let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(home, PathBuf::from);
    let path = cache.join("penstock/tools").join(format!("daprd-{version}"));
    assert!(path.exists(), "{} is not there: make tools builds it", path.display());
    path
}

/// How daprd is to be started. Started again, it has the same ports.
#[derive(Clone, Debug)]
pub struct Daprd {
    /// The folder with Components and Subscriptions.
    resources: PathBuf,
    sockets: PathBuf,
    app_id: String,
    app_port: Option<u16>,
    grpc: u16,
    http: u16,
    environment: Vec<(&'static str, String)>,
    arguments: Vec<String>,
}

impl Daprd {
    /// With the resources and the sockets of these folders, which are made if they are not there.
    pub fn new(resources: &Path, sockets: &Path) -> Self {
        fs::create_dir_all(resources).unwrap();
        fs::create_dir_all(sockets).unwrap();
        Self {
            resources: resources.to_owned(),
            sockets: sockets.to_owned(),
            app_id: "app".to_owned(),
            app_port: None,
            grpc: free_port(),
            http: free_port(),
            environment: Vec::new(),
            arguments: Vec::new(),
        }
    }

    /// The app that it calls, on a port of the loopback interface. It is waited for.
    pub fn app_port(mut self, port: u16) -> Self {
        self.app_port = Some(port);
        self
    }

    pub fn app_id(mut self, id: &str) -> Self {
        id.clone_into(&mut self.app_id);
        self
    }

    /// More arguments.
    pub fn with<S: Into<String>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// One more environment variable.
    pub fn env(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    /// Writes a resource: a Component, a Subscription.
    pub fn resource(&self, name: &str, yaml: &str) {
        fs::write(self.resources.join(name).with_extension("yaml"), yaml).unwrap();
    }

    /// The address of a path of its HTTP API.
    pub fn http(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.http)
    }

    /// The port of its gRPC API on the loopback interface.
    pub fn grpc_port(&self) -> u16 {
        self.grpc
    }

    /// The port of its HTTP API on the loopback interface.
    pub fn http_port(&self) -> u16 {
        self.http
    }

    /// A client of its gRPC API.
    pub async fn client(&self) -> DaprClient<Channel> {
        let channel =
            Endpoint::from_shared(format!("http://127.0.0.1:{}", self.grpc_port())).unwrap().connect().await.unwrap();
        DaprClient::new(channel).max_decoding_message_size(usize::MAX).max_encoding_message_size(usize::MAX)
    }

    /// Publishes through the HTTP API; the status code and the body of the answer.
    pub async fn publish(&self, pubsub: &str, topic: &str, content_type: &str, body: &[u8]) -> (u16, String) {
        let uri = self.http(&format!("/v1.0/publish/{pubsub}/{topic}"));
        let answer = Client::new().send(Method::POST, &uri, &[("content-type", content_type)], body).await.unwrap();
        (answer.code, answer.body)
    }

    /// Starts it and waits until it is ready.
    pub async fn start(&self) -> Process {
        let process = self.spawn();
        let (client, health) = (Client::new(), self.http("/v1.0/healthz"));
        eventually("daprd is ready", || async {
            assert!(!process.has_ended(), "daprd ended: {}", process.log());
            client.get(&health).await.is_ok_and(|answer| answer.code == 204)
        })
        .await;
        process
    }

    /// Starts it and does not wait.
    pub fn spawn(&self) -> Process {
        let mut command = Command::new(daprd_path());
        command
            .args(["--app-id", &self.app_id, "--resources-path"])
            .arg(&self.resources)
            .args(["--dapr-grpc-port", &self.grpc.to_string(), "--dapr-http-port", &self.http.to_string()])
            .args(["--dapr-internal-grpc-port", &free_port().to_string()])
            .args(["--dapr-listen-addresses=127.0.0.1", "--dapr-internal-grpc-listen-address=127.0.0.1"])
            .args(["--enable-metrics=false", "--log-level=info"])
            .args(self.app_port.iter().flat_map(|port| ["--app-port".to_owned(), port.to_string()]))
            .args(&self.arguments)
            .env("DAPR_HOST_IP", "127.0.0.1")
            .env("DAPR_COMPONENTS_SOCKETS_FOLDER", &self.sockets)
            .envs(self.environment.iter().map(|(name, value)| (*name, value)));
        Process::spawn(command)
    }
}
