//! State in a key-value bucket beside the stream, written with compare-and-swap.
//!
//! Each key is a subject, and the sequence of its last message is its revision. One write expects a
//! sequence (`Nats-Expected-Last-Subject-Sequence`); several are one atomic batch, for which the server
//! must be 2.12 or newer (an older one is asked for one write at a time, or the batch is refused).
//! A deleted key leaves a marker for [`MARKER`], as other tools write it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use async_nats::jetstream::response::Response;
use async_nats::jetstream::{ErrorCode, publish::PublishAck};
use async_nats::{HeaderMap, HeaderValue};
use async_trait::async_trait;
use bytes::Bytes;
use data_encoding::BASE64;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::server::{Server, refused};
use super::{Jetstream, names};
use crate::fault::{Fault, FaultKind};
use crate::flow::{Expect, Revision, Store, Stored, Write};

const READ: &str = "read the store";
const WRITE: &str = "write to the store";
/// How long a deleted key can be told from one that never was. Only other tools look at it, but a scan passes over all
/// markers that are there still: many, where values live for a short time.
const MARKER: &str = "1m";
/// The most writes in one batch: the server's limit.
const MAX_BATCH: usize = 1000;
/// Values that are read at one time.
const READS: usize = 32;
/// A marker can go away between looking at it and writing over it.
const TRIES: usize = 3;

/// The last message of a key.
struct Entry {
    sequence: u64,
    /// `None` for the marker of a deleted key.
    value: Option<Bytes>,
}

#[derive(Deserialize)]
struct Raw {
    message: RawMessage,
}

#[derive(Deserialize)]
struct RawMessage {
    seq: u64,
    #[serde(default)]
    hdrs: String,
    #[serde(default)]
    data: String,
}

#[async_trait]
impl Store for Jetstream {
    async fn get(&self, key: &[u8]) -> Result<Option<Stored>, Fault> {
        let found = self.entry(&self.key_subject(key)).await?;
        Ok(found.and_then(|entry| stored(Bytes::copy_from_slice(key), entry)))
    }

    async fn scan(&self, prefix: &[u8], limit: usize) -> Result<Vec<Stored>, Fault> {
        let keys = self.keys(prefix).await?;
        let reads = stream::iter(keys).map(async |key| {
            let entry = self.entry(&self.key_subject(&key)).await?;
            Ok::<_, Fault>(entry.and_then(|entry| stored(key.into(), entry)))
        });
        // In order, and no more than are wanted: deleted keys are among them.
        let found = reads.buffered(READS).try_filter_map(async |found| Ok(found)).take(limit);
        found.try_collect().await
    }

    async fn write(&self, batch: Vec<Write>) -> Result<Vec<Revision>, Fault> {
        self.check(&batch)?;
        let mut tries = 0;
        loop {
            tries += 1;
            match self.try_write(&batch).await {
                Err(fault) if fault.kind() == FaultKind::Conflict && tries < TRIES && has_absent(&batch) => {}
                done => return done,
            }
        }
    }
}

fn has_absent(batch: &[Write]) -> bool {
    batch.iter().any(|write| write.expect == Expect::Absent)
}

fn stored(key: Bytes, Entry { sequence, value }: Entry) -> Option<Stored> {
    Some(Stored { key, value: value?, revision: Revision(sequence) })
}

impl Jetstream {
    fn check(&self, batch: &[Write]) -> Result<(), Fault> {
        let unsupported = |message: String| Err(Fault::new(FaultKind::Unsupported, WRITE, message));
        if batch.len() > MAX_BATCH {
            return unsupported(format!("a batch has {} writes, at most {MAX_BATCH} are taken", batch.len()));
        }
        let keys: BTreeSet<&Bytes> = batch.iter().map(|write| &write.key).collect();
        if keys.len() < batch.len() {
            return unsupported("a batch writes a key twice".to_owned());
        }
        if batch.len() > 1 && !self.server.client.is_server_compatible(2, 12, 0) {
            return unsupported("writing several keys at once needs NATS 2.12".to_owned());
        }
        Ok(())
    }

