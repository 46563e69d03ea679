//! One Unix socket: free of dead predecessors, open to every user, gone with its server.

use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::{fs, io};

use tokio::net::{UnixListener, UnixStream};

use crate::fault::{Fault, FaultKind};

/// What follows a kind's name; daprd takes what precedes the last dot as the type.
const ENDING: &str = "sock";

/// daprd runs as a user of its own and must be able to connect, which takes the right to write.
/// What protects the socket is its folder: the pod's own.
const MODE: u32 = 0o777;

/// A socket that is listened on. Dropping it removes the file, unless it is another's by now.
#[derive(Debug)]
pub(super) struct Socket {
    listener: Option<UnixListener>,
    path: PathBuf,
    file: (u64, u64),
}

impl Socket {
    /// Takes the socket of a kind in `folder`, which is made when it does not exist. A file that
    /// nobody listens on any more is removed: daprd would hang on it.
    ///
    /// # Errors
    /// `Conflict` when somebody listens there; otherwise when the system refuses.
    pub(super) async fn bind(folder: &Path, kind: &str) -> Result<Self, Fault> {
        let path = folder.join(format!("{kind}.{ENDING}"));
        let failed = |error: io::Error| {
            Fault::new(FaultKind::Unavailable, "listen on a socket", error.to_string())
                .with_context("path", path.display().to_string())
        };
        fs::create_dir_all(folder).map_err(failed)?;
        match UnixStream::connect(&path).await {
            Ok(_) => {
                return Err(Fault::new(FaultKind::Conflict, "listen on a socket", "another process listens there")
                    .with_context("path", path.display().to_string()));
            }
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                fs::remove_file(&path).map_err(failed)?;
                tracing::info!(path = %path.display(), "removed a socket that nobody listened on");
            }
            // Nothing is there; or something that binding will complain about.
            Err(_) => {}
        }
        let listener = UnixListener::bind(&path).map_err(failed)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(MODE)).map_err(failed)?;
        let file = identity(&path).map_err(failed)?;
        Ok(Self { listener: Some(listener), path, file })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The listener, once.
    pub(super) fn take(&mut self) -> Option<UnixListener> {
        self.listener.take()
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|file| file == self.file)
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "a socket could not be removed");
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}
