use prost::Message as _;

use super::*;
use crate::flow::Group;
use crate::frame::Question;
use crate::frame::staged::{self, PLACE};
use crate::proto::dapr_components::state_options::StateConcurrency;
use crate::proto::dapr_components::state_store_client::StateStoreClient;
use crate::proto::dapr_components::transactional_state_operation::Request as Operation;
use crate::proto::dapr_components::transactional_state_store_client::TransactionalStateStoreClient;
use crate::proto::dapr_components::{
    BulkDeleteRequest, BulkGetRequest, BulkSetRequest, DeleteRequest, Etag, GetRequest, GetResponse, SetRequest,
    StateOptions, TransactionalStateOperation, TransactionalStateRequest,
};
use crate::proto::penstock::answer::Answer as Content;
use crate::proto::penstock::change::Expect as Expected;
use crate::proto::penstock::{Answer, Batch, Change, Count};
use crate::proto::rpc;

fn set(key: &str, value: &'static str) -> SetRequest {
    SetRequest { key: key.to_owned(), value: value.into(), ..SetRequest::default() }
}

fn etag(value: &str) -> Etag {
    Etag { value: value.to_owned() }
}

fn client(served: &Served) -> StateStoreClient<Channel> {
    StateStoreClient::new(served.channel.clone())
}

async fn get(served: &Served, key: &str) -> GetResponse {
    let request = GetRequest { key: key.to_owned(), ..GetRequest::default() };
    client(served).get(named("bus", request)).await.unwrap().into_inner()
}

async fn put(served: &Served, set: SetRequest) -> Result<(), Status> {
    client(served).set(named("bus", set)).await.map(|_| ())
}

/// The one detail that daprd looks for.
fn detail(status: &Status, name: &str) -> bytes::Bytes {
    let details = rpc::Status::decode(status.details()).unwrap().details;
    assert_eq!(details.len(), 1);
    assert_eq!(details[0].type_url, format!("type.googleapis.com/google.rpc.{name}"));
    details[0].value.clone().into()
}

fn assert_etag_error(status: &Status, code: Code) {
    assert_eq!(status.code(), code);
    let request = rpc::BadRequest::decode(detail(status, "BadRequest")).unwrap();
    let fields: Vec<_> = request.field_violations.iter().map(|violation| violation.field.as_str()).collect();
    assert_eq!(fields, ["etag"]);
}

#[tokio::test]
async fn a_value_comes_back_with_an_etag_that_guards_it() {
    let (_bus, served) = served().await;
    assert_eq!(get(&served, "k").await, GetResponse::default());
    put(&served, set("k", "one")).await.unwrap();
    let first = get(&served, "k").await;
    assert_eq!(first.data, "one");
    put(&served, SetRequest { etag: first.etag.clone(), ..set("k", "two") }).await.unwrap();
    let stale = put(&served, SetRequest { etag: first.etag.clone(), ..set("k", "three") }).await.unwrap_err();
    assert_etag_error(&stale, Code::FailedPrecondition);
    let foreign = put(&served, SetRequest { etag: Some(etag("x")), ..set("k", "three") }).await.unwrap_err();
    assert_etag_error(&foreign, Code::InvalidArgument);
    let delete = |etag| DeleteRequest { key: "k".to_owned(), etag, ..DeleteRequest::default() };
    let stale = client(&served).delete(named("bus", delete(first.etag))).await.unwrap_err();
    assert_etag_error(&stale, Code::FailedPrecondition);
    assert_eq!(get(&served, "k").await.data, "two");
    client(&served).delete(named("bus", delete(None))).await.unwrap();
    client(&served).delete(named("bus", delete(Some(etag(""))))).await.unwrap();
    assert_eq!(get(&served, "k").await, GetResponse::default());
}

#[tokio::test]
async fn the_first_write_wins_until_its_time_is_over() {
    let (_bus, served) = served().await;
    let options = StateOptions { concurrency: StateConcurrency::ConcurrencyFirstWrite.into(), consistency: 0 };
    let first = |value| SetRequest { options: Some(options), ..set("k", value) };
    put(&served, SetRequest { metadata: map(&[("ttlInSeconds", "10")]), ..first("one") }).await.unwrap();
    assert_etag_error(&put(&served, first("two")).await.unwrap_err(), Code::FailedPrecondition);
    assert_eq!(get(&served, "k").await.metadata, map(&[("ttlExpireTime", "1970-01-01T00:00:10Z")]));
    served.clock.advance(Duration::from_secs(11));
    assert_eq!(get(&served, "k").await, GetResponse::default());
    put(&served, first("two")).await.unwrap();
    assert_eq!(get(&served, "k").await.data, "two");
}

