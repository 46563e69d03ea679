//! Tokens to a tree.

use std::vec::IntoIter;

use super::super::slip::Slip;
use super::MAX_DEPTH;
use super::functions::{self, Function};
use super::lex::{self, Action, Kind, Piece, Token};
use crate::api::problem::alternatives;

#[derive(Debug)]
pub(super) enum Node {
    Text(Box<str>),
    Print(Pipe),
    /// `{{ $x := ... }}`.
    Set(Pipe),
    If {
        pipe: Pipe,
        body: Vec<Node>,
        otherwise: Vec<Node>,
    },
    With {
        pipe: Pipe,
        body: Vec<Node>,
        otherwise: Vec<Node>,
    },
    /// With the names of what it runs over: the index or key, and the element.
    Range {
        key: Option<String>,
        element: Option<String>,
        pipe: Pipe,
        body: Vec<Node>,
        otherwise: Vec<Node>,
    },
    Break,
    Continue,
}

/// Commands, each given the result of the one before as its last argument.
#[derive(Debug)]
pub(super) struct Pipe {
    pub variable: Option<Variable>,
    pub commands: Vec<Command>,
}

/// What a pipe is kept in.
#[derive(Debug)]
pub(super) struct Variable {
    pub name: String,
    /// Or set anew.
    pub declares: bool,
}

#[derive(Debug)]
pub(super) struct Command {
    pub call: Option<&'static Function>,
    /// The arguments, or else the one value.
    pub operands: Vec<Operand>,
}

/// A value, and the keys inside it.
#[derive(Debug)]
pub(super) struct Operand {
    pub base: Base,
    pub fields: Vec<String>,
}

#[derive(Debug)]
pub(super) enum Base {
    Dot,
    Variable(String),
    Pipe(Box<Pipe>),
    Text(String),
    Int(i64),
    Float(f64),
    Bool(bool),
    Nil,
}

pub(super) fn parse(text: &str) -> Result<Vec<Node>, Slip> {
    let pieces = lex::pieces(text)?.into_iter();
    let mut parser = Parser { pieces, variables: Vec::new(), depth: 0, loops: 0 };
    match parser.list()? {
        (nodes, None) => Ok(nodes),
        (_, Some(Stop { at, word, .. })) => Err(Slip::new(at, format!("this {word} belongs to no if, with or range"))),
    }
}

/// What ends a list before the template does.
struct Stop {
    at: usize,
    /// `end` or `else`.
    word: &'static str,
    /// What follows `else`.
    rest: Vec<Token>,
}

struct Parser<'t> {
    pieces: IntoIter<Piece<'t>>,
    /// The names that are known here.
    variables: Vec<String>,
    /// Blocks and brackets that are open.
    depth: usize,
    /// Loops that are open.
    loops: usize,
}

