use super::*;

/// The rules of structural schemas (Kubernetes documentation of custom resource definitions), as
/// far as our schemas could break them.
fn check_structural(schema: &Json, path: &str) {
    let members = schema.as_object().unwrap();
    for name in ["$ref", "anyOf", "oneOf", "allOf", "not", "definitions", "patternProperties", "const"] {
        assert!(!members.contains_key(name), "{path} has {name}");
    }
    let open = ["x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields"];
    let typed = members.get("type").is_some_and(Json::is_string);
    assert!(typed || open.iter().any(|name| members.get(*name) == Some(&Json::Bool(true))), "{path} has no type");
    assert!(!(typed && members.contains_key(open[0])), "{path}: int-or-string has no type");
    assert!(!(members.contains_key("properties") && members.contains_key("additionalProperties")), "{path}");
    if let Some(format) = members.get("format") {
        assert!(["int32", "int64", "double"].iter().any(|known| format == known), "{path}: format {format}");
    }
    for (name, schema) in members.get("properties").and_then(Json::as_object).into_iter().flatten() {
        check_structural(schema, &format!("{path}.{name}"));
    }
    for name in ["items", "additionalProperties"] {
        if let Some(schema) = members.get(name) {
            check_structural(schema, &format!("{path}.{name}"));
        }
    }
    if members.get("type") == Some(&"array".into()) {
        assert!(members.contains_key("items"), "{path} has no items");
    }
}

#[test]
fn the_schemas_are_structural() {
    assert_eq!(definitions().len(), KINDS.len());
    for (definition, kind) in definitions().iter().zip(KINDS) {
        assert_eq!(definition["spec"]["names"]["kind"], kind);
        assert_eq!(definition["spec"]["versions"][0]["subresources"]["status"], serde_json::json!({}));
        check_structural(&definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"], kind);
    }
}

#[test]
fn unsigned_numbers_have_ranges_and_descriptions_have_no_line_breaks() {
    let http = &spec_schema("EventSource").unwrap()["properties"]["http"]["additionalProperties"]["properties"];
    assert_eq!((&http["port"]["minimum"], &http["port"]["maximum"]), (&0.into(), &65_535.into()));
    assert_eq!(http["port"].get("format"), None);
    for definition in definitions() {
        assert!(!definition.to_string().contains("\\n"), "{}", definition["metadata"]["name"]);
    }
    assert!(spec_schema("Function").is_none());
}
