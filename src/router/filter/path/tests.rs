use super::*;
use crate::router::filter::json;

/// Documents and paths with what gjson 1.19 finds: document, path, `found` or `missing`, raw
/// token and text, each as a JSON string, separated by tabs.
const VECTORS: &str = include_str!("vectors.tsv");

fn find(json: &str, path: &str) -> Option<String> {
    match Path::compile(path).unwrap().find(json) {
        Found::Value(raw) => Some(raw.into_owned()),
        Found::Missing => None,
        Found::TooCostly => panic!("too costly: {path}"),
    }
}

#[test]
fn every_vector_of_gjson_is_found_the_same() {
    let mut count = 0;
    for line in VECTORS.lines() {
        let fields: Vec<_> = line.split('\t').collect();
        let [document, path, found, raw, text] = fields.as_slice() else { panic!("{line}") };
        let unquote = |field: &str| serde_json::from_str::<String>(field).unwrap();
        let value = find(&unquote(document), &unquote(path));
        assert_eq!(value.is_some(), *found == "found", "{line}: {value:?}");
        let value = value.unwrap_or_default();
        assert_eq!(
            (value.as_str(), json::text(&value).as_ref()),
            (unquote(raw).as_str(), unquote(text).as_str()),
            "{line}"
        );
        count += 1;
    }
    assert!(count > 300, "{count}");
}
