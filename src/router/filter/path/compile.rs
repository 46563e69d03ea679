//! The text of a path to its nodes.

use std::collections::HashMap;
use std::ops::Range;

use super::glob::{Glob, Key, Piece};
use super::modifier::{self, Modifier};
use super::query::{Ish, Op, Operand, Query, Test};
use super::{Act, ArrayStep, KeyStep, MAX_LEN, Member, Next, Node, NodeId, Path, Special, lint};
use crate::router::filter::json;

/// The most nodes of a path. Each is a part of the text that begins after a dot, a pipe, a comma or a
/// bracket, so ordinary paths have as many as they have words.
const MAX_NODES: usize = 4 * MAX_LEN;

/// Why a path is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub message: String,
    pub help: Option<String>,
}

impl Refused {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None }
    }

    pub(super) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

pub(super) fn path(text: &str) -> Result<Path, Refused> {
    if text.is_empty() {
        return Err(Refused::new("the path is empty"));
    }
    if text.len() > MAX_LEN {
        return Err(Refused::new(format!("the path is longer than {MAX_LEN} bytes")));
    }
    lint::check(text)?;
    let mut compiler = Compiler { text, nodes: Vec::new(), known: HashMap::new() };
    let start = compiler.node(0..text.len());
    if compiler.nodes.len() > MAX_NODES {
        return Err(Refused::new(format!("the path has more than {MAX_NODES} parts")));
    }
    Ok(Path { text: text.into(), nodes: compiler.nodes, start })
}

/// A part of the text; parts are told apart by their place, so each is compiled once.
type Part = Range<usize>;

struct Compiler<'t> {
    text: &'t str,
    nodes: Vec<Node>,
    known: HashMap<Part, NodeId>,
}