impl Parser<'_> {
    fn list(&mut self) -> Result<(Vec<Node>, Option<Stop>), Slip> {
        let mut nodes = Vec::new();
        while let Some(piece) = self.pieces.next() {
            let Action { at, mut tokens } = match piece {
                Piece::Text(text) => {
                    nodes.push(Node::Text(text.into()));
                    continue;
                }
                Piece::Action(action) => action,
            };
            let word = match tokens.first() {
                None => return Err(Slip::new(at, "there is nothing between \"{{\" and \"}}\"")),
                Some(Token { kind: Kind::Word(word), .. }) => word.clone(),
                Some(_) => String::new(),
            };
            if let "if" | "with" | "range" | "else" | "end" | "break" | "continue" = word.as_str() {
                tokens.remove(0);
            }
            nodes.push(match word.as_str() {
                "if" | "with" | "range" => self.block(&word, at, tokens)?,
                "end" => {
                    nothing_more(&tokens)?;
                    return Ok((nodes, Some(Stop { at, word: "end", rest: Vec::new() })));
                }
                "else" => return Ok((nodes, Some(Stop { at, word: "else", rest: tokens }))),
                "break" | "continue" => {
                    nothing_more(&tokens)?;
                    if self.loops == 0 {
                        return Err(Slip::new(at, format!("{word} stands in no range")));
                    }
                    if word == "break" { Node::Break } else { Node::Continue }
                }
                "define" | "template" | "block" => {
                    return Err(Slip::new(at, format!("{word} is not known here: a template calls no others")));
                }
                _ => {
                    let pipe = self.whole(at, tokens)?;
                    if pipe.variable.is_some() { Node::Set(pipe) } else { Node::Print(pipe) }
                }
            });
        }
        Ok((nodes, None))
    }

    /// The block that `word` opens, up to its end.
    fn block(&mut self, word: &str, at: usize, tokens: Vec<Token>) -> Result<Node, Slip> {
        self.deeper(at)?;
        let known = self.variables.len();
        let (mut key, mut element) = (None, None);
        let tokens = if word == "range" { loop_names(tokens, &mut key, &mut element)? } else { tokens };
        let pipe = self.whole(at, tokens)?;
        if element.is_some() && pipe.variable.is_some() {
            return Err(Slip::new(at, "a range names its variables once"));
        }
        self.variables.extend(key.clone().into_iter().chain(element.clone()));
        let inner = self.variables.len();
        let unclosed = || Slip::new(at, format!("this {word} has no end"));
        self.loops += usize::from(word == "range");
        let (body, stop) = self.list()?;
        self.loops -= usize::from(word == "range");
        self.variables.truncate(inner);
        let Stop { at: stopped, word: end, rest } = stop.ok_or_else(unclosed)?;
        let otherwise = match (end, rest.first()) {
            ("end", _) => Vec::new(),
            (_, None) => {
                let (nodes, stop) = self.list()?;
                match stop.ok_or_else(unclosed)? {
                    Stop { word: "end", .. } => nodes,
                    Stop { at, .. } => return Err(Slip::new(at, "a second else")),
                }
            }
            (_, Some(Token { kind: Kind::Word(chained), .. })) if chained == word && word != "range" => {
                let chained = chained.clone();
                vec![self.block(&chained, stopped, rest.into_iter().skip(1).collect())?]
            }
            (_, Some(token)) => return Err(Slip::new(token.at, format!("after else only {word} can follow"))),
        };
        self.variables.truncate(known);
        self.depth -= 1;
        Ok(match word {
            "if" => Node::If { pipe, body, otherwise },
            "with" => Node::With { pipe, body, otherwise },
            _ => Node::Range { key, element, pipe, body, otherwise },
        })
    }

    fn deeper(&mut self, at: usize) -> Result<(), Slip> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Slip::new(at, format!("blocks and brackets go {MAX_DEPTH} levels deep")));
        }
        Ok(())
    }

    /// The pipe that all of `tokens` are.
    fn whole(&mut self, at: usize, tokens: Vec<Token>) -> Result<Pipe, Slip> {
        let end = tokens.last().map_or(at, |token| token.at);
        let mut tokens = Tokens { tokens: tokens.into_iter().peekable(), end };
        let pipe = self.pipe(&mut tokens)?;
        match tokens.next() {
            None => Ok(pipe),
            Some(token) => Err(Slip::new(token.at, "this does not belong here")),
        }
    }

    fn pipe(&mut self, tokens: &mut Tokens) -> Result<Pipe, Slip> {
        let variable = self.target(tokens)?;
        let mut commands: Vec<Command> = Vec::new();
        loop {
            let command = self.command(tokens, !commands.is_empty())?;
            commands.push(command);
            if tokens.take(&Kind::Pipe).is_none() {
                break;
            }
        }
        if let Some(Variable { name, declares: true }) = &variable {
            self.variables.push(name.clone());
        }
        Ok(Pipe { variable, commands })
    }

    /// `$x :=` or `$x =`.
    fn target(&mut self, tokens: &mut Tokens) -> Result<Option<Variable>, Slip> {
        let mut ahead = tokens.tokens.clone();
        let (Some(Token { kind: Kind::Variable(name), at, .. }), Some(sign)) = (ahead.next(), ahead.next()) else {
            return Ok(None);
        };
        let declares = match sign.kind {
            Kind::Declare => true,
            Kind::Assign => false,
            _ => return Ok(None),
        };
        tokens.tokens = ahead;
        if name.is_empty() || (!declares && !self.variables.contains(&name)) {
            return Err(self.unknown_variable(at, &name));
        }
        Ok(Some(Variable { name, declares }))
    }

    fn command(&mut self, tokens: &mut Tokens, piped: bool) -> Result<Command, Slip> {
        let at = tokens.at();
        let call = match tokens.tokens.peek() {
            Some(Token { kind: Kind::Word(word), .. }) if !matches!(word.as_str(), "true" | "false" | "nil") => {
                let found = functions::find(word);
                let unknown = || {
                    let known: Vec<&str> = functions::names().collect();
                    let help = alternatives(word, &known);
                    Slip::new(at, format!("unknown function {word:?}")).help(help)
                };
                let found = found.ok_or_else(unknown)?;
                tokens.next();
                Some(found)
            }
            _ => None,
        };
        let mut operands = Vec::new();
        while let Some(operand) = self.operand(tokens)? {
            operands.push(operand);
        }
        let given = operands.len() + usize::from(piped);
        match call {
            None if piped => return Err(Slip::new(at, "only a function can follow a pipe")),
            None if operands.is_empty() => return Err(Slip::new(at, "a value is missing")),
            None if operands.len() > 1 => return Err(Slip::new(at, "only functions take arguments, and this is none")),
            Some(function) if !function.takes(given) => {
                let message = format!("{} takes {}, not {given}", function.name, function.arguments());
                return Err(Slip::new(at, message));
            }
            _ => {}
        }
        Ok(Command { call, operands })
    }

    fn operand(&mut self, tokens: &mut Tokens) -> Result<Option<Operand>, Slip> {
        let Some(Token { kind, at, .. }) = tokens.tokens.peek().cloned() else { return Ok(None) };
        let mut fields = Vec::new();
        let base = match kind {
            Kind::Pipe | Kind::Close => return Ok(None),
            Kind::Dot => Base::Dot,
            Kind::Field(name) => {
                fields.push(name);
                Base::Dot
            }
            Kind::Variable(name) if name.is_empty() || self.variables.contains(&name) => Base::Variable(name),
            Kind::Variable(name) => return Err(self.unknown_variable(at, &name)),
            Kind::Text(text) => Base::Text(text),
            Kind::Int(number) => Base::Int(number),
            Kind::Float(number) => Base::Float(number),
            Kind::Word(word) => match word.as_str() {
                "true" => Base::Bool(true),
                "false" => Base::Bool(false),
                "nil" => Base::Nil,
                _ => return Err(Slip::new(at, format!("{word} needs brackets as an argument: ({word} ...)"))),
            },
            Kind::Open => {
                tokens.next();
                self.deeper(at)?;
                let pipe = self.pipe(tokens)?;
                self.depth -= 1;
                if !matches!(tokens.tokens.peek(), Some(Token { kind: Kind::Close, .. })) {
                    return Err(Slip::new(at, "this bracket is not closed"));
                }
                Base::Pipe(Box::new(pipe))
            }
            Kind::Comma | Kind::Declare | Kind::Assign => return Err(Slip::new(at, "this does not belong here")),
        };
        tokens.next();
        while let Some(Token { kind: Kind::Field(name), spaced: false, at }) = tokens.tokens.peek() {
            if matches!(base, Base::Text(_) | Base::Int(_) | Base::Float(_) | Base::Bool(_) | Base::Nil) {
                return Err(Slip::new(*at, "this value has no keys"));
            }
            fields.push(name.clone());
            tokens.next();
        }
        Ok(Some(Operand { base, fields }))
    }

    fn unknown_variable(&self, at: usize, name: &str) -> Slip {
        let known: Vec<&str> = self.variables.iter().map(String::as_str).collect();
        let slip = Slip::new(at, format!("no variable ${name} is declared"));
        if known.is_empty() { slip } else { slip.help(alternatives(name, &known)) }
    }
}

