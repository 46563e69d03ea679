use proptest::prelude::*;

use super::*;

const NAMES: &[&str] = &["a", "b", "order-created", "d.e"];

fn parse(text: &str) -> Result<Condition, String> {
    let mut problems = Problems::new();
    let condition = Condition::parse(text, NAMES, &FieldPath::root().field("condition"), &mut problems);
    assert_eq!(condition.is_some(), problems.is_empty(), "{text}");
    condition.ok_or_else(|| problems.to_string())
}

fn set(inputs: &[usize]) -> BTreeSet<usize> {
    inputs.iter().copied().collect()
}

#[test]
fn an_or_of_names_holds_no_state_however_it_is_written() {
    let check = |text: &str, inputs: &[usize]| {
        assert_eq!(parse(text).unwrap().form(), &Form::Stateless(set(inputs)), "{text}");
    };
    check("a", &[0]);
    check("(a)", &[0]);
    check("!!a", &[0]);
    check("a || order-created", &[0, 2]);
    check("a||d.e||a", &[0, 3]);
    check("a || a && b", &[0]);
    check("a && a", &[0]);
    check("a || (a && !b)", &[0]);
    check("(a || b) && (a || b)", &[0, 1]);
    check("!(!a && !b)", &[0, 1]);
    check("a || (b && !b)", &[0]);
}

#[test]
fn all_others_need_state() {
    let check = |text: &str, positive: &[usize], negated: &[usize]| {
        let expected = Form::Stateful { positive: set(positive), negated: set(negated) };
        assert_eq!(parse(text).unwrap().form(), &expected, "{text}");
    };
    check("a && b", &[0, 1], &[]);
    check("order-created && !b", &[2], &[1]);
    check("a || b && d.e", &[0, 1, 3], &[]);
    check("(a || d.e) && !b", &[0, 3], &[1]);
    check("!(!a || b)", &[0], &[1]);
    check("(a && b) || (order-created && !a)", &[0, 1, 2], &[0]);
}

#[test]
fn without_a_condition_all_inputs_are_wanted() {
    assert_eq!(Condition::all(1).form(), &Form::Stateless(set(&[0])));
    assert_eq!(Condition::all(2).form(), &Form::Stateful { positive: set(&[0, 1]), negated: set(&[]) });
    assert!(Condition::all(2).holds(|_| true, |_| false));
    assert!(!Condition::all(2).holds(|input| input == 0, |_| false));
}

#[test]
fn and_binds_tighter_than_or_and_not_tightest() {
    let condition = parse("a || b && !d.e").unwrap();
    let holds = |arrived: &[usize]| condition.holds(|input| arrived.contains(&input), |input| arrived.contains(&input));
    assert!(holds(&[0]) && holds(&[0, 3]) && holds(&[1]));
    assert!(!holds(&[1, 3]) && !holds(&[3]));
}

#[test]
fn the_two_views_of_a_name_are_independent() {
    let condition = parse("(a && b) || (order-created && !a)").unwrap();
    assert!(condition.holds(|input| input == 2, |_| false));
    assert!(!condition.holds(|input| input == 2, |input| input == 0));
    assert!(condition.holds(|input| input < 2, |input| input == 0));
}

#[test]
fn slips_are_refused_with_their_column_and_a_caret() {
    let check = |text: &str, expected: &str| assert_eq!(parse(text).unwrap_err(), format!("condition: {expected}"));
    check("", "expected a name, ! or (, found the end at column 1\n  \n  ^");
    check("a &&", "expected a name, ! or (, found the end at column 5\n  a &&\n      ^");
    check("a & b", "expected &&, || or the end, found '&' at column 3\n  a & b\n    ^ (and is written &&)");
    check("a and b", "expected &&, || or the end, found \"and\" at column 3\n  a and b\n    ^ (and is written &&)");
    check("(a || b", "expected &&, || or ), found the end at column 8\n  (a || b\n         ^");
    check("a)", "expected &&, || or the end, found ')' at column 2\n  a)\n   ^");
    check("é", "expected a name, ! or (, found 'é' at column 1\n  é\n  ^");
    check(
        "a || true",
        "true is no name; a condition says what must have arrived, at column 6\n  a || true\n       ^ (leave it out, or name an input)",
    );
    check(
        "order-creatd && b",
        "no input is named \"order-creatd\", at column 1\n  order-creatd && b\n  ^ (did you mean \"order-created\"? known: a, b, order-created, d.e)",
    );
    check("a &&\n\tx", "no input is named \"x\", at column 7\n  a &&  x\n        ^ (known: a, b, order-created, d.e)");
    assert_eq!(parse("x && y").unwrap_err().matches("no input is named").count(), 2);
}