impl<'t> Compiler<'t> {
    fn part(&self, part: &Part) -> &'t str {
        // Parts are cut beside ASCII characters only.
        self.text.get(part.clone()).unwrap_or_default()
    }

    fn node(&mut self, part: Part) -> NodeId {
        if let Some(id) = self.known.get(&part) {
            return *id;
        }
        let id = NodeId(u32::try_from(self.nodes.len()).unwrap_or(u32::MAX));
        let nothing = KeyStep { key: Key::Exact("".into()), next: Next::Stop };
        self.nodes.push(Node { special: None, lines: false, object: nothing, array: ArrayStep::Nothing(Next::Stop) });
        if self.nodes.len() > MAX_NODES {
            return id;
        }
        self.known.insert(part.clone(), id);
        let lines = self.part(&part).starts_with("..");
        let inside = if lines { part.start + 2..part.end } else { part.clone() };
        let node = Node {
            special: self.special(part.clone()),
            lines,
            object: self.key_step(part),
            array: self.array_step(inside),
        };
        self.nodes[id.0 as usize] = node;
        id
    }

    /// What follows the dot or pipe before `part`.
    fn next(&mut self, separator: u8, part: Part, mapped: bool) -> Next {
        if separator == b'|' || (!mapped && begins_special(self.part(&part))) {
            Next::Pipe(self.node(part))
        } else {
            Next::Into(self.node(part))
        }
    }

    fn key_step(&mut self, part: Part) -> KeyStep {
        let mut pieces = Vec::new();
        let mut chars = self.part(&part).char_indices();
        let mut next = Next::Stop;
        while let Some((at, c)) = chars.next() {
            match c {
                '.' | '|' => {
                    next = self.next(c as u8, part.start + at + 1..part.end, false);
                    break;
                }
                '*' => pieces.push(Piece::Any),
                '?' => pieces.push(Piece::One),
                '\\' => pieces.extend(chars.next().map(|(_, c)| Piece::Char(c))),
                _ => pieces.push(Piece::Char(c)),
            }
        }
        let literal: Option<String> =
            pieces.iter().map(|piece| if let Piece::Char(c) = piece { Some(*c) } else { None }).collect();
        let key = literal.map_or_else(|| Key::Glob(Glob::new(pieces)), |key| Key::Exact(key.into()));
        KeyStep { key, next }
    }

    fn array_step(&mut self, part: Part) -> ArrayStep {
        let text = self.part(&part);
        let bytes = text.as_bytes();
        if text.starts_with("#.") {
            let (element, pipe) = self.split_pipe(part.start + 2..part.end);
            return ArrayStep::Each { element, pipe };
        }
        let query = if text.starts_with("#(") || text.starts_with("#[") { split_query(text) } else { None };
        let from = query.as_ref().map_or(0, |query| query.end);
        let end = (from..bytes.len()).find(|at| matches!(bytes[*at], b'.' | b'|')).unwrap_or(bytes.len());
        if let Some(query) = query {
            return self.query(&part, &query, end);
        }
        let word = &text[..end];
        let hash = word.contains('#');
        let next = match bytes.get(end) {
            Some(separator) => self.next(*separator, part.start + end + 1..part.end, hash),
            None => Next::Stop,
        };
        if word == "#" {
            return ArrayStep::Length { pipe: next.pipe() };
        }
        match index(word) {
            Some(index) => ArrayStep::Index { index, next },
            None => ArrayStep::Nothing(next),
        }
    }

    /// A query whose word ends at `end`: at a dot, a pipe, or the end of the text.
    fn query(&mut self, part: &Part, split: &SplitQuery, end: usize) -> ArrayStep {
        let inner = self.node(part.start + split.path.start..part.start + split.path.end);
        let bytes = self.part(part).as_bytes();
        let rest = part.start + end + 1..part.end;
        let mut query = Query {
            path: (!split.path.is_empty()).then_some(inner),
            inner,
            test: split.test.clone(),
            all: bytes.get(split.end) == Some(&b'#'),
            take: None,
            take_pipe: None,
            pipe: None,
        };
        match bytes.get(end) {
            Some(b'.') => {
                let (take, pipe) = self.split_pipe(rest);
                (query.take, query.take_pipe) = (Some(take), pipe);
            }
            Some(_) => query.pipe = Some(self.node(rest)),
            None => {}
        }
        ArrayStep::Query(Box::new(query))
    }

    /// A part that applies to elements, and what applies to the array of results: the text after
    /// its first pipe.
    fn split_pipe(&mut self, part: Part) -> (NodeId, Option<NodeId>) {
        match possible_pipe(self.part(&part)) {
            Some(at) => {
                let pipe = self.node(part.start + at + 1..part.end);
                (self.node(part.start..part.start + at), Some(pipe))
            }
            None => (self.node(part), None),
        }
    }

    fn special(&mut self, part: Part) -> Option<Special> {
        let text = self.part(&part);
        if text.len() < 2 {
            return None;
        }
        let (act, used) = match text.as_bytes()[0] {
            b'@' => self.modifier(&part)?,
            b'!' => literal(text)?,
            b'[' | b'{' => self.multi(&part)?,
            _ => return None,
        };
        let rest = match text.as_bytes().get(used) {
            Some(b'.' | b'|') => Some(self.node(part.start + used + 1..part.end)),
            Some(_) if matches!(act, Act::Multi { .. }) => return None,
            _ => None,
        };
        Some(Special { act, rest })
    }

    fn modifier(&mut self, part: &Part) -> Option<(Act, usize)> {
        let text = self.part(part);
        let stop = text.find([':', '|', '.']).unwrap_or(text.len());
        let name = &text[1..stop];
        let (argument, used) = if text.as_bytes().get(stop) == Some(&b':') {
            let end = stop + 1 + argument_len(&text[stop + 1..]);
            (stop + 1..end, end)
        } else {
            (stop..stop, stop)
        };
        let modifier = if name == "dig" {
            Modifier::Dig(self.node(part.start + argument.start..part.start + argument.end))
        } else {
            Modifier::parse(name, &text[argument])?
        };
        Some((Act::Modifier(modifier), used))
    }

    fn multi(&mut self, part: &Part) -> Option<(Act, usize)> {
        let text = self.part(part);
        let object = text.starts_with('{');
        let (selectors, used) = selectors(text)?;
        let members = selectors
            .into_iter()
            .map(|Selector { name, path }| {
                let name = name.map_or_else(|| last_word(&text[path.clone()]).to_owned(), |name| text[name].to_owned());
                let quoted = name.starts_with('"') && json::check(&name).is_ok();
                let name = if quoted { name } else { json::quote(&name) };
                Member { name: name.into(), node: self.node(part.start + path.start..part.start + path.end) }
            })
            .collect();
        Some((Act::Multi { object, members }, used))
    }
}

