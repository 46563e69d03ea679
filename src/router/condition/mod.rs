//! Conditions: which inputs must have arrived for a subscriber to be called.
//!
//! ```text
//! or   := and ('||' and)*
//! and  := not ('&&' not)*
//! not  := '!' not | '(' or ')' | name
//! name := [A-Za-z0-9_][A-Za-z0-9_.-]*        the longest match: a dash belongs to the name
//! ```
//!
//! Pure: a [`Condition`] says whether it holds for what has arrived, and [`Rules`] fold one arrival after the
//! other into a [`State`], and a [`Batch`] gathers what came of it; who reads events and keeps states is the caller. Refused are conditions that hold when nothing has arrived (there would be no
//! event to deliver) and those that never hold.

mod batch;
mod check;
mod fold;
mod keyed;
mod parse;
mod reset;

pub use batch::{Batch, Gathered, MAX_BATCH};
pub use fold::{Arrival, Changed, MAX_HOLDS, Match, NEGATION_WINDOW, Rules, State, Step};
pub use keyed::{Key, Keyed};
pub use reset::Reset;

use std::collections::BTreeSet;

use crate::api::{FieldPath, Problems};

/// The longest condition taken, in bytes.
pub const MAX_LEN: usize = 4096;

/// How deep brackets and `!` may be nested; it bounds the recursion over a condition.
pub const MAX_DEPTH: usize = 64;

/// A condition over the inputs of one Trigger, which are told apart by their place in its list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    expression: Expression,
    form: Form,
}

/// What it takes to decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// Each of these inputs fires alone and nothing is kept.
    Stateless(BTreeSet<usize>),
    /// What arrived must be remembered.
    Stateful {
        /// Inputs whose events are held, and can complete the condition.
        positive: BTreeSet<usize>,
        /// Inputs whose silence matters. One can be in both: the two views are independent.
        negated: BTreeSet<usize>,
    },
}

/// Negation stands at names only.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Expression {
    Input { input: usize, negated: bool },
    All(Vec<Expression>),
    Any(Vec<Expression>),
}

impl Condition {
    /// Reads `text` over the inputs `names`; every problem shows its column in the text.
    pub fn parse(text: &str, names: &[&str], path: &FieldPath, problems: &mut Problems) -> Option<Self> {
        let node = parse::parse(text, names, path, problems)?;
        check::condition(&node, text, names, path, problems)
    }

    /// The condition of a subscriber that has none: all of the first `inputs` inputs.
    pub fn all(inputs: usize) -> Self {
        let parts = (0..inputs).map(|input| Expression::Input { input, negated: false }).collect();
        Self::new(Expression::All(parts))
    }

    /// Any of the first `inputs` inputs.
    pub fn any(inputs: usize) -> Self {
        let parts = (0..inputs).map(|input| Expression::Input { input, negated: false }).collect();
        Self::new(Expression::Any(parts))
    }

    fn new(expression: Expression) -> Self {
        let form = check::form(&expression);
        Self { expression, form }
    }

    pub const fn form(&self) -> &Form {
        &self.form
    }

    /// Whether an event of `input` fires alone, without any state.
    pub fn fires_alone(&self, input: usize) -> bool {
        matches!(&self.form, Form::Stateless(inputs) if inputs.contains(&input))
    }

    /// Whether an event of `input` can complete the condition.
    pub fn is_positive(&self, input: usize) -> bool {
        match &self.form {
            Form::Stateless(inputs) => inputs.contains(&input),
            Form::Stateful { positive, .. } => positive.contains(&input),
        }
    }

    /// Whether it holds: `held` says for a name without `!` whether an event is there, `heard`
    /// for a name with `!` whether one was accepted within the negation window.
    pub fn holds(&self, held: impl Fn(usize) -> bool, heard: impl Fn(usize) -> bool) -> bool {
        self.expression.holds(&held, &heard)
    }
}

impl Expression {
    fn holds(&self, held: &impl Fn(usize) -> bool, heard: &impl Fn(usize) -> bool) -> bool {
        match self {
            Self::Input { input, negated: false } => held(*input),
            Self::Input { input, negated: true } => !heard(*input),
            Self::All(parts) => parts.iter().all(|part| part.holds(held, heard)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(held, heard)),
        }
    }

    /// The inputs used without and with `!`.
    fn inputs(&self, positive: &mut BTreeSet<usize>, negative: &mut BTreeSet<usize>) {
        match self {
            Self::Input { input, negated } => {
                let side = if *negated { negative } else { positive };
                side.insert(*input);
            }
            Self::All(parts) | Self::Any(parts) => {
                for part in parts {
                    part.inputs(positive, negative);
                }
            }
        }
    }

    fn negate(&self) -> Self {
        match self {
            Self::Input { input, negated } => Self::Input { input: *input, negated: !negated },
            Self::All(parts) => Self::Any(parts.iter().map(Self::negate).collect()),
            Self::Any(parts) => Self::All(parts.iter().map(Self::negate).collect()),
        }
    }
}

#[cfg(test)]
mod tests;
