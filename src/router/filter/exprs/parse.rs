//! The grammar, by precedence climbing; all operators of one level group to the left.
//!
//! ```text
//! choice  := or ['?' or [':' or]] | or ('??' or)*
//! or      := and ('||' and)*
//! and     := binary ('&&' binary)*
//! binary  := unary (operator binary | ('=~' | '!~') text | 'in' (list | binary))*
//! unary   := ('!' | '-' | '~') unary | primary
//! primary := '(' choice ')' | literal | name | '[' name ']'
//! ```

use super::super::pattern::Pattern;
use super::super::slip::Slip;
use super::MAX_DEPTH;
use super::lex::{Lexeme, Token};
use super::node::{Node, Unary};
use super::part::{BINARIES, Level, Part, combine, grown, need, too_deep};
use super::value::{Type, Value};
use crate::api::problem::alternatives;

pub(super) struct Parser<'n> {
    tokens: Vec<Token>,
    /// The place of the next token; the last one is never passed.
    next: usize,
    depth: usize,
    names: &'n [&'n str],
}

impl<'n> Parser<'n> {
    /// Over fields with these names, which are told apart by their place.
    pub fn new(tokens: Vec<Token>, names: &'n [&'n str]) -> Self {
        Self { tokens, next: 0, depth: 0, names }
    }

    /// The whole text.
    pub fn whole(&mut self) -> Result<Part, Slip> {
        let part = self.choice()?;
        if *self.lexeme() == Lexeme::End { Ok(part) } else { Err(self.unexpected("an operator or the end")) }
    }

    fn choice(&mut self) -> Result<Part, Slip> {
        let mut first = self.or()?;
        let at = self.at();
        if self.take("?") {
            need(&first, Type::Truth)?;
            let yes = self.or()?;
            let no = if self.take(":") { Some(self.or()?) } else { None };
            if matches!(self.lexeme(), Lexeme::Symbol("?" | ":" | "??")) {
                return Err(Slip::new(self.at(), "one choice follows another").help("write brackets around one"));
            }
            let ty = no.as_ref().and_then(|no| no.ty.filter(|ty| yes.ty == Some(*ty)));
            let height = grown(at, [&first, &yes].into_iter().chain(&no))?;
            let node = Node::Choice(Box::new((first.node, yes.node, no.map(|no| no.node))));
            return Ok(Part { node, ty, at: first.at, height });
        }
        while self.take("??") {
            let second = self.or()?;
            let height = grown(at, [&first, &second])?;
            let node = Node::Fallback(Box::new((first.node, second.node)));
            first = Part { node, ty: first.ty, at: first.at, height };
        }
        Ok(first)
    }

    fn or(&mut self) -> Result<Part, Slip> {
        self.logic("||", true, |parser| parser.logic("&&", false, |parser| parser.binary(Level::Comparison)))
    }

    fn logic(
        &mut self,
        symbol: &'static str,
        any: bool,
        mut read: impl FnMut(&mut Self) -> Result<Part, Slip>,
    ) -> Result<Part, Slip> {
        let first = read(self)?;
        let at = self.at();
        if *self.lexeme() != Lexeme::Symbol(symbol) {
            return Ok(first);
        }
        let mut parts = vec![first];
        while self.take(symbol) {
            parts.push(read(self)?);
        }
        parts.iter().try_for_each(|part| need(part, Type::Truth))?;
        let (height, begin) = (grown(at, &parts)?, parts.first().map_or(at, |part| part.at));
        let parts = parts.into_iter().map(|part| part.node).collect();
        Ok(Part { node: Node::Logic { any, parts }, ty: Some(Type::Truth), at: begin, height })
    }

    fn binary(&mut self, level: Level) -> Result<Part, Slip> {
        let mut left = self.unary()?;
        loop {
            let at = self.at();
            let lexeme = self.lexeme().clone();
            left = match &lexeme {
                Lexeme::Symbol("=~" | "!~") if level == Level::Comparison => {
                    self.next += 1;
                    self.matches(at, left, lexeme == Lexeme::Symbol("!~"))?
                }
                Lexeme::Word(word) if level == Level::Comparison && matches!(word.as_str(), "in" | "IN") => {
                    self.next += 1;
                    self.within(at, left)?
                }
                Lexeme::Symbol(symbol) => {
                    let row = BINARIES.iter().find(|(known, found, ..)| known == symbol && *found >= level);
                    let Some((_, _, above, operator)) = row else {
                        return Ok(left);
                    };
                    self.next += 1;
                    let right = self.binary(*above)?;
                    combine(at, *operator, left, right)?
                }
                _ => return Ok(left),
            };
        }
    }

    /// The pattern is a literal, so that it is compiled once and refused here.
    fn matches(&mut self, at: usize, left: Part, negated: bool) -> Result<Part, Slip> {
        need(&left, Type::Text)?;
        let Lexeme::Text(source) = self.lexeme() else {
            return Err(self.unexpected("a pattern in quotes"));
        };
        let pattern = Pattern::compile(source)
            .map_err(|reason| Slip::new(self.at(), format!("{source:?} is no regular expression: {reason}")))?;
        self.next += 1;
        let (begin, height) = (left.at, grown(at, [&left])?);
        let node = Node::Matches { negated, text: Box::new(left.node), pattern };
        Ok(Part { node, ty: Some(Type::Truth), at: begin, height })
    }

    fn within(&mut self, at: usize, value: Part) -> Result<Part, Slip> {
        let begin = value.at;
        if !self.take("(") {
            let array = self.binary(Level::Bits)?;
            if let Some(ty) = array.ty {
                return Err(Slip::new(array.at, format!("this is {}, and a list is needed", ty.name())));
            }
            let height = grown(at, [&value, &array])?;
            let node = Node::WithinArray(Box::new((value.node, array.node)));
            return Ok(Part { node, ty: Some(Type::Truth), at: begin, height });
        }
        let mut list = vec![self.deeper(at, Self::choice)?];
        while self.take(",") {
            list.push(self.deeper(at, Self::choice)?);
        }
        self.symbol(")")?;
        let height = grown(at, list.iter().chain([&value]))?;
        let list = list.into_iter().map(|part| part.node).collect();
        let node = Node::Within { value: Box::new(value.node), list };
        Ok(Part { node, ty: Some(Type::Truth), at: begin, height })
    }

    fn unary(&mut self) -> Result<Part, Slip> {
        let at = self.at();
        let unary = match self.lexeme() {
            Lexeme::Symbol("!") => Unary::Not,
            Lexeme::Symbol("-") => Unary::Negate,
            Lexeme::Symbol("~") => Unary::Complement,
            _ => return self.primary(),
        };
        self.next += 1;
        let operand = self.deeper(at, Self::unary)?;
        need(&operand, unary.operand())?;
        let height = grown(at, [&operand])?;
        Ok(Part { node: Node::Unary(unary, Box::new(operand.node)), ty: Some(unary.operand()), at, height })
    }

    fn primary(&mut self) -> Result<Part, Slip> {
        let at = self.at();
        let constant = |value, ty| Ok(Part { node: Node::Constant(value), ty: Some(ty), at, height: 1 });
        match self.lexeme().clone() {
            Lexeme::Symbol("(") => {
                self.next += 1;
                let inside = self.deeper(at, Self::choice)?;
                self.symbol(")")?;
                Ok(inside)
            }
            Lexeme::Symbol(_) | Lexeme::End => Err(self.unexpected("a value")),
            Lexeme::Number(number) => {
                self.next += 1;
                constant(Value::Number(number), Type::Number)
            }
            Lexeme::Text(text) => {
                self.next += 1;
                constant(Value::Text(text.into()), Type::Text)
            }
            Lexeme::Word(word) if matches!(word.as_str(), "true" | "false") => {
                self.next += 1;
                constant(Value::Truth(word == "true"), Type::Truth)
            }
            Lexeme::Word(word) if matches!(word.as_str(), "in" | "IN") => Err(self.unexpected("a value")),
            Lexeme::Word(name) | Lexeme::Name(name) => {
                self.next += 1;
                self.field(at, &name)
            }
        }
    }

    fn field(&self, at: usize, name: &str) -> Result<Part, Slip> {
        if let Some(place) = self.names.iter().position(|known| *known == name) {
            return Ok(Part { node: Node::Field(place), ty: None, at, height: 1 });
        }
        if *self.lexeme() == Lexeme::Symbol("(") {
            return Err(Slip::new(at, format!("{name:?} is called as a function, and there are none,")));
        }
        let dashed = self.names.iter().find(|known| known.strip_prefix(name).is_some_and(|rest| rest.starts_with('-')));
        Err(Slip::new(at, format!("no field is named {name:?},")).help(match dashed {
            Some(dashed) => format!("a name with a dash is written [{dashed}]"),
            None => alternatives(name, self.names),
        }))
    }

    fn deeper(&mut self, at: usize, read: impl FnOnce(&mut Self) -> Result<Part, Slip>) -> Result<Part, Slip> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(too_deep(at));
        }
        let part = read(self);
        self.depth -= 1;
        part
    }

    fn at(&self) -> usize {
        self.tokens.get(self.next).map_or(0, |token| token.at)
    }

    fn lexeme(&self) -> &Lexeme {
        self.tokens.get(self.next).map_or(&Lexeme::End, |token| &token.lexeme)
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
        let (found, help) = match self.lexeme() {
            Lexeme::End => ("the end".to_owned(), None),
            Lexeme::Text(text) => (format!("the text {text:?}"), None),
            Lexeme::Number(number) => (number.to_string(), None),
            Lexeme::Symbol(symbol) => (format!("{symbol:?}"), None),
            Lexeme::Word(word) | Lexeme::Name(word) => {
                let help = match word.to_ascii_lowercase().as_str() {
                    "and" => Some("and is written &&"),
                    "or" => Some("or is written ||"),
                    _ => None,
                };
                (format!("{word:?}"), help)
            }
        };
        let slip = Slip::new(self.at(), format!("expected {expected}, found {found}"));
        help.map_or(slip.clone(), |help| slip.help(help))
    }
}
