//! All children: started in order, started again when they end, stopped in order.
//!
//! One loop looks at how everything stands and does what is missing; it looks again when a child ends, when a
//! pause is over, and while somebody is not ready yet. Children are started by this loop's thread alone: the
//! kernel ends a child with the thread that started it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::board::Board;
use super::launch::{Launch, free_port};
use super::layout::{Command, Workload};
use super::lines::Look;
use super::probe;
use super::process::Running;
use crate::task::{self, Backoff, Shutdown};

/// The pause before a child is started again.
const PAUSE: Backoff =
    Backoff { base: Duration::from_millis(200), factor: 2.0, jitter: 0.2, cap: Duration::from_secs(30) };

/// A child that ran for this long has not failed in a row.
const STEADY: Duration = Duration::from_secs(60);

/// Between two questions whether a child is ready.
const LOOK: Duration = Duration::from_millis(50);

/// daprd ends within 35 ms when no stream is open, or not at all.
const DAPRD_LIMIT: Duration = Duration::from_secs(5);

/// Buses are closed within this, however little of the grace period is left.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

/// What a child is, in the order of the start. The stop goes the other way, but takes the intake, which is
/// where events come in, before the router.
enum Role {
    Component,
    Daprd,
    Workload(Workload),
}

/// When everybody of a stage is gone, the next one is asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Intakes,
    Routers,
    Daprd,
    Components,
}

impl Role {
    fn stage(&self) -> Stage {
        match self {
            Self::Component => Stage::Components,
            Self::Daprd => Stage::Daprd,
            Self::Workload(workload) => match workload.command {
                Command::Intake => Stage::Intakes,
                Command::Router => Stage::Routers,
            },
        }
    }
}

/// A child, or the place of one.
struct Slot {
    role: Role,
    name: String,
    state: State,
    /// In a row.
    failures: u32,
    /// Whether it was ready once.
    proven: bool,
}

enum State {
    /// It is to be started at this time.
    Due(Duration),
    Up {
        running: Running,
        since: Duration,
        port: u16,
        ready: bool,
    },
}

pub struct Fleet {
    slots: Vec<Slot>,
    launch: Launch,
    board: Arc<Board>,
    died: Signal,
    elapsed: Box<dyn Fn() -> Duration + Send + Sync>,
    /// The width of the longest name.
    width: usize,
    /// Whether all were ready once.
    complete: bool,
}

impl Fleet {
    /// Starts nothing yet.
    ///
    /// # Errors
    /// When the ends of children cannot be watched for.
    pub fn new(launch: Launch, workloads: Vec<Workload>, board: Arc<Board>) -> anyhow::Result<Self> {
        // daprd may have nothing of ours to serve: a Trigger on a bus of Dapr's own.
        let component = launch.serves().then(|| ("component".to_owned(), Role::Component));
        let mut named: Vec<_> = component.into_iter().chain([("daprd".to_owned(), Role::Daprd)]).collect();
        named.extend(workloads.into_iter().map(|workload| (workload.name.clone(), Role::Workload(workload))));
        let width = named.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
        let slot = |(name, role)| Slot { role, name, state: State::Due(Duration::ZERO), failures: 0, proven: false };
        let slots = named.into_iter().map(slot).collect();
        let died = signal(SignalKind::child()).context("cannot watch for SIGCHLD")?;
        let elapsed = Box::new(task::stopwatch());
        Ok(Self { slots, launch, board, died, elapsed, width, complete: false })
    }

    /// Starts everything and keeps it running until `asked`.
    ///
    /// # Errors
    /// When a child cannot be started, or ends before all were ready once: what is wrong then is wrong for good.
    pub async fn keep(&mut self, asked: &Shutdown) -> anyhow::Result<()> {
        loop {
            self.reap().await?;
            self.start()?;
            self.probe().await;
            let pause = self.pause();
            // All three are cancel-safe: what has happened meanwhile is seen at the next look.
            tokio::select! {
                () = asked.requested() => return Ok(()),
                _ = self.died.recv() => {}
                () = wait(pause) => {}
            }
        }
    }

    /// Finds out who has ended, and decides when it is started again.
    async fn reap(&mut self) -> anyhow::Result<()> {
        let now = (self.elapsed)();
        let mut component_ended = false;
        for slot in &mut self.slots {
            let State::Up { running, since, .. } = &mut slot.state else { continue };
            let Some(status) = running.ended() else { continue };
            let lasted = now.saturating_sub(*since);
            let State::Up { running, .. } = std::mem::replace(&mut slot.state, State::Due(now)) else { continue };
            running.last_lines().await;
            self.board.set_ready(&slot.name, false);
            if !self.complete {
                bail!("{} ended before all were ready ({}): its last lines say why", slot.name, status);
            }
            slot.failures = if lasted < STEADY { slot.failures + 1 } else { 1 };
            let pause = PAUSE.pause(slot.failures);
            slot.state = State::Due(now + pause);
            let (process, status) = (&slot.name, status.to_string());
            component_ended |= matches!(slot.role, Role::Component);
            tracing::warn!(process, status, ?pause, "a process ended: starting it again");
        }
        if component_ended {
            self.restart_daprd(now).await;
        }
        Ok(())
    }

