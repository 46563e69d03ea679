use std::collections::BTreeMap;

use tonic::Status;

use super::*;
use crate::fault::{Fault, FaultKind};
use crate::flow::{Bus as _, Published, Sink as _};
use crate::frame::{self, Terms};
use crate::proto::dapr_runtime::{BulkPublishResponse, BulkPublishResponseFailedEntry};

#[tokio::test]
async fn a_batch_is_published_as_a_frame_for_each_of_its_terms() {
    let daprd = Daprd::start();
    let later = Outgoing { delay: Some(Duration::from_secs(2)), deduplicate: Deduplicate::Attempt(3), ..outgoing("3") };
    let batch = vec![outgoing("1"), outgoing("2"), later];
    let answers = bus(&daprd, Frames::On).publish(&topic(), batch).await;
    let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    assert!(matches!(answers[..], [Published::At(_), Published::At(_), Published::Delayed]), "{answers:?}");
    let published = daprd.state.published.lock().unwrap().clone();
    let told: Vec<_> = published
        .iter()
        .map(|request| {
            let ids: Vec<_> = frame::read(request.data.clone()).unwrap().iter().map(|e| e.id().to_owned()).collect();
            let terms = Terms::read(&request.metadata).unwrap().unwrap();
            assert_eq!((&*request.pubsub_name, &*request.topic), ("bus", "orders"));
            (ids.join(" "), terms.delay, terms.deduplicate)
        })
        .collect();
    let delay = Some(Duration::from_secs(2));
    assert_eq!(told, [("1 2".into(), None, Deduplicate::Event), ("3".into(), delay, Deduplicate::Attempt(3))]);
}

#[tokio::test]
async fn an_error_answers_for_every_event_of_its_frame_and_what_is_too_large_for_itself() {
    let daprd = Daprd::start();
    let large = Draft::new("large", "/shop", "order").data(Data::Binary(&vec![0; 4 << 20])).build().unwrap();
    let large = Outgoing { event: large, ..outgoing("x") };
    let bus = bus(&daprd, Frames::On);
    *daprd.state.refuse_publish.lock().unwrap() = Some(Status::internal("the broker is down"));
    let answers = bus.publish(&topic(), vec![outgoing("1"), large, outgoing("2")]).await;
    let kinds: Vec<_> = answers.into_iter().map(|answer| answer.unwrap_err().kind()).collect();
    assert_eq!(kinds, [FaultKind::Unavailable, FaultKind::TooLarge, FaultKind::Unavailable]);
}

#[tokio::test]
async fn without_frames_each_event_is_one_message_of_exact_bytes() {
    let daprd = Daprd::start();
    let bus = bus(&daprd, Frames::Off);
    let delayed = Outgoing { delay: Some(Duration::from_secs(1)), ..outgoing("2") };
    let answers = bus.publish(&topic(), vec![outgoing("1"), delayed]).await;
    assert!(answers[0].is_ok());
    assert_eq!(answers[1].as_ref().unwrap_err().kind(), FaultKind::Unsupported);
    let published = daprd.state.published.lock().unwrap().clone();
    let [request] = &published[..] else { panic!("{published:?}") };
    assert_eq!(request.data_content_type, "application/cloudevents+json");
    let value: serde_json::Value = serde_json::from_slice(&request.data).unwrap();
    assert_eq!((&value["id"], &value["data_base64"]), (&"1".into(), &"eyJhIjoxfQ==".into()));
    assert!(!bus.capability().delayed && !bus.capability().deduplicated);
}

#[tokio::test]
async fn a_frame_is_packed_until_the_component_turns_out_to_be_older() {
    let daprd = Daprd::start();
    let bus = bus(&daprd, Frames::On);
    for old in [false, true, false] {
        daprd.state.old.store(old, std::sync::atomic::Ordering::SeqCst);
        let batch = (0..100).map(|number| outgoing(&number.to_string())).collect();
        assert!(bus.publish(&topic(), batch).await.iter().all(Result::is_ok));
    }
    let published = daprd.state.published.lock().unwrap().clone();
    let packed: Vec<bool> = published.iter().map(|request| frame::is_packed(&request.data)).collect();
    assert_eq!(packed, [true, false, false]);
    assert!(published.iter().all(|request| frame::read(request.data.clone()).unwrap().len() == 100));
}

