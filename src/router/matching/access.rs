//! What must be true of an event for a filter to say yes.

use crate::router::filter::{Comparator, DataTest, Expression, Want, Wanted};

/// One fact about an event. A filter has several when one of them suffices.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Key<'f> {
    Equal {
        name: &'f str,
        wanted: &'f str,
    },
    Prefix {
        name: &'f str,
        wanted: &'f str,
    },
    Suffix {
        name: &'f str,
        wanted: &'f str,
    },
    /// The value at a path contains these bytes, or there is no payload.
    Literal {
        slot: usize,
        literal: &'f [u8],
    },
    /// The number at a path equals, is at least, or is at most a bound, or there is no payload. (The
    /// bound itself is let through; the filter knows whether it counts.)
    Number {
        slot: usize,
        relation: Relation,
        bound: f64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    Equal,
    AtLeast,
    AtMost,
}

/// The most alternatives under which one filter is indexed: more would cost more memory than the
/// evaluation they save.
const MAX_KEYS: usize = 256;

/// The facts of which at least one is true whenever `expression` says yes; nothing when there are
/// none that can be looked up.
pub(super) fn keys(expression: &Expression) -> Option<Vec<Key<'_>>> {
    match expression {
        // Each part is necessary, so the most selective one will do.
        Expression::All(parts) => parts.iter().filter_map(keys).min_by_key(|keys| cost(keys)),
        Expression::Any(parts) => {
            let all: Option<Vec<_>> = parts.iter().map(keys).collect();
            let all: Vec<_> = all?.into_iter().flatten().collect();
            (all.len() <= MAX_KEYS).then_some(all)
        }
        Expression::Attribute(test) => {
            let name = &*test.name;
            Some(vec![match &test.want {
                Want::Equal(wanted) => Key::Equal { name, wanted },
                Want::Prefix(wanted) => Key::Prefix { name, wanted },
                Want::Suffix(wanted) => Key::Suffix { name, wanted },
                Want::Present => return None,
            }])
        }
        Expression::Data(test) => data(test),
        Expression::Cesql(cesql) => cesql.implied().and_then(keys),
        Expression::Not(_) | Expression::Time(_) | Expression::Expr(_) | Expression::Script(_) | Expression::Cel(_) => {
            None
        }
    }
}

fn data(test: &DataTest) -> Option<Vec<Key<'_>>> {
    // A template makes another value of it.
    let slot = test.slot().filter(|_| test.is_plain())?;
    let keys: Vec<_> = match &test.wanted {
        Wanted::Text { patterns, negated: false } => patterns
            .iter()
            .map(|pattern| {
                let literal = pattern.literal().filter(|literal| !literal.is_empty())?;
                Some(Key::Literal { slot, literal })
            })
            .collect::<Option<_>>()?,
        Wanted::Number { comparator, values } => {
            let relation = match comparator {
                Comparator::Equal => Relation::Equal,
                Comparator::Greater | Comparator::GreaterOrEqual => Relation::AtLeast,
                Comparator::Less | Comparator::LessOrEqual => Relation::AtMost,
                Comparator::NotEqual => return None,
            };
            values.iter().map(|bound| Key::Number { slot, relation, bound: *bound }).collect()
        }
        Wanted::Text { negated: true, .. } | Wanted::Truth { .. } => return None,
    };
    (keys.len() <= MAX_KEYS).then_some(keys)
}

/// How many events a set of keys is likely to let through, as a rank.
fn cost(keys: &[Key<'_>]) -> u8 {
    let rank = |key: &Key<'_>| match key {
        Key::Equal { .. } => 0,
        Key::Number { relation: Relation::Equal, .. } | Key::Literal { .. } => 1,
        Key::Prefix { .. } | Key::Suffix { .. } => 2,
        Key::Number { .. } => 3,
    };
    keys.iter().map(rank).max().unwrap_or_default()
}
