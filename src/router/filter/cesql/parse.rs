//! The grammar, by precedence climbing.
//!
//! ```text
//! logic    := operand (('AND' | 'OR' | 'XOR') operand)*       one level, grouped to the right
//! operand  := unary (binary | [NOT] IN set | [NOT] LIKE text)*
//! unary    := ('NOT' | '-') unary | primary
//! primary  := '(' logic ')' | literal | attribute | EXISTS attribute | NAME '(' arguments ')'
//! ```

use super::super::slip::Slip;
use super::MAX_DEPTH;
use super::build::{Builder, Part};
use super::follow::{self, Follower, Level};
use super::function::Function;
use super::lex::{Lexeme, Token};
use super::like::Pattern;
use super::node::Operator;
use super::value::Value;
use crate::api::problem::alternatives;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Logic {
    And,
    Or,
    Xor,
}

pub(super) struct Parser<'t> {
    tokens: Vec<Token<'t>>,
    /// The place of the next token; the last one is never passed.
    next: usize,
    depth: usize,
    pub builder: Builder,
}

impl<'t> Parser<'t> {
    pub fn new(tokens: Vec<Token<'t>>) -> Self {
        Self { tokens, next: 0, depth: 0, builder: Builder::default() }
    }

    /// The whole text.
    pub fn whole(&mut self) -> Result<Part, Slip> {
        let part = self.logic()?;
        match self.lexeme() {
            Lexeme::End => Ok(part),
            _ => Err(self.unexpected("an operator or the end")),
        }
    }

    fn logic(&mut self) -> Result<Part, Slip> {
        let mut operands = vec![self.operand(Level::Comparison)?];
        let mut operators: Vec<(usize, Logic, usize)> = Vec::new();
        loop {
            let operator = match self.keyword() {
                Some("AND") => Logic::And,
                Some("OR") => Logic::Or,
                Some("XOR") => Logic::Xor,
                _ => break,
            };
            let at = self.at();
            if operators.last().is_some_and(|(_, last, _)| *last != operator) {
                self.builder.warnings.push(
                    Slip::new(at, "AND, OR and XOR bind alike and group to the right, beginning with the last,")
                        .help("write brackets"),
                );
            }
            self.next += 1;
            operators.push((at, operator, self.builder.mark()));
            operands.push(self.operand(Level::Comparison)?);
        }
        let mut right = operands.remove(operands.len() - 1);
        while let (Some((at, operator, mark)), Some(left)) = (operators.pop(), operands.pop()) {
            right = match operator {
                Logic::Xor => self.builder.apply(at, Operator::Xor, vec![left, right])?,
                _ => self.builder.logic(at, operator == Logic::Or, left, right, mark)?,
            };
        }
        Ok(right)
    }

    fn operand(&mut self, level: Level) -> Result<Part, Slip> {
        let mut left = self.unary()?;
        while let Some((found, follower, length)) = self.follower(level) {
            let at = self.at();
            if left.negation {
                self.builder.warnings.push(
                    Slip::new(left.at, "NOT takes only what is next to it, before LIKE, IN and comparisons,")
                        .help("write NOT (...), or NOT LIKE, NOT IN, !="),
                );
            }
            self.next += length;
            left = match follower {
                Follower::Binary(operator) => {
                    let right = self.operand(found.above())?;
                    self.builder.apply(at, operator, vec![left, right])?
                }
                Follower::Within { negated } => {
                    self.symbol("(")?;
                    let set = self.list()?;
                    self.builder.within(at, negated, left, set)?
                }
                Follower::Like { negated } => {
                    let Lexeme::Text(pattern) = self.lexeme() else {
                        return Err(self.unexpected("a text in quotes as the pattern"));
                    };
                    let pattern = Pattern::compile(pattern);
                    self.next += 1;
                    self.builder.apply(at, Operator::Like { negated, pattern }, vec![left])?
                }
            };
        }
        Ok(left)
    }

    /// What follows an operand here and binds at least as tightly as `level`.
    fn follower(&self, level: Level) -> Option<(Level, Follower, usize)> {
        follow::follower(self.tokens.get(self.next..)?).filter(|(found, ..)| *found >= level)
    }

    fn unary(&mut self) -> Result<Part, Slip> {
        let at = self.at();
        if self.keyword() == Some("NOT") {
            self.next += 1;
            let operand = self.deeper(at, Self::unary)?;
            return Ok(Part { negation: true, ..self.builder.apply(at, Operator::Not, vec![operand])? });
        }
        let sign = match self.lexeme() {
            Lexeme::Symbol(sign @ ("+" | "-")) => *sign,
            _ => return self.primary(),
        };
        self.next += 1;
        match self.lexeme() {
            Lexeme::Number(digits) => {
                let digits = *digits;
                self.integer(at, &format!("{sign}{digits}"))
            }
            _ if sign == "+" => Err(self.unexpected("digits after the sign")),
            _ => {
                let operand = self.deeper(at, Self::unary)?;
                self.builder.apply(at, Operator::Negate, vec![operand])
            }
        }
    }