#[tokio::test]
async fn without_frames_many_events_are_one_call_and_each_has_its_answer() {
    let daprd = Daprd::start();
    let failed = BulkPublishResponseFailedEntry { entry_id: "1".into(), error: "full".into() };
    *daprd.state.bulk_answer.lock().unwrap() = Some(BulkPublishResponse { failed_entries: vec![failed] });
    let bus = bus(&daprd, Frames::Off);
    let delayed = Outgoing { delay: Some(Duration::from_secs(1)), ..outgoing("2") };
    let answers = bus.publish(&topic(), vec![outgoing("1"), delayed, outgoing("3"), outgoing("4")]).await;
    let kinds: Vec<_> = answers.iter().map(|answer| answer.as_ref().err().map(Fault::kind)).collect();
    assert_eq!(kinds, [None, Some(FaultKind::Unsupported), Some(FaultKind::Unavailable), None]);
    let bulks = daprd.state.bulks.lock().unwrap().clone();
    let [bulk] = &bulks[..] else { panic!("{bulks:?}") };
    assert_eq!((&*bulk.pubsub_name, &*bulk.topic, bulk.entries.len()), ("bus", "orders", 3));
    assert!(daprd.state.published.lock().unwrap().is_empty());
}

#[tokio::test]
async fn when_a_bulk_publish_fails_as_a_whole_each_event_goes_alone() {
    let daprd = Daprd::start();
    let bus = bus(&daprd, Frames::Off);
    let answers = bus.publish(&topic(), vec![outgoing("1"), outgoing("2")]).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!((daprd.state.bulks.lock().unwrap().len(), daprd.state.published.lock().unwrap().len()), (1, 2));
}

#[tokio::test]
async fn every_call_shows_the_token() {
    let daprd = Daprd::start();
    let connection = daprd.connect_with(Some("secret"));
    let about = connection.ready().await.unwrap();
    assert_eq!(about.component("bus").unwrap().ty, "pubsub.eventbus.embedded");
    assert_eq!(*daprd.state.tokens.lock().unwrap(), [Some("secret".to_owned())]);
}

#[tokio::test]
async fn a_binding_gets_the_data_and_the_attributes_as_headers() {
    let daprd = Daprd::start();
    let metadata: BTreeMap<String, String> = [("key".into(), "k".into()), ("Ce-Subject".into(), "mine".into())].into();
    let sink = Binding::new(daprd.connect(), "out", None, metadata.clone(), false);
    assert_eq!(sink.deliver(&event("1")).await.unwrap().code, Some(201));
    let structured = Binding::new(daprd.connect(), "out", Some("post"), metadata, true);
    structured.deliver(&event("1")).await.unwrap();
    let invoked = daprd.state.invoked.lock().unwrap().clone();
    let [plain, structured] = &invoked[..] else { panic!("{invoked:?}") };
    assert_eq!((&*plain.name, &*plain.operation, &*plain.data), ("out", "create", b"{\"a\":1}".as_slice()));
    let header = |name: &str| plain.metadata[name].as_str();
    assert_eq!((header("Ce-id"), header("Content-type"), header("key")), ("1", "application/json", "k"));
    let value: serde_json::Value = serde_json::from_slice(&structured.data).unwrap();
    assert_eq!((&*structured.operation, &value["data"]["a"]), ("post", &1.into()));
    assert_eq!(sink.address(), "binding:out");
}

#[tokio::test]
async fn another_pubsub_gets_the_event_and_its_refusal_is_told() {
    let daprd = Daprd::start();
    let sink = PubSub::new(daprd.connect(), "theirs", "t", BTreeMap::new());
    sink.deliver(&event("1")).await.unwrap();
    let published = daprd.state.published.lock().unwrap().clone();
    let value: serde_json::Value = serde_json::from_slice(&published[0].data).unwrap();
    assert_eq!((&*published[0].pubsub_name, &value["data"]["a"]), ("theirs", &1.into()));
    *daprd.state.refuse_publish.lock().unwrap() = Some(Status::permission_denied("topic t is not allowed"));
    let fault = sink.deliver(&event("1")).await.unwrap_err();
    assert_eq!((fault.kind(), fault.is_retryable()), (FaultKind::Denied, false));
}
