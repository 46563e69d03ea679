//! The texts that a command line names: files, folders and standard input.

use std::collections::HashSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};

/// The largest text: some ten thousand objects. A larger one is not a text for people.
const MAX_BYTES: u64 = 64 << 20;
/// What the files of a folder must end with to be read.
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

/// One text and what it is called in messages.
#[derive(Debug)]
pub struct Text {
    pub name: Arc<str>,
    pub text: String,
}

/// Why something named on the command line is not a text.
#[derive(Debug)]
pub struct Unreadable {
    pub name: Arc<str>,
    pub reason: String,
}

/// Reads every path: a file, a folder (its `*.yaml`, `*.yml` and `*.json`, sorted, not what is
/// below it: as `kubectl apply -f` does), or `-` for standard input. A file that is named twice is
/// read once.
pub fn read(paths: &[PathBuf], stdin: &mut dyn Read) -> (Vec<Text>, Vec<Unreadable>) {
    let mut texts = Vec::new();
    let mut unreadable = Vec::new();
    let mut seen = HashSet::new();
    for path in paths {
        if path.as_os_str() == "-" {
            keep("standard input".into(), text(stdin), &mut texts, &mut unreadable);
            continue;
        }
        match files(path) {
            Err(error) => unreadable.push(Unreadable { name: name(path), reason: format!("{error:#}") }),
            Ok(files) => {
                for file in files {
                    if seen.insert(file.canonicalize().unwrap_or_else(|_| file.clone())) {
                        keep(name(&file), open(&file), &mut texts, &mut unreadable);
                    }
                }
            }
        }
    }
    (texts, unreadable)
}

fn name(path: &Path) -> Arc<str> {
    path.display().to_string().into()
}

fn keep(name: Arc<str>, text: Result<String>, texts: &mut Vec<Text>, unreadable: &mut Vec<Unreadable>) {
    match text {
        Ok(text) => texts.push(Text { name, text }),
        Err(error) => unreadable.push(Unreadable { name, reason: format!("{error:#}") }),
    }
}

/// The files that a path stands for.
fn files(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.metadata().context("cannot be read")?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in path.read_dir().context("cannot be read")? {
        let file = entry.context("cannot be read")?.path();
        let wanted = file.extension().is_some_and(|extension| EXTENSIONS.iter().any(|known| extension == *known));
        if wanted && file.is_file() {
            files.push(file);
        }
    }
    if files.is_empty() {
        bail!("there is no *.yaml, *.yml or *.json in this folder (folders below it are not searched)");
    }
    files.sort();
    Ok(files)
}

fn open(path: &Path) -> Result<String> {
    text(&mut std::fs::File::open(path).context("cannot be read")?)
}

fn text(reader: &mut dyn Read) -> Result<String> {
    let mut bytes = Vec::new();
    reader.take(MAX_BYTES + 1).read_to_end(&mut bytes).context("cannot be read")?;
    if bytes.len() as u64 > MAX_BYTES {
        bail!("larger than {} MiB", MAX_BYTES >> 20);
    }
    String::from_utf8(bytes).ok().context("not UTF-8 text")
}