    fn primary(&mut self) -> Result<Part, Slip> {
        let at = self.at();
        match self.lexeme().clone() {
            Lexeme::Symbol("(") => {
                self.next += 1;
                let inside = self.deeper(at, Self::logic)?;
                self.symbol(")")?;
                Ok(Part { negation: false, ..inside })
            }
            Lexeme::Number(digits) => self.integer(at, digits),
            Lexeme::Text(text) => {
                self.next += 1;
                Ok(Builder::constant(at, Value::Text(text.into())))
            }
            Lexeme::Word(word) => match self.keyword() {
                None => {
                    self.next += 1;
                    if *self.lexeme() == Lexeme::Symbol("(") {
                        self.call(at, word)
                    } else {
                        self.builder.attribute(at, word)
                    }
                }
                Some("EXISTS") => {
                    self.next += 1;
                    self.exists(at)
                }
                Some(truth @ ("TRUE" | "FALSE")) => {
                    self.next += 1;
                    Ok(Builder::constant(at, Value::Truth(truth == "TRUE")))
                }
                Some(_) => Err(self.unexpected("a value")),
            },
            Lexeme::Symbol(_) | Lexeme::End => Err(self.unexpected("a value")),
        }
    }

    fn integer(&mut self, at: usize, digits: &str) -> Result<Part, Slip> {
        self.next += 1;
        let number: i32 = digits.parse().map_err(|_| {
            Slip::new(at, format!("{digits} is out of range")).help(format!("from {} to {}", i32::MIN, i32::MAX))
        })?;
        Ok(Builder::constant(at, Value::Integer(number)))
    }

    fn exists(&mut self, at: usize) -> Result<Part, Slip> {
        match (self.lexeme(), self.keyword()) {
            (Lexeme::Word(word), None) => {
                let word = *word;
                self.next += 1;
                self.builder.exists(at, word)
            }
            _ => Err(self.unexpected("the name of an attribute")),
        }
    }

    fn call(&mut self, at: usize, name: &str) -> Result<Part, Slip> {
        let Some((function, (least, most))) = Function::find(name) else {
            return Err(
                Slip::new(at, format!("there is no function {name:?},")).help(alternatives(name, &Function::names()))
            );
        };
        self.next += 1;
        let arguments = if self.take(")") { Vec::new() } else { self.list()? };
        let count = arguments.len();
        if count < least || most.is_some_and(|most| count > most) {
            let wanted = match most {
                Some(most) if most == least => least.to_string(),
                Some(most) => format!("{least} to {most}"),
                None => format!("at least {least}"),
            };
            let name = name.to_ascii_uppercase();
            return Err(Slip::new(at, format!("{name} takes {wanted} and not {count} arguments,")));
        }
        self.builder.apply(at, Operator::Call(function), arguments)
    }

    /// The rest of a list of at least one expression, after its opening bracket.
    fn list(&mut self) -> Result<Vec<Part>, Slip> {
        let at = self.at();
        let mut parts = vec![self.deeper(at, Self::logic)?];
        while self.take(",") {
            parts.push(self.deeper(at, Self::logic)?);
        }
        self.symbol(")")?;
        Ok(parts)
    }

    fn deeper(&mut self, at: usize, read: impl FnOnce(&mut Self) -> Result<Part, Slip>) -> Result<Part, Slip> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Slip::new(at, format!("nested more than {MAX_DEPTH} deep")));
        }
        let part = read(self);
        self.depth -= 1;
        part
    }
}

/// Looking at the tokens.
impl<'t> Parser<'t> {
    fn at(&self) -> usize {
        self.tokens.get(self.next).map_or(0, |token| token.at)
    }

    fn lexeme(&self) -> &Lexeme<'t> {
        self.tokens.get(self.next).map_or(&Lexeme::End, |token| &token.lexeme)
    }

    fn keyword(&self) -> Option<&'static str> {
        self.tokens.get(self.next)?.keyword()
    }

    fn take(&mut self, symbol: &'static str) -> bool {
        let found = *self.lexeme() == Lexeme::Symbol(symbol);
        self.next += usize::from(found);
        found
    }

    fn symbol(&mut self, symbol: &'static str) -> Result<(), Slip> {
        if self.take(symbol) { Ok(()) } else { Err(self.unexpected(symbol)) }
    }

    fn unexpected(&self, expected: &str) -> Slip {
        let found = match self.lexeme() {
            Lexeme::End => "the end".to_owned(),
            Lexeme::Text(text) => format!("the text {text:?}"),
            Lexeme::Word(word) | Lexeme::Number(word) => format!("{word:?}"),
            Lexeme::Symbol(symbol) => format!("{symbol:?}"),
        };
        Slip::new(self.at(), format!("expected {expected}, found {found}"))
    }
}