    async fn try_write(&self, batch: &[Write]) -> Result<Vec<Revision>, Fault> {
        let mut messages = Vec::with_capacity(batch.len());
        for write in batch {
            messages.push(self.prepare(write).await?);
        }
        let Some((last, rest)) = messages.split_last_mut() else { return Ok(Vec::new()) };
        let count = rest.len() as u64 + 1;
        if count > 1 {
            let id = self.server.client.new_inbox();
            let id = id.rsplit('.').next().unwrap_or_default();
            for (number, (_, headers, _)) in (1_u64..).zip(rest.iter_mut().chain([&mut *last])) {
                headers.insert("Nats-Batch-Id", id);
                headers.insert("Nats-Batch-Sequence", HeaderValue::from(number));
            }
            last.1.insert("Nats-Batch-Commit", "1");
        }
        self.server.connected(WRITE)?;
        for (subject, headers, payload) in rest.iter() {
            let sent = self.server.client.publish_with_headers(subject.clone(), headers.clone(), payload.clone()).await;
            sent.map_err(|error| unanswered(&error))?;
        }
        let (subject, headers, payload) = last.clone();
        let answer = self.server.client.request_with_headers(subject, headers, payload).await;
        let answer = answer.map_err(|error| unanswered(&error))?;
        match serde_json::from_slice(&answer.payload) {
            Ok(Response::Ok(PublishAck { sequence, .. })) => {
                Ok((sequence + 1 - count..=sequence).map(Revision).collect())
            }
            Ok(Response::Err { error }) => Err(refused(WRITE, &error)),
            Err(error) => {
                Err(Fault::new(FaultKind::Malformed, WRITE, "the server's answer cannot be read").with_source(error))
            }
        }
    }

    /// The message of one write: its subject, headers and payload.
    async fn prepare(&self, write: &Write) -> Result<(String, HeaderMap, Bytes), Fault> {
        let subject = self.key_subject(&write.key);
        let mut headers = HeaderMap::new();
        let expected = match write.expect {
            Expect::Anything => None,
            Expect::Revision(Revision(revision)) => Some(revision),
            Expect::Absent => match self.entry(&subject).await? {
                None => Some(0),
                Some(Entry { sequence, value: None }) => Some(sequence),
                Some(Entry { sequence, .. }) => {
                    let message = format!("expected nothing, found revision {sequence}");
                    return Err(Fault::new(FaultKind::Conflict, WRITE, message));
                }
            },
        };
        if let Some(expected) = expected {
            headers.insert("Nats-Expected-Last-Subject-Sequence", HeaderValue::from(expected));
        }
        let payload = write.value.clone().unwrap_or_else(|| {
            headers.insert("KV-Operation", "DEL");
            headers.insert("Nats-TTL", MARKER);
            Bytes::new()
        });
        let size = payload.len();
        let max = self.max_event_bytes();
        if size > max {
            return Err(Fault::new(FaultKind::TooLarge, WRITE, format!("a value has {size} bytes, {max} are taken")));
        }
        Ok((subject, headers, payload))
    }

    /// From the stream's leader, so that what was written is seen.
    async fn entry(&self, subject: &str) -> Result<Option<Entry>, Fault> {
        let api = format!("STREAM.MSG.GET.KV_{}", names::bucket(&self.stream));
        let found = self.server.call::<Raw>(READ, &api, &json!({"last_by_subj": subject})).await?;
        let message = match found {
            Ok(Raw { message }) => message,
            Err(error) if error.error_code() == ErrorCode::NO_MESSAGE_FOUND => return Ok(None),
            Err(error) => return Err(refused(READ, &error)),
        };
        let decode = |text: &str| {
            let damaged = || Fault::new(FaultKind::Malformed, READ, "the server's answer is damaged");
            BASE64.decode(text.as_bytes()).map_err(|_| damaged())
        };
        let headers = decode(&message.hdrs)?;
        let headers = String::from_utf8_lossy(&headers);
        let deleted =
            headers.lines().any(|line| line.starts_with("KV-Operation:") || line.starts_with("Nats-Marker-Reason:"));
        let value = if deleted { None } else { Some(decode(&message.data)?.into()) };
        Ok(Some(Entry { sequence: message.seq, value }))
    }

