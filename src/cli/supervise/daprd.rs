//! Which daprd is started, and whether it will do.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::signal::unix::{SignalKind, signal};

use crate::task;

/// The variable that names a daprd.
const VARIABLE: &str = "PENSTOCK_DAPRD";

/// How long `daprd --version` may take; it answers in milliseconds.
const VERSION_LIMIT: Duration = Duration::from_secs(10);

/// The first version whose API has subscriptions as streams.
const OLDEST: (u32, u32) = (1, 14);

/// How a daprd is come by.
const ADVICE: &str = "`dapr init --slim` installs one below ~/.dapr (https://docs.dapr.io/getting-started), and \
                      --daprd PATH names one that is elsewhere";

/// A daprd that can be started.
#[derive(Debug)]
pub struct Daprd {
    pub path: PathBuf,
    pub version: String,
}

/// Finds daprd: the one that is named, or else the first that is there.
///
/// # Errors
/// When there is none, or it is too old, or is something else; each says what can be done.
pub async fn find(named: Option<&Path>) -> anyhow::Result<Daprd> {
    let variable = std::env::var_os(VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
    let path = match (named, variable) {
        (Some(path), _) => present(path, "--daprd")?,
        (None, Some(path)) => present(&path, VARIABLE)?,
        (None, None) => {
            let path = std::env::var_os("PATH").unwrap_or_default();
            let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".dapr/bin"));
            let mut folders = std::env::split_paths(&path).chain(home).map(|folder| folder.join("daprd"));
            let found = folders.find(|path| path.is_file());
            found.with_context(|| format!("there is no daprd in PATH and none in ~/.dapr/bin: {ADVICE}"))?
        }
    };
    let said = version(&path).await?;
    judge(&path, &said)
}

fn present(path: &Path, said: &str) -> anyhow::Result<PathBuf> {
    if !path.is_file() {
        bail!("there is no file {} ({said})", path.display());
    }
    // A path without a slash would be looked for in PATH.
    path.canonicalize().with_context(|| format!("{said} {}", path.display()))
}

/// What it says its version is.
async fn version(path: &Path) -> anyhow::Result<String> {
    let failed = || format!("{} --version cannot be run", path.display());
    let mut died = signal(SignalKind::child()).context("cannot watch for SIGCHLD")?;
    let mut command = Command::new(path);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().with_context(failed)?;
    let ended = task::within(VERSION_LIMIT, async {
        while child.try_wait()?.is_none() {
            died.recv().await;
        }
        std::io::Result::Ok(())
    })
    .await;
    if ended.is_none() {
        child.kill().with_context(failed)?;
        child.wait().with_context(failed)?;
    }
    let mut said = String::new();
    if let Some(out) = &mut child.stdout {
        // A version is short; what says more is no daprd.
        out.take(1000).read_to_string(&mut said).with_context(failed)?;
    }
    Ok(said)
}

fn judge(path: &Path, said: &str) -> anyhow::Result<Daprd> {
    let (path, version) = (path.to_owned(), said.trim().to_owned());
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().ok());
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(major), Some(minor)) if (major, minor) < OLDEST => {
            let (major, minor) = OLDEST;
            bail!("{} is daprd {version}, and {major}.{minor} is the first that will do: {ADVICE}", path.display())
        }
        (Some(_), Some(_)) => Ok(Daprd { path, version }),
        // Built by hand: as new as can be.
        _ if version == "edge" => Ok(Daprd { path, version }),
        _ => bail!("{} is no daprd: it does not tell its version. {ADVICE}", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daprd_that_will_not_do_is_refused_with_advice() {
        let check = |said: &str, expected: Result<&str, &str>| {
            let judged =
                judge(Path::new("/x/daprd"), said).map(|daprd| daprd.version).map_err(|error| error.to_string());
            match expected {
                Ok(version) => assert_eq!(judged.as_deref(), Ok(version)),
                Err(words) => {
                    let error = judged.unwrap_err();
                    assert!(error.contains(words) && error.contains("dapr init --slim"), "{error}");
                }
            }
        };
        check("1.18.1\n", Ok("1.18.1"));
        check("1.14.0-rc.1", Ok("1.14.0-rc.1"));
        check("edge", Ok("edge"));
        check("1.13.5\n", Err("/x/daprd is daprd 1.13.5, and 1.14 is the first that will do"));
        check("", Err("/x/daprd is no daprd"));
        check("usage: something", Err("/x/daprd is no daprd"));
    }

    #[tokio::test]
    async fn what_is_no_daprd_does_not_hold_up_the_start() {
        let error = find(Some(Path::new("/bin/true"))).await.unwrap_err().to_string();
        assert!(error.contains("is no daprd: it does not tell its version"), "{error}");
        let error = find(Some(Path::new("/no/such/daprd"))).await.unwrap_err().to_string();
        assert_eq!(error, "there is no file /no/such/daprd (--daprd)");
    }
}
