use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::*;
use crate::fault::FaultKind;
use crate::flow::{Expect, Revision, Store as _, Write};

fn write(key: &'static str, value: Option<&'static str>, expect: Expect) -> Write {
    Write { key: key.into(), value: value.map(Bytes::from), expect }
}

async fn versions(prefix: &str) {
    let daprd = Daprd::start();
    prefix.clone_into(&mut daprd.state.etag_prefix.lock().unwrap());
    let store = Store::new(daprd.connect(), "state");
    assert!(store.get(b"a||b").await.unwrap().is_none());
    let first = store.write(vec![write("a||b", Some("1"), Expect::Absent)]).await.unwrap()[0];
    let found = store.get(b"a||b").await.unwrap().unwrap();
    assert_eq!((&*found.key, &*found.value, found.revision), (b"a||b".as_slice(), b"1".as_slice(), first));
    assert!(daprd.state.values.lock().unwrap().contains_key("a%7C%7Cb"));
    let again = store.write(vec![write("a||b", Some("2"), Expect::Absent)]).await.unwrap_err();
    assert_eq!(again.kind(), FaultKind::Conflict);
    let second = store.write(vec![write("a||b", Some("2"), Expect::Revision(first))]).await.unwrap()[0];
    let stale = store.write(vec![write("a||b", None, Expect::Revision(first))]).await.unwrap_err();
    assert_eq!(stale.kind(), FaultKind::Conflict);
    store.write(vec![write("a||b", None, Expect::Revision(second))]).await.unwrap();
    assert!(store.get(b"a||b").await.unwrap().is_none());
}

#[tokio::test]
async fn a_write_holds_only_on_the_version_that_it_expects() {
    versions("").await;
    versions("etag-").await;
}

#[tokio::test]
async fn several_writes_are_one_transaction() {
    let daprd = Daprd::start();
    let store = Store::new(daprd.connect(), "state");
    store.write(vec![write("a", Some("1"), Expect::Absent), write("b", Some("1"), Expect::Anything)]).await.unwrap();
    let batch = vec![write("b", Some("2"), Expect::Anything), write("a", Some("2"), Expect::Absent)];
    assert_eq!(store.write(batch).await.unwrap_err().kind(), FaultKind::Conflict);
    assert_eq!(&*store.get(b"b").await.unwrap().unwrap().value, b"1");
    let unknown = vec![write("a", None, Expect::Revision(Revision(0)))];
    assert_eq!(store.write(unknown).await.unwrap_err().kind(), FaultKind::Conflict);
    assert_eq!(store.scan(b"", 10).await.unwrap_err().kind(), FaultKind::Unsupported);
}

#[tokio::test]
async fn a_write_that_nobody_heard_of_is_found_when_it_is_tried_again() {
    let daprd = Daprd::start();
    let store = Store::new(daprd.connect(), "state");
    let batch = || vec![write("head", Some("1"), Expect::Absent), write("out", Some("x"), Expect::Anything)];
    daprd.state.mute.store(true, Ordering::SeqCst);
    let unheard = store.write(batch()).await.unwrap_err();
    assert!(unheard.is_retryable() && unheard.kind() != FaultKind::Conflict, "{unheard}");
    daprd.state.mute.store(false, Ordering::SeqCst);
    let revision = store.write(batch()).await.unwrap()[0];
    assert_eq!(store.get(b"head").await.unwrap().unwrap().revision, revision);
    // It is in doubt no more, and somebody else's is no own one.
    assert_eq!(store.write(batch()).await.unwrap_err().kind(), FaultKind::Conflict);
}
