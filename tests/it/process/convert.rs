//! `penstock convert`, and `penstock check` on what it prints.

use crate::support::output;

#[tokio::test]
async fn what_is_converted_passes_check_and_the_exit_code_tells_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("sensor.yaml"), folder.path().join("flow.yaml"));
    let sensor = "apiVersion: argoproj.io/v1alpha1
kind: Sensor
metadata: {name: orders}
spec:
  dependencies: [{name: order, eventSourceName: hooks, eventName: orders}]
  triggers:
    - template: {name: ship, http: {url: \"http://ship\", payload: []}}
";
    std::fs::write(&from, sensor).unwrap();
    let out = output(["convert".as_ref(), from.as_os_str()]).await;
    let told = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(0), "{told}");
    assert!(told.contains("sensor.yaml:7:7: changed: Sensor default/orders: spec.triggers[0]: only 2xx"), "{told}");
    std::fs::write(&to, &out.stdout).unwrap();
    let checked = output(["check".as_ref(), to.as_os_str()]).await;
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));

    let strict = output(["convert".as_ref(), "--strict".as_ref(), from.as_os_str()]).await;
    assert_eq!(strict.status.code(), Some(1));
    std::fs::write(&from, sensor.to_owned() + "    - template: {name: pod, k8s: {}}\n").unwrap();
    assert_eq!(output(["convert".as_ref(), from.as_os_str()]).await.status.code(), Some(1));
    std::fs::write(&from, "a: [").unwrap();
    assert_eq!(output(["convert".as_ref(), from.as_os_str()]).await.status.code(), Some(2));
}
