//! What an expression implies, for the index over many filters.

use super::super::{AttributeTest, Expression, Want};
use super::node::{Node, Operator};
use super::value::Value;

/// The attributes that are text in every event, so that `IN` compares text with them.
const ALWAYS_TEXT: &[&str] = &["id", "source", "type"];

/// Tests of attributes that hold for every event to which `node` says true.
pub(super) fn necessary(node: &Node) -> Option<Expression> {
    match node {
        Node::Logic { any: false, parts } => {
            let parts: Vec<_> = parts.iter().filter_map(necessary).collect();
            (!parts.is_empty()).then_some(Expression::All(parts))
        }
        Node::Logic { any: true, parts } => parts.iter().map(necessary).collect::<Option<_>>().map(Expression::Any),
        Node::Apply(Operator::Equal { negated: false }, operands) => match operands.as_slice() {
            [Node::Attribute(name), Node::Constant(Value::Text(text))] => Some(test(name, equal(text))),
            _ => None,
        },
        Node::Apply(Operator::Like { negated: false, pattern }, operands) => match operands.as_slice() {
            [Node::Attribute(name)] => pattern.necessary().map(|want| test(name, want)),
            _ => None,
        },
        Node::Within { negated: false, value, set } => match &**value {
            Node::Attribute(name) if ALWAYS_TEXT.contains(&&**name) => {
                let tests = set.iter().map(|element| match element {
                    Node::Constant(Value::Text(text)) => Some(test(name, equal(text))),
                    _ => None,
                });
                tests.collect::<Option<_>>().map(Expression::Any)
            }
            _ => None,
        },
        _ => None,
    }
}

fn test(name: &str, want: Want) -> Expression {
    Expression::Attribute(AttributeTest::new(name, want))
}

fn equal(text: &str) -> Want {
    Want::Equal(text.into())
}
