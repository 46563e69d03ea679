//! Reads streams, and acknowledges what the bus has.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use redis::{Cmd, FromRedisValue};

use super::config::{Config, Topology};
use super::desk::Desk;
use super::message::{self, Raw, Terms};
use crate::dial::{Attempts, Link, Servers, Target, connect, fault};
use crate::fault::{Fault, FaultKind};
use crate::flow::{self, Outlet};
use crate::task::{self, Backoff, Group, Shutdown};

/// Entries that one call reads: few, because they may be large.
const READ: usize = 16;
/// How long the server lets a read wait, and so how long a stop may take.
const BLOCK: Duration = Duration::from_secs(1);
/// Entries in one call that tells of them.
const TELL: usize = 500;

/// One stream and where its events go.
pub type Entry = flow::Entry<Config>;

/// Reads one stream as a member of a consumer group.
pub struct Source {
    config: Arc<Config>,
    outlet: Outlet,
    group: String,
    consumer: String,
    terms: Arc<Terms>,
    desk: Arc<Desk>,
}

impl Source {
    pub fn new(entry: Entry) -> Self {
        let Entry { config, outlet, identity, source, ty } = entry;
        let group = config.group.clone().unwrap_or_else(|| format!("penstock-{}", identity.replace('/', "-")));
        let terms = Terms { stream: config.stream.clone(), source, ty, json_body: config.json_body };
        Self {
            config: Arc::new(config),
            outlet,
            group,
            consumer: format!("{:016x}", fastrand::u64(..)),
            terms: Arc::new(terms),
            desk: Arc::default(),
        }
    }
}

#[async_trait]
impl flow::Source for Source {
    async fn run(self: Box<Self>, shutdown: Shutdown) -> Result<(), Fault> {
        let source = Arc::new(*self);
        // The clerk works until the reader has ended and all receipts are in.
        let ended = Shutdown::new();
        let mut both = Group::new(&shutdown);
        let stop = both.shutdown().clone();
        let (reader, read) = (source.clone(), ended.clone());
        both.spawn(async move {
            let outcome = reader.read(stop).await;
            read.request();
            outcome
        });
        both.spawn(async move { source.tell(ended).await });
        both.join().await
    }
}

/// A connection that is made when it is needed.
struct Line<'a> {
    source: &'a Source,
    link: Option<Link>,
    /// For an answer, beyond what the command itself waits for.
    block: Duration,
}

impl Line<'_> {
    async fn call<T: FromRedisValue>(&mut self, operation: &'static str, command: &Cmd) -> Result<T, Fault> {
        let link = match &mut self.link {
            Some(link) => link,
            none => none.insert(self.source.connect(self.block).await?),
        };
        match link.query(command).await {
            Ok(value) => redis::from_redis_value(value).map_err(|error| fault(operation, error.into())),
            Err(error) => {
                let fault = fault(operation, error);
                if matches!(fault.kind(), FaultKind::Unavailable | FaultKind::Timeout) {
                    self.link = None;
                }
                Err(fault)
            }
        }
    }

    /// As [`Line::call`], tried again as often as the settings say. For what may be done twice.
    async fn insist<T: FromRedisValue>(&mut self, operation: &'static str, command: &Cmd) -> Result<T, Fault> {
        let config = &self.source.config;
        let base = config.min_retry_interval.unwrap_or_default();
        let cap = config.max_retry_interval.unwrap_or(base);
        let pauses = Backoff { base, factor: 2.0, jitter: 0.2, cap };
        let mut failures = 0;
        loop {
            match self.call(operation, command).await {
                Err(fault) if fault.is_retryable() && failures < config.max_retries => {
                    failures += 1;
                    task::sleep(pauses.pause(failures)).await;
                }
                answer => return answer,
            }
        }
    }
}

impl Source {
    async fn connect(&self, block: Duration) -> Result<Link, Fault> {
        let config = &self.config;
        // Without a limit when either has none.
        let answer = config.read_timeout.zip(config.write_timeout).map(|(read, write)| read + write + block);
        let target = Target {
            servers: match &config.topology {
                Topology::Node => Servers::Node(&config.servers),
                Topology::Cluster => Servers::Cluster(&config.servers),
                Topology::Sentinel(master) => Servers::Sentinel { sentinels: &config.servers, master },
            },
            username: None,
            password: config.password.as_ref(),
            db: config.db,
            tls: config.tls.as_ref(),
            dial: config.dial_timeout,
            answer,
        };
        connect(&target).await
    }

