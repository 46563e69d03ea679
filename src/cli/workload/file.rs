//! The plan's file, watched.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::fault::{Fault, FaultKind};
use crate::task;

/// How often the file is looked at. A mounted `ConfigMap` changes by a symbolic link far above the file,
/// and may lie on any file system: reading a small file a second is the one way that always works.
const LOOK: Duration = Duration::from_secs(1);

/// A `ConfigMap` holds 1 MiB; a plan of that size is written by hand, and wrong.
const MAX_PLAN: u64 = 4 << 20;

/// A file whose contents matter when they change.
pub struct PlanFile {
    path: PathBuf,
    /// What it held when it was last given out.
    seen: Option<String>,
    /// Whether it was said that it cannot be read.
    complained: bool,
}

impl PlanFile {
    pub fn new(path: PathBuf) -> Self {
        Self { path, seen: None, complained: false }
    }

    /// The next contents that differ from the last. A file that cannot be read is waited for.
    /// Cancel-safe.
    pub async fn next(&mut self) -> String {
        loop {
            if self.seen.is_some() || self.complained {
                task::sleep(LOOK).await;
            }
            match self.read().await {
                Ok(text) => {
                    self.complained = false;
                    if self.seen.as_ref() != Some(&text) {
                        self.seen = Some(text.clone());
                        return text;
                    }
                }
                Err(fault) => {
                    if !self.complained {
                        tracing::warn!(fault = fault.chain(), "the plan cannot be read; looking for it every second");
                    }
                    self.complained = true;
                }
            }
        }
    }

    async fn read(&self) -> Result<String, Fault> {
        let path = self.path.clone();
        task::blocking("read the plan", move || {
            let fault = |message: String| {
                Fault::new(FaultKind::NotFound, "read the plan", message)
                    .with_context("path", path.display().to_string())
            };
            let size = std::fs::metadata(&path).map_err(|error| fault(error.to_string()))?.len();
            if size > MAX_PLAN {
                return Err(fault(format!("it is {size} bytes large, more than {MAX_PLAN}")));
            }
            std::fs::read_to_string(&path).map_err(|error| fault(error.to_string()))
        })
        .await
    }
}

impl fmt::Display for PlanFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.display().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_change_is_seen_through_a_link_that_moves() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            std::fs::create_dir_all(folder.path().join(name)).unwrap();
            std::fs::write(folder.path().join(name).join("plan.json"), text).unwrap();
        };
        let link = |target: &str| {
            let new = folder.path().join("..new");
            std::os::unix::fs::symlink(folder.path().join(target), &new).unwrap();
            std::fs::rename(new, folder.path().join("..data")).unwrap();
        };
        write("one", "1");
        write("two", "2");
        let mut file = PlanFile::new(folder.path().join("..data").join("plan.json"));
        let later = async {
            task::sleep(Duration::from_millis(10)).await;
            link("one");
        };
        let (first, ()) = tokio::join!(file.next(), later);
        assert_eq!(first, "1");
        link("two");
        assert_eq!(file.next().await, "2");
    }
}
