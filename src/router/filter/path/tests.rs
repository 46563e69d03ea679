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

#[test]
fn json_inside_a_string_is_never_entered() {
    let document = r#"{"text": "x {\"k\": [1]}"}"#;
    assert_eq!(find(document, "text|k"), None);
    assert_eq!(find(document, "text|#"), None);
    assert_eq!(find(r#"["{\"k\":1}", {"k":2}]"#, "#.k"), Some("[2]".into()));
    assert_eq!(find(r#"{"text": "{\"k\": [1]}"}"#, "text.@fromstr.k.0"), Some("1".into()));
    assert_eq!(find(r#"{"text": "{\"k\": "}"#, "text.@fromstr.k"), None);
}

#[test]
fn an_escaped_star_stays_literal_beside_a_wildcard() {
    assert_eq!(find(r#"{"axb":1,"a*bc":2}"#, r"a\*b*"), Some("2".into()));
}

#[test]
fn slips_are_refused_with_what_to_write() {
    let check = |path: &str, message: &str, help: &str| {
        let refused = Path::compile(path).unwrap_err();
        assert_eq!(refused.message, message);
        let found = refused.help.unwrap_or_default();
        assert!(found.contains(help), "{path}: {found}");
    };
    check("", "the path is empty", "");
    check(&"a.".repeat(600), "the path is longer than 1024 bytes", "");
    check("$.body.total", "this is JSONPath, which is not understood", "as in \"body.total\"");
    check("a[0]", "\"a[0]\" is JSONPath, which is not understood", "write a.0");
    check("x.a['b c']", "\"a['b c']\" is JSONPath, which is not understood", "write a.b c");
    check("a,b", "\"a,b\" names one key with a comma in it, not several paths", "[a,b]");
    check("a..b", "a key of the path is empty, so that nothing is found", "dot");
    check("a.", "a key of the path is empty, so that nothing is found", "dot");
    check(".a", "a key of the path is empty, so that nothing is found", "dot");
    check("a.#(b==\"c", "the query \"#(b==\\\"c\" is not closed", "\\#");
    check("a.[b,c", "a multipath is not closed", "\\[");
    check("a.@pretty", "the modifier @pretty is not supported", "@ugly");
}

#[test]
fn what_only_looks_like_a_slip_is_taken() {
    for path in [r"\$.a", r"a\[0\]", r"a\,b", r"\#(b", "a.@prettyprint", "$ref", "a]", "[a,b].0", "..0.a"] {
        Path::compile(path).unwrap();
    }
    assert_eq!(find(r#"{"a[0]":1}"#, r"a\[0\]"), Some("1".into()));
}

#[test]
fn a_path_that_grows_its_value_without_end_is_stopped() {
    let document = r#"{"a":[1,2,3]}"#;
    for path in ["[@this,@this]|".repeat(40), "@tostr|".repeat(60), "@dig:@dig:".repeat(20)] {
        let path = Path::compile(&format!("{path}@this")).unwrap();
        assert_eq!(path.find(document), Found::TooCostly);
    }
}

#[test]
fn no_path_and_no_text_panics() {
    const ALPHABET: &[u8] = br#"ab01.|#()[]{}"\=!<>%~*?@:,$ \u00e9@this@dig:@tostr@fromstr"#;
    let mut random = fastrand::Rng::with_seed(1);
    let mut compiled = 0;
    for _ in 0..20_000 {
        let text: String =
            (0..random.usize(1..24)).map(|_| char::from(ALPHABET[random.usize(..ALPHABET.len())])).collect();
        let Ok(path) = Path::compile(&text) else { continue };
        compiled += 1;
        for document in [
            r#"{"a":[1,"b",{"b":null,"é":"\u00e9\\"}],"b":{"0":[]}}"#,
            r#"["{[\"",[[]],{"":{"a":true}}]"#,
            "7",
            "",
            // Not JSON: the answer does not matter, only that there is one.
            "{\"a\":[\"\\",
            "[[[é",
        ] {
            path.find(document);
        }
    }
    assert!(compiled > 2_000, "{compiled}");
}
