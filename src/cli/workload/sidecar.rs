//! How a workload finds its daprd, and what it says about the Components behind it.

use std::fmt;
use std::time::Duration;

use clap::Args;
use serde::Deserialize;

use crate::api::duration;
use crate::fault::{Fault, FaultKind};
use crate::layout;
use crate::sidecar::{About, Address, Bus, Connection, Frames, Settings, Sidecar};
use crate::task::Clock;

/// Where daprd is.
#[derive(Args, Clone)]
#[group(skip)]
pub struct Options {
    /// daprd's gRPC API: host:port, or unix: and a path; by default --dapr-grpc-port of this machine
    #[arg(long, env = "DAPR_GRPC_ENDPOINT", value_name = "ADDRESS")]
    dapr: Option<String>,

    /// The port of daprd's gRPC API on this machine
    #[arg(long, env = "DAPR_GRPC_PORT", default_value = "50001", value_name = "PORT")]
    dapr_grpc_port: u16,

    /// What daprd was given as its API token
    #[arg(long, env = "DAPR_API_TOKEN", hide = true, hide_env_values = true)]
    dapr_api_token: Option<String>,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("dapr", &self.dapr).field("port", &self.dapr_grpc_port).finish_non_exhaustive()
    }
}

impl Options {
    /// # Errors
    /// When the address cannot be read.
    pub fn sidecar(&self) -> anyhow::Result<Sidecar> {
        let local = || Ok(Address::Tcp(format!("127.0.0.1:{}", self.dapr_grpc_port)));
        let address = self.dapr.as_deref().filter(|text| !text.is_empty()).map_or_else(local, Address::parse);
        let address = address.map_err(|message| anyhow::anyhow!("daprd's address (--dapr): {message}"))?;
        Ok(Sidecar { address, token: self.dapr_api_token.clone().filter(|token| !token.is_empty()) })
    }
}

/// Whether events travel many in a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FramesSpec {
    /// When the Component is one of ours.
    #[default]
    Auto,
    On,
    Off,
}

/// A pub/sub Component, as a plan names it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Endpoint {
    /// The Component's name.
    pub component: String,
    #[serde(default)]
    pub frames: FramesSpec,
    /// A frame closes before it is larger.
    pub frame_bytes: Option<usize>,
    /// Whether frames are packed, where the other end can unpack them.
    pub packed: Option<bool>,
    /// How often an idle stream gives a sign of life.
    pub heartbeat: Option<String>,
    /// Streams that read each topic side by side.
    pub streams: Option<usize>,
}

impl Endpoint {
    /// The bus that the Component is.
    ///
    /// # Errors
    /// `NotFound` when daprd has not loaded it, `Rejected` when a word cannot be read.
    pub fn bus(&self, connection: &Connection, about: &About, clock: &Clock) -> Result<Bus, Fault> {
        let Some(known) = about.component(&self.component) else {
            let fault = Fault::new(FaultKind::NotFound, "find a component", "daprd has not loaded it");
            return Err(fault.with_context("component", self.component.as_str()));
        };
        let frames = match self.frames {
            FramesSpec::On => Frames::On,
            // Our own components know frames.
            FramesSpec::Auto if layout::kind(&known.ty).is_some() => Frames::On,
            FramesSpec::Auto | FramesSpec::Off => Frames::Off,
        };
        let default = Settings::new(frames);
        let heartbeat = self.heartbeat.as_deref().map(heartbeat).transpose()?;
        let settings = Settings {
            frame_bytes: self.frame_bytes.unwrap_or(default.frame_bytes),
            heartbeat: heartbeat.unwrap_or(default.heartbeat),
            packed: self.packed.unwrap_or(default.packed),
            ..default
        };
        Ok(Bus::new(connection.clone(), &self.component, settings, clock.clone()))
    }

    /// The streams of each topic; daprd before 1.16 refuses a second one. Of a component that is not ours, one: it may
    /// give every event to each, or one topic to one alone. It hands out several messages on it side by side.
    pub fn streams(&self, about: &About, default: usize) -> usize {
        let ours = about.component(&self.component).is_some_and(|known| layout::kind(&known.ty).is_some());
        let default = if ours { default } else { 1 };
        if about.takes_parallel_streams() { self.streams.unwrap_or(default).max(1) } else { 1 }
    }
}

fn heartbeat(text: &str) -> Result<Duration, Fault> {
    let refused = |message| Fault::new(FaultKind::Rejected, "read the heartbeat", message);
    let heartbeat = duration::parse(text).map_err(refused)?;
    let sane = (Duration::from_millis(10)..=Duration::from_secs(600)).contains(&heartbeat);
    if sane { Ok(heartbeat) } else { Err(refused(format!("{text:?} is not between 10ms and 10m"))) }
}
