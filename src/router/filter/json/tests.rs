use super::*;

#[test]
fn strict_json_passes_and_all_else_is_refused() {
    for good in [
        "{}",
        "[]",
        " \t\r\n1 ",
        "\"\"",
        "null",
        "true",
        "-0",
        "0.5e-10",
        "1E+2",
        r#"{"a":[1,{"b":[]}],"":"\u00e9\n"}"#,
        "[[],{},[{}]]",
        "\"é😀\"",
        r#""a long text without any escape, to cross words""#,
    ] {
        assert_eq!(check(good), Ok(()), "{good}");
        assert!(serde_json::from_str::<serde_json::Value>(good).is_ok(), "{good}");
    }
    for bad in [
        "",
        " ",
        "\u{feff}{}",
        "{} {}",
        "[1,]",
        "{\"a\":1,}",
        "{a:1}",
        "'a'",
        "NaN",
        "Infinity",
        "01",
        "1.",
        ".5",
        "+1",
        "-",
        "1e",
        "tru",
        "nulll",
        "[1 2]",
        "{\"a\" 1}",
        "{\"a\":}",
        "{1:2}",
        "[",
        "{",
        "]",
        "\"",
        "\"\\\"",
        "\"\\x\"",
        "\"\\u12g4\"",
        "\"\n\"",
        "\"a tab \t in a text\"",
        "[1}",
        "{\"a\":1]",
        "//c\n1",
        "\"\\u12",
    ] {
        assert_eq!(check(bad), Err(Invalid::Syntax), "{bad}");
        assert!(serde_json::from_str::<serde_json::Value>(bad).is_err(), "{bad}");
    }
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(check(&nested(256)), Ok(()));
    assert_eq!(check(&nested(257)), Err(Invalid::TooDeep));
    assert_eq!(check(&"{\"a\":".repeat(1_000_000)), Err(Invalid::TooDeep));
}

#[test]
fn random_text_is_judged_as_serde_json_does_and_never_panics() {
    const ALPHABET: &[&str] = &[
        "{", "}", "[", "]", ":", ",", "\"", "\\", "\\u0041", "a", "1", "-", ".", "e", "true", "null", " ", "é", "\u{1}",
    ];
    let mut random = fastrand::Rng::with_seed(2);
    for _ in 0..100_000 {
        let text: String = (0..random.usize(..12)).map(|_| ALPHABET[random.usize(..ALPHABET.len())]).collect();
        let theirs = serde_json::from_str::<&serde_json::value::RawValue>(&text).is_ok();
        assert_eq!(check(&text).is_ok(), theirs, "{text:?}");
        elements(&text).chain(members(&text).map(|(key, _)| key)).for_each(drop);
        token(&text);
        unescape(&text);
    }
}

#[test]
fn tokens_are_read_as_text_number_and_truth() {
    let check = |raw: &str, as_text: &str, as_number: Option<f64>, as_truth: Option<bool>| {
        assert_eq!((text(raw).as_ref(), number(raw), truth(raw)), (as_text, as_number, as_truth), "{raw}");
    };
    check("null", "", None, None);
    check("true", "true", Some(1.0), Some(true));
    check("false", "false", Some(0.0), Some(false));
    check("1.0", "1", Some(1.0), Some(true));
    check("1e3", "1000", Some(1000.0), Some(true));
    check("-0.50", "-0.5", Some(-0.5), Some(true));
    check("0", "0", Some(0.0), Some(false));
    check("12345678901234567890", "12345678901234567890", Some(12_345_678_901_234_567_890.0), Some(true));
    check("0.12345678901234567890", "0.1234567890123456789", Some(0.123_456_789_012_345_68), Some(true));
    check("12.5e-3", "0.0125", Some(0.0125), Some(true));
    check("1.25e1", "12.5", Some(12.5), Some(true));
    check(r#""50.0""#, "50.0", Some(50.0), None);
    check(r#""TrUe""#, "TrUe", None, Some(true));
    check(r#""0""#, "0", Some(0.0), Some(false));
    check(r#""yes""#, "yes", None, None);
    check(r#""a\"\u00e9\ud83d\ude00\ud800""#, "a\"é😀\u{fffd}", None, None);
    check("[1, 2]", "[1, 2]", None, None);
    check("{}", "{}", None, None);
}

#[test]
fn numbers_of_filters_are_read_by_their_grammar() {
    let check = |text: &str, number: Option<f64>| assert_eq!(number_of_text(text), number, "{text}");
    check("50.0", Some(50.0));
    check("+1.", Some(1.0));
    check(".5e2", Some(50.0));
    check("1_000", Some(1000.0));
    check("-Inf", Some(f64::NEG_INFINITY));
    for bad in ["", " 1", "1,5", "0x10", "1_", "_1", "1__0", "1_.5", "ten", "5€"] {
        check(bad, None);
    }
}
