//! Where one machine keeps secrets: the environment, files, and a folder that stands in for a
//! cluster's Secrets.

use std::fs;
use std::path::{Path, PathBuf};

use crate::api::{Secret, SecretSource, Secrets};

/// Looks up secrets in the environment, in files, and below one folder as `NAME/KEY` (the way a
/// cluster mounts a Secret).
#[derive(Clone, Debug, Default)]
pub struct Local {
    folder: Option<PathBuf>,
}

impl Local {
    pub fn new(folder: Option<PathBuf>) -> Self {
        Self { folder }
    }
}

impl Secrets for Local {
    fn resolve(&self, source: &SecretSource) -> Result<Secret, String> {
        match source {
            SecretSource { env: Some(name), .. } => environment(name),
            SecretSource { file: Some(path), .. } => file(Path::new(path)),
            SecretSource { secret_key_ref: Some(reference), .. } => match &self.folder {
                Some(folder) => file(&folder.join(&reference.name).join(&reference.key)),
                None => Err(format!(
                    "secret {}/{} needs --secrets-dir outside of a cluster: a folder with the file {}/{}",
                    reference.name, reference.key, reference.name, reference.key
                )),
            },
            SecretSource { .. } => Err("exactly one of secretKeyRef, env and file is needed".to_owned()),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "cli is the room that reads the environment")]
fn environment(name: &str) -> Result<Secret, String> {
    match std::env::var(name) {
        Ok(value) if !value.is_empty() => Ok(Secret::new(value)),
        Ok(_) => Err(format!("environment variable {name} is empty")),
        Err(_) => Err(format!("environment variable {name} is not set")),
    }
}

fn file(path: &Path) -> Result<Secret, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("secret file {}: {error}", path.display()))?;
    let text = text.strip_suffix('\n').map_or(text.as_str(), |text| text.strip_suffix('\r').unwrap_or(text));
    if text.is_empty() { Err(format!("secret file {} is empty", path.display())) } else { Ok(Secret::new(text)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::SecretKeyRef;

    #[test]
    fn a_secret_is_read_from_a_file_without_its_newline() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("github")).unwrap();
        fs::write(folder.path().join("github/token"), "hunter2\n").unwrap();
        let reference = SecretKeyRef { name: "github".into(), key: "token".into() };
        let source = SecretSource { secret_key_ref: Some(reference), ..SecretSource::default() };
        let found = Local::new(Some(folder.path().into())).resolve(&source).unwrap();
        assert_eq!(found.expose(), "hunter2");
        assert_eq!(
            Local::default().resolve(&source).unwrap_err(),
            "secret github/token needs --secrets-dir outside of a cluster: a folder with the file github/token"
        );
    }

    #[test]
    fn a_missing_variable_is_named() {
        let source = SecretSource { env: Some("PENSTOCK_NO_SUCH_VARIABLE".into()), ..SecretSource::default() };
        let reason = Local::default().resolve(&source).unwrap_err();
        assert_eq!(reason, "environment variable PENSTOCK_NO_SUCH_VARIABLE is not set");
    }
}
