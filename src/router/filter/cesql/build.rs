//! Puts nodes together: types what is known, casts and evaluates constants, refuses what can only fail.

use super::super::Cause;
use super::super::slip::Slip;
use super::MAX_DEPTH;
use super::node::{Node, Operands, Operator, is_element};
use super::value::{Type, Value};

/// The attributes that every event has, always as text.
const REQUIRED: &[&str] = &["id", "source", "specversion", "type"];

/// A part of an expression that was read.
pub(super) struct Part {
    pub node: Node,
    /// What it gives, when that does not depend on the event.
    pub ty: Option<Type>,
    /// Where it begins, or where its operator stands.
    pub at: usize,
    pub height: usize,
    /// Whether it is a `NOT` without brackets around it.
    pub negation: bool,
}

#[derive(Default)]
pub(super) struct Builder {
    /// Parts that fail for every event. Those that are never evaluated are forgotten.
    failures: Vec<Slip>,
    pub warnings: Vec<Slip>,
    /// The attributes that are looked at.
    pub names: Vec<Box<str>>,
}

impl Builder {
    /// What is wrong with the parts built so far, although they can be read.
    pub fn failure(&mut self) -> Option<Slip> {
        (!self.failures.is_empty()).then(|| self.failures.remove(0))
    }

    /// How many failures there are; see [`Builder::forget`].
    pub const fn mark(&self) -> usize {
        self.failures.len()
    }

    /// Forgets the failures since `mark`: what was built since then is never evaluated.
    fn forget(&mut self, mark: usize) {
        self.failures.truncate(mark);
    }

    pub fn constant(at: usize, value: Value<'static>) -> Part {
        let ty = Some(value.ty());
        Part { node: Node::Constant(value), ty, at, height: 1, negation: false }
    }

    /// An attribute; names are lower case, in whatever case they are written.
    pub fn attribute(&mut self, at: usize, word: &str) -> Result<Part, Slip> {
        let name = self.name(at, word)?;
        let ty = REQUIRED.contains(&&*name).then_some(Type::Text);
        Ok(Part { node: Node::Attribute(name), ty, at, height: 1, negation: false })
    }

    pub fn exists(&mut self, at: usize, word: &str) -> Result<Part, Slip> {
        let name = self.name(at, word)?;
        if REQUIRED.contains(&&*name) {
            return Ok(Self::constant(at, Value::Truth(true)));
        }
        Ok(Part { node: Node::Exists(name), ty: Some(Type::Truth), at, height: 1, negation: false })
    }

    fn name(&mut self, at: usize, word: &str) -> Result<Box<str>, Slip> {
        if word.contains('_') {
            return Err(Slip::new(at, format!("{word:?} is no attribute name"))
                .help("letters and digits; a function has ( after it"));
        }
        let name: Box<str> = word.to_ascii_lowercase().into();
        if &*name == "data" {
            return Err(Slip::new(at, "data is no attribute").help("the language sees attributes only"));
        }
        if !self.names.contains(&name) {
            self.names.push(name.clone());
        }
        Ok(name)
    }

    pub fn apply(&mut self, at: usize, operator: Operator, mut parts: Vec<Part>) -> Result<Part, Slip> {
        let height = grown(at, &parts)?;
        for (index, part) in parts.iter_mut().enumerate() {
            self.cast(part, operator.parameter(index));
        }
        if let (Operator::Equal { .. }, [left, right]) = (&operator, &mut *parts) {
            self.cast(left, right.ty);
        }
        let ty = Some(operator.result());
        let constants: Option<Operands<'static>> = parts.iter().map(constant).collect();
        let node = match constants.map(|operands| operator.apply(operands)) {
            Some(Ok(value)) => Node::Constant(value),
            Some(Err(cause)) => {
                let reason = match cause {
                    Cause::Math => "this leaves the range of 32 bit integers, or divides by zero,",
                    Cause::Function => "these arguments are outside of the text,",
                    _ => "this fails for every event,",
                };
                self.failures.push(Slip::new(at, reason));
                Node::Constant(operator.result().zero())
            }
            None => Node::Apply(operator, parts.into_iter().map(|part| part.node).collect()),
        };
        Ok(Part { node, ty, at, height, negation: false })
    }

