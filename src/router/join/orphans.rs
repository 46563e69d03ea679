//! What subscribers leave behind that do not exist any more.
//!
//! Their matches were decided on, so they become dead letters. What only waited for a decision is
//! deleted, and the head last: after a crash in between, the next start goes on.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::keys::{Keys, Part, heads};
use super::record::{self, Head};
use super::{Means, RETRY, outbox};
use crate::fault::{Fault, FaultKind};
use crate::flow::{Expect, Revision, Write};
use crate::router::delivery::Destination;
use crate::task::{self, Shutdown};
use crate::telemetry::Metrics;

/// Entries that are deleted in one write.
const PAGE: usize = 128;

/// The end of those subscribers of a consumer group that are not among its Triggers any more.
pub struct Orphans {
    means: Means,
    /// The ids of the subscribers that join events now.
    known: BTreeSet<String>,
    metrics: Arc<Metrics>,
}

impl Orphans {
    pub fn new(means: Means, known: impl IntoIterator<Item = String>, metrics: Arc<Metrics>) -> Self {
        Self { means, known: known.into_iter().collect(), metrics }
    }

    /// Works until nothing is left, or the stop is asked for.
    ///
    /// # Errors
    /// Never: what cannot be done yet is tried again.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), Fault> {
        while !shutdown.is_requested() {
            let Err(fault) = self.bury_all(&shutdown).await else { break };
            tracing::warn!(fault = fault.chain(), "cannot bury yet what removed subscribers had joined");
            tokio::select! {
                () = shutdown.requested() => {}
                () = task::sleep(RETRY) => {}
            }
        }
        Ok(())
    }

    async fn bury_all(&self, shutdown: &Shutdown) -> Result<(), Fault> {
        let prefix = heads(self.means.group.as_str());
        for stored in self.means.store.scan(prefix.as_bytes(), usize::MAX).await? {
            let id = String::from_utf8_lossy(&stored.key[prefix.len()..]).into_owned();
            if self.known.contains(&id) {
                continue;
            }
            if shutdown.is_requested() {
                break;
            }
            let head = record::read::<Head>(&stored.value)?;
            match self.bury(&id, head, stored.revision).await {
                // Somebody made it a subscriber again, or buries it as well.
                Err(fault) if fault.kind() == FaultKind::Conflict => {
                    tracing::debug!(subscriber = id, "what was left behind has another owner");
                }
                done => done?,
            }
        }
        Ok(())
    }

    async fn bury(&self, id: &str, mut head: Head, revision: Revision) -> Result<(), Fault> {
        let keys = Keys::new(&self.means.group, id);
        // From here on nobody writes who owned it before.
        head.generation += 1;
        let mut owned = Owned { means: &self.means, keys: &keys, head: record::write(&head)?, revision };
        owned.write(Vec::new()).await?;
        for part in [Part::Held, Part::Mark, Part::Hold] {
            owned.forget(part).await?;
        }
        let gone = Destination::gone(&format!("{id}#sink"), &self.metrics);
        let mut buried = 0_usize;
        for part in [Part::Gather, Part::Out] {
            let prefix = keys.all(part);
            loop {
                let found = self.means.store.scan(prefix.as_bytes(), PAGE).await?;
                if found.is_empty() {
                    break;
                }
                for stored in found {
                    match part {
                        Part::Gather => outbox::bury_gathered(&self.means, &gone, &stored.value).await?,
                        _ => outbox::bury(&self.means, &gone, &stored.value).await?,
                    }
                    owned.write(vec![Write { key: stored.key, value: None, expect: Expect::Anything }]).await?;
                    buried += 1;
                }
            }
        }
        owned.end().await?;
        tracing::info!(subscriber = id, dead = buried, "a subscriber that joined events does not exist any more");
        Ok(())
    }
}

/// What was left behind, and is ours now.
struct Owned<'a> {
    means: &'a Means,
    keys: &'a Keys,
    head: bytes::Bytes,
    revision: Revision,
}

impl Owned<'_> {
    /// Writes, unless somebody else became the owner.
    async fn write(&mut self, mut writes: Vec<Write>) -> Result<(), Fault> {
        let expect = Expect::Revision(self.revision);
        writes.push(Write { key: self.keys.head(), value: Some(self.head.clone()), expect });
        let revisions = self.means.store.write(writes).await?;
        self.revision = *revisions.last().ok_or_else(record::unanswered)?;
        Ok(())
    }

    async fn forget(&mut self, part: Part) -> Result<(), Fault> {
        let prefix = self.keys.all(part);
        loop {
            let found = self.means.store.scan(prefix.as_bytes(), PAGE).await?;
            if found.is_empty() {
                return Ok(());
            }
            let delete = |key| Write { key, value: None, expect: Expect::Anything };
            self.write(found.into_iter().map(|stored| delete(stored.key)).collect()).await?;
        }
    }

    async fn end(self) -> Result<(), Fault> {
        let expect = Expect::Revision(self.revision);
        self.means.store.write(vec![Write { key: self.keys.head(), value: None, expect }]).await?;
        Ok(())
    }
}
