//! The house rules that the compiler does not know: who may import whom, no forgotten files, a
//! module doc on every file, files that fit a head.
//!
//! The import table is the one of ARCHITECTURE.md. It is checked by reading the source as text:
//! every `crate::room` path outside of tests counts, wherever it stands.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a check that cannot read the sources must fail loudly")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Room (longest prefix wins) and the rooms it may import. A room may always import itself.
const IMPORTS: &[(&str, &[&str])] = &[
    ("event", &["proto"]),
    ("fault", &[]),
    ("task", &["fault", "telemetry"]),
    ("telemetry", &[]),
    ("proto", &[]),
    ("api", &[]),
    ("flow", &["event", "fault", "task"]),
    ("frame", &["proto", "event", "fault", "flow"]),
    ("listen", &["fault", "task"]),
    ("dial", &["api", "fault", "task"]),
    ("sources/*/config", &["api", "fault"]),
    ("buses/*/config", &["api", "fault"]),
    ("sinks/*/config", &["api", "fault"]),
    ("router/lua", &["task"]),
    ("router/filter", &["event", "api", "router/lua"]),
    ("router/condition", &["event", "api"]),
    ("router/body", &["event", "api", "router/filter"]),
    ("router/matching", &["event", "router/filter"]),
    ("router/route", &["api", "router/body", "router/filter", "router/condition"]),
    ("sources/*", &["event", "fault", "task", "telemetry", "flow", "listen", "dial"]),
    ("buses/*", &["event", "fault", "task", "telemetry", "flow", "dial"]),
    ("sinks/*", &["event", "fault", "task", "telemetry", "flow"]),
    ("layout", &["api", "sources/*/config", "buses/*/config"]),
    (
        "operator",
        &["api", "fault", "task", "telemetry", "layout", "sources/*/config", "buses/*/config", "router/route"],
    ),
    ("sidecar", &["proto", "event", "fault", "task", "telemetry", "flow", "frame"]),
    ("intake", &["event", "fault", "task", "telemetry", "flow"]),
    ("router/delivery", &["event", "fault", "task", "telemetry", "flow", "router"]),
    ("router/pipeline", &["event", "fault", "task", "telemetry", "flow", "router"]),
    ("router/join", &["event", "fault", "task", "telemetry", "flow", "router"]),
    ("router/decision", &["event", "fault", "task", "telemetry", "flow", "router"]),
    ("router/journal", &["event", "fault", "task", "telemetry", "flow", "router"]),
    ("component", &["proto", "event", "fault", "task", "telemetry", "flow", "frame"]),
    ("router", &[]),
    ("sources", &[]),
    ("buses", &[]),
    ("sinks", &[]),
    ("catalog", &["sources", "buses", "sinks", "flow", "fault", "task"]),
    ("cli", &["*"]),
    ("main", &["*"]),
    ("lib", &["*"]),
];

/// Crates that are walls: only these rooms may name them.
const WALLS: &[(&str, &[&str])] = &[
    ("kube", &["api", "operator", "cli", "sources/kubernetes"]),
    ("tonic", &["proto", "component", "sidecar", "cli"]),
    ("anyhow", &["cli"]),
    ("clap", &["cli"]),
    ("fjall", &["buses/embedded"]),
    ("async_nats", &["buses/jetstream", "sources/nats", "dial"]),
    ("rumqttc", &["sources/mqtt"]),
    ("lapin", &["sources/rabbitmq"]),
    ("rdkafka", &["dial/kafka", "buses/kafka"]),
    ("mlua", &["router/lua"]),
    ("cel", &["router/filter"]),
    ("cloudevents", &["event", "cli"]),
];

/// A file longer than this is two files (tests and generated code do not count).
const LONGEST_FILE: usize = 500;

struct File {
    /// Path below `src`, such as `router/route/mod.rs`.
    path: String,
    text: String,
}

impl File {
    fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path.contains("/tests/")
    }

    /// The module path with slashes: `router/route/policy`.
    fn module(&self) -> &str {
        let module = self.path.strip_suffix(".rs").unwrap_or(&self.path);
        module.strip_suffix("/mod").unwrap_or(module)
    }

    /// The code outside of comments and of a trailing `mod tests { .. }`.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text
            .lines()
            .enumerate()
            .take_while(|(_, line)| *line != "#[cfg(test)]" || self.path == "lib.rs")
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
            .map(|(number, line)| (number + 1, line))
    }
}

fn sources() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let path = path.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/");
                files.push(File { path, text });
            }
        }
    }
    files.sort_by(|one, other| one.path.cmp(&other.path));
    assert!(files.len() > 20, "the sources were not found");
    files
}

/// Whether the module `module` lies in the room `room`, where `*` stands for one name.
fn lies_in(module: &str, room: &str) -> bool {
    let mut names = module.split('/');
    room.split('/').all(|part| names.next().is_some_and(|name| part == "*" || part == name))
}

