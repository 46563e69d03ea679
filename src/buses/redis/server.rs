//! Calls to the server: over one connection that everyone shares, made anew when it breaks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::{Cmd, FromRedisValue, Value};
use tokio::sync::watch;

use super::config::{Config, Topology};
use super::script::Script;
use crate::dial::{Link, Servers, Target, connect, fault};
use crate::fault::{Fault, FaultKind};
use crate::task::{self, Backoff, Shutdown};

/// For the server to answer one call. A busy disk takes a moment; a server that stands still must not
/// hold up a publisher for long.
const PATIENCE: Duration = Duration::from_secs(5);
/// For one server to take the connection and the login.
const DIAL: Duration = Duration::from_secs(2);
/// After a connection attempt that failed, the next one is not before this; callers are told the fault.
const PAUSE: Duration = Duration::from_millis(200);

/// The pauses of whoever waits an outage out.
pub(super) const OUTAGE: Backoff =
    Backoff { base: Duration::from_millis(100), factor: 2.0, jitter: 0.2, cap: Duration::from_secs(1) };

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The shared connection, and which one in a row it is.
#[derive(Default)]
struct Shared {
    link: Option<Link>,
    generation: u64,
    failed: Option<(Fault, Box<dyn Fn() -> Duration + Send>)>,
}

/// The server, as everyone here knows it.
#[derive(Clone)]
pub(super) struct Server {
    pub config: Arc<Config>,
    shared: Arc<tokio::sync::Mutex<Shared>>,
    /// Why the last call failed, when it was not for what was asked.
    ailment: Arc<Mutex<Option<Fault>>>,
    /// Changes when there may be something to fetch that no stream tells of.
    pub stirred: Arc<watch::Sender<u64>>,
    /// Requested when the bus is closed.
    pub closed: Shutdown,
}

impl Server {
    /// Connects.
    ///
    /// # Errors
    /// As [`connect`].
    pub(super) async fn open(config: Config) -> Result<Self, Fault> {
        let server = Self {
            config: Arc::new(config),
            shared: Arc::default(),
            ailment: Arc::default(),
            stirred: Arc::new(watch::Sender::new(0)),
            closed: Shutdown::new(),
        };
        server.link().await?;
        // A server that wants a password takes the connection without one, and nothing else.
        server.call::<String>("connect to Redis", &redis::cmd("PING")).await?;
        Ok(server)
    }

    /// A connection of one's own, on which an answer may take `patience`.
    pub(super) async fn own_link(&self, patience: Duration) -> Result<Link, Fault> {
        let config = &self.config;
        let target = Target {
            servers: match &config.topology {
                Topology::Node => Servers::Node(&config.servers),
                Topology::Cluster => Servers::Cluster(&config.servers),
                Topology::Sentinel(master) => Servers::Sentinel { sentinels: &config.servers, master },
            },
            username: config.username.as_ref(),
            password: config.password.as_ref(),
            db: config.db,
            tls: config.tls.as_ref(),
            dial: Some(DIAL),
            answer: Some(patience),
        };
        connect(&target).await
    }

    async fn link(&self) -> Result<(Link, u64), Fault> {
        let mut shared = self.shared.lock().await;
        if let Some(link) = &shared.link {
            return Ok((link.clone(), shared.generation));
        }
        if let Some((fault, elapsed)) = &shared.failed
            && elapsed() < PAUSE
        {
            return Err(fault.clone());
        }
        match self.own_link(PATIENCE).await {
            Ok(link) => {
                shared.generation += 1;
                shared.link = Some(link.clone());
                shared.failed = None;
                Ok((link, shared.generation))
            }
            Err(fault) => {
                shared.failed = Some((fault.clone(), Box::new(task::stopwatch())));
                Err(fault)
            }
        }
    }

    /// Runs a script as one step of the server.
    ///
    /// # Errors
    /// When no answer comes, a refusal, or an answer that cannot be understood.
    pub(super) async fn run<T: FromRedisValue>(
        &self,
        operation: &'static str,
        script: &Script,
        keys: &[&str],
        arguments: &[&[u8]],
    ) -> Result<T, Fault> {
        let command = |name: &str, text: &str| {
            let mut command = redis::cmd(name);
            command.arg(text).arg(keys.len()).arg(keys).arg(arguments);
            command
        };
        let answer = self.call(operation, &command("EVALSHA", &script.hash)).await;
        match answer {
            Err(fault) if is_unknown_script(&fault) => self.call(operation, &command("EVAL", script.text)).await,
            answer => answer,
        }
    }

    /// Sends one command.
    ///
    /// # Errors
    /// As [`Server::run`].
    pub(super) async fn call<T: FromRedisValue>(&self, operation: &'static str, command: &Cmd) -> Result<T, Fault> {
        let answer = self.ask(operation, command).await;
        let ailing = answer.as_ref().err().filter(|fault| is_outage(fault) || fault.kind() == FaultKind::Full);
        *lock(&self.ailment) = ailing.cloned();
        redis::from_redis_value(answer?).map_err(|error| fault(operation, error.into()))
    }

    async fn ask(&self, operation: &'static str, command: &Cmd) -> Result<Value, Fault> {
        let (mut link, generation) = self.link().await?;
        match link.query(command).await {
            Ok(value) => Ok(value),
            Err(error) => {
                let unusable = error.is_io_error() || error.is_unrecoverable_error();
                let fault = fault(operation, error);
                // A server that is no master any more, or does not answer, may have been replaced.
                if unusable || is_outage(&fault) {
                    let mut shared = self.shared.lock().await;
                    if shared.generation == generation {
                        shared.link = None;
                    }
                }
                Err(fault)
            }
        }
    }

    /// Why the bus cannot do its work at the moment.
    pub(super) fn ailment(&self) -> Option<Fault> {
        lock(&self.ailment).clone()
    }

    /// # Errors
    /// `Closed` after the bus was closed.
    pub(super) fn is_open(&self, operation: &'static str) -> Result<(), Fault> {
        if self.closed.is_requested() { Err(closed(operation)) } else { Ok(()) }
    }

    /// Tells members that there may be something to fetch.
    pub(super) fn stir(&self) {
        self.stirred.send_modify(|count| *count += 1);
    }

    /// Waits before the next attempt, after so many failed ones.
    ///
    /// # Errors
    /// The fault itself when waiting does not help, `Closed` when the bus is closed meanwhile.
    pub(super) async fn wait_out(&self, failures: &mut u32, fault: Fault) -> Result<(), Fault> {
        if !is_outage(&fault) && fault.kind() != FaultKind::Full {
            return Err(fault);
        }
        *failures += 1;
        tracing::warn!(error = %fault.chain(), "Redis cannot be used; trying again");
        tokio::select! {
            () = task::sleep(OUTAGE.pause(*failures)) => Ok(()),
            () = self.closed.requested() => Err(closed(fault.operation())),
        }
    }
}

pub(super) fn closed(operation: &'static str) -> Fault {
    Fault::new(FaultKind::Closed, operation, "the bus is closed")
}

pub(super) fn is_outage(fault: &Fault) -> bool {
    matches!(fault.kind(), FaultKind::Unavailable | FaultKind::Timeout)
}

/// A server that was restarted knows no scripts.
fn is_unknown_script(fault: &Fault) -> bool {
    let source = std::error::Error::source(fault).and_then(|source| source.downcast_ref::<redis::RedisError>());
    source.is_some_and(|error| error.kind() == redis::ErrorKind::Server(redis::ServerErrorKind::NoScript))
}