    /// daprd does not notice that a component process is another one, and would never initialise it.
    async fn restart_daprd(&mut self, now: Duration) {
        for slot in self.slots.iter_mut().filter(|slot| matches!(slot.role, Role::Daprd)) {
            if let State::Up { mut running, .. } = std::mem::replace(&mut slot.state, State::Due(now)) {
                tracing::warn!("restarting daprd with the component process, which it would not initialise again");
                running.kill();
                running.last_lines().await;
                self.board.set_ready(&slot.name, false);
            }
        }
    }

    /// Starts whoever is due. daprd looks for sockets once, so they must be there.
    fn start(&mut self) -> anyhow::Result<()> {
        let now = (self.elapsed)();
        let sockets = self
            .slots
            .iter()
            .filter(|slot| matches!(slot.role, Role::Component))
            .all(|slot| matches!(slot.state, State::Up { ready: true, .. }));
        for slot in &mut self.slots {
            let State::Due(due) = slot.state else { continue };
            if due > now || (matches!(slot.role, Role::Daprd) && !sockets) {
                continue;
            }
            let admin = free_port()?;
            let (command, port) = match &slot.role {
                Role::Component => (self.launch.component(admin), admin),
                Role::Daprd => (self.launch.daprd(), self.launch.daprd_port()),
                Role::Workload(workload) => (self.launch.workload(workload, admin), admin),
            };
            let look = Look { process: slot.name.clone(), width: self.width, json: self.launch.logs().json };
            let running = Running::start(command, &look).with_context(|| format!("cannot start {}", slot.name))?;
            tracing::debug!(process = slot.name, id = running.id(), port, "started");
            self.board.started(&slot.name, slot.role.stage(), port);
            slot.state = State::Up { running, since: now, port, ready: false };
        }
        Ok(())
    }

    /// Asks those who are not ready yet whether they are now.
    async fn probe(&mut self) {
        for slot in &mut self.slots {
            let State::Up { port, ready, .. } = &mut slot.state else { continue };
            if *ready {
                continue;
            }
            let path = if matches!(slot.role, Role::Daprd) { "/v1.0/healthz" } else { "/readyz" };
            if probe::get(*port, path).await.is_ok_and(|(status, _)| (200..300).contains(&status)) {
                *ready = true;
                self.board.set_ready(&slot.name, true);
                if std::mem::replace(&mut slot.proven, true) {
                    tracing::info!(process = slot.name, "runs again");
                }
            }
        }
        if !self.complete && self.slots.iter().all(|slot| slot.proven) {
            self.complete = true;
            tracing::info!("ready");
        }
    }

    /// How long nothing is to be done unless somebody ends; `None` for ever.
    fn pause(&self) -> Option<Duration> {
        let now = (self.elapsed)();
        let pauses = self.slots.iter().filter_map(|slot| match &slot.state {
            State::Up { ready: true, .. } => None,
            State::Up { .. } => Some(LOOK),
            State::Due(due) => Some(due.saturating_sub(now).max(LOOK)),
        });
        pauses.min()
    }

    /// Stops everybody: first no more comes in, then what is in flight is finished, then daprd, whose streams are
    /// closed by then, and last the buses.
    pub async fn stop(mut self, grace: Duration) {
        let elapsed = task::stopwatch();
        for stage in [Stage::Intakes, Stage::Routers, Stage::Daprd, Stage::Components] {
            let left = grace.saturating_sub(elapsed());
            let limit = match stage {
                Stage::Intakes | Stage::Routers => left,
                Stage::Daprd => left.min(DAPRD_LIMIT),
                Stage::Components => left.max(CLOSE_LIMIT),
            };
            let mut leaving: Vec<(String, Running)> = Vec::new();
            for slot in &mut self.slots {
                if slot.role.stage() != stage {
                    continue;
                }
                if let State::Up { running, .. } = std::mem::replace(&mut slot.state, State::Due(Duration::MAX)) {
                    self.board.set_ready(&slot.name, false);
                    running.terminate();
                    leaving.push((slot.name.clone(), running));
                }
            }
            let gone = task::within(limit, async {
                while leaving.iter_mut().any(|(_, running)| running.ended().is_none()) {
                    self.died.recv().await;
                }
            });
            if gone.await.is_none() {
                for (process, running) in &mut leaving {
                    if running.ended().is_none() {
                        tracing::warn!(process, "cut off at the end of the grace period");
                        running.kill();
                    }
                }
            }
            for (_, running) in leaving {
                running.last_lines().await;
            }
        }
    }
}

/// Never, when there is no pause.
async fn wait(pause: Option<Duration>) {
    match pause {
        Some(pause) => task::sleep(pause).await,
        None => std::future::pending().await,
    }
}