struct Tokens {
    tokens: std::iter::Peekable<IntoIter<Token>>,
    /// Where the last one stands.
    end: usize,
}

impl Tokens {
    fn next(&mut self) -> Option<Token> {
        self.tokens.next()
    }

    fn take(&mut self, kind: &Kind) -> Option<Token> {
        self.tokens.next_if(|token| token.kind == *kind)
    }

    fn at(&mut self) -> usize {
        self.tokens.peek().map_or(self.end, |token| token.at)
    }
}

fn nothing_more(tokens: &[Token]) -> Result<(), Slip> {
    tokens.first().map_or(Ok(()), |token| Err(Slip::new(token.at, "this does not belong here")))
}

/// Takes `$element :=` or `$key, $element :=` off the tokens of a range.
fn loop_names(tokens: Vec<Token>, key: &mut Option<String>, element: &mut Option<String>) -> Result<Vec<Token>, Slip> {
    let kinds: Vec<&Kind> = tokens.iter().take(4).map(|token| &token.kind).collect();
    let taken = match kinds[..] {
        [Kind::Variable(one), Kind::Declare, ..] => {
            *element = Some(one.clone());
            2
        }
        [Kind::Variable(one), Kind::Comma, Kind::Variable(two), Kind::Declare] => {
            (*key, *element) = (Some(one.clone()), Some(two.clone()));
            4
        }
        _ => 0,
    };
    if key.iter().chain(element.iter()).any(String::is_empty) {
        return Err(Slip::new(tokens[0].at, "a variable needs a name"));
    }
    Ok(tokens.into_iter().skip(taken).collect())
}