fn row(module: &str) -> (&'static str, &'static [&'static str]) {
    let rows = IMPORTS.iter().filter(|(room, _)| lies_in(module, room));
    *rows.max_by_key(|(room, _)| room.len()).unwrap_or_else(|| panic!("src/{module} is in no room of the table"))
}

/// The module paths after `crate::` in a line, with slashes.
fn imported(line: &str) -> impl Iterator<Item = String> {
    // `pub(in crate::room)` narrows who may look in; it imports nothing.
    let names = |at: usize| !line[..at].ends_with(|c: char| c.is_ascii_alphanumeric()) && !line[..at].ends_with("(in ");
    line.match_indices("crate::").filter(move |(at, _)| names(*at)).map(|(at, found)| {
        let rest = &line[at + found.len()..];
        let path = rest.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).next().unwrap_or("");
        let names = path.split("::").take_while(|name| name.chars().next().is_some_and(char::is_lowercase));
        names.collect::<Vec<_>>().join("/")
    })
}

#[test]
fn rooms_import_only_what_the_table_allows() {
    let mut faults = Vec::new();
    for file in sources().iter().filter(|file| !file.is_test()) {
        let module = file.module();
        let (room, allowed) = row(module);
        // A kind is a room of its own: a sibling kind is not "itself".
        let own = module.split('/').take(room.split('/').count().min(2)).collect::<Vec<_>>().join("/");
        for (number, line) in file.code() {
            for target in imported(line).filter(|target| !target.is_empty()) {
                let legal = allowed.iter().any(|allowed| *allowed == "*" || lies_in(&target, allowed))
                    || lies_in(&target, &own);
                if !legal {
                    faults.push(format!("src/{}:{number}: {room} must not import crate::{target}", file.path));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn walls_hold() {
    let mut faults = Vec::new();
    for file in sources().iter().filter(|file| !file.is_test()) {
        for (name, rooms) in WALLS {
            if rooms.iter().any(|room| lies_in(file.module(), room)) {
                continue;
            }
            for (number, line) in file.code() {
                let named = line.contains(&format!("{name}::")) && {
                    let at = line.find(&format!("{name}::")).unwrap();
                    at == 0 || !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':')
                };
                if named {
                    faults.push(format!("src/{}:{number}: {name} belongs to {}", file.path, rooms.join(", ")));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_file_is_declared_by_its_parent() {
    let files = sources();
    let mut declared: BTreeSet<PathBuf> = ["lib.rs", "main.rs"].map(PathBuf::from).into();
    for file in &files {
        let path = Path::new(&file.path);
        let parent = path.parent().unwrap();
        let folder = match path.file_stem().unwrap().to_str().unwrap() {
            "mod" | "lib" | "main" => parent.to_path_buf(),
            stem => parent.join(stem),
        };
        for line in file.text.lines() {
            let line =
                line.trim_start_matches("pub ").trim_start_matches("pub(crate) ").trim_start_matches("pub(super) ");
            if let Some(name) = line.strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';')) {
                declared.insert(folder.join(format!("{name}.rs")));
                declared.insert(folder.join(name).join("mod.rs"));
            }
        }
    }
    let orphans: Vec<_> =
        files.iter().filter(|file| !declared.contains(Path::new(&file.path))).map(|file| &file.path).collect();
    assert!(orphans.is_empty(), "no `mod` line declares these files, so nothing in them runs: {orphans:?}");
}

#[test]
fn every_file_opens_with_what_it_is() {
    let bare: Vec<_> = sources()
        .into_iter()
        .filter(|file| !file.is_test() && !file.text.starts_with("//!"))
        .map(|file| file.path)
        .collect();
    assert!(bare.is_empty(), "these files have no module doc: {bare:?}");
}

#[test]
fn files_fit_a_head() {
    let long: Vec<_> = sources()
        .into_iter()
        .filter(|file| !file.is_test() && file.text.lines().count() > LONGEST_FILE)
        .map(|file| format!("{} ({} lines)", file.path, file.text.lines().count()))
        .collect();
    assert!(long.is_empty(), "split these files: {long:?}");
}

#[test]
fn nothing_is_skipped_or_left_for_later() {
    let mut faults = Vec::new();
    let marks = ["#[ignore", "todo!(", "unimplemented!(", "TODO", "FIXME"];
    for file in sources() {
        for (number, line) in file.text.lines().enumerate() {
            if marks.iter().any(|mark| line.contains(mark)) {
                faults.push(format!("src/{}:{}: {}", file.path, number + 1, line.trim()));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_checks_themselves_see_what_is_wrong() {
    let paths: Vec<_> = imported("use crate::flow::{Bus, Sink}; x(crate::event::codec::json::parse)").collect();
    assert_eq!(paths, ["flow", "event/codec/json/parse"]);
    assert_eq!(row("sources/kafka/config").0, "sources/*/config");
    assert_eq!(row("sources/kafka/source").0, "sources/*");
    assert_eq!(row("router/filter/path/query").0, "router/filter");
    assert!(lies_in("sources/http", "sources/*") && !lies_in("sources", "sources/*"));
}
