//! State in hashes beside the topics, written with compare-and-swap.
//!
//! One hash holds each key's value with its revision; a sorted set holds the keys in order; one counter
//! gives all revisions, so none comes back. A batch is one script: all of it, or none.

use std::collections::BTreeSet;

use async_trait::async_trait;
use bytes::Bytes;

use super::Redis;
use super::script::{SCAN, WRITE};
use crate::fault::{Fault, FaultKind};
use crate::flow::{Expect, Revision, Store, Stored, Write};

const READ: &str = "read the store";
const STORE: &str = "write to the store";
/// The most writes in one batch: nobody else is served meanwhile.
const MAX_BATCH: usize = 1000;
/// The largest value.
const MAX_VALUE: usize = 4 << 20;

#[async_trait]
impl Store for Redis {
    async fn get(&self, key: &[u8]) -> Result<Option<Stored>, Fault> {
        self.server.is_open(READ)?;
        let mut command = redis::cmd("HGET");
        command.arg(&self.store.values).arg(key);
        let found: Option<Vec<u8>> = self.server.call(READ, &command).await?;
        found.map(|found| stored(key.to_vec(), &found)).transpose()
    }

    async fn scan(&self, prefix: &[u8], limit: usize) -> Result<Vec<Stored>, Fault> {
        self.server.is_open(READ)?;
        let (from, to) = range(prefix);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX).to_string();
        let keys = [self.store.values.as_str(), &self.store.keys];
        let found: Vec<(Vec<u8>, Vec<u8>)> =
            self.server.run(READ, &SCAN, &keys, &[&from, &to, limit.as_bytes()]).await?;
        found.into_iter().map(|(key, value)| stored(key, &value)).collect()
    }

    async fn write(&self, batch: Vec<Write>) -> Result<Vec<Revision>, Fault> {
        self.server.is_open(STORE)?;
        check(&batch)?;
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let mut arguments: Vec<Vec<u8>> = Vec::with_capacity(batch.len() * 4);
        for write in &batch {
            arguments.push(write.key.to_vec());
            arguments.push(match write.expect {
                Expect::Anything => b"*".to_vec(),
                Expect::Absent => b"-".to_vec(),
                Expect::Revision(Revision(revision)) => revision.to_string().into_bytes(),
            });
            arguments.push(if write.value.is_some() { b"1".to_vec() } else { b"0".to_vec() });
            arguments.push(write.value.as_deref().unwrap_or_default().to_vec());
        }
        let arguments: Vec<&[u8]> = arguments.iter().map(Vec::as_slice).collect();
        let keys = [self.store.values.as_str(), &self.store.keys, &self.store.revision];
        let answer: Vec<String> = self.server.run(STORE, &WRITE, &keys, &arguments).await?;
        match answer.split_first() {
            Some((word, revisions)) if word == "written" => {
                revisions.iter().map(|revision| revision.parse().map(Revision).map_err(|_| unreadable(STORE))).collect()
            }
            Some((_, found)) => {
                let found = found.first().map_or("-", String::as_str);
                Err(Fault::new(FaultKind::Conflict, STORE, format!("another revision was found: {found}")))
            }
            None => Err(unreadable(STORE)),
        }
    }
}

fn check(batch: &[Write]) -> Result<(), Fault> {
    let unsupported = |message: String| Err(Fault::new(FaultKind::Unsupported, STORE, message));
    if batch.len() > MAX_BATCH {
        return unsupported(format!("a batch has {} writes, at most {MAX_BATCH} are taken", batch.len()));
    }
    let keys: BTreeSet<&Bytes> = batch.iter().map(|write| &write.key).collect();
    if keys.len() < batch.len() {
        return unsupported("a batch writes a key twice".to_owned());
    }
    let largest = batch.iter().filter_map(|write| write.value.as_ref()).map(Bytes::len).max().unwrap_or(0);
    if largest > MAX_VALUE {
        let message = format!("a value has {largest} bytes, {MAX_VALUE} are taken");
        return Err(Fault::new(FaultKind::TooLarge, STORE, message));
    }
    Ok(())
}

/// `revision:value`, as the script writes it.
fn stored(key: Vec<u8>, found: &[u8]) -> Result<Stored, Fault> {
    let colon = found.iter().position(|byte| *byte == b':').ok_or_else(|| unreadable(READ))?;
    let revision = std::str::from_utf8(&found[..colon]).ok().and_then(|text| text.parse().ok());
    let revision = Revision(revision.ok_or_else(|| unreadable(READ))?);
    Ok(Stored { key: key.into(), value: Bytes::copy_from_slice(&found[colon + 1..]), revision })
}

fn unreadable(operation: &'static str) -> Fault {
    Fault::new(FaultKind::Malformed, operation, "what the server keeps cannot be read")
}

/// All keys with the prefix, as `ZRANGEBYLEX` asks for them.
fn range(prefix: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let from = if prefix.is_empty() { b"-".to_vec() } else { [b"[", prefix].concat() };
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return (from, [b"(", end.as_slice()].concat());
        }
    }
    (from, b"+".to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_a_range_whatever_its_bytes_are() {
        let check = |prefix: &[u8], from: &[u8], to: &[u8]| assert_eq!(range(prefix), (from.to_vec(), to.to_vec()));
        check(b"", b"-", b"+");
        check(b"p/", b"[p/", b"(p0");
        check(b"a\xff", b"[a\xff", b"(b");
        check(b"\xff\xff", b"[\xff\xff", b"+");
    }
}