    /// All keys with the prefix, in order; deleted ones may be among them.
    async fn keys(&self, prefix: &[u8]) -> Result<Vec<Vec<u8>>, Fault> {
        let bucket = names::bucket(&self.stream);
        let root = format!("$KV.{bucket}.");
        // Whole parts of the prefix narrow down what the server tells.
        let whole = prefix.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
        let mut filter = root.clone();
        if whole > 0 {
            filter.push_str(&encoded(&prefix[..whole - 1]));
            filter.push('.');
        }
        filter.push('>');
        let mut keys = BTreeSet::new();
        let mut offset = 0;
        loop {
            let page = subjects(&self.server, &bucket, &filter, offset).await?;
            let (subjects, total) = page;
            offset += subjects.len();
            let last = subjects.is_empty() || offset >= total;
            let names = subjects.iter().filter_map(|subject| decoded(subject.strip_prefix(&root)?));
            keys.extend(names.filter(|key| key.starts_with(prefix)));
            if last {
                return Ok(keys.into_iter().collect());
            }
        }
    }

    /// A slash parts the subject, so that a part can be asked for; what a subject cannot hold is
    /// escaped.
    fn key_subject(&self, key: &[u8]) -> String {
        format!("$KV.{}.{}", names::bucket(&self.stream), encoded(key))
    }
}

async fn subjects(server: &Server, bucket: &str, filter: &str, offset: usize) -> Result<(Vec<String>, usize), Fault> {
    let body = json!({"subjects_filter": filter, "offset": offset});
    let found = server.call::<Json>(READ, &format!("STREAM.INFO.KV_{bucket}"), &body).await?;
    let found = found.map_err(|error| refused(READ, &error))?;
    let subjects = found["state"]["subjects"].as_object();
    let subjects: Vec<String> = subjects.into_iter().flat_map(|subjects| subjects.keys().cloned()).collect();
    let total = found["total"].as_u64().and_then(|total| usize::try_from(total).ok()).unwrap_or(subjects.len());
    Ok((subjects, total))
}

fn unanswered(error: &(dyn std::error::Error + 'static)) -> Fault {
    Fault::new(FaultKind::Unavailable, WRITE, format!("the server does not answer: {error}"))
}

/// A key as the end of a subject: letters, digits, dashes and underscores as they are, a slash as a dot,
/// an empty part as `=`, every other byte as `=` and two hexadecimal digits.
fn encoded(key: &[u8]) -> String {
    let mut out = String::with_capacity(key.len());
    for (index, part) in key.split(|byte| *byte == b'/').enumerate() {
        if index > 0 {
            out.push('.');
        }
        if part.is_empty() {
            out.push('=');
        }
        for byte in part {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') {
                out.push(char::from(*byte));
            } else {
                write!(out, "={byte:02X}").expect("a String takes everything");
            }
        }
    }
    out
}

fn decoded(subject: &str) -> Option<Vec<u8>> {
    let mut key = Vec::with_capacity(subject.len());
    for (index, part) in subject.split('.').enumerate() {
        if index > 0 {
            key.push(b'/');
        }
        if part == "=" {
            continue;
        }
        let mut rest = part.as_bytes();
        while let Some((first, tail)) = rest.split_first() {
            rest = tail;
            if *first == b'=' {
                let digits = tail.get(..2)?;
                key.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
                rest = &tail[2..];
            } else {
                key.push(*first);
            }
        }
    }
    Some(key)
}