/// Whether a dot before `text` acts as a pipe: `@modifier`, `[` or `{` follows.
fn begins_special(text: &str) -> bool {
    match text.as_bytes().first() {
        Some(b'[' | b'{') => true,
        Some(b'@') => {
            let stop = text.find(['.', '|', ':']).unwrap_or(text.len());
            modifier::NAMES.contains(&&text[1..stop])
        }
        _ => false,
    }
}

fn index(text: &str) -> Option<usize> {
    if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// The parts of `#(path op value)`.
pub(super) struct SplitQuery {
    path: Part,
    test: Test,
    /// After the closing bracket.
    pub(super) end: usize,
}

/// Splits the query with which `text` begins; nothing when its brackets or quotes stay open.
pub(super) fn split_query(text: &str) -> Option<SplitQuery> {
    let bytes = text.as_bytes();
    let (mut at, mut operator, mut depth, mut escaped) = (2, None, 1_usize, false);
    while at < bytes.len() {
        match bytes[at] {
            b'!' | b'=' | b'<' | b'>' | b'%' if depth == 1 && operator.is_none() => operator = Some(at),
            b'\\' => at += 1,
            b'[' | b'(' => depth += 1,
            b']' | b')' => {
                depth -= 1;
                if depth == 0 {
                    break;
                }
            }
            b'"' => {
                let (end, escape) = json::string_end(bytes, at + 1);
                escaped |= escape;
                at = end - 1;
            }
            _ => {}
        }
        at += 1;
    }
    if depth > 0 || at >= bytes.len() {
        return None;
    }
    let path = trim(text, 2..operator.unwrap_or(at));
    let compared = operator.map(|from| comparison(text.get(from..at).unwrap_or_default(), escaped));
    Some(SplitQuery { path, test: compared.unwrap_or(Test::Exists), end: at + 1 })
}

/// Operator and value, such as `=="v"` or `>= 5`.
fn comparison(text: &str, escaped: bool) -> Test {
    let text = trim_text(text);
    let (op, value) = match text.as_bytes() {
        [b'=', b'=', ..] => ("=", &text[2..]),
        [b'!', b'=' | b'%', ..] | [b'<' | b'>', b'=', ..] => text.split_at(2),
        [b'<' | b'>' | b'=' | b'%', ..] => text.split_at(1),
        // A lone exclamation mark is no operator; before other text it only ends the path.
        [b'!'] => return Test::Never,
        _ => return Test::Exists,
    };
    let Some(op) = Op::parse(op) else {
        return Test::Never;
    };
    let value = trim_text(value);
    let unquoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    let value = match unquoted {
        Some(inside) if escaped => json::unescape(inside),
        _ => unquoted.unwrap_or(value).into(),
    };
    match value.strip_prefix('~') {
        Some(word) => Ish::parse(word).map_or(Test::Never, |ish| Test::Ish(op, ish)),
        None => Test::Compare(op, Operand::new(&value)),
    }
}

fn trim_text(text: &str) -> &str {
    text.trim_matches(|c: char| c <= ' ')
}

fn trim(text: &str, part: Part) -> Part {
    let inside = text.get(part.clone()).unwrap_or_default();
    let start = part.start + inside.len() - inside.trim_start_matches(|c: char| c <= ' ').len();
    start..start + trim_text(inside).len()
}

/// Where the first pipe is that ends the part applied to elements; pipes inside a query that
/// follows a dot do not count, nor do those inside a leading `{..}`.
fn possible_pipe(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    if bytes.first() == Some(&b'{') {
        let end = 1 + squash(&text[1..]);
        return (bytes.get(end) == Some(&b'|')).then_some(end);
    }
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 1,
            b'.' if at + 1 == bytes.len() => return None,
            b'.' if bytes[at + 1] == b'#' => {
                at += 2;
                match bytes.get(at) {
                    None => return None,
                    Some(open @ (b'[' | b'(')) => at = balanced(bytes, at, *open),
                    // The character after `#` is passed over, a pipe included.
                    Some(_) => {}
                }
            }
            b'|' => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}

/// The position of the bracket that closes the one at `at`.
fn balanced(bytes: &[u8], mut at: usize, open: u8) -> usize {
    let close = if open == b'[' { b']' } else { b')' };
    let mut depth = 0_usize;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 1,
            b'"' => at = json::string_end(bytes, at + 1).0 - 1,
            b if b == open => depth += 1,
            b if b == close => {
                depth -= 1;
                if depth == 0 {
                    break;
                }
            }
            _ => {}
        }
        at += 1;
    }
    at
}

