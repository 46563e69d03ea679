//! Many messages of one event each, in one call: what a Component that does not know frames is
//! published to with. daprd makes one call of it where the component can, and else many at once.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;

use super::envelope;
use crate::fault::{Fault, FaultKind};
use crate::proto::dapr_runtime::{BulkPublishRequest, BulkPublishRequestEntry, BulkPublishResponse};

/// Messages of one call: as many as daprd publishes at once where the component cannot take them together.
const MAX_ENTRIES: usize = 100;

/// Half of what daprd takes in one call.
const MAX_BYTES: usize = 2 << 20;

/// The messages of each call, in order. A message that is too large for a call with others goes alone.
pub(super) fn split(messages: &[Bytes]) -> impl Iterator<Item = &[Bytes]> {
    let mut rest = messages;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |(index, message): &(usize, &Bytes)| {
            bytes += message.len();
            *index == 0 || (*index < MAX_ENTRIES && bytes <= MAX_BYTES)
        };
        let (part, left) = rest.split_at(rest.iter().enumerate().take_while(fits).count());
        rest = left;
        (!part.is_empty()).then_some(part)
    })
}

/// The call that publishes these messages.
pub(super) fn request(component: &str, topic: &str, part: &[Bytes]) -> BulkPublishRequest {
    let entry = |(index, message): (usize, &Bytes)| BulkPublishRequestEntry {
        entry_id: index.to_string(),
        event: message.clone(),
        content_type: envelope::CONTENT_TYPE.to_owned(),
        metadata: BTreeMap::new(),
    };
    BulkPublishRequest {
        pubsub_name: component.to_owned(),
        topic: topic.to_owned(),
        entries: part.iter().enumerate().map(entry).collect(),
        metadata: BTreeMap::new(),
    }
}

/// What became of each of the `count` messages of a call.
pub(super) fn answers(response: &BulkPublishResponse, count: usize) -> Vec<Result<(), Fault>> {
    let failed = response.failed_entries.iter().map(|failed| (failed.entry_id.as_str(), failed.error.as_str()));
    let failed: HashMap<&str, &str> = failed.collect();
    let answer = |index: usize| match failed.get(index.to_string().as_str()) {
        None => Ok(()),
        Some(error) => Err(Fault::new(FaultKind::Unavailable, "publish", *error)),
    };
    (0..count).map(answer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_bounded_by_count_and_by_bytes() {
        let parts = |sizes: &[usize]| {
            let messages: Vec<Bytes> = sizes.iter().map(|size| vec![0; *size].into()).collect();
            split(&messages).map(<[Bytes]>::len).collect::<Vec<_>>()
        };
        assert_eq!(parts(&[]), [0; 0]);
        assert_eq!(parts(&[1; 250]), [100, 100, 50]);
        assert_eq!(parts(&[MAX_BYTES, 1, MAX_BYTES - 1, 1]), [1, 2, 1]);
        assert_eq!(parts(&[MAX_BYTES + 1, MAX_BYTES + 1]), [1, 1]);
    }
}
