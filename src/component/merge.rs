//! Several writes of one key in one batch, as one: stores take each key once, and a transaction may set
//! a key and delete it again.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use bytes::Bytes;

use crate::flow::{Expect, Write};

/// The batch with one write of each key: the last one's value, if what was there before is what the first one
/// expects. `None` when a later one expects what the earlier ones do not leave.
pub(super) fn merge(writes: Vec<Write>) -> Option<Vec<Write>> {
    let mut merged: Vec<Write> = Vec::with_capacity(writes.len());
    let mut places: HashMap<Bytes, usize> = HashMap::new();
    for write in writes {
        match places.entry(write.key.clone()) {
            Entry::Vacant(place) => {
                place.insert(merged.len());
                merged.push(write);
            }
            Entry::Occupied(place) => {
                let earlier = &mut merged[*place.get()];
                let holds = match write.expect {
                    Expect::Anything => true,
                    Expect::Absent => earlier.value.is_none(),
                    // What the batch itself wrote has no revision yet.
                    Expect::Revision(_) => false,
                };
                if !holds {
                    return None;
                }
                earlier.value = write.value;
            }
        }
    }
    Some(merged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::Revision;

    fn write(key: &'static str, value: Option<&'static str>, expect: Expect) -> Write {
        Write { key: key.into(), value: value.map(Bytes::from), expect }
    }

    #[test]
    fn the_last_value_counts_and_the_first_expectation() {
        let batch = vec![
            write("a", Some("1"), Expect::Revision(Revision(7))),
            write("b", Some("2"), Expect::Anything),
            write("a", None, Expect::Anything),
            write("a", Some("3"), Expect::Absent),
            write("b", None, Expect::Anything),
        ];
        let merged = merge(batch).unwrap();
        let told: Vec<_> = merged.iter().map(|write| (&write.key[..], write.value.as_deref(), write.expect)).collect();
        let expected =
            [(&b"a"[..], Some(&b"3"[..]), Expect::Revision(Revision(7))), (&b"b"[..], None, Expect::Anything)];
        assert_eq!(told, expected);
    }

    #[test]
    fn what_the_batch_itself_makes_impossible_is_a_conflict() {
        for later in [Expect::Absent, Expect::Revision(Revision(1))] {
            assert!(merge(vec![write("a", Some("1"), Expect::Anything), write("a", Some("2"), later)]).is_none());
        }
    }
}
