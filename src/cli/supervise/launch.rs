//! The command lines of the children.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::Context as _;

use super::Terms;
use super::layout::{Command as Workloads, Workload};
use super::lifeline;
use super::place::Place;
use crate::api::Secret;

/// The app id: the same in every start, because it is in the names of what a bus keeps.
const APP_ID: &str = "penstock";

/// What all command lines are made of.
pub struct Launch {
    daprd: PathBuf,
    daprd_log: String,
    /// This program.
    own: PathBuf,
    place: Place,
    terms: Terms,
    kinds: BTreeSet<String>,
    secrets: Vec<(String, Secret)>,
    grpc: u16,
    http: u16,
    internal: u16,
}

impl Launch {
    /// # Errors
    /// When this program cannot be found, or there is no free port.
    pub fn new(
        daprd: PathBuf,
        daprd_log: String,
        place: Place,
        terms: Terms,
        kinds: BTreeSet<String>,
        secrets: Vec<(String, Secret)>,
    ) -> anyhow::Result<Self> {
        let own = std::env::current_exe().context("cannot find this program, to start it again")?;
        let (grpc, http, internal) = (free_port()?, free_port()?, free_port()?);
        Ok(Self { daprd, daprd_log, own, place, terms, kinds, secrets, grpc, http, internal })
    }

    /// The form of the children's lines.
    pub fn logs(&self) -> &crate::cli::logs::Passed {
        &self.terms.logs
    }

    /// The port of daprd's HTTP API, which tells whether it is ready.
    pub fn daprd_port(&self) -> u16 {
        self.http
    }

    pub fn daprd(&self) -> Command {
        let mut command = self.child(&self.daprd);
        command
            .args(["--app-id", APP_ID, "--resources-path"])
            .arg(self.place.resources())
            .args(["--dapr-grpc-port", &self.grpc.to_string(), "--dapr-http-port", &self.http.to_string()])
            .args(["--dapr-internal-grpc-port", &self.internal.to_string()])
            .args(["--dapr-listen-addresses=127.0.0.1", "--dapr-internal-grpc-listen-address=127.0.0.1"])
            .args(["--enable-metrics=false", "--log-as-json", "--log-level", &self.daprd_log])
            .env("DAPR_HOST_IP", "127.0.0.1")
            .env("DAPR_COMPONENTS_SOCKETS_FOLDER", self.place.sockets())
            // With it, daprd would leave out Components of other namespaces.
            .env_remove("NAMESPACE")
            .envs(self.secrets.iter().map(|(name, secret)| (name, secret.expose())));
        command
    }

    /// Whether there is a kind to serve.
    pub fn serves(&self) -> bool {
        !self.kinds.is_empty()
    }

    pub fn component(&self, admin: u16) -> Command {
        let kinds = self.kinds.iter().map(String::as_str).collect::<Vec<_>>().join(",");
        let mut command = self.own("component", admin);
        command.args(["--kind", &kinds, "--bind", &self.terms.bind.to_string()]);
        command.arg("--sockets-dir").arg(self.place.sockets()).arg("--data-dir").arg(self.place.data());
        command
    }

    pub fn workload(&self, workload: &Workload, admin: u16) -> Command {
        let mut command = self.own(workload.command.as_str(), admin);
        command.arg("--plan").arg(self.place.plan(workload));
        command.args(["--dapr", &format!("127.0.0.1:{}", self.grpc)]);
        command.args(["--grace", &format!("{}ms", self.terms.grace.as_millis())]);
        if workload.command == Workloads::Router {
            command.args(&self.terms.telling);
        }
        command
    }

    fn own(&self, subcommand: &str, admin: u16) -> Command {
        let mut command = self.child(&self.own);
        command.args([subcommand, "--admin", &format!("127.0.0.1:{admin}")]);
        command
    }

    /// A program that ends with this process. It has a process group of its own, because Ctrl-C on a
    /// terminal goes to the whole group, and the order of the stop would be lost.
    fn child(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(&self.own);
        let parent = OsString::from(std::process::id().to_string());
        command.args([lifeline::COMMAND.as_ref(), parent.as_os_str(), program.as_ref()]);
        command.envs(self.terms.logs.environment());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        command
    }
}

/// A port of the loopback interface that nobody listens on. Not one that the system gives to outgoing
/// connections: a child that is started again needs it again.
///
/// # Errors
/// When none was found.
pub fn free_port() -> anyhow::Result<u16> {
    const TRIES: usize = 1000;
    let ports = (0..TRIES).map(|_| fastrand::u16(10_000..30_000));
    let free = ports.into_iter().find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.context("there is no free port on 127.0.0.1")
}
