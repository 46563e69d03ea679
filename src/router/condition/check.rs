//! What a condition must be: false when nothing has arrived, and able to hold.

use std::collections::BTreeSet;

use super::{Condition, Expression, Form};
use crate::api::problem::pointed;
use crate::api::{FieldPath, Problems};

/// The most names that may be used both with and without `!` in one condition. Each doubles the
/// assignments that are tried, and nobody writes more than one or two.
const MAX_BOTH_WAYS: usize = 10;

pub(super) fn condition(
    expression: &Expression,
    text: &str,
    names: &[&str],
    path: &FieldPath,
    problems: &mut Problems,
) -> Option<Condition> {
    let both = both_ways(expression);
    if both > MAX_BOTH_WAYS {
        problems.push(path, format!("{both} names are used with and without !, at most {MAX_BOTH_WAYS} may be"));
        return None;
    }
    if expression.holds(&|_| false, &|_| false) {
        let at = text.find('!').unwrap_or_default();
        let message = pointed(text, at, "this holds when nothing has arrived, with no event to deliver,");
        problems.push_help(path, message, rewrite(expression, text, names));
        return None;
    }
    if !satisfiable(expression, |_| None) {
        let message = pointed(text, text.len() - text.trim_start().len(), "this can never hold,");
        problems.push_help(path, message, "a name and its own ! are both wanted");
        return None;
    }
    Some(Condition::new(expression.clone()))
}

/// The condition that was probably meant: any other input, while the condition holds.
fn rewrite(expression: &Expression, text: &str, names: &[&str]) -> String {
    let (mut positive, mut negated) = (BTreeSet::new(), BTreeSet::new());
    expression.inputs(&mut positive, &mut negated);
    let others: Vec<_> = (0..names.len()).filter(|input| !negated.contains(input)).map(|input| names[input]).collect();
    let text = text.trim();
    let single = matches!(expression, Expression::Input { .. }) && !text.starts_with('(');
    let condition = if single { text.to_owned() } else { format!("({text})") };
    match others.as_slice() {
        [] => "name an input without ! whose event is to be delivered".to_owned(),
        [one] => format!("write {one} && {condition}"),
        many => format!("write ({}) && {condition}", many.join(" || ")),
    }
}

fn both_ways(expression: &Expression) -> usize {
    let (mut positive, mut negated) = (BTreeSet::new(), BTreeSet::new());
    expression.inputs(&mut positive, &mut negated);
    positive.intersection(&negated).count()
}

/// Whether some assignment, with some inputs fixed, makes the expression hold. A name that is used
/// one way only is best set that way, so just the others are tried.
fn satisfiable(expression: &Expression, fixed: impl Fn(usize) -> Option<bool>) -> bool {
    let (mut positive, mut negated) = (BTreeSet::new(), BTreeSet::new());
    expression.inputs(&mut positive, &mut negated);
    let open: Vec<_> = positive.intersection(&negated).copied().filter(|input| fixed(*input).is_none()).collect();
    (0..1_u32 << open.len()).any(|bits| {
        let value = |input: usize| {
            let tried = open.iter().position(|candidate| *candidate == input).map(|place| bits >> place & 1 == 1);
            fixed(input).or(tried).unwrap_or_else(|| positive.contains(&input))
        };
        expression.holds(&value, &value)
    })
}

/// Whether the expression is no more than "one of these inputs", however it is written.
pub(super) fn form(expression: &Expression) -> Form {
    let (mut positive, mut negated) = (BTreeSet::new(), BTreeSet::new());
    expression.inputs(&mut positive, &mut negated);
    let alone = |input: &usize| {
        let only = |candidate: usize| candidate == *input;
        expression.holds(&only, &only)
    };
    let firing: BTreeSet<_> = positive.iter().copied().filter(alone).collect();
    let never_without = !satisfiable(expression, |input| firing.contains(&input).then_some(false));
    let opposite = expression.negate();
    let always_with =
        firing.iter().all(|input| !satisfiable(&opposite, |candidate| (candidate == *input).then_some(true)));
    if never_without && always_with { Form::Stateless(firing) } else { Form::Stateful { positive, negated } }
}
