//! A bus behind an app that is written with Dapr's own SDK.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value as Json;
use tokio::process::Command;
use tokio::time::timeout;

use super::Pod;
use crate::support::{PATIENCE, Reply};

/// The version of the SDK that the tools are installed with.
const SDK: &str = "1.18.3";

/// The Python that has it.
fn python() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache");
    let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(home, PathBuf::from);
    let python = cache.join("penstock/tools").join(format!("dapr-python-{SDK}.venv/bin/python"));
    assert!(python.exists(), "{} is not there: run `make tools`", python.display());
    python
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_with_daprs_sdk_gets_one_event_per_message_and_again_what_it_refuses() {
    let pod = Pod::new(|_, _| Reply::code(200)).await;
    let (_component, _daprd) = pod.start().await;
    let app = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/dapr/app.py");
    let app = Command::new(python())
        .arg(app)
        .args(["bus", "orders"])
        .env("DAPR_GRPC_PORT", pod.daprd.grpc_port().to_string())
        .env("DAPR_HTTP_PORT", pod.daprd.http_port().to_string())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let out = timeout(PATIENCE * 2, app).await.expect("the app never ended").unwrap();
    let (said, errors) = (String::from_utf8(out.stdout).unwrap(), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{said}{errors}");
    let seen: Vec<Json> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |name: &str| seen.iter().filter(|event| event["data"]["name"] == name).collect::<Vec<_>>();
    for name in ["one", "bulk-1", "bulk-2"] {
        assert_eq!((of(name).len(), &of(name)[0]["verdict"]), (1, &"success".into()), "{said}");
        assert_eq!(of(name)[0]["data"]["total"], 250);
    }
    let again = of("again");
    let verdicts: Vec<_> = again.iter().map(|event| event["verdict"].as_str().unwrap()).collect();
    assert_eq!((verdicts, &again[0]["id"]), (vec!["retry", "success"], &again[1]["id"]), "{said}");
}
