//! The pull: fetches what there is room for, and tells the server what became of what was fetched.
//!
//! One task per member, in turns: words about what was settled, a sign of life for what is held, and
//! a fetch of as much as is free, so that members share and a slow one is not handed what it cannot
//! work on. An outage is waited out; words wait meanwhile.

use std::sync::Arc;
use std::time::Duration;

use redis::{FromRedisValue, ParsingError, Value};
use tokio::sync::watch;

use super::bell::Ringer;
use super::message::Entry;
use super::script::{FETCH, JOIN, KEEP, Keys, LEAVE, SETTLE, Script};
use super::seat::Seat;
use super::server::{OUTAGE, Server, is_outage};
use crate::fault::{Fault, FaultKind};
use crate::flow::{Group, Position, Start};
use crate::task::{self, Shutdown};

/// Entries that are fetched and not handed out, at most: what a stopped reader costs in memory.
const WINDOW: usize = 512;
/// Bytes of these after which nothing is fetched. One more fetch may have begun before, so that a stopped reader costs
/// 16 MiB at most.
const WINDOW_BYTES: usize = 8 << 20;
/// A fetch ends when it has more than so many bytes; one that is larger comes alone.
pub(super) const FETCH_BYTES: usize = 4 << 20;
/// Words in one call.
const WORDS: usize = 1000;
/// The longest pause between two fetches: what other processes give back rings no bell.
pub(super) const LONG: Duration = Duration::from_millis(500);
/// How many signs of life fit into the time that others wait: two may be lost.
const SIGNS: u32 = 3;
/// After which time the name of a dead consumer, which holds nothing, is forgotten.
const FORGET: Duration = Duration::from_secs(3600);
/// Who holds what was given back until somebody fetches it.
const NOBODY: &str = "given-back";

/// One member's work.
pub(super) struct Pull {
    pub server: Server,
    pub keys: Keys,
    pub group: Group,
    pub start: Start,
    pub again: String,
    /// The name of this member on the server.
    pub consumer: String,
    pub seat: Arc<Seat>,
    pub max: usize,
    pub gone: Shutdown,
}

/// What a fetch found.
pub(super) struct Fetched {
    pub entries: Vec<Entry>,
    /// Until something is due.
    pub left: Option<Duration>,
    /// How far the group has come, when there was nothing; how far a reader has.
    pub last: Position,
}

impl FromRedisValue for Fetched {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let (entries, left, last): (Vec<Entry>, i64, String) = redis::from_redis_value(value)?;
        let left = u64::try_from(left).ok().map(Duration::from_millis);
        Ok(Self { entries, left, last: Position::parse(&last).unwrap_or_default() })
    }
}

/// How a member rests until its next turn.
enum Rest {
    /// Not at all: there may be more.
    None,
    /// There is no room: until some is made.
    Full,
    /// There was nothing: until something is due, or comes after the position.
    Empty { left: Duration, last: Position },
}

impl Pull {
    /// Makes sure of the group.
    pub(super) async fn join(&self) -> Result<(), Fault> {
        join(&self.server, &self.keys, &self.group, self.start).await
    }

    pub(super) async fn run(self) -> Result<(), Fault> {
        let mut bell = Ringer::new(&self.server, &self.keys.stream);
        let mut stirred = self.server.stirred.subscribe();
        let mut signed = task::stopwatch();
        let mut cursor = "0-0".to_owned();
        let mut failures = 0;
        // The first look at what the dead left is at once.
        let mut sign_now = true;
        while !self.gone.is_requested() {
            let sign = self.server.config.ack_wait / SIGNS;
            let turn = async {
                self.tell().await?;
                if sign_now || signed() >= sign {
                    signed = task::stopwatch();
                    sign_now = self.keep(&mut cursor).await?;
                }
                self.fetch().await
            };
            match turn.await {
                Ok(rest) => {
                    failures = 0;
                    self.rest(rest, sign.saturating_sub(signed()), &mut bell, &mut stirred).await;
                }
                Err(fault) => {
                    if !self.recover(fault, &mut failures).await {
                        break;
                    }
                }
            }
        }
        self.leave().await;
        Ok(())
    }