#[test]
fn what_holds_with_nothing_arrived_or_never_is_refused() {
    let nothing = |text: &str, column: usize, help: &str| {
        let error = parse(text).unwrap_err();
        let expected = format!("this holds when nothing has arrived, with no event to deliver, at column {column}\n");
        assert!(error.contains(&expected) && error.ends_with(&format!("({help})")), "{error}");
    };
    nothing("!a", 1, "write (b || order-created || d.e) && !a");
    nothing("!a || b", 1, "write (b || order-created || d.e) && (!a || b)");
    nothing("!(a && b)", 1, "write (order-created || d.e) && (!(a && b))");
    nothing("b || !a && !order-created && !d.e", 6, "write b && (b || !a && !order-created && !d.e)");
    nothing("!a && !b && !order-created && !d.e", 1, "name an input without ! whose event is to be delivered");
    for text in ["a && !a", "(a || b) && !a && !b"] {
        let error = parse(text).unwrap_err();
        assert!(error.contains("this can never hold, at column 1\n"), "{error}");
    }
}

#[test]
fn length_depth_and_doubled_names_are_bounded() {
    let error = |text: &str| parse(text).unwrap_err();
    assert!(error(&"a || ".repeat(1000)).contains("longer than 4096 bytes"));
    assert!(parse(&format!("{}a{}", "(".repeat(64), ")".repeat(64))).is_ok());
    assert!(error(&format!("{}a{}", "(".repeat(65), ")".repeat(65))).contains("nested more than 64 deep at column 65"));
    assert!(error(&"!".repeat(4000)).contains("nested more than 64 deep"));
    let names: Vec<String> = (0..11).map(|index| format!("n{index}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let text: Vec<String> = names.iter().map(|name| format!("x && {name} && !{name}")).collect();
    let mut problems = Problems::new();
    let known: Vec<&str> = names.iter().copied().chain(["x"]).collect();
    assert_eq!(Condition::parse(&text.join(" || "), &known, &FieldPath::root(), &mut problems), None);
    assert!(problems.to_string().contains("11 names are used with and without !"));
}

#[test]
fn no_text_panics() {
    const ALPHABET: &[&str] = &["a", "b", "&&", "||", "!", "(", ")", " ", "order-created", "é", "&", "\n", "true", "-"];
    let mut random = fastrand::Rng::with_seed(4);
    let mut taken = 0;
    for _ in 0..50_000 {
        let text: String = (0..random.usize(..12)).map(|_| ALPHABET[random.usize(..ALPHABET.len())]).collect();
        taken += usize::from(parse(&text).is_ok());
    }
    assert!(taken > 500, "{taken}");
}

/// An expression apart from the parser: text and truth are made independently.
#[derive(Clone, Debug)]
enum Tree {
    Name(usize),
    Not(Box<Tree>),
    And(Box<Tree>, Box<Tree>),
    Or(Box<Tree>, Box<Tree>),
}

impl Tree {
    fn text(&self) -> String {
        match self {
            Self::Name(input) => NAMES[*input].to_owned(),
            Self::Not(inner) => format!("!({})", inner.text()),
            Self::And(left, right) => format!("({}) && ({})", left.text(), right.text()),
            Self::Or(left, right) => format!("{}||{}", left.text(), right.text()),
        }
    }

    fn holds(&self, arrived: usize) -> bool {
        match self {
            Self::Name(input) => arrived >> input & 1 == 1,
            Self::Not(inner) => !inner.holds(arrived),
            Self::And(left, right) => left.holds(arrived) && right.holds(arrived),
            Self::Or(left, right) => left.holds(arrived) || right.holds(arrived),
        }
    }
}

fn tree() -> impl Strategy<Value = Tree> {
    (0..4_usize).prop_map(Tree::Name).prop_recursive(5, 24, 2, |part| {
        prop_oneof![
            part.clone().prop_map(|inner| Tree::Not(Box::new(inner))),
            (part.clone(), part.clone()).prop_map(|(left, right)| Tree::And(Box::new(left), Box::new(right))),
            (part.clone(), part).prop_map(|(left, right)| Tree::Or(Box::new(left), Box::new(right))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn every_assignment_of_four_inputs_agrees_with_a_naive_reading(tree in tree()) {
        let truths: Vec<bool> = (0..16).map(|arrived| tree.holds(arrived)).collect();
        let acceptable = !truths[0] && truths.contains(&true);
        let Ok(condition) = parse(&tree.text()) else {
            prop_assert!(!acceptable, "{}", tree.text());
            return Ok(());
        };
        prop_assert!(acceptable, "{}", tree.text());
        for (arrived, truth) in truths.iter().enumerate() {
            let view = |input: usize| arrived >> input & 1 == 1;
            prop_assert_eq!(condition.holds(view, view), *truth);
        }
        let firing: BTreeSet<usize> = (0..4).filter(|input| truths[1 << input]).collect();
        let is_or = (0..16_usize).all(|arrived| truths[arrived] == firing.iter().any(|input| arrived >> input & 1 == 1));
        prop_assert_eq!(matches!(condition.form(), Form::Stateless(_)), is_or);
        if is_or {
            prop_assert_eq!(condition.form(), &Form::Stateless(firing));
        }
    }
}
