//! The Components in `components/`, as they are published, with what a test must change.

use std::path::Path;

/// A published Component; `changes` are keys and their values, which are left out when they are empty. Secrets that
/// are not changed are left out, too: there is no store of secrets here.
pub fn component(name: &str, changes: &[(&str, &str)]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("components").join(format!("{name}.yaml"));
    let text = std::fs::read_to_string(path).unwrap();
    let text: String =
        text.lines().filter(|line| !line.trim_start().starts_with('#')).flat_map(|line| [line, "\n"]).collect();
    let (head, rest) = text.split_once("  metadata:\n").unwrap();
    let (metadata, tail) = rest.split_once("scopes:").unwrap();
    let mut written = Vec::new();
    let changed_to = |key: &str, value: &str| format!("    - name: {key}\n      value: \"{value}\"\n");
    let mut left: Vec<_> = changes.to_vec();
    for item in metadata.split("    - name: ").skip(1) {
        let (key, settings) = item.split_once('\n').unwrap();
        if let Some(at) = left.iter().position(|(changed, _)| *changed == key) {
            let (_, value) = left.remove(at);
            if value.is_empty() {
                continue;
            }
            written.push(changed_to(key, value));
        } else if !settings.contains("secretKeyRef") {
            written.push(format!("    - name: {key}\n{settings}"));
        }
    }
    for (key, value) in left {
        written.push(changed_to(key, value));
    }
    format!("{head}  metadata:\n{}scopes:{tail}", written.concat())
}
