//! A file for each object.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use anyhow::Context as _;
use serde_json::Value as Json;

use crate::cli::crd;

/// Writes the objects to `folder`, which is made when it is not there; whether all were. What was not is told to `err`.
///
/// # Errors
/// When the folder or a file cannot be written to.
pub fn write(folder: &Path, objects: &[Json], err: &mut dyn Write) -> anyhow::Result<bool> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut all = true;
    for object in objects {
        let path = folder.join(name(object));
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(mut file) => {
                let written = crd::write_document(object, &mut file).and_then(|()| file.flush());
                written.with_context(|| format!("cannot write {}", path.display()))?;
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                writeln!(err, "{} is there already: left as it is", path.display())?;
                all = false;
            }
            Err(error) => return Err(error).with_context(|| format!("cannot write {}", path.display())),
        }
    }
    Ok(all)
}

/// `[NAMESPACE.]KIND.NAME.yaml`. Nobody has judged these words yet: what could lead out of the folder becomes a dash.
fn name(object: &Json) -> String {
    let metadata = &object["metadata"];
    let parts = [&metadata["namespace"], &object["kind"], &metadata["name"]];
    let words: Vec<String> = parts.iter().filter_map(|part| part.as_str()).map(str::to_lowercase).collect();
    let legal = |c: char| if c.is_alphanumeric() || matches!(c, '.' | '-') { c } else { '-' };
    format!("{}.yaml", words.join(".")).chars().map(legal).collect()
}
