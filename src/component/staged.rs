//! Writes that were put down in parts, because one call of daprd does not take them.

use bytes::Bytes;
use prost::Message as _;
use tonic::Status;

use super::state::name;
use super::status::status;
use crate::fault::{Fault, FaultKind};
use crate::flow::{Expect, Revision, Store, Write};
use crate::frame::staged::{PLACE, part};
use crate::proto::penstock::change::Expect as Expected;
use crate::proto::penstock::{Batch, Change, StateValue};

/// What the batch under this key, of so many parts, writes; and the end of its parts.
pub(super) async fn writes(store: &dyn Store, key: &str, parts: usize) -> Result<Vec<Write>, Status> {
    // daprd may have put something before the key, which then stands before the keys of the batch, too.
    let Some((before, _)) = key.rsplit_once(PLACE) else {
        return Err(Status::invalid_argument(format!("{key:?} is no key of a batch: {PLACE:?} is not in it")));
    };
    let mut message = Vec::new();
    let mut writes = Vec::new();
    for number in 0..parts {
        let key = name(&part(key, number));
        let found = store.get(&key).await.map_err(|fault| status(&fault))?;
        // A lost part is no reason to give the whole up: it is put down again.
        let lost = || Fault::new(FaultKind::Unavailable, "make a batch", format!("its part {number} is not there"));
        let found = found.ok_or_else(|| status(&lost()))?;
        let value = StateValue::decode(found.value).map_err(|error| unreadable(&error))?;
        message.extend_from_slice(&value.value);
        writes.push(Write { key, value: None, expect: Expect::Anything });
    }
    let batch = Batch::decode(Bytes::from(message)).map_err(|error| unreadable(&error))?;
    writes.extend(batch.changes.into_iter().map(|Change { key, value, expect }| Write {
        key: name(&format!("{before}{key}")),
        value: value.map(|value| StateValue { value, ..StateValue::default() }.encode_to_vec().into()),
        expect: match expect {
            None => Expect::Anything,
            Some(Expected::Absent(_)) => Expect::Absent,
            Some(Expected::Revision(revision)) => Expect::Revision(Revision(revision)),
        },
    }));
    Ok(writes)
}

fn unreadable(error: &prost::DecodeError) -> Status {
    Status::invalid_argument(format!("a batch cannot be read: {error}"))
}
