//! The end of the database's journal after a crash: what is dropped, and saying so.
//!
//! The database itself drops whatever it cannot parse at the end of its journal, silently and
//! wherever that is. That is right for a batch that a crash cut off: it was never acknowledged.
//! It is wrong for damage in the middle, where acknowledged batches follow. So the journal is
//! looked at first: a torn tail is set aside and reported, damage in the middle is refused.
//!
//! The journal is a row of batches: start (tag 1, item count u32, sequence u64), items (tag 2),
//! clears (tag 4), end (tag 3, checksum u64, `FJL` 3); then zeros up to the preallocated size.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::disk::io_fault;
use crate::fault::{Fault, FaultKind};

const OPERATION: &str = "recover the bus's journal";
const MAGIC: [u8; 4] = *b"FJL\x03";
const START_BYTES: i64 = 12;
const CLEAR_BYTES: i64 = 8;

/// Where the last dropped tail is kept, for whoever wants to look at it. One file, so that
/// crashes do not fill the disk.
const DROPPED: &str = "dropped-tail.bin";

/// Looks at the journals of the database in `path` before the database does.
///
/// # Errors
/// `Malformed` when a journal is damaged in front of complete batches.
pub(super) fn mend(path: &Path) -> Result<(), Fault> {
    if !path.exists() {
        return Ok(());
    }
    if !path.join("version").exists() {
        return set_unfinished_aside(path).map_err(|error| io_fault(OPERATION, &error));
    }
    for journal in journals(path).map_err(|error| io_fault(OPERATION, &error))? {
        let scan = scan(&journal).map_err(|error| io_fault(OPERATION, &error))?;
        if scan.follows {
            let message = format!(
                "it is damaged at byte {} and complete batches follow; restore it, or cut it there to lose them",
                scan.valid
            );
            return Err(Fault::new(FaultKind::Malformed, OPERATION, message)
                .with_context("file", journal.display().to_string()));
        }
        if scan.used > scan.valid {
            if let Err(error) = keep(&journal, scan.valid, scan.used) {
                // It may be torn because the disk is full: that must not keep the bus closed.
                tracing::warn!(error = %error, "no copy of the journal's torn end can be kept");
                drop(fs::remove_file(journal.with_file_name(DROPPED)));
            }
            cut(&journal, scan.valid, scan.used).map_err(|error| io_fault(OPERATION, &error))?;
        }
    }
    Ok(())
}

/// A last batch that was cut off, and can be put back.
pub(super) struct LastBatch {
    journal: PathBuf,
    at: u64,
}

/// Cuts the last batch off the newest journal: when the database finds a checksum wrong, a crash
/// may have left holes in that batch. `None` when there is no batch.
pub(super) fn cut_last_batch(path: &Path) -> Result<Option<LastBatch>, Fault> {
    let drop = || -> io::Result<Option<LastBatch>> {
        let Some(journal) = journals(path)?.pop() else { return Ok(None) };
        let scan = scan(&journal)?;
        if scan.last == scan.valid {
            return Ok(None);
        }
        keep(&journal, scan.last, scan.valid)?;
        cut(&journal, scan.last, scan.valid)?;
        Ok(Some(LastBatch { journal, at: scan.last }))
    };
    drop().map_err(|error| io_fault(OPERATION, &error))
}

impl LastBatch {
    /// Puts the batch back: the damage was elsewhere.
    pub(super) fn restore(&self) -> Result<(), Fault> {
        let restore = || -> io::Result<()> {
            let mut copy = File::open(self.journal.with_file_name(DROPPED))?;
            let mut file = OpenOptions::new().write(true).open(&self.journal)?;
            file.seek(SeekFrom::Start(self.at))?;
            io::copy(&mut copy, &mut file)?;
            file.sync_all()
        };
        restore().map_err(|error| io_fault(OPERATION, &error))
    }
}

/// A database whose creation was cut off: it never took an event.
fn set_unfinished_aside(path: &Path) -> io::Result<()> {
    let aside = path.with_extension("unfinished");
    tracing::warn!(path = %path.display(), aside = %aside.display(), "the database was never finished; it is set aside");
    if aside.exists() {
        fs::remove_dir_all(&aside)?;
    }
    fs::rename(path, aside)
}

/// Oldest first.
fn journals(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut journals = Vec::new();
    for entry in fs::read_dir(path)? {
        let file = entry?.path();
        let number = file.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse::<u64>().ok());
        if let (Some(number), Some("jnl")) = (number, file.extension().and_then(|extension| extension.to_str())) {
            journals.push((number, file));
        }
    }
    journals.sort_unstable();
    Ok(journals.into_iter().map(|(_, file)| file).collect())
}

