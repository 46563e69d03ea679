//! The database behind the bus: opening it, its keyspaces, and what its errors mean.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use fjall::compaction::filter::Factory;
use fjall::config::BlockSizePolicy;
use fjall::{CompressionType, Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode};

use super::journal;
use super::reclaim::Floors;
use crate::fault::{Fault, FaultKind, Retry};

/// Blocks of the log and of its index that are kept in memory: enough for a few subscribers that
/// read behind, each sequentially.
const CACHE_BYTES: u64 = 4 << 20;

/// The memtable of whole events. Several of the log's are in memory under load, beside the events
/// in flight; much smaller ones would be flushed, and synced, all the time.
const EVENT_MEMTABLE_BYTES: u64 = 4 << 20;

/// The memtable of everything else. The database counts less for a small entry than it takes, and
/// finding the place of a random key (a fingerprint) takes longer the more there are.
const SMALL_MEMTABLE_BYTES: u64 = 2 << 20;

/// The smallest that the database takes. It bounds the disk space beside the log, and the time
/// that replaying it costs at start.
const JOURNAL_BYTES: u64 = 64 << 20;

/// One thread flushes and compacts in turn. Of two, the database would keep one free for flushes,
/// and that one spins for as long as the other compacts. What a compaction holds up is bounded by the
/// size of its tables; the writer waits only after [`SEALED_MEMTABLES`].
const WORKERS: usize = 1;

/// What the database may keep open; every table is one file.
const OPEN_FILES: usize = 128;

/// While this many of the log's memtables wait to be flushed, nothing is written: one batch seals
/// at most two more, and four block the writer.
const SEALED_MEMTABLES: usize = 2;

/// The pause until the flush is looked at again, short beside the flush of a memtable.
const FLUSH_PAUSE: Duration = Duration::from_millis(2);

/// The file that is written, beside the database, to see whether there is room.
const PROBE: &str = "PROBE";

/// It is written in such pieces.
static PROBE_CHUNK: [u8; 64 * 1024] = [0; 64 * 1024];

/// The keyspace of all events.
const LOG: &str = "log";

/// Accepted means on disk after a power loss: `SyncData` is fdatasync, which flushes the data and
/// the metadata that is needed to read it back (the file's size among it). `SyncAll` would add
/// only times and permissions.
pub(super) const DURABLE: PersistMode = PersistMode::SyncData;

/// The open database. All writing is the writer's.
pub(super) struct Disk {
    database: Database,
    pub(super) log: Keyspace,
    pub(super) topics: Keyspace,
    pub(super) delayed: Keyspace,
    pub(super) positions: Keyspace,
    pub(super) state: Keyspace,
    pub(super) meta: Keyspace,
}

impl Disk {
    /// Opens or creates the database in `path` (its own directory).
    ///
    /// # Errors
    /// `Conflict` when another process holds it, `Malformed` when it is damaged beyond its tail.
    pub(super) fn open(path: &Path, floors: &Floors) -> Result<Self, Fault> {
        journal::mend(path)?;
        let mut opened = Self::try_open(path, floors);
        if matches!(opened, Err(fjall::Error::JournalRecovery(_)))
            && let Some(last) = journal::cut_last_batch(path)?
        {
            opened = Self::try_open(path, floors);
            if opened.is_err() {
                last.restore()?;
            }
        }
        opened.map_err(|error| fault("open the bus", &error).with_context("directory", path.display().to_string()))
    }

    fn try_open(path: &Path, floors: &Floors) -> fjall::Result<Self> {
        let floors: Arc<dyn Factory> = Arc::new(floors.clone());
        let database = Database::builder(path)
            .cache_size(CACHE_BYTES)
            .worker_threads(WORKERS)
            .max_cached_files(Some(OPEN_FILES))
            .max_journaling_size(JOURNAL_BYTES)
            // Replaying the journal compresses again to verify a checksum: a newer compressor
            // with other output would make an intact journal unreadable.
            .journal_compression(CompressionType::None)
            .with_compaction_filter_factories(Arc::new(move |keyspace| (keyspace == LOG).then(|| floors.clone())))
            .open()?;
        let small = || KeyspaceCreateOptions::default().max_memtable_size(SMALL_MEMTABLE_BYTES);
        let events = || KeyspaceCreateOptions::default().max_memtable_size(EVENT_MEMTABLE_BYTES);
        let log = || {
            events()
                // The log is read in order, and by keys that exist.
                .data_block_size_policy(BlockSizePolicy::all(16 << 10))
                .expect_point_read_hits(true)
        };
        Ok(Self {
            log: database.keyspace(LOG, log)?,
            topics: database.keyspace("topics", small)?,
            delayed: database.keyspace("delayed", events)?,
            positions: database.keyspace("positions", small)?,
            state: database.keyspace("state", small)?,
            meta: database.keyspace("meta", small)?,
            database,
        })
    }

    pub(super) fn batch(&self) -> OwnedWriteBatch {
        self.database.batch().durability(Some(DURABLE))
    }

