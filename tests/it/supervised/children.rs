//! The children of a process, as the system sees them.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

/// A process that somebody else started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    pub id: u32,
    /// Its command line, with spaces.
    pub line: String,
}

impl Child {
    /// SIGKILL, by its own id. It may be gone already.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Any signal, as [`Child::kill`].
    pub fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.id).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), signal).unwrap_or_default();
    }

    /// Whether the process is there still.
    pub fn lives(&self) -> bool {
        parent(self.id).is_some()
    }
}

/// The children of a process that have not ended.
pub fn of(parent_id: u32) -> Vec<Child> {
    let ids = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    let children = ids.filter(|id| parent(*id) == Some(parent_id));
    children.filter_map(|id| Some(Child { id, line: line(id)? })).collect()
}

/// The child whose program or subcommand is `word`, once it has become it.
pub fn find(parent: u32, word: &str) -> Option<Child> {
    let is_it = |child: &Child| {
        let mut words = child.line.split(' ');
        let program = words.next().unwrap_or_default().rsplit('/').next().unwrap_or_default().to_owned();
        program.starts_with(word) || words.next() == Some(word)
    };
    of(parent).into_iter().find(is_it)
}

fn line(id: u32) -> Option<String> {
    Some(fs::read_to_string(format!("/proc/{id}/cmdline")).ok()?.replace('\0', " "))
}

/// The parent of a process; `None` when it has ended, waited for or not.
fn parent(id: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name in brackets may hold anything.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?;
    fields.next()?.parse().ok().filter(|_| !matches!(state, "Z" | "X"))
}