/// The length of the bracketed or quoted text with which `text` begins (its opening character is
/// taken for a bracket when it is none).
fn squash(text: &str) -> usize {
    let bytes = text.as_bytes();
    let (mut at, mut depth) = if bytes.first() == Some(&b'"') { (0, 0_usize) } else { (1, 1) };
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                at = json::string_end(bytes, at + 1).0;
                if depth == 0 {
                    return at;
                }
                continue;
            }
            b'{' | b'[' | b'(' => depth += 1,
            b'}' | b']' | b')' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

/// The length of a modifier's argument: JSON, or all up to a pipe outside brackets.
fn argument_len(text: &str) -> usize {
    if text.starts_with(['{', '[', '"']) {
        return squash(text);
    }
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() && bytes[at] != b'|' {
        at += if matches!(bytes[at], b'{' | b'[' | b'"' | b'(') { squash(&text[at..]) } else { 1 };
    }
    at.min(bytes.len())
}

/// `!` and a JSON value or a word; a value takes the rest of the text.
fn literal(text: &str) -> Option<(Act, usize)> {
    let value = &text[1..];
    let (value, used) = match value.as_bytes()[0] {
        b'{' | b'[' => {
            let end = squash(value);
            (&value[..end], 1 + end)
        }
        b'"' | b'+' | b'-' | b'0'..=b'9' => (json::token(value), text.len()),
        _ => {
            let word = &value[..value.find(['|', '.']).unwrap_or(value.len())];
            let known = ["true", "false", "null", "nan", "inf"].iter().any(|known| word.eq_ignore_ascii_case(known));
            return known.then(|| (Act::Literal(word.into()), 1 + word.len()));
        }
    };
    let valid = json::check(value).is_ok();
    Some((Act::Literal(if valid { value } else { "" }.into()), used))
}

struct Selector {
    name: Option<Part>,
    path: Part,
}

/// The parts of a multipath and its length; nothing when its bracket stays open.
fn selectors(text: &str) -> Option<(Vec<Selector>, usize)> {
    let bytes = text.as_bytes();
    let (mut at, mut start, mut depth) = (1, 1, 1_usize);
    let (mut colon, mut modifier) = (None, false);
    let mut selectors = Vec::new();
    while at < bytes.len() {
        let mut close = false;
        match bytes[at] {
            b'\\' => at += 1,
            b'@' if matches!(bytes[at - 1], b'.' | b'|') => modifier = true,
            b':' if !modifier && colon.is_none() && depth == 1 => colon = Some(at),
            b'"' => at = json::string_end(bytes, at + 1).0 - 1,
            b'[' | b'(' | b'{' => depth += 1,
            b']' | b')' | b'}' => {
                depth -= 1;
                close = depth == 0;
            }
            _ => {}
        }
        if close || (bytes.get(at) == Some(&b',') && depth == 1) {
            let path = colon.map_or(start, |colon| colon + 1)..at;
            selectors.push(Selector { name: colon.map(|colon| start..colon), path });
            (start, colon, modifier) = (at + 1, None, false);
        }
        if close {
            return Some((selectors, at + 1));
        }
        at += 1;
    }
    None
}

/// The key of a member without a name: the last word of its path, or `_` when that is no name.
fn last_word(path: &str) -> &str {
    let bytes = path.as_bytes();
    let cut =
        (0..bytes.len()).rev().find(|at| matches!(bytes[*at], b'.' | b'|') && (*at == 0 || bytes[at - 1] != b'\\'));
    let word = cut.map_or(path, |at| &path[at + 1..]);
    let simple = word.chars().all(|c| c >= ' ' && !"[]{}()#|!".contains(c));
    if simple { word } else { "_" }
}