    /// Writes a batch durably.
    ///
    /// The database itself makes a writer wait while four memtables wait to be flushed: for ever,
    /// when the threads that flush have died on a full disk. So the wait is here, in front of that
    /// point, where their death is seen.
    pub(super) fn commit(&self, batch: OwnedWriteBatch) -> fjall::Result<()> {
        while self.log.sealed_memtable_count() >= SEALED_MEMTABLES {
            // Persists nothing that is not yet; fails once the database refuses writes.
            self.database.persist(PersistMode::Buffer)?;
            std::thread::sleep(FLUSH_PAUSE);
        }
        batch.commit()
    }

    /// A keyspace of fingerprints.
    pub(super) fn fingerprints(&self, name: &str) -> fjall::Result<Keyspace> {
        self.database.keyspace(name, || KeyspaceCreateOptions::default().max_memtable_size(SMALL_MEMTABLE_BYTES))
    }

    pub(super) fn delete(&self, keyspace: Keyspace) -> fjall::Result<()> {
        self.database.delete_keyspace(keyspace)
    }

    pub(super) fn keyspace_names(&self) -> Vec<String> {
        self.database.list_keyspace_names().iter().map(ToString::to_string).collect()
    }

    /// A counter of the `meta` keyspace, 0 when it was never written.
    pub(super) fn counter(&self, name: &str) -> fjall::Result<u64> {
        Ok(self.meta.get(name)?.and_then(|value| super::layout::number(&value, 0)).unwrap_or(0))
    }
}

/// The place of the open database, empty while it is being reopened and after the bus was closed.
pub(super) struct Slot {
    path: PathBuf,
    floors: Floors,
    disk: RwLock<Option<Disk>>,
}

impl Slot {
    /// Opens or creates the database in `path`.
    ///
    /// # Errors
    /// As [`Disk::open`].
    pub(super) fn open(path: PathBuf) -> Result<Self, Fault> {
        let floors = Floors::default();
        let disk = Disk::open(&path, &floors)?;
        Ok(Self { path, floors, disk: RwLock::new(Some(disk)) })
    }

    /// What is deleted of each topic.
    pub(super) fn floors(&self) -> &Floors {
        &self.floors
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, Option<Disk>> {
        self.disk.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` on the database.
    ///
    /// # Errors
    /// `Unavailable` while there is none; otherwise what `work` met.
    pub(super) fn with<T>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Disk) -> fjall::Result<T>,
    ) -> Result<T, Fault> {
        match &*self.read() {
            Some(disk) => work(disk).map_err(|error| fault(operation, &error)),
            None => Err(self.absent(operation)),
        }
    }

    pub(super) fn absent(&self, operation: &'static str) -> Fault {
        Fault::new(FaultKind::Unavailable, operation, "the bus's database is not open")
            .with_context("directory", self.path.display().to_string())
    }

    /// Closes the database, once nobody reads it.
    pub(super) fn clear(&self) {
        *self.disk.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Closes the database and opens it again.
    ///
    /// # Errors
    /// When it cannot be opened; the place stays empty then.
    pub(super) fn reopen(&self) -> Result<(), Fault> {
        let mut place = self.disk.write().unwrap_or_else(PoisonError::into_inner);
        *place = None;
        *place = Some(Disk::open(&self.path, &self.floors)?);
        Ok(())
    }

    /// Tries whether the disk takes an event of `bytes`, and a memtable that is flushed beside it. The
    /// file that is written is deleted before it is filled, so that nothing of it can stay behind.
    ///
    /// # Errors
    /// As any write: `Full` when it does not.
    pub(super) fn probe(&self, bytes: usize) -> Result<(), Fault> {
        let path = self.path.with_file_name(PROBE);
        let probe = || {
            let mut file = File::create(&path)?;
            fs::remove_file(&path)?;
            for _ in 0..(bytes as u64 + EVENT_MEMTABLE_BYTES).div_ceil(PROBE_CHUNK.len() as u64) {
                file.write_all(&PROBE_CHUNK)?;
            }
            file.sync_data()
        };
        probe().map_err(|error| {
            io_fault("write to the bus", &error).with_context("directory", self.path.display().to_string())
        })
    }
}

/// What an error of the database means.
pub(super) fn fault(operation: &'static str, error: &fjall::Error) -> Fault {
    use fjall::Error;
    let fault = match error {
        Error::Io(io) | Error::Storage(fjall::LsmError::Io(io)) => return io_fault(operation, io),
        Error::Locked => Fault::new(FaultKind::Conflict, operation, "another process has this bus open"),
        Error::Poisoned => Fault::new(FaultKind::Unavailable, operation, "an earlier write to the disk failed"),
        Error::InvalidVersion(_) => {
            Fault::new(FaultKind::Rejected, operation, "the database has a version that this program does not read")
        }
        _ => Fault::new(FaultKind::Malformed, operation, "the database on disk is damaged"),
    };
    fault.with_source(Cause(error.to_string()))
}

/// What an error of the operating system means.
pub(super) fn io_fault(operation: &'static str, error: &std::io::Error) -> Fault {
    use std::io::ErrorKind;
    let cause = Cause(error.to_string());
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            Fault::new(FaultKind::Full, operation, "the disk is full").with_source(cause)
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            Fault::new(FaultKind::Denied, operation, "the directory cannot be written")
                .with_retry(Retry::Backoff)
                .with_source(cause)
        }
        _ => Fault::new(FaultKind::Unavailable, operation, "the disk failed").with_source(cause),
    }
}

/// The text of a cause: the database's own errors cannot be cloned and shared.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Cause(String);
