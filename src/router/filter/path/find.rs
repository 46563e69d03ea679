//! Evaluation: one scan over the text, skipping what the path does not name.

use std::borrow::Cow;
use std::cell::Cell;

use super::modifier::Modifier;
use super::query::Query;
use super::{Act, ArrayStep, Found, KeyStep, Member, Next, Node, NodeId, Path, Special, modifier};
use crate::router::filter::json::{self, Kind};

/// How often over a path may read its payload, counting what it builds; an ordinary path reads
/// it once, a query or pipe once more.
const BUDGET_FACTOR: usize = 64;

/// What small payloads may cost in any case, in bytes.
const BUDGET_FLOOR: usize = 64 * 1024;

pub(super) fn find<'j>(path: &Path, json: &'j str) -> Found<'j> {
    let finder = Finder { path, budget: Cell::new(json.len() * BUDGET_FACTOR + BUDGET_FLOOR) };
    let value = finder.get(json, path.start);
    if finder.budget.get() == 0 {
        Found::TooCostly
    } else if value.is_empty() {
        Found::Missing
    } else {
        Found::Value(value)
    }
}

/// A raw token, or nothing when the value is missing.
type Raw<'j> = Cow<'j, str>;

struct Finder<'p> {
    path: &'p Path,
    /// Bytes that may still be read or built; 0 when it is used up.
    budget: Cell<usize>,
}

impl Finder<'_> {
    fn spend(&self, bytes: usize) -> bool {
        let left = self.budget.get().saturating_sub(bytes + 1);
        self.budget.set(left);
        left > 0
    }

    fn get<'j>(&self, json: &'j str, id: NodeId) -> Raw<'j> {
        if !self.spend(json.len()) {
            return Raw::default();
        }
        let node = self.path.node(id);
        if let Some(special) = &node.special {
            return self.special(json, special);
        }
        let mut search =
            Search { finder: self, json, bytes: json.as_bytes(), at: 0, value: Raw::default(), pipe: None };
        search.run(node);
        let Search { value, pipe, .. } = search;
        match pipe {
            Some(pipe) => self.get_from(value, pipe),
            None => value,
        }
    }

    fn get_from<'j>(&self, value: Raw<'j>, id: NodeId) -> Raw<'j> {
        match value {
            Cow::Borrowed(text) => self.get(text, id),
            Cow::Owned(text) => Cow::Owned(self.get(&text, id).into_owned()),
        }
    }

    fn special<'j>(&self, json: &'j str, special: &Special) -> Raw<'j> {
        let value = match &special.act {
            Act::Modifier(modifier) => self.modify(json::token(json), modifier),
            Act::Literal(text) => Cow::Owned(text.to_string()),
            Act::Multi { object, members } => Cow::Owned(self.multi(json, *object, members)),
        };
        if !matches!(value, Cow::Borrowed(_)) && !self.spend(value.len()) {
            return Raw::default();
        }
        match special.rest {
            Some(rest) => self.get_from(value, rest),
            None => value,
        }
    }

    fn modify<'j>(&self, raw: &'j str, modifier: &Modifier) -> Raw<'j> {
        Cow::Owned(match modifier {
            Modifier::This | Modifier::Valid => return Cow::Borrowed(raw),
            Modifier::Reverse => modifier::reverse(raw),
            Modifier::Flatten { deep } => modifier::flatten(raw, *deep),
            Modifier::Join { preserve } => modifier::join_objects(raw, *preserve),
            Modifier::Keys => modifier::keys(raw),
            Modifier::Values => modifier::values(raw),
            Modifier::Ugly => modifier::ugly(raw),
            Modifier::ToStr => json::quote(raw),
            Modifier::FromStr => modifier::from_str(raw),
            Modifier::Group => modifier::group(raw),
            Modifier::Dig(inner) => {
                let mut found = Vec::new();
                self.dig(raw, *inner, &mut found);
                modifier::list(found)
            }
        })
    }

    /// The value of a path here and in everything below.
    fn dig<'j>(&self, raw: &'j str, id: NodeId, found: &mut Vec<Raw<'j>>) {
        let value = self.get(raw, id);
        if !value.is_empty() {
            found.push(value);
        }
        for item in json::elements(raw).chain(json::members(raw).map(|(_, value)| value)) {
            if self.budget.get() == 0 {
                return;
            }
            self.dig(item, id, found);
        }
    }

    fn multi(&self, json: &str, object: bool, members: &[Member]) -> String {
        let found = members.iter().filter_map(|member| {
            let value = self.get(json, member.node);
            match (value.is_empty(), object) {
                (true, _) => None,
                (false, true) => Some(Cow::Owned(format!("{}:{value}", member.name))),
                (false, false) => Some(value),
            }
        });
        let (open, close) = if object { ("{", "}") } else { ("[", "]") };
        modifier::join(open, found, close)
    }
}

