//! The path of a value inside a JSON payload, in the syntax of gjson 1.19, compiled once.
//!
//! The same text means different things in different containers: `#` is the length of an array
//! but a key of an object. A path is therefore a table of [`Node`]s, one for every part of the text that
//! can be reached, and each holds both readings. Evaluation scans the payload once and skips what
//! it does not need; only modifiers, multipaths and `#` build new text, within a budget.
//!
//! Differences from gjson, all on purpose: JSON inside a string is never entered by a pipe; an
//! escaped `*` stays literal beside an unescaped one; `@pretty` is refused; text that can only be
//! a slip (an open bracket, `JSONPath`) is refused instead of finding nothing for ever.

mod compile;
mod find;
mod glob;
mod lint;
mod modifier;
mod query;

use std::borrow::Cow;

pub use compile::Refused;
use glob::Key;
use modifier::Modifier;
use query::Query;

/// The longest path taken: far more than people write, and it bounds every recursion here.
pub const MAX_LEN: usize = 1024;

/// A compiled path.
#[derive(Clone, Debug)]
pub struct Path {
    text: Box<str>,
    nodes: Vec<Node>,
    start: NodeId,
}

/// What a path finds.
#[derive(Clone, Debug, PartialEq)]
pub enum Found<'j> {
    /// The raw token: a slice of the payload, or new text where the path builds some.
    Value(Cow<'j, str>),
    Missing,
    /// The path reads or builds more than its budget allows.
    TooCostly,
}

impl Path {
    /// Compiles `text`.
    ///
    /// # Errors
    /// When it is empty, too long, or can only be a slip.
    pub fn compile(text: &str) -> Result<Self, Refused> {
        compile::path(text)
    }

    /// The value in `json`, which was checked.
    pub fn find<'j>(&self, json: &'j str) -> Found<'j> {
        find::find(self, json)
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct NodeId(u32);

/// One part of the text, read in every way it can be read.
#[derive(Clone, Debug)]
struct Node {
    /// A modifier, literal or multipath, which takes the value whatever it is.
    special: Option<Special>,
    /// JSON lines (`..` in front): the document is the one element of an array.
    lines: bool,
    object: KeyStep,
    array: ArrayStep,
}

/// What follows a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// Nothing: the value of this step is the result.
    Stop,
    /// A dot: the rest applies inside the value.
    Into(NodeId),
    /// A pipe: the rest applies to the result.
    Pipe(NodeId),
}

impl Next {
    const fn pipe(self) -> Option<NodeId> {
        if let Self::Pipe(node) = self { Some(node) } else { None }
    }
}

#[derive(Clone, Debug)]
struct KeyStep {
    key: Key,
    next: Next,
}

#[derive(Clone, Debug)]
enum ArrayStep {
    /// A word that cannot apply to an array; a pipe after it still runs, on nothing.
    Nothing(Next),
    Index {
        index: usize,
        next: Next,
    },
    /// `#`.
    Length {
        pipe: Option<NodeId>,
    },
    /// `#.k`: k of every element; the pipe applies to the array of them.
    Each {
        element: NodeId,
        pipe: Option<NodeId>,
    },
    /// `#(k=="v")`.
    Query(Box<Query>),
}

#[derive(Clone, Debug)]
struct Special {
    act: Act,
    /// What follows a dot or a pipe after it.
    rest: Option<NodeId>,
}

#[derive(Clone, Debug)]
enum Act {
    Modifier(Modifier),
    /// `!"text"`: its own value.
    Literal(Box<str>),
    /// `[a,b]` or `{a,"n":b}`.
    Multi {
        object: bool,
        members: Vec<Member>,
    },
}

#[derive(Clone, Debug)]
struct Member {
    /// The key as a JSON string, in an object.
    name: Box<str>,
    node: NodeId,
}

#[cfg(test)]
mod tests;
