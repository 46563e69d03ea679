//! A bus as Dapr apps use it, and with frames as our own ends do.

use std::collections::BTreeMap;

use penstock::event::{Data, Draft, Event};
use penstock::flow::Deduplicate;
use penstock::frame::{self, Ask, Terms};
use penstock::proto::dapr_runtime::topic_event_response::TopicEventResponseStatus as Verdict;
use penstock::proto::dapr_runtime::{BulkPublishRequest, BulkPublishRequestEntry, PublishEventRequest};
use serde_json::json;

use super::Pod;
use super::stream::Stream;
use crate::support::{Daprd, Reply};

fn event(id: &str, bytes: &[u8]) -> Event {
    let draft = Draft::new(id, "/s", "t").with("datacontenttype", "application/json").with("count", 7);
    draft.data(Data::detect(bytes)).build().unwrap()
}

async fn publish_frame(daprd: &Daprd, topic: &str, events: &[Event]) {
    let request = PublishEventRequest {
        pubsub_name: "bus".to_owned(),
        topic: topic.to_owned(),
        data: frame::write(events),
        metadata: Terms { delay: None, deduplicate: Deduplicate::Event }.metadata(),
        ..PublishEventRequest::default()
    };
    daprd.client().await.publish_event(request).await.unwrap();
}

