//! A small file system, for filling it up.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// A file system in memory, mounted for one test. Needs root, as the test machines give; without it
/// the test fails rather than skips.
#[derive(Debug)]
pub struct Disk(TempDir);

impl Disk {
    /// `size` as `mount` takes it, such as `24m`.
    pub fn new(size: &str) -> Self {
        let disk = Self(tempfile::tempdir().unwrap());
        disk.mount(&format!("size={size}"));
        disk
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn grow(&self, size: &str) {
        self.mount(&format!("remount,size={size}"));
    }

    fn mount(&self, options: &str) {
        let mut command = Command::new("mount");
        let status = command.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(self.path()).status().unwrap();
        assert!(status.success(), "this test mounts a file system, for which it must run as root");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let status = Command::new("umount").arg("--lazy").arg(self.path()).status();
        assert!(status.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}
