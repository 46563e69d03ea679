//! Parts of an expression: how operators bind, and what they take as far as that is known.

use super::super::slip::Slip;
use super::MAX_DEPTH;
use super::node::{Binary, Node};
use super::value::Type;

/// How tightly the binary operators bind, the weakest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Comparison,
    Bits,
    Shift,
    Additive,
    Multiplicative,
    Power,
    Unary,
}

/// The binary operators: how tightly each binds, and how tightly what is right of it must.
pub(super) const BINARIES: &[(&str, Level, Level, Binary)] = &[
    ("==", Level::Comparison, Level::Bits, Binary::Equal),
    ("!=", Level::Comparison, Level::Bits, Binary::NotEqual),
    ("<", Level::Comparison, Level::Bits, Binary::Less),
    ("<=", Level::Comparison, Level::Bits, Binary::LessOrEqual),
    (">", Level::Comparison, Level::Bits, Binary::Greater),
    (">=", Level::Comparison, Level::Bits, Binary::GreaterOrEqual),
    ("&", Level::Bits, Level::Shift, Binary::And),
    ("|", Level::Bits, Level::Shift, Binary::Or),
    ("^", Level::Bits, Level::Shift, Binary::Xor),
    ("<<", Level::Shift, Level::Additive, Binary::ShiftLeft),
    (">>", Level::Shift, Level::Additive, Binary::ShiftRight),
    ("+", Level::Additive, Level::Multiplicative, Binary::Add),
    ("-", Level::Additive, Level::Multiplicative, Binary::Subtract),
    ("*", Level::Multiplicative, Level::Power, Binary::Multiply),
    ("/", Level::Multiplicative, Level::Power, Binary::Divide),
    ("%", Level::Multiplicative, Level::Power, Binary::Remainder),
    ("**", Level::Power, Level::Unary, Binary::Power),
];

/// A part of an expression that was read.
pub(super) struct Part {
    pub node: Node,
    /// What it gives, when that does not depend on the event.
    pub ty: Option<Type>,
    pub at: usize,
    pub height: usize,
}

/// An operator between two parts, refused when it is known not to take them.
pub(super) fn combine(at: usize, operator: Binary, left: Part, right: Part) -> Result<Part, Slip> {
    let types = (left.ty, right.ty);
    let differ = matches!(types, (Some(left), Some(right)) if left != right);
    let ty = if operator.is_equality() || operator.is_order() {
        let unordered = operator.is_order() && (types.0 == Some(Type::Truth) || types.1 == Some(Type::Truth));
        if differ || unordered {
            let name = |ty: Option<Type>| ty.map_or("a field", Type::name);
            let message = format!("{} and {} cannot be compared so", name(types.0), name(types.1));
            return Err(Slip::new(at, message));
        }
        Some(Type::Truth)
    } else if operator == Binary::Add {
        sum(&left, &right)?
    } else {
        need(&left, Type::Number)?;
        need(&right, Type::Number)?;
        Some(Type::Number)
    };
    let (begin, height) = (left.at, grown(at, [&left, &right])?);
    Ok(Part { node: Node::Binary(operator, Box::new((left.node, right.node))), ty, at: begin, height })
}

/// The type of a sum: a text joins with everything, else both are numbers.
fn sum(left: &Part, right: &Part) -> Result<Option<Type>, Slip> {
    if left.ty == Some(Type::Text) || right.ty == Some(Type::Text) {
        return Ok(Some(Type::Text));
    }
    if left.ty.is_none() || right.ty.is_none() {
        return Ok(None);
    }
    need(left, Type::Number)?;
    need(right, Type::Number)?;
    Ok(Some(Type::Number))
}

/// Refuses a part that is known to be of another type than `ty`.
pub(super) fn need(part: &Part, ty: Type) -> Result<(), Slip> {
    match part.ty {
        Some(found) if found != ty => {
            Err(Slip::new(part.at, format!("this is {}, and {} is needed", found.name(), ty.name())))
        }
        _ => Ok(()),
    }
}

/// The height of what has these parts.
pub(super) fn grown<'p>(at: usize, parts: impl IntoIterator<Item = &'p Part>) -> Result<usize, Slip> {
    let height = 1 + parts.into_iter().map(|part| part.height).max().unwrap_or_default();
    if height > MAX_DEPTH { Err(too_deep(at)) } else { Ok(height) }
}

pub(super) fn too_deep(at: usize) -> Slip {
    Slip::new(at, format!("nested more than {MAX_DEPTH} deep"))
}
