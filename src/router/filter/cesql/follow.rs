//! What can stand between two operands or behind one, and how tightly it binds
//! (`CloudEvents` SQL 1.0.0, 3.6).

use super::lex::{Lexeme, Token};
use super::node::{Arithmetic, Operator, Order};

/// How tightly the operators between two operands bind, the weakest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Comparison,
    Additive,
    Multiplicative,
    Within,
    Like,
    Unary,
}

impl Level {
    /// The next tighter one, which the right side of such an operator needs.
    pub const fn above(self) -> Self {
        match self {
            Self::Comparison => Self::Additive,
            Self::Additive => Self::Multiplicative,
            Self::Multiplicative => Self::Within,
            Self::Within => Self::Like,
            Self::Like | Self::Unary => Self::Unary,
        }
    }
}

/// What can stand after an operand.
pub(super) enum Follower {
    Binary(Operator),
    Within { negated: bool },
    Like { negated: bool },
}

/// What follows an operand, and how many tokens say so; `tokens` are those from there on.
pub(super) fn follower(tokens: &[Token<'_>]) -> Option<(Level, Follower, usize)> {
    let binary = |level, operator| Some((level, Follower::Binary(operator), 1));
    let order = |order| binary(Level::Comparison, Operator::Order(order));
    let sum = |arithmetic| binary(Level::Additive, Operator::Arithmetic(arithmetic));
    let product = |arithmetic| binary(Level::Multiplicative, Operator::Arithmetic(arithmetic));
    match tokens.first()?.lexeme {
        Lexeme::Symbol("=") => binary(Level::Comparison, Operator::Equal { negated: false }),
        Lexeme::Symbol("!=" | "<>") => binary(Level::Comparison, Operator::Equal { negated: true }),
        Lexeme::Symbol("<") => order(Order::Less),
        Lexeme::Symbol("<=") => order(Order::LessOrEqual),
        Lexeme::Symbol(">") => order(Order::Greater),
        Lexeme::Symbol(">=") => order(Order::GreaterOrEqual),
        Lexeme::Symbol("+") => sum(Arithmetic::Add),
        Lexeme::Symbol("-") => sum(Arithmetic::Subtract),
        Lexeme::Symbol("*") => product(Arithmetic::Multiply),
        Lexeme::Symbol("/") => product(Arithmetic::Divide),
        Lexeme::Symbol("%") => product(Arithmetic::Remainder),
        _ => match (tokens.first()?.keyword(), tokens.get(1).and_then(Token::keyword)) {
            (Some("IN"), _) => Some((Level::Within, Follower::Within { negated: false }, 1)),
            (Some("NOT"), Some("IN")) => Some((Level::Within, Follower::Within { negated: true }, 2)),
            (Some("LIKE"), _) => Some((Level::Like, Follower::Like { negated: false }, 1)),
            (Some("NOT"), Some("LIKE")) => Some((Level::Like, Follower::Like { negated: true }, 2)),
            _ => None,
        },
    }
}
