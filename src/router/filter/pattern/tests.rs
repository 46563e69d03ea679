use super::*;

/// What Go's `regexp` answers: the first line is a list of texts, each other line a pattern and
/// either one bit for each text or the word `refused`.
const VECTORS: &str = include_str!("vectors.tsv");

#[test]
fn every_pattern_is_read_as_go_reads_it() {
    let mut lines = VECTORS.lines();
    let texts: Vec<String> = serde_json::from_str(lines.next().unwrap()).unwrap();
    let (mut taken, mut refused) = (0, 0);
    let mut differences = Vec::new();
    for line in lines {
        let (pattern, expected) = line.split_once('\t').unwrap();
        let pattern: String = serde_json::from_str(pattern).unwrap();
        let found = if let Ok(compiled) = Pattern::compile(&pattern) {
            taken += 1;
            texts.iter().map(|text| if compiled.matches(text) { '1' } else { '0' }).collect()
        } else {
            refused += 1;
            "refused".to_owned()
        };
        if found != expected {
            differences.push(format!("{pattern:?}\n  {expected}\n  {found}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(taken > 100 && refused > 40, "{taken} {refused}");
}

#[test]
fn plain_text_is_searched_without_a_regex() {
    let check = |pattern: &str, literal: Option<&str>| {
        assert_eq!(Pattern::compile(pattern).unwrap().literal(), literal.map(str::as_bytes), "{pattern}");
    };
    check("func1-input1", Some("func1-input1"));
    check(r"a\.b\Q*\E\x41", Some("a.b*A"));
    check("a{", Some("a{"));
    check("a.b", None);
    check("^a", None);
    check("a|b", None);
    check("[a]", None);
}

#[test]
fn refusals_say_why() {
    let check = |pattern: &str, reason: &str| assert_eq!(Pattern::compile(pattern).unwrap_err(), reason, "{pattern}");
    check("(?=a)", "look-around is not supported");
    check(r"(a)\1", "references back to a group are not supported");
    check("a**", "a repeat of a repeat, \"*\" after another one, is not allowed; use brackets");
    check("a{1001}", "a repeat count is at most 1000");
    check("[a", "a class is not closed with ]");
    check("(a", "unclosed group");
    check(r"\h", "the escape \\h is not known");
    check("(?x)a", "the flag 'x' of a group is not known; known are i, m, s and U");
    check(r"((\w{1000}){1000}){1000}", "the pattern takes more than 1048576 bytes of memory");
    check(&"(".repeat(70), "unclosed group");
    check(
        &format!("{}a{}", "(".repeat(70), ")".repeat(70)),
        "exceed the maximum number of nested parentheses/brackets (64)",
    );
    check(&"a".repeat(5000), "the pattern is longer than 4096 bytes");
}

#[test]
fn no_pattern_panics() {
    const ALPHABET: &[u8] = br"ab01.*+?|()[]{}\^$-:,dDwWsSbBpPQEx<>=!iP&~";
    let mut random = fastrand::Rng::with_seed(3);
    let mut taken = 0;
    for _ in 0..20_000 {
        let text: String =
            (0..random.usize(..16)).map(|_| char::from(ALPHABET[random.usize(..ALPHABET.len())])).collect();
        taken += usize::from(Pattern::compile(&text).map(|pattern| pattern.matches("ab01")).is_ok());
    }
    assert!(taken > 1_000, "{taken}");
}
