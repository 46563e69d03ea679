//! Where the processes find what they are told, and each other.

use std::fs::{self, DirBuilder, File};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::layout::{Layout, Workload};

/// The longest path of a socket that the system takes, without the zero at its end.
const LONGEST_SOCKET: usize = 107;

/// Room for a slash and the name of a socket, such as `eventsource.kubernetes.sock`.
const SOCKET_NAME: usize = 40;

/// Files below the data directory, and the folder of the sockets, which must be a short one.
#[derive(Debug)]
pub struct Place {
    folder: PathBuf,
    data: PathBuf,
    sockets: PathBuf,
    /// Whether the sockets are elsewhere, and are removed at the end.
    apart: bool,
    /// Held until the end: one process at a time.
    _lock: File,
}

impl Place {
    /// Takes the folder `dapr` of the data directory, and empties it.
    ///
    /// # Errors
    /// When another process has it, or it cannot be written.
    pub fn take(data: &Path) -> anyhow::Result<Self> {
        let writing = || format!("cannot write to the data directory {} (--data-dir)", data.display());
        fs::create_dir_all(data).with_context(writing)?;
        let data = data.canonicalize().with_context(writing)?;
        let folder = data.join("dapr");
        make(&folder).with_context(writing)?;
        let lock = File::create(folder.join("lock")).with_context(writing)?;
        if lock.try_lock().is_err() {
            bail!("another penstock run --dapr uses the data directory {}", data.display());
        }
        let near = folder.join("sockets");
        let apart = near.as_os_str().as_bytes().len() + SOCKET_NAME > LONGEST_SOCKET;
        let sockets = if apart { elsewhere() } else { near };
        for emptied in [folder.join("resources"), folder.join("plans"), sockets.clone()] {
            if emptied.exists() {
                fs::remove_dir_all(&emptied).with_context(writing)?;
            }
            make(&emptied).with_context(|| format!("cannot make the folder {}", emptied.display()))?;
        }
        Ok(Self { folder, data, sockets, apart, _lock: lock })
    }

    /// Writes Components and plans.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write(&self, layout: &Layout) -> anyhow::Result<()> {
        let write = |path: PathBuf, text: String| {
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
        };
        for component in &layout.components {
            write(self.resources().join(format!("{}.yaml", component.name)), component.to_string())?;
        }
        for workload in &layout.workloads {
            write(self.plan(workload), format!("{:#}\n", workload.plan))?;
        }
        Ok(())
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn data(&self) -> &Path {
        &self.data
    }

    pub fn sockets(&self) -> &Path {
        &self.sockets
    }

    pub fn resources(&self) -> PathBuf {
        self.folder.join("resources")
    }

    /// The file of a workload's plan.
    pub fn plan(&self, workload: &Workload) -> PathBuf {
        self.folder.join("plans").join(format!("{}.json", workload.name.replace([' ', '/'], ".")))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.apart {
            // What cannot be removed is an empty folder.
            fs::remove_dir_all(&self.sockets).unwrap_or_default();
        }
    }
}

fn make(folder: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// A folder of the system's for temporary files that nobody else has.
fn elsewhere() -> PathBuf {
    std::env::temp_dir().join(format!("penstock-{:08x}", fastrand::u32(..)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_at_a_time_and_sockets_with_short_paths() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::take(folder.path()).unwrap();
        assert!(place.sockets().starts_with(folder.path().canonicalize().unwrap()));
        let error = Place::take(folder.path()).unwrap_err().to_string();
        assert!(error.starts_with("another penstock run --dapr uses"), "{error}");
        drop(place);
        fs::write(folder.path().join("dapr/resources/old.yaml"), "").unwrap();
        let place = Place::take(folder.path()).unwrap();
        assert_eq!(fs::read_dir(place.resources()).unwrap().count(), 0);

        let deep = folder.path().join("a".repeat(90));
        let place = Place::take(&deep).unwrap();
        let sockets = place.sockets().to_owned();
        assert!(sockets.exists() && sockets.as_os_str().len() + SOCKET_NAME <= LONGEST_SOCKET, "{sockets:?}");
        drop(place);
        assert!(!sockets.exists());
    }
}
