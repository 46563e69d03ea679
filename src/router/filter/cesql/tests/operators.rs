use serde_json::json;

use super::*;

#[test]
fn the_right_side_of_an_equality_decides_the_type() {
    check(
        &values(),
        &[
            ("n = '10'", json!(true)),
            ("'10' = n", json!(true)),
            ("'010' = n", json!(true)),
            ("n = '010'", json!(false)),
            ("numeric = 42", json!(true)),
            ("word = TRUE", json!(true)),
            ("yes = 'TRUE'", json!(false)),
            ("yes = 'true'", json!(true)),
            ("yes = 1", json!(true)),
            ("zero = no", json!(true)),
            ("text != 'grün & blau'", json!(true)),
            ("text <> text", json!(false)),
        ],
    );
    check_errors(
        &values(),
        &[
            ("text = 5", Cause::Cast),
            ("text != TRUE", Cause::Cast),
            ("gone = 2", Cause::MissingAttribute),
            ("gone != 'x'", Cause::MissingAttribute),
        ],
    );
}

#[test]
fn order_and_arithmetic_are_of_32_bit_integers() {
    check(
        &values(),
        &[
            ("4 * 2 + 4 / 2", json!(10)),
            ("4 * (2 + n) / 2", json!(24)),
            ("n-1", json!(9)),
            ("n -1", json!(9)),
            ("4-1-1", json!(2)),
            ("-n - -1", json!(-9)),
            ("--n", json!(10)),
            ("-n / 3", json!(-3)),
            ("-n % 3", json!(-1)),
            ("n % -3", json!(1)),
            ("least % -1", json!(0)),
            ("numeric + yes", json!(43)),
            ("-yes", json!(-1)),
            ("numeric > 5 = TRUE", json!(true)),
            ("n >= 10 AND n <= 10", json!(true)),
            ("'10' < n + 0", json!(false)),
            ("1 < 2 = true", json!(true)),
        ],
    );
    check_errors(
        &values(),
        &[
            ("most + 1", Cause::Math),
            ("least - 1", Cause::Math),
            ("most * 2", Cause::Math),
            ("least / -1", Cause::Math),
            ("-least", Cause::Math),
            ("ABS(least)", Cause::Math),
            ("n / zero", Cause::Math),
            ("n % zero", Cause::Math),
            ("gone / 0", Cause::MissingAttribute),
            ("1 / gone", Cause::MissingAttribute),
            ("text > 3", Cause::Cast),
            ("text + 3", Cause::Cast),
            ("empty + 3", Cause::Cast),
        ],
    );
}

#[test]
fn logic_short_circuits_and_groups_to_the_right() {
    check(
        &values(),
        &[
            ("FALSE AND 1 / 0 = 1", json!(false)),
            ("TRUE OR (1 / 0 = 1)", json!(true)),
            ("no AND gone = 1", json!(false)),
            ("yes OR gone = 1", json!(true)),
            ("n AND word", json!(true)),
            ("yes XOR no", json!(true)),
            ("yes XOR yes XOR yes", json!(true)),
            ("NOT NOT yes", json!(true)),
            ("NOT 10", json!(false)),
            ("NOT 'FALSE'", json!(true)),
        ],
    );
    check_errors(
        &values(),
        &[
            ("gone = 1 AND no", Cause::MissingAttribute),
            ("gone = 1 OR yes", Cause::MissingAttribute),
            ("yes AND n / zero = 1", Cause::Math),
            ("text AND no", Cause::Cast),
            ("no XOR text", Cause::Cast),
            ("NOT gone", Cause::MissingAttribute),
        ],
    );
    let warned = |text: &str, expected: bool| {
        let event = event(&values());
        let (compiled, _, warnings) = expression(text).unwrap();
        assert_eq!((compiled.value(&event), warnings.len()), (Ok(Value::Truth(expected)), 1), "{text}");
    };
    warned("no AND no OR yes", false);
    warned("yes OR yes AND no", true);
    warned("yes XOR yes OR yes", false);
    warned("NOT no LIKE 'tr%'", true);
    warned("NOT n = TRUE", false);
    warned("NOT zero IN (1)", true);
}

#[test]
fn in_casts_its_elements_to_the_left_type() {
    check(
        &values(),
        &[
            ("n IN (1, 2, 10)", json!(true)),
            ("n NOT IN (1, 2, 10)", json!(false)),
            ("n IN ('010')", json!(true)),
            ("'010' IN (n)", json!(false)),
            ("'true' IN (yes, 'x')", json!(true)),
            ("'TRUE' IN (yes, 'false')", json!(false)),
            ("yes IN (word)", json!(true)),
            ("source IN (subject, '/shop')", json!(true)),
            ("source IN (id)", json!(false)),
            ("n IN (10, text)", json!(true)),
            ("n + n IN (10)", json!(11)),
            ("(n + n) IN (20)", json!(true)),
        ],
    );
    check_errors(&values(), &[("n IN (text, 10)", Cause::Cast), ("gone IN (1)", Cause::MissingAttribute)]);
}
