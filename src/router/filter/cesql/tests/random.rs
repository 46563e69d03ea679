use fastrand::Rng;

use super::*;
use crate::router::filter::Want;

#[test]
fn like_is_what_the_same_regular_expression_says() {
    let mut random = Rng::with_seed(7);
    let mut pick = |from: &[&str], most: usize| -> String {
        let count = random.usize(..most);
        (0..count).map(|_| from[random.usize(..from.len())]).collect()
    };
    for _ in 0..20_000 {
        let pattern = pick(&["a", "b", "é", "%", "_", "\\%", "\\_", "\\", "\n"], 7);
        let text = pick(&["a", "b", "é", "%", "_", "\\", "\n"], 9);
        let mut expected = String::from("(?s)^");
        let mut chars = pattern.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '%' => expected.push_str(".*"),
                '_' => expected.push('.'),
                '\\' if matches!(chars.peek(), Some('%' | '_')) => expected.extend(chars.next()),
                other => expected.push_str(&regex::escape(&other.to_string())),
            }
        }
        let expected = regex::Regex::new(&(expected + "$")).unwrap().is_match(&text);
        let compiled = like::Pattern::compile(&pattern);
        assert_eq!(compiled.matches(&text), expected, "{text:?} LIKE {pattern:?}");
        let implied = match compiled.necessary() {
            Some(Want::Equal(wanted)) => text == *wanted,
            Some(Want::Prefix(wanted)) => text.starts_with(&*wanted),
            Some(Want::Suffix(wanted)) => text.ends_with(&*wanted),
            _ => true,
        };
        assert!(implied || !expected, "{text:?} LIKE {pattern:?}");
    }
}

#[test]
fn no_text_panics_and_a_double_not_says_the_same() {
    const WORDS: &[&str] = &[
        "AND",
        "OR",
        "XOR",
        "NOT",
        "LIKE",
        "EXISTS",
        "IN",
        "TRUE",
        "false",
        "type",
        "n",
        "text",
        "gone",
        "yes",
        "(",
        ")",
        ",",
        "=",
        "!=",
        "<",
        ">=",
        "+",
        "-",
        "*",
        "/",
        "%",
        "1",
        "2147483647",
        "'a%'",
        "\"10\"",
        "'",
        "LENGTH(",
        "LEFT(",
        "é",
        "\\",
        "_",
    ];
    let event = event(&values());
    let mut random = Rng::with_seed(11);
    let mut compiled = 0;
    for _ in 0..200_000 {
        let words: Vec<_> = (0..random.usize(1..9)).map(|_| WORDS[random.usize(..WORDS.len())]).collect();
        let text = words.join(if random.bool() { " " } else { "" });
        problems(&text);
        let Ok((once, ..)) = expression(&text) else { continue };
        compiled += 1;
        let truth = once.value(&event).and_then(|value| value.truth());
        let Ok((twice, ..)) = expression(&format!("NOT NOT ({text})")) else {
            // Text that is no truth is refused where one is needed.
            assert!(matches!(once.root, Node::Constant(Value::Text(_))), "{text}");
            continue;
        };
        assert_eq!(twice.value(&event), truth.map(Value::Truth), "{text}");
        if let (Ok(true), Some(implied)) = (truth, once.implied()) {
            assert_eq!(implied.judge(&Subject::new(&event)), Verdict::Yes, "{text}");
        }
    }
    assert!(compiled > 5_000, "{compiled}");
}