#[tokio::test]
async fn a_value_whose_time_is_over_is_deleted_and_one_that_was_written_again_is_not() {
    let (folder, served) = served().await;
    let brief = |key, seconds| SetRequest { metadata: map(&[("ttlInSeconds", seconds)]), ..set(key, "x") };
    for (key, seconds) in [("gone", "10"), ("kept", "10"), ("later", "20"), ("longer", "10"), ("longer", "30")] {
        put(&served, brief(key, seconds)).await.unwrap();
    }
    put(&served, SetRequest { value: "y".into(), ..brief("kept", "-1") }).await.unwrap();
    let keys = async || {
        let stored = folder.bus.scan(b"dapr", 100).await.unwrap();
        stored.iter().map(|stored| String::from_utf8_lossy(&stored.key).into_owned()).collect::<Vec<_>>()
    };
    assert_eq!(keys().await.len(), 9);
    served.clock.advance(Duration::from_secs(11));
    assert_eq!(expiry::sweep(folder.bus.as_ref(), served.clock.now()).await.unwrap(), 1);
    let left = keys().await;
    let values: Vec<_> = left.iter().map(String::as_str).filter(|key| !key.starts_with("dapr-expiry/")).collect();
    assert_eq!((values, left.len()), (vec!["dapr/kept", "dapr/later", "dapr/longer"], 5));
    served.clock.advance(Duration::from_secs(60));
    assert_eq!(expiry::sweep(folder.bus.as_ref(), served.clock.now()).await.unwrap(), 2);
    assert_eq!(keys().await, ["dapr/kept"]);
    assert_eq!(get(&served, "kept").await.data, "y");
}

#[tokio::test]
async fn many_are_changed_together_or_not_at_all() {
    let (_bus, served) = served().await;
    let items = vec![set("a", "1"), set("b", "2")];
    client(&served).bulk_set(named("bus", BulkSetRequest { items, options: None })).await.unwrap();
    let a = get(&served, "a").await.etag;

    let transact = |operations: Vec<Operation>| {
        let operations =
            operations.into_iter().map(|request| TransactionalStateOperation { request: Some(request) }).collect();
        let mut client = TransactionalStateStoreClient::new(served.channel.clone());
        async move {
            let request = TransactionalStateRequest { operations, ..TransactionalStateRequest::default() };
            client.transact(named("bus", request)).await.map(|_| ())
        }
    };
    let delete = |key: &str, etag| DeleteRequest { key: key.to_owned(), etag, ..DeleteRequest::default() };
    let stale = vec![Operation::Set(set("c", "3")), Operation::Delete(delete("b", a.clone()))];
    transact(stale).await.unwrap_err();
    assert_eq!(get(&served, "c").await.data, "");
    transact(vec![Operation::Set(set("c", "3")), Operation::Delete(delete("b", None))]).await.unwrap();

    let keys = ["a", "b", "c"].map(|key| GetRequest { key: key.to_owned(), ..GetRequest::default() });
    let request = BulkGetRequest { items: keys.into(), options: None };
    let items = client(&served).bulk_get(named("bus", request)).await.unwrap().into_inner().items;
    let found: Vec<_> = items.iter().map(|item| (item.key.as_str(), &item.data[..], item.etag.is_some())).collect();
    assert_eq!(found, [("a", &b"1"[..], true), ("b", b"", false), ("c", b"3", true)]);

    let items = vec![delete("a", Some(etag("999"))), delete("c", None)];
    let rows = client(&served).bulk_delete(named("bus", BulkDeleteRequest { items, options: None })).await;
    let rows = rows.unwrap_err();
    assert_eq!(rows.code(), Code::Internal);
    let info = rpc::ErrorInfo::decode(detail(&rows, "ErrorInfo")).unwrap();
    assert_eq!(info.metadata, map(&[("expected", "2"), ("affected", "0")]));
    let items = vec![delete("a", a), delete("c", None)];
    client(&served).bulk_delete(named("bus", BulkDeleteRequest { items, options: None })).await.unwrap();
    assert_eq!(get(&served, "c").await, GetResponse::default());
}

async fn ask(served: &Served, key: &str, question: &Question) -> Content {
    let request = GetRequest { key: key.to_owned(), metadata: question.metadata(), ..GetRequest::default() };
    let answer = client(served).get(named("bus", request)).await.unwrap().into_inner();
    Answer::decode(answer.data).unwrap().answer.unwrap()
}