    /// Reads until `stop`; outages are waited out.
    async fn read(&self, stop: Shutdown) -> Result<(), Fault> {
        let mut line = Line { source: self, link: None, block: BLOCK };
        let mut attempts = Attempts::new("Redis", &self.config.backoff);
        let mut joined = false;
        while !stop.is_requested() {
            let turn = async {
                if !joined {
                    self.join(&mut line).await?;
                    joined = true;
                }
                self.turn(&mut line, &stop).await
            };
            let Err(fault) = turn.await else {
                attempts.agreed();
                continue;
            };
            match fault.kind() {
                // The group is gone: the stream was deleted, or the server forgot it.
                FaultKind::NotFound => joined = false,
                FaultKind::Closed => return Ok(()),
                _ if !fault.is_retryable() => return Err(fault),
                _ => {}
            }
            let fault = fault.with_context("stream", &self.config.stream);
            tokio::select! {
                () = stop.requested() => {}
                again = attempts.failed(fault) => again?,
            }
        }
        Ok(())
    }

    /// Makes the group unless it is there.
    async fn join(&self, line: &mut Line<'_>) -> Result<(), Fault> {
        let from = if self.config.from_beginning { "0" } else { "$" };
        let mut command = redis::cmd("XGROUP");
        command.arg("CREATE").arg(&self.config.stream).arg(&self.group).arg(from).arg("MKSTREAM");
        match line.call::<()>("join a group", &command).await {
            Err(fault) if fault.kind() == FaultKind::Conflict => Ok(()),
            made => made,
        }
    }

    /// Reads some entries and hands them out.
    async fn turn(&self, line: &mut Line<'_>, stop: &Shutdown) -> Result<(), Fault> {
        let room = self.desk.room().min(READ);
        if room == 0 {
            tokio::select! {
                () = stop.requested() => {}
                () = self.desk.freed.notified() => {}
            }
            return Ok(());
        }
        let mut command = redis::cmd("XREADGROUP");
        command.arg("GROUP").arg(&self.group).arg(&self.consumer).arg("COUNT").arg(room);
        command.arg("BLOCK").arg(millis(BLOCK)).arg("STREAMS").arg(&self.config.stream).arg(">");
        let read: Option<Vec<(String, Vec<Raw>)>> = line.call("read a stream", &command).await?;
        for entry in read.into_iter().flatten().flat_map(|(_, entries)| entries).filter_map(message::Entry::new) {
            let position = entry.position;
            if self.desk.take(entry, 1) {
                self.send(position).await?;
            }
        }
        Ok(())
    }

    async fn send(&self, position: flow::Position) -> Result<(), Fault> {
        match self.desk.hand_out(position, &self.terms) {
            Some(received) => self.outlet.send(received).await,
            None => Ok(()),
        }
    }

    /// Acknowledges what the bus has, hands out again what it has not, and takes over what readers
    /// that went away held; until the reader has `ended` and nothing is out.
    async fn tell(&self, ended: Shutdown) -> Result<(), Fault> {
        let mut line = Line { source: self, link: None, block: Duration::ZERO };
        let mut again = FuturesUnordered::new();
        let look = self.config.redeliver_interval.zip(self.config.processing_timeout);
        let mut looked = task::stopwatch();
        let mut cursor = "0-0".to_owned();
        loop {
            if let Err(fault) = self.acknowledge(&mut line).await {
                tracing::warn!(fault = fault.chain(), "entries cannot be acknowledged yet; they may come again");
                if !ended.is_requested() {
                    task::sleep(self.config.backoff.base).await;
                }
            }
            if ended.is_requested() && self.desk.is_settled() {
                break;
            }
            if let Some((interval, idle)) = look
                && looked() >= interval
                && !ended.is_requested()
            {
                looked = task::stopwatch();
                match self.claim(&mut line, idle, &mut cursor).await {
                    Ok(found) => again.extend(found.into_iter().map(|position| self.later(position, Duration::ZERO))),
                    Err(fault) if fault.kind() == FaultKind::NotFound => {}
                    Err(fault) => tracing::debug!(fault = fault.chain(), "nothing can be taken over yet"),
                }
            }
            again.extend(self.desk.again().into_iter().map(|(position, pause)| self.later(position, pause)));
            let left = look.filter(|_| !ended.is_requested());
            let left = left.map_or(BLOCK, |(interval, _)| interval.saturating_sub(looked()));
            tokio::select! {
                () = self.desk.told.notified() => {}
                () = ended.requested(), if !ended.is_requested() => again.clear(),
                Some(()) = again.next(), if !ended.is_requested() => {}
                () = task::sleep(left) => {}
            }
        }
        self.give_back(&mut line).await;
        Ok(())
    }