/// One scan. Containers that a step enters are walked; all else is skipped.
struct Search<'f, 'j> {
    finder: &'f Finder<'f>,
    json: &'j str,
    bytes: &'j [u8],
    at: usize,
    value: Raw<'j>,
    /// What applies to the value, once a step with a pipe was reached.
    pipe: Option<NodeId>,
}

impl<'j> Search<'_, 'j> {
    fn run(&mut self, node: &Node) {
        if node.lines {
            self.in_array(&node.array);
            return;
        }
        self.at = json::skip_space(self.bytes, 0);
        self.enter(node);
    }

    /// Walks the container at the cursor; whether the value was found. A scalar has nothing in it.
    fn enter(&mut self, node: &Node) -> bool {
        match self.bytes.get(self.at) {
            Some(b'{') => {
                self.at += 1;
                self.in_object(&node.object)
            }
            Some(b'[') => {
                self.at += 1;
                self.in_array(&node.array)
            }
            _ => false,
        }
    }

    fn in_object(&mut self, step: &KeyStep) -> bool {
        if let Some(pipe) = step.next.pipe() {
            self.pipe = Some(pipe);
        }
        while self.next_item() {
            let key = self.at + 1;
            let (end, escaped) = json::string_end(self.bytes, key);
            let name = self.json.get(key..end - 1).unwrap_or_default();
            let fits = if escaped { step.key.matches(&json::unescape(name)) } else { step.key.matches(name) };
            self.at = json::key_end(self.bytes, end);
            if self.item(fits, step.next) {
                return true;
            }
        }
        false
    }

    fn in_array(&mut self, step: &ArrayStep) -> bool {
        match step {
            ArrayStep::Nothing(next) => {
                self.pipe = next.pipe().or(self.pipe);
                while self.next_item() {
                    self.skip();
                }
                false
            }
            ArrayStep::Index { index, next } => {
                self.pipe = next.pipe().or(self.pipe);
                let mut position = 0;
                while self.next_item() {
                    if self.item(position == *index, *next) {
                        return true;
                    }
                    position += 1;
                }
                false
            }
            ArrayStep::Length { pipe } => {
                let mut length = 0_usize;
                while self.next_item() {
                    self.skip();
                    length += 1;
                }
                self.pipe = pipe.or(self.pipe);
                self.value = Cow::Owned(length.to_string());
                true
            }
            ArrayStep::Each { element, pipe } => {
                let mut found = Vec::new();
                while self.next_item() {
                    let value = self.finder.get(self.skip(), *element);
                    if !value.is_empty() {
                        found.push(value);
                    }
                }
                self.pipe = pipe.or(self.pipe);
                self.build(&found);
                true
            }
            ArrayStep::Query(query) => self.query(query),
        }
    }

    fn query(&mut self, query: &Query) -> bool {
        self.pipe = query.pipe.or(self.pipe);
        let mut found = Vec::new();
        while self.next_item() {
            let element = self.skip();
            let container = Kind::of(element) == Kind::Container;
            let tested = match query.path {
                Some(path) if container => self.finder.get(element, path),
                Some(_) => continue,
                None if container => self.finder.get(element, query.inner),
                None => Cow::Borrowed(element),
            };
            if !query.test.passes(&tested) {
                continue;
            }
            let value = match query.take {
                Some(take) => {
                    self.pipe = query.take_pipe.or(self.pipe);
                    self.finder.get(element, take)
                }
                None => Cow::Borrowed(element),
            };
            if !query.all {
                self.value = value;
                return true;
            }
            if !value.is_empty() {
                found.push(value);
            }
        }
        // The scan goes on: a later member of the same name may still hold the value.
        if query.all && self.value.is_empty() {
            self.build(&found);
        }
        false
    }

    /// Looks at the value at the cursor: takes it, walks it, or skips it.
    fn item(&mut self, fits: bool, next: Next) -> bool {
        match next {
            _ if !fits => {
                self.skip();
                false
            }
            Next::Into(node) if matches!(self.bytes.get(self.at), Some(b'{' | b'[')) => {
                self.enter(self.finder.path.node(node))
            }
            Next::Into(_) => {
                self.skip();
                false
            }
            Next::Stop | Next::Pipe(_) => {
                self.value = Cow::Borrowed(self.skip());
                true
            }
        }
    }

    /// Moves to the next element or member; leaves the container when there is none.
    fn next_item(&mut self) -> bool {
        self.at = json::skip_space(self.bytes, self.at);
        if self.bytes.get(self.at) == Some(&b',') {
            self.at = json::skip_space(self.bytes, self.at + 1);
        }
        match self.bytes.get(self.at) {
            None => false,
            Some(b'}' | b']') => {
                self.at += 1;
                false
            }
            Some(_) => true,
        }
    }

    fn skip(&mut self) -> &'j str {
        let start = self.at;
        self.at = json::value_end(self.bytes, start);
        self.json.get(start..self.at).unwrap_or_default()
    }

    fn build(&mut self, found: &[Raw<'j>]) {
        let text = modifier::list(found);
        self.value = if self.finder.spend(text.len()) { Cow::Owned(text) } else { Raw::default() };
    }
}