/// Publishes bytes that daprd leaves alone.
async fn publish_raw(daprd: &Daprd, topic: &str, bytes: &[u8]) -> Result<(), tonic::Status> {
    let request = PublishEventRequest {
        pubsub_name: "bus".to_owned(),
        topic: topic.to_owned(),
        data: bytes.to_vec().into(),
        metadata: BTreeMap::from([("rawPayload".to_owned(), "true".to_owned())]),
        ..PublishEventRequest::default()
    };
    daprd.client().await.publish_event(request).await.map(|_| ())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http_app_gets_what_was_published_and_again_what_it_asks_for_again() {
    let pod = Pod::new(|number, _| match number {
        0 => Reply::code(500),
        1 => Reply { body: "{\"status\":\"RETRY\"}", ..Reply::code(200) },
        _ => Reply::code(200),
    })
    .await;
    pod.subscribe("bus", "orders");
    let (component, daprd) = pod.start().await;
    let published = pod.daprd.publish("bus", "orders", "application/json", br#"{"total": 250}"#).await;
    assert_eq!(published.0, 204, "{}", published.1);
    let events = pod.received("/orders", 3).await;
    assert!(events.iter().all(|event| event["id"] == events[0]["id"]), "{events:?}");
    assert_eq!((&events[2]["data"], &events[2]["pubsubname"]), (&json!({"total": 250}), &json!("bus")));

    let cloud = br#"{"specversion":"1.0","id":"mine","source":"/shop","type":"paid","color":"red","data":"x"}"#;
    let published = pod.daprd.publish("bus", "orders", "application/cloudevents+json", cloud).await;
    assert_eq!(published.0, 204, "{}", published.1);
    let mine = pod.received("/orders", 4).await.remove(3);
    assert_eq!((&mine["id"], &mine["color"], &mine["data"]), (&json!("mine"), &json!("red"), &json!("x")));
    assert_eq!(daprd.stop().await, Some(0));
    assert_eq!(component.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_streaming_app_gets_one_event_per_message_with_its_exact_data() {
    let pod = Pod::new(|_, _| Reply::code(200)).await;
    let (_component, _daprd) = pod.start().await;
    let mut stream = Stream::open(&pod.daprd, "numbers", BTreeMap::new()).await;
    // daprd would make this number another one if it were not bytes to it.
    let exact = br#"{"n": 9007199254740993, "html": "<&>"}"#;
    publish_frame(&pod.daprd, "numbers", &[event("one", exact)]).await;
    let first = stream.next().await;
    stream.answer(&first, Verdict::Retry).await;
    let again = stream.next().await;
    assert_eq!((first.id.as_str(), again.id.as_str(), &again.data[..]), ("one", "one", &exact[..]));
    assert_eq!((again.source.as_str(), again.data_content_type.as_str()), ("/s", "application/json"));
    stream.ack(&again).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_carry_many_events_in_one_message() {
    let pod = Pod::new(|_, _| Reply::code(200)).await;
    let (_component, _daprd) = pod.start().await;
    let events: Vec<Event> = (0..500).map(|number| event(&number.to_string(), &[b'x'; 200])).collect();
    publish_frame(&pod.daprd, "many", &events).await;
    let mut stream = Stream::open(&pod.daprd, "many", Ask::frames().metadata()).await;
    let (mut ids, mut messages) = (Vec::new(), 0);
    while ids.len() < events.len() {
        let message = stream.next().await;
        let framed = frame::read_placed(message.data.clone()).unwrap();
        ids.extend(framed.iter().map(|framed| framed.event.as_ref().unwrap().id().to_owned()));
        messages += usize::from(!framed.is_empty());
        stream.ack(&message).await;
    }
    assert_eq!(ids, (0..500).map(|number| number.to_string()).collect::<Vec<_>>());
    assert!(messages < 10, "{messages} messages");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_daprds_on_one_socket_each_get_every_event_for_their_own_app() {
    let pod = Pod::new(|_, _| Reply::code(200)).await;
    let other = Daprd::new(&pod.path("resources"), &pod.path("sockets")).app_id("other");
    let (_component, _daprd) = pod.start().await;
    let _other = other.start().await;
    let mut streams =
        [Stream::open(&pod.daprd, "both", BTreeMap::new()).await, Stream::open(&other, "both", BTreeMap::new()).await];
    publish_frame(&other, "both", &[event("one", b"1"), event("two", b"2")]).await;
    for stream in &mut streams {
        for id in ["one", "two"] {
            let message = stream.next().await;
            assert_eq!(message.id, id);
            stream.ack(&message).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bulk_publish_of_one_bad_entry_keeps_the_others() {
    let pod = Pod::new(|_, _| Reply::code(200)).await;
    pod.subscribe("bus", "orders");
    let (_component, _daprd) = pod.start().await;
    let entry = |id: &str, metadata: BTreeMap<String, String>| BulkPublishRequestEntry {
        entry_id: id.to_owned(),
        event: format!("{{\"n\": \"{id}\"}}").into(),
        content_type: "application/json".to_owned(),
        metadata,
    };
    let bad = BTreeMap::from([("ttlInSeconds".to_owned(), "soon".to_owned())]);
    let entries = vec![entry("one", BTreeMap::new()), entry("two", bad), entry("three", BTreeMap::new())];
    let (pubsub_name, topic) = ("bus".to_owned(), "orders".to_owned());
    let request = BulkPublishRequest { pubsub_name, topic, entries, metadata: BTreeMap::new() };
    let result = pod.daprd.client().await.bulk_publish_event(request).await.unwrap().into_inner();
    let failed: Vec<_> = result.failed_entries.iter().map(|failed| failed.entry_id.as_str()).collect();
    assert_eq!(failed, ["two"]);
    let events = pod.received("/orders", 2).await;
    assert_eq!([&events[0]["data"]["n"], &events[1]["data"]["n"]], [&json!("one"), &json!("three")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_beyond_daprds_limit_is_refused_or_put_aside_and_the_subscription_lives() {
    let mut pod = Pod::new(|_, _| Reply::code(200)).await;
    // So that daprd itself takes it.
    pod.daprd = pod.daprd.with(["--max-body-size=16Mi"]);
    pod.subscribe("bus", "large-dlq");
    let (_component, _daprd) = pod.start().await;
    let mut stream = Stream::open(&pod.daprd, "large", BTreeMap::new()).await;
    let refused = publish_raw(&pod.daprd, "large", &vec![b'x'; (4 << 20) + 1]).await.unwrap_err();
    assert!(refused.message().contains("the message has 4194305 bytes"), "{refused}");
    // It fits into a frame, and not into JSON.
    publish_frame(&pod.daprd, "large", &[event("large", &vec![b'x'; 3_500_000]), event("small", b"1")]).await;
    let message = stream.next().await;
    assert_eq!(message.id, "small");
    stream.ack(&message).await;
    let letter = pod.received("/large-dlq", 1).await.remove(0);
    assert_eq!((&letter["id"], &letter["penstockreason"]), (&json!("large"), &json!("poison")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_with_a_bad_setting_is_refused_with_the_known_ones() {
    let pod = Pod::new(|_, _| Reply::code(200)).await;
    pod.daprd.resource("bus", &super::BUS.replace("metadata: []", "metadata: [{name: retention, value: 1h}]"));
    let component = pod.component().start().await;
    let (code, log) = pod.daprd.spawn().log_when_ended().await;
    assert_eq!(code, Some(1));
    assert!(log.contains("known: retention.age, retention.size, dedupWindow"), "{log}");
    assert_eq!(component.stop().await, Some(0));
    assert!(!super::socket(&pod.path("sockets"), "eventbus.embedded"));
}