    async fn later(&self, position: flow::Position, pause: Duration) {
        task::sleep(pause).await;
        if self.send(position).await.is_err() {
            tracing::debug!("nobody takes events any more");
        }
    }

    async fn acknowledge(&self, line: &mut Line<'_>) -> Result<(), Fault> {
        let kept = self.desk.kept();
        for some in kept.chunks(TELL) {
            let mut command = redis::cmd("XACK");
            command.arg(&self.config.stream).arg(&self.group);
            for position in some {
                command.arg(position.to_string());
            }
            if let Err(fault) = line.insist::<i64>("acknowledge entries", &command).await {
                // Acknowledging one twice does no harm.
                self.desk.keep(kept);
                return Err(fault);
            }
        }
        Ok(())
    }

    /// Shows that what is held is in work, and takes entries that nobody showed this for.
    async fn claim(
        &self,
        line: &mut Line<'_>,
        idle: Duration,
        cursor: &mut String,
    ) -> Result<Vec<flow::Position>, Fault> {
        for some in self.desk.held().chunks(TELL) {
            self.claim_own(line, some, Duration::ZERO).await?;
        }
        let room = self.desk.room().min(READ);
        if room == 0 {
            return Ok(Vec::new());
        }
        let mut command = redis::cmd("XAUTOCLAIM");
        command.arg(&self.config.stream).arg(&self.group).arg(&self.consumer).arg(millis(idle)).arg(&*cursor);
        command.arg("COUNT").arg(room);
        let answer: Vec<redis::Value> = line.insist("take over entries", &command).await?;
        let unreadable = |error: redis::ParsingError| fault("take over entries", error.into());
        let mut answer = answer.into_iter();
        let (next, entries) = (answer.next().unwrap_or_default(), answer.next().unwrap_or_default());
        *cursor = redis::from_redis_value(next).map_err(unreadable)?;
        // An older server answers nothing for an entry that was deleted.
        let entries: Vec<Option<Raw>> = redis::from_redis_value(entries).map_err(unreadable)?;
        let entries = entries.into_iter().flatten().filter_map(message::Entry::new);
        Ok(entries.filter_map(|entry| Some(entry.position).filter(|_| self.desk.take(entry, 2))).collect())
    }

    /// Sets how long entries of this reader seem to have waited.
    async fn claim_own(&self, line: &mut Line<'_>, some: &[flow::Position], idle: Duration) -> Result<(), Fault> {
        let mut command = redis::cmd("XCLAIM");
        command.arg(&self.config.stream).arg(&self.group).arg(&self.consumer).arg(0);
        for position in some {
            command.arg(position.to_string());
        }
        command.arg("IDLE").arg(millis(idle)).arg("JUSTID");
        line.insist::<redis::Value>("keep entries", &command).await.map(|_| ())
    }

    /// What is held still seems to have waited long enough, so that others take it at once.
    async fn give_back(&self, line: &mut Line<'_>) {
        let idle = self.config.processing_timeout.unwrap_or_default();
        for some in self.desk.held().chunks(TELL) {
            if let Err(fault) = self.claim_own(line, some, idle).await {
                tracing::debug!(fault = fault.chain(), "what is not kept comes again later");
            }
        }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
