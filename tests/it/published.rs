//! What is published is right: every YAML in the examples, the README and the docs passes `check`,
//! and the CRDs in `manifests/` are those that the binary prints.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::output;

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

async fn check(path: &Path, name: &str) {
    let out = output(["check".as_ref(), path.as_os_str()]).await;
    let printed = [out.stdout, out.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert_eq!(out.status.code(), Some(0), "{name}:\n{printed}");
}

#[tokio::test]
async fn every_example_passes_check() {
    let mut folders = 0;
    for entry in fs::read_dir(root().join("examples")).unwrap() {
        let path = entry.unwrap().path();
        check(&path, &path.display().to_string()).await;
        folders += 1;
    }
    assert!(folders >= 2, "the examples were not found");
}

/// The blocks of a page that are marked as YAML.
pub fn blocks(page: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut open: Option<String> = None;
    for line in page.lines() {
        match (&mut open, line.trim()) {
            (None, "```yaml") => open = Some(String::new()),
            (Some(_), "```") => blocks.extend(open.take()),
            (Some(block), _) => {
                block.push_str(line);
                block.push('\n');
            }
            (None, _) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed");
    blocks
}

#[tokio::test]
async fn every_yaml_of_the_pages_passes_check() {
    let mut pages = vec![root().join("README.md")];
    pages.extend(fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path()));
    let folder = tempfile::tempdir().unwrap();
    let mut checked = 0;
    for page in pages.iter().filter(|page| page.extension().is_some_and(|extension| extension == "md")) {
        for (number, block) in blocks(&fs::read_to_string(page).unwrap()).into_iter().enumerate() {
            let file: PathBuf = folder.path().join("block.yaml");
            fs::write(&file, block).unwrap();
            check(&file, &format!("{}, YAML block {}", page.display(), number + 1)).await;
            checked += 1;
        }
    }
    assert!(checked > 0, "the pages have no YAML");
}

/// The names of metrics in a text.
fn metrics(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !(letter.is_ascii_lowercase() || letter == '_'));
    words.filter(|word| word.starts_with("penstock_")).map(str::to_owned).collect()
}

#[test]
fn alerts_are_about_metrics_that_the_pages_explain() {
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    let used = metrics(&read("manifests/monitoring/rules.yaml"));
    let explained = metrics(&(read("docs/operations.md") + &read("docs/cluster.md")));
    assert!(used.len() > 5, "the alerts were not found");
    assert_eq!(used.difference(&explained).collect::<Vec<_>>(), Vec::<&String>::new());
}
