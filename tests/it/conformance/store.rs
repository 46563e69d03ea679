//! What every [`Store`] must do.

use bytes::Bytes;
use penstock::fault::FaultKind;
use penstock::flow::{Expect, Revision, Store, Write};

use super::Backend;

fn put(key: &str, value: &str, expect: Expect) -> Write {
    Write { key: Bytes::copy_from_slice(key.as_bytes()), value: Some(Bytes::copy_from_slice(value.as_bytes())), expect }
}

fn delete(key: &str, expect: Expect) -> Write {
    Write { key: Bytes::copy_from_slice(key.as_bytes()), value: None, expect }
}

async fn read(store: &dyn Store, key: &str) -> Option<(String, Revision)> {
    let stored = store.get(key.as_bytes()).await.unwrap()?;
    assert_eq!(stored.key, key.as_bytes());
    Some((String::from_utf8(stored.value.to_vec()).unwrap(), stored.revision))
}

async fn refused(store: &dyn Store, batch: Vec<Write>) {
    assert_eq!(store.write(batch).await.unwrap_err().kind(), FaultKind::Conflict);
}

/// Conditional writes, all or none; `reopen` is called in the middle.
pub async fn a_batch_is_written_as_a_whole_or_not_at_all(backend: &dyn Backend) {
    let (bus, store) = backend.open_with_store().await;
    let store = &*store;
    assert_eq!(read(store, "a").await, None);
    let revisions = store.write(vec![put("a", "1", Expect::Absent), put("b", "", Expect::Anything)]).await.unwrap();
    assert_eq!(read(store, "a").await, Some(("1".to_owned(), revisions[0])));
    assert_eq!(read(store, "b").await, Some((String::new(), revisions[1])));

    let stale = Revision(revisions[0].0 + 1000);
    refused(store, vec![put("a", "2", Expect::Revision(revisions[0])), put("b", "2", Expect::Revision(stale))]).await;
    refused(store, vec![put("c", "1", Expect::Absent), put("a", "2", Expect::Absent)]).await;
    assert_eq!(read(store, "a").await, Some(("1".to_owned(), revisions[0])), "half a batch was written");
    assert_eq!(read(store, "c").await, None, "half a batch was written");

    let next = store.write(vec![put("a", "2", Expect::Revision(revisions[0]))]).await.unwrap();
    assert_ne!(next[0], revisions[0]);
    refused(store, vec![put("a", "3", Expect::Revision(revisions[0]))]).await;
    refused(store, vec![delete("a", Expect::Revision(revisions[0]))]).await;

    store.write(vec![delete("a", Expect::Revision(next[0]))]).await.unwrap();
    assert_eq!(read(store, "a").await, None);
    refused(store, vec![put("a", "4", Expect::Revision(next[0]))]).await;
    let again = store.write(vec![put("a", "5", Expect::Absent)]).await.unwrap();
    assert!(!next.contains(&again[0]) && !revisions.contains(&again[0]), "a revision came back");
    bus.close().await.unwrap();
}

/// One writer of many wins each round.
pub async fn of_concurrent_writers_with_one_expectation_one_wins(backend: &dyn Backend) {
    let (bus, store) = backend.open_with_store().await;
    let store = &*store;
    let mut revision = store.write(vec![put("n", "0", Expect::Anything)]).await.unwrap()[0];
    for _ in 0..20 {
        let attempts = (0..8).map(|_| store.write(vec![put("n", "x", Expect::Revision(revision))]));
        let results = futures_util::future::join_all(attempts).await;
        let won: Vec<Revision> = results.into_iter().flatten().map(|revisions| revisions[0]).collect();
        assert_eq!(won.len(), 1);
        revision = won[0];
    }
    bus.close().await.unwrap();
}

pub async fn a_scan_answers_a_prefix_in_key_order(backend: &dyn Backend) {
    let (bus, store) = backend.open_with_store().await;
    let store = &*store;
    let keys = ["p/1", "p/10", "p/2", "p", "q", "p/", "o/3"];
    store.write(keys.iter().map(|key| put(key, key, Expect::Anything)).collect()).await.unwrap();
    let scan = |prefix: &'static str, limit| async move {
        let found = store.scan(prefix.as_bytes(), limit).await.unwrap();
        found.iter().map(|stored| String::from_utf8(stored.key.to_vec()).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(scan("p/", 100).await, ["p/", "p/1", "p/10", "p/2"]);
    assert_eq!(scan("p/", 2).await, ["p/", "p/1"]);
    assert_eq!(scan("x", 100).await, [] as [&str; 0]);
    assert_eq!(scan("", 100).await, ["o/3", "p", "p/", "p/1", "p/10", "p/2", "q"]);
    bus.close().await.unwrap();
}