#[tokio::test]
async fn values_are_listed_by_the_beginning_of_their_keys_in_answers_that_daprd_takes() {
    let (_bus, served) = served().await;
    let large = "x".repeat(600_000);
    for key in ["app||a/1", "app||a/2", "app||a/3", "app||b/1"] {
        put(&served, SetRequest { value: large.clone().into(), ..set(key, "") }).await.unwrap();
    }
    put(&served, SetRequest { metadata: map(&[("ttlInSeconds", "10")]), ..set("app||a/4", "y") }).await.unwrap();
    served.clock.advance(Duration::from_secs(11));
    let (mut question, mut found, mut answers) = (Question::Scan(usize::MAX), Vec::new(), 0);
    loop {
        let Content::Page(page) = ask(&served, "app||a/", &question).await else { panic!("no page") };
        answers += 1;
        found.extend(page.entries.into_iter().map(|entry| (entry.rest, entry.value.len())));
        if page.rest == 0 {
            break;
        }
        question = Question::Rest(page.rest);
    }
    assert_eq!(found, [("1".to_owned(), 600_000), ("2".to_owned(), 600_000), ("3".to_owned(), 600_000)]);
    assert_eq!(answers, 3);
    let Content::Page(none) = ask(&served, "app||c/", &Question::Scan(9)).await else { panic!("no page") };
    assert!(none.entries.is_empty());
    let unknown = GetRequest { metadata: map(&[("penstockAsk", "why")]), ..GetRequest::default() };
    let refused = client(&served).get(named("bus", unknown)).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_router_is_told_about_the_bus() {
    let (_bus, served) = served().await;
    let topic = Topic::new("t").unwrap();
    let Content::About(about) = ask(&served, "x", &Question::About).await else { panic!("no answer") };
    assert!(about.readable && about.max_event_bytes > 1 << 20, "{about:?}");
    let Content::End(end) = ask(&served, "x", &Question::End(topic.clone())).await else { panic!("no answer") };
    assert!(end.position.is_none() && end.time > 0, "{end:?}");
    let Content::Begin(begin) = ask(&served, "x", &Question::Begin(topic.clone())).await else { panic!("no answer") };
    assert!(begin.position.is_none());
    let behind = ask(&served, "x", &Question::Behind(topic.clone(), None)).await;
    assert_eq!(behind, Content::Count(Count { events: Some(0) }));
    let lag = ask(&served, "x", &Question::Lag(topic, Group::new("nobody").unwrap())).await;
    assert_eq!(lag, Content::Count(Count { events: None }));
}

#[tokio::test]
async fn writes_that_were_put_down_in_parts_are_made_together() {
    let (folder, served) = served().await;
    put(&served, set("app||held", "old")).await.unwrap();
    let change = |key: &str, value: Option<&'static str>, expect| Change {
        key: key.to_owned(),
        value: value.map(bytes::Bytes::from),
        expect,
    };
    let make = async |name: &str, guard: Expected| {
        let changes = vec![change("head", Some("mine"), Some(guard)), change("held", None, None)];
        let message = Batch { changes }.encode_to_vec();
        let key = format!("app||{PLACE}{name}");
        let parts: Vec<_> = message.chunks(7).collect();
        for (number, bytes) in parts.iter().enumerate() {
            let value = bytes.to_vec().into();
            let part = SetRequest { value, metadata: staged::fleeting(), ..set(&staged::part(&key, number), "") };
            put(&served, part).await.unwrap();
        }
        let request = Some(Operation::Set(SetRequest { metadata: staged::made_of(parts.len()), ..set(&key, "") }));
        let operations = vec![TransactionalStateOperation { request }];
        let request = TransactionalStateRequest { operations, ..TransactionalStateRequest::default() };
        let mut client = TransactionalStateStoreClient::new(served.channel.clone());
        client.transact(named("bus", request)).await
    };
    let stale = make("one", Expected::Revision(7)).await.unwrap_err();
    assert_etag_error(&stale, Code::FailedPrecondition);
    assert_eq!(get(&served, "app||held").await.data, "old");
    make("two", Expected::Absent(true)).await.unwrap();
    assert_eq!(get(&served, "app||head").await.data, "mine");
    assert_eq!(get(&served, "app||held").await, GetResponse::default());
    let left = folder.bus.scan(format!("dapr/app||{PLACE}two").as_bytes(), 10).await.unwrap();
    assert!(left.is_empty(), "its parts are gone");
}