    pub fn within(&mut self, at: usize, negated: bool, value: Part, mut set: Vec<Part>) -> Result<Part, Slip> {
        let height = grown(at, set.iter().chain([&value]))?;
        for element in &mut set {
            self.cast(element, value.ty);
        }
        let constants: Option<Vec<_>> = set.iter().map(constant).collect();
        let node = match (constant(&value), constants) {
            (Some(value), Some(set)) => {
                let found = set.into_iter().any(|element| is_element(&value, element) == Ok(true));
                Node::Constant(Value::Truth(found != negated))
            }
            _ => Node::Within {
                negated,
                value: Box::new(value.node),
                set: set.into_iter().map(|element| element.node).collect(),
            },
        };
        Ok(Part { node, ty: Some(Type::Truth), at, height, negation: false })
    }

    /// `left AND right`, with `any` `left OR right`; `mark` is that of before `right` was built.
    pub fn logic(&mut self, at: usize, any: bool, mut left: Part, mut right: Part, mark: usize) -> Result<Part, Slip> {
        // A chain of one operator is one node, and as high as its highest part.
        let chained = matches!(&right.node, Node::Logic { any: same, .. } if *same == any);
        let height = grown(at, [&left].into_iter().chain((!chained).then_some(&right)))?.max(right.height);
        let after_left = self.mark();
        self.cast(&mut left, Some(Type::Truth));
        let left_failed = self.mark() > after_left;
        let node = match left.node {
            Node::Constant(Value::Truth(truth)) if truth == any && !left_failed => {
                self.forget(mark);
                Node::Constant(Value::Truth(any))
            }
            left => {
                self.cast(&mut right, Some(Type::Truth));
                let mut parts = vec![left];
                match right.node {
                    Node::Logic { any: same, parts: more } if same == any => parts.extend(more),
                    other => parts.push(other),
                }
                parts.retain(|part| !matches!(part, Node::Constant(Value::Truth(truth)) if *truth != any));
                match parts.as_slice() {
                    [] => Node::Constant(Value::Truth(!any)),
                    [Node::Constant(value)] => Node::Constant(value.clone()),
                    _ => Node::Logic { any, parts },
                }
            }
        };
        Ok(Part { node, ty: Some(Type::Truth), at, height, negation: false })
    }

    /// Casts a constant; a cast that fails is one failure of the expression.
    fn cast(&mut self, part: &mut Part, ty: Option<Type>) {
        let (Some(ty), Node::Constant(value)) = (ty, &part.node) else {
            return;
        };
        let value = value.clone().cast(ty).unwrap_or_else(|_| {
            let text = value.clone().into_text();
            let what = if ty == Type::Integer { "no integer" } else { "neither true nor false" };
            let slip = Slip::new(part.at, format!("{text:?} is {what}, which is needed here,"));
            self.failures.push(slip);
            ty.zero()
        });
        part.node = Node::Constant(value);
        part.ty = Some(ty);
    }
}

fn constant(part: &Part) -> Option<Value<'static>> {
    match &part.node {
        Node::Constant(value) => Some(value.clone()),
        _ => None,
    }
}

/// The height of what has these parts.
fn grown<'p>(at: usize, parts: impl IntoIterator<Item = &'p Part>) -> Result<usize, Slip> {
    let height = 1 + parts.into_iter().map(|part| part.height).max().unwrap_or_default();
    if height > MAX_DEPTH {
        return Err(Slip::new(at, format!("nested more than {MAX_DEPTH} deep")));
    }
    Ok(height)
}
