//! A reader of a topic, apart from its groups: it takes nothing, so nothing has to be given back.

use async_trait::async_trait;
use jiff::Timestamp;

use super::bell::Ringer;
use super::message::{self, Entry};
use super::pull::{FETCH_BYTES, Fetched, LONG};
use super::script::{BEHIND, END, Keys, READ};
use super::server::Server;
use crate::fault::{Fault, FaultKind};
use crate::flow::{self, End, Position, Read};
use crate::task;

/// Events of one answer.
const EVENTS: usize = 512;

pub(super) const COUNT: &str = "count what is behind a position";

pub(super) struct Reader {
    server: Server,
    keys: Keys,
    last: Position,
    bell: Ringer,
}

impl Reader {
    pub(super) fn new(server: &Server, keys: Keys, after: Option<Position>) -> Self {
        let bell = Ringer::new(server, &keys.stream);
        Self { server: server.clone(), keys, last: after.unwrap_or_default(), bell }
    }

    async fn fetch(&mut self) -> Result<Fetched, Fault> {
        let keys = [self.keys.stream.as_str(), &self.keys.delayed];
        let arguments = [
            self.last.to_string(),
            EVENTS.to_string(),
            FETCH_BYTES.to_string(),
            self.server.config.keep.age.as_millis().to_string(),
        ];
        let arguments: Vec<&[u8]> = arguments.iter().map(String::as_bytes).collect();
        self.server.run("read a topic", &READ, &keys, &arguments).await
    }
}

#[async_trait]
impl flow::Reader for Reader {
    async fn next(&mut self) -> Result<Vec<Read>, Fault> {
        let mut failures = 0;
        loop {
            if self.server.closed.is_requested() {
                return Ok(Vec::new());
            }
            let Fetched { entries, left, last } = match self.fetch().await {
                Ok(fetched) => fetched,
                Err(fault) => match self.server.wait_out(&mut failures, fault).await {
                    Err(fault) if fault.kind() == FaultKind::Closed => return Ok(Vec::new()),
                    waited => {
                        waited?;
                        continue;
                    }
                },
            };
            failures = 0;
            if !entries.is_empty() {
                self.last = last;
                let stream = &self.keys.stream;
                return Ok(entries.iter().map(|entry| read(entry, stream)).collect());
            }
            tokio::select! {
                () = self.server.closed.requested() => {}
                () = self.bell.rung(self.last) => {}
                () = task::sleep(left.unwrap_or(LONG).min(LONG)) => {}
            }
        }
    }
}

fn read(entry: &Entry, stream: &str) -> Read {
    let (position, appended) = (entry.position, message::time(entry.position));
    Read { event: message::read(entry, stream), position, appended }
}

/// Where a topic ends.
pub(super) async fn end(server: &Server, keys: &Keys) -> Result<End, Fault> {
    const OPERATION: &str = "look for the end of a topic";
    let (time, last): (String, String) = server.run(OPERATION, &END, &[&keys.stream], &[]).await?;
    let unreadable = || Fault::new(FaultKind::Malformed, OPERATION, "the server's answer cannot be read");
    let time = time.parse().ok().and_then(|millis| Timestamp::from_millisecond(millis).ok()).ok_or_else(unreadable)?;
    let position = if last.is_empty() { None } else { Some(Position::parse(&last).ok_or_else(unreadable)?) };
    Ok(End { position, time })
}

/// How many entries of a topic stand behind a position, up to a bound.
pub(super) async fn behind(server: &Server, keys: &Keys, after: Option<Position>) -> Result<u64, Fault> {
    let after = after.unwrap_or_default().to_string();
    server.run(COUNT, &BEHIND, &[&keys.stream], &[after.as_bytes()]).await
}