    async fn rest(&self, rest: Rest, sign: Duration, bell: &mut Ringer, stirred: &mut watch::Receiver<u64>) {
        let (left, last) = match rest {
            Rest::None => return,
            Rest::Full => (sign, None),
            Rest::Empty { left, last } => (left.min(sign).min(LONG), Some(last)),
        };
        let rung = async {
            match last {
                Some(last) => bell.rung(last).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.gone.requested() => {}
            () = self.seat.freed.notified() => {}
            _ = stirred.changed(), if last.is_some() => {}
            () = rung => {}
            () = task::sleep(left) => {}
        }
    }

    /// Sends all words.
    async fn tell(&self) -> Result<(), Fault> {
        loop {
            let words = self.seat.words(WORDS);
            if words.is_empty() {
                return Ok(());
            }
            let mut arguments = vec![self.group.as_str().to_owned(), self.consumer.clone()];
            for word in &words {
                arguments.push(word.position.to_string());
                arguments.push(word.again.map_or_else(|| "-1".to_owned(), |pause| pause.as_millis().to_string()));
            }
            let told = self.step::<i64>("settle events", &SETTLE, &[&self.keys.stream, &self.again], &arguments).await;
            match told {
                Ok(_) if words.iter().any(|word| word.again.is_some()) => self.server.stir(),
                Ok(_) => {}
                Err(fault) => {
                    // A group that is gone has nothing to settle.
                    if fault.kind() != FaultKind::NotFound {
                        self.seat.unsay(words);
                    }
                    return Err(fault);
                }
            }
        }
    }

    /// Shows that what is held is in work, and takes over from the dead; true when there may be more.
    async fn keep(&self, cursor: &mut String) -> Result<bool, Fault> {
        let mut arguments = vec![
            self.group.as_str().to_owned(),
            self.consumer.clone(),
            self.server.config.ack_wait.as_millis().to_string(),
            cursor.clone(),
            FORGET.as_millis().to_string(),
        ];
        arguments.extend(self.seat.held().iter().map(ToString::to_string));
        let keys = [self.keys.stream.as_str(), &self.again];
        let (next, taken): (String, u64) = self.step("keep events", &KEEP, &keys, &arguments).await?;
        if taken > 0 {
            tracing::info!(group = %self.group, events = taken, "events of a consumer that went away come again");
            self.server.stir();
        }
        *cursor = next;
        Ok(cursor != "0-0")
    }

    async fn fetch(&self) -> Result<Rest, Fault> {
        let room = self.seat.room(self.max, WINDOW, WINDOW_BYTES);
        if room == 0 {
            return Ok(Rest::Full);
        }
        let keys = [self.keys.stream.as_str(), &self.keys.delayed, &self.again];
        let arguments = [
            self.group.as_str().to_owned(),
            self.consumer.clone(),
            room.to_string(),
            FETCH_BYTES.to_string(),
            self.server.config.keep.age.as_millis().to_string(),
        ];
        let Fetched { entries, left, last } = self.step("fetch events", &FETCH, &keys, &arguments).await?;
        if entries.is_empty() {
            return Ok(Rest::Empty { left: left.unwrap_or(LONG), last });
        }
        self.seat.take(entries);
        Ok(Rest::None)
    }

    async fn step<T: FromRedisValue>(
        &self,
        operation: &'static str,
        script: &Script,
        keys: &[&str],
        arguments: &[String],
    ) -> Result<T, Fault> {
        let arguments: Vec<&[u8]> = arguments.iter().map(String::as_bytes).collect();
        self.server.run(operation, script, keys, &arguments).await
    }

    /// Waits a little, and makes sure of the group when it is gone; false when it cannot go on.
    async fn recover(&self, fault: Fault, failures: &mut u32) -> bool {
        *failures += 1;
        if fault.kind() == FaultKind::NotFound {
            tracing::warn!(group = %self.group, "the consumer group is gone from the server; it is made anew");
            match self.join().await {
                Ok(()) => return true,
                Err(fault) => tracing::debug!(error = %fault.chain(), "the group cannot be made yet"),
            }
        } else if !fault.is_retryable() {
            tracing::error!(error = %fault.chain(), group = %self.group, "events cannot be read any more");
            self.seat.fail(fault);
            return false;
        } else if *failures == 1 || !is_outage(&fault) {
            tracing::warn!(error = %fault.chain(), "Redis cannot be used; trying again");
        }
        tokio::select! {
            () = self.gone.requested() => {}
            () = task::sleep(OUTAGE.pause(*failures)) => {}
        }
        true
    }

    /// Sends the last words and gives everything back, so that nobody need wait for the time to run out.
    async fn leave(&self) {
        self.seat.release();
        let all = async {
            self.tell().await?;
            let arguments = [self.group.as_str().to_owned(), self.consumer.clone(), NOBODY.to_owned()];
            let keys = [self.keys.stream.as_str(), &self.again];
            while self.step::<i64>("give events back", &LEAVE, &keys, &arguments).await? > 0 {}
            Ok::<_, Fault>(())
        };
        match all.await {
            Ok(()) => self.server.stir(),
            Err(fault) => {
                tracing::debug!(error = %fault.chain(), "what was held comes again when its time has run out");
            }
        }
    }
}

/// Makes the group unless it is there.
async fn join(server: &Server, keys: &Keys, group: &Group, start: Start) -> Result<(), Fault> {
    let from = match start {
        Start::Earliest => "0",
        Start::Latest => "$",
    };
    let age = server.config.keep.age.as_millis().to_string();
    let arguments = [group.as_str(), from, age.as_str()].map(str::as_bytes);
    let answer: Result<i64, Fault> =
        server.run("join a group", &JOIN, &[&keys.stream, &keys.delayed], &arguments).await;
    answer.map(|_| ())
}
