//! `penstock test`: the cases of all examples, and what a run of cases tells.

use std::fs;
use std::path::Path;

use crate::support::output;

#[tokio::test]
async fn the_cases_of_every_example_are_as_expected() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut played = 0;
    for entry in fs::read_dir(examples).unwrap() {
        let flow = entry.unwrap().path();
        let cases = flow.join("tests");
        if !cases.exists() {
            continue;
        }
        let arguments = ["test".as_ref(), "-f".as_ref(), flow.as_os_str(), "-t".as_ref(), cases.as_os_str()];
        let out = output(arguments).await;
        let told = [out.stdout, out.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        assert_eq!(out.status.code(), Some(0), "{told}");
        played += told.matches("  ok    ").count();
    }
    assert!(played >= 15, "only {played} cases were found");
}

#[tokio::test]
async fn the_exit_code_and_the_report_tell_how_it_went() {
    let folder = tempfile::tempdir().unwrap();
    let (cases, report) = (folder.path().join("cases.yaml"), folder.path().join("report.xml"));
    let test = async |text: &str| {
        fs::write(&cases, text).unwrap();
        let flow = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/quickstart");
        let words = ["test".as_ref(), "-f".as_ref(), flow.as_os_str(), "-t".as_ref(), cases.as_os_str()];
        let out = output(words.into_iter().chain(["--junit".as_ref(), report.as_os_str()])).await;
        let told = [out.stdout, out.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        (out.status.code(), told)
    };
    let paid = "events: [{to: hooks/orders, event: {type: com.shop.order.paid, data: {total: 5}}}]";
    let (code, told) = test(&format!(
        "cases:\n- {{name: good, {paid}, expect: {{deliveries: [{{to: ship}}]}}}}\n- {{name: \"<bad>\", {paid}}}\n"
    ))
    .await;
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("  ok    good\n  FAIL  <bad>\n"), "{told}");
    assert!(told.contains("delivery to default/shop/ship at 0s was not expected"), "{told}");
    let xml = fs::read_to_string(&report).unwrap();
    assert!(xml.contains("<testsuites name=\"penstock\" tests=\"2\" failures=\"1\" errors=\"0\">"), "{xml}");
    assert!(xml.contains("name=\"&lt;bad&gt;\">\n      <failure message=\"delivery to default/shop/ship"), "{xml}");

    let (code, told) = test("cases:\n- name: it\n  events: [{to: hooks/order}]\n").await;
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("cases.yaml:2:3: cases[0]: events[0]: to: nobody listens to \"hooks/order\""), "{told}");
    assert_eq!(test("cases: []\n").await.0, Some(2));
}
