//! The file that says what a directory holds, so that no version misreads another's data.

use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::disk::io_fault;
use crate::fault::{Fault, FaultKind};

/// The version of the layout on disk.
pub(super) const FORMAT: u32 = 1;

const FILE: &str = "FORMAT";
const WORDS: &str = "penstock embedded bus, format ";
const DATABASE: &str = "db";
const LOCK: &str = "LOCK";
const OPERATION: &str = "open the bus";

/// A directory that is this process's alone until the claim is dropped.
#[derive(Debug)]
pub(super) struct Claim {
    /// Where the database is.
    pub(super) database: PathBuf,
    /// Holding it open holds the lock; the system lets go of it however the process ends.
    _lock: File,
}

/// Takes `directory` for this process, and makes sure that it holds a bus of this format or
/// nothing yet.
///
/// # Errors
/// `Conflict` when another process has it, `Rejected` when it holds another format; otherwise
/// when it cannot be read or made.
pub(super) fn claim(directory: &Path) -> Result<Claim, Fault> {
    let named = |fault: Fault| fault.with_context("directory", directory.display().to_string());
    let io = |error| named(io_fault(OPERATION, &error));
    fs::create_dir_all(directory).map_err(io)?;
    let lock = File::create(directory.join(LOCK)).map_err(io)?;
    match lock.try_lock() {
        Ok(()) => Ok(Claim { database: check(directory)?, _lock: lock }),
        Err(TryLockError::WouldBlock) => {
            Err(named(Fault::new(FaultKind::Conflict, OPERATION, "another process has this bus open")))
        }
        Err(TryLockError::Error(error)) => Err(io(error)),
    }
}

fn check(directory: &Path) -> Result<PathBuf, Fault> {
    let named = |fault: Fault| fault.with_context("directory", directory.display().to_string());
    let io = |error| named(io_fault(OPERATION, &error));
    let database = directory.join(DATABASE);
    match fs::read_to_string(directory.join(FILE)) {
        Ok(text) => match text.strip_prefix(WORDS).map(|format| format.trim().parse()) {
            Some(Ok(FORMAT)) => Ok(database),
            Some(Ok(format)) => Err(named(Fault::new(
                FaultKind::Rejected,
                OPERATION,
                format!("it has format {format}, this version reads format {FORMAT}"),
            ))),
            _ => Err(named(Fault::new(FaultKind::Rejected, OPERATION, "its FORMAT file is not one of a bus"))),
        },
        Err(error) if error.kind() == ErrorKind::NotFound && !database.exists() => {
            write(directory).map_err(io)?;
            Ok(database)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Err(named(Fault::new(
            FaultKind::Rejected,
            OPERATION,
            "it holds a database but no FORMAT file, so its format is unknown",
        ))),
        Err(error) => Err(io(error)),
    }
}

/// Written beside and renamed, so that it is there whole or not at all.
fn write(directory: &Path) -> std::io::Result<()> {
    let draft = directory.join("FORMAT.new");
    let mut file = File::create(&draft)?;
    writeln!(file, "{WORDS}{FORMAT}")?;
    file.sync_all()?;
    fs::rename(&draft, directory.join(FILE))?;
    File::open(directory)?.sync_all()
}
