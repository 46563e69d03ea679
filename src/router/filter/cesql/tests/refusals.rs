use super::*;

#[test]
fn what_is_wrong_for_every_event_is_refused_with_its_column() {
    let check = |text: &str, expected: &str| assert_eq!(problems(text).0.lines().next().unwrap_or_default(), expected);
    assert_eq!(
        problems("type = 'a' AND priority > 'high'").0,
        "\"high\" is no integer, which is needed here, at column 27\n  type = 'a' AND priority > 'high'\n  \
         \u{20}                         ^"
    );
    check("", "expected a value, found the end at column 1");
    check("ABC(", "there is no function \"ABC\", at column 1");
    check("LENGTH(type", "expected ), found the end at column 12");
    check("LEFT(type) = 'x'", "LEFT takes 2 and not 1 arguments, at column 1");
    check("CONCAT_WS() = 'x'", "CONCAT_WS takes at least 1 and not 0 arguments, at column 1");
    check("type LIKE subject", "expected a text in quotes as the pattern, found \"subject\" at column 11");
    check("type IN ()", "expected a value, found \")\" at column 10");
    check("and = 1", "expected a value, found \"and\" at column 1");
    check("EXISTS like", "expected the name of an attribute, found \"like\" at column 8");
    check("my_name = 1", "\"my_name\" is no attribute name at column 1");
    check("data = 'x'", "data is no attribute at column 1");
    check("n = 2147483648", "2147483648 is out of range at column 5");
    check("n == 1", "equality is one =, found two at column 3");
    check("type = 'it''s'", "one quote follows another at column 12");
    check("type = 'open", "the text that begins with ' does not end, it began at column 8");
    check("a && b", "'&' is not part of the language, at column 3");
    check("!a", "'!' is not part of the language, at column 1");
    check("TRUE FALSE", "expected an operator or the end, found \"FALSE\" at column 6");
    check(" LENGTH(type)", "a filter must give true or false, this is an integer at column 2");
    check("type", "a filter must give true or false, this is a text at column 1");
    check("5 / 0 = n", "this leaves the range of 32 bit integers, or divides by zero, at column 3");
    check("LEFT('abc', -1) = type", "these arguments are outside of the text, at column 1");
    check("'maybe' OR n = 1", "\"maybe\" is neither true nor false, which is needed here, at column 1");
    check("FALSE AND FOO()", "there is no function \"FOO\", at column 11");
    check(&"(".repeat(5000), "the expression is longer than 4096 bytes");
    check(&"(".repeat(4096), "nested more than 64 deep at column 65");
    check(&format!("{}1 = 1", "1 + ".repeat(1000)), "nested more than 64 deep at column 255");
    check(&format!("{}a", "NOT ".repeat(1000)), "nested more than 64 deep at column 257");
    assert_eq!(problems(&vec!["n = 1"; 300].join(" OR ")), (String::new(), Vec::new()));
    assert!(problems("NOT type LIKE 'x%'").1[0].starts_with("NOT takes only what is next to it"));
    assert!(problems("a AND b OR c").1[0].starts_with("AND, OR and XOR bind alike"));
}