/// Keeps a copy of the bytes from `from` to `to` of a journal.
fn keep(journal: &Path, from: u64, to: u64) -> io::Result<()> {
    let mut file = File::open(journal)?;
    file.seek(SeekFrom::Start(from))?;
    let mut copy = File::create(journal.with_file_name(DROPPED))?;
    io::copy(&mut file.take(to - from), &mut copy)?;
    copy.sync_all()
}

/// Cuts a journal that holds `used` bytes at `valid`.
fn cut(journal: &Path, valid: u64, used: u64) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(journal)?;
    file.set_len(valid)?;
    file.sync_all()?;
    tracing::warn!(
        journal = %journal.display(), at = valid, bytes = used - valid, copy = DROPPED,
        "the journal ends in a torn batch, as after a crash in the middle of a write; it was never acknowledged and is dropped"
    );
    Ok(())
}

/// What a journal holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Scan {
    /// Where the last complete batch starts.
    last: u64,
    /// Where the last complete batch in an unbroken row ends.
    valid: u64,
    /// Behind the last byte that is not zero.
    used: u64,
    /// A complete batch, and more, stands behind the damage at `valid`.
    follows: bool,
}

fn scan(journal: &Path) -> io::Result<Scan> {
    let mut file = BufReader::with_capacity(64 << 10, File::open(journal)?);
    let len = file.get_ref().metadata()?.len();
    let mut scan = Scan::default();
    while let Some(end) = batch(&mut file, scan.valid, len)? {
        scan.last = scan.valid;
        scan.valid = end;
    }
    file.seek(SeekFrom::Start(scan.valid))?;
    let rest = rest(&mut file, scan.valid)?;
    scan.used = rest.used;
    for end in rest.ends {
        // A torn batch may have kept its end. Damage in the middle has whole batches behind it.
        scan.follows |= batch(&mut file, end, len)?.is_some();
    }
    Ok(scan)
}

/// The end of the batch at `at`, if there is a complete one.
fn batch(file: &mut BufReader<File>, at: u64, len: u64) -> io::Result<Option<u64>> {
    let here = file.stream_position()?;
    file.seek_relative(i64::try_from(at).unwrap_or(i64::MAX) - i64::try_from(here).unwrap_or(0))?;
    match entries(file, len) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        other => other,
    }
}

fn entries(file: &mut BufReader<File>, len: u64) -> io::Result<Option<u64>> {
    if byte(file)? != 1 {
        return Ok(None);
    }
    file.seek_relative(START_BYTES)?;
    loop {
        match byte(file)? {
            2 => {
                // Value type u8, compression u8, keyspace u64, key u16, value u32, stored value u32.
                let mut head = [0; 20];
                file.read_exact(&mut head)?;
                let key = u16::from_le_bytes([head[10], head[11]]);
                let stored = u32::from_le_bytes([head[16], head[17], head[18], head[19]]);
                file.seek_relative(i64::from(key) + i64::from(stored))?;
            }
            4 => file.seek_relative(CLEAR_BYTES)?,
            3 => {
                let mut tail = [0; 12];
                file.read_exact(&mut tail)?;
                let end = file.stream_position()?;
                return Ok((tail[8..] == MAGIC && end <= len).then_some(end));
            }
            _ => return Ok(None),
        }
        if file.stream_position()? > len {
            return Ok(None);
        }
    }
}

fn byte(file: &mut BufReader<File>) -> io::Result<u8> {
    let mut byte = [0];
    file.read_exact(&mut byte)?;
    Ok(byte[0])
}

/// What stands behind the valid part.
struct Rest {
    /// Behind the last byte that is not zero.
    used: u64,
    /// Positions behind each end marker.
    ends: Vec<u64>,
}

/// More end markers than this say nothing new.
const MAX_ENDS: usize = 64;

const CHUNK: usize = 64 << 10;

/// Reads from `at`, where the file stands, to the end. Nearly always all zeros, so those are fast.
fn rest(file: &mut impl Read, at: u64) -> io::Result<Rest> {
    // The last bytes of the chunk before stay in front, so that no marker hides on the seam.
    const SEAM: usize = MAGIC.len() - 1;
    let zeros = vec![0; CHUNK];
    let mut chunk = vec![0; SEAM + CHUNK];
    let mut rest = Rest { used: at, ends: Vec::new() };
    let mut start = at;
    loop {
        let read = file.read(&mut chunk[SEAM..])?;
        if read == 0 {
            return Ok(rest);
        }
        let bytes = &chunk[..SEAM + read];
        if let Some(last) =
            (bytes[SEAM..] != zeros[..read]).then(|| bytes[SEAM..].iter().rposition(|byte| *byte != 0)).flatten()
        {
            rest.used = start + last as u64 + 1;
            for found in memchr::memmem::find_iter(bytes, &MAGIC).take(MAX_ENDS - rest.ends.len()) {
                rest.ends.push(start + found as u64 + 1);
            }
        }
        start += read as u64;
        chunk.copy_within(read..read + SEAM, 0);
    }
}
