use super::*;

const ASK: [(&str, &str); 2] = [("rawPayload", "true"), ("penstockFrames", "true")];

/// What daprd makes of an event that an app publishes without a trace.
const ENVELOPE: &str = r#"{"data":{"n":1},"datacontenttype":"application/json","id":"one","pubsubname":"bus","source":"app","specversion":"1.0","topic":"orders","traceid":"","traceparent":"","tracestate":"","type":"com.dapr.event.sent"}"#;

fn frame_of(message: &PullMessagesResponse) -> Vec<String> {
    let framed = frame::read_placed(message.data.clone()).unwrap();
    framed.iter().map(|framed| framed.event.as_ref().unwrap().id().to_owned()).collect()
}

fn terms(deduplicate: Deduplicate) -> Vec<(String, String)> {
    Terms { delay: None, deduplicate }.metadata().into_iter().collect()
}

async fn publish_frame(served: &Served, events: &[Event], deduplicate: Deduplicate) -> Result<(), Status> {
    let terms = terms(deduplicate);
    let terms: Vec<_> = terms.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    served.publish(&frame::write(events), &terms).await
}

#[tokio::test]
async fn what_one_publish_brings_comes_out_byte_for_byte() {
    let (_bus, served) = served().await;
    let mut pulled = served.pull(&[]).await;
    for data in [ENVELOPE.as_bytes(), b"no event at all", b"\x00\xff", b""] {
        served.publish(data, &[]).await.unwrap();
        let message = pulled.next().await;
        assert_eq!(message.data, data);
        assert_eq!((message.topic_name.as_str(), message.content_type.as_str()), ("orders", ""));
        pulled.ack(&message).await;
    }
}

#[tokio::test]
async fn an_event_of_a_frame_comes_out_as_structured_json_with_its_data_as_bytes() {
    let (_bus, served) = served().await;
    publish_frame(&served, &[event("one")], Deduplicate::Event).await.unwrap();
    let message = served.pull(&[]).await.next().await;
    assert_eq!(message.content_type, "application/cloudevents+json");
    let json: serde_json::Value = serde_json::from_slice(&message.data).unwrap();
    assert_eq!(json["data_base64"], data_encoding::BASE64.encode(b"{\"a\": 9007199254740993}"));
    assert_eq!((&json["id"], &json["datacontenttype"]), (&"one".into(), &"application/json".into()));
    assert!(json.get("data").is_none());
}

#[tokio::test]
async fn a_frame_brings_what_waits_with_its_places_and_opens_what_was_published_singly() {
    let (_bus, served) = served().await;
    served.publish(ENVELOPE.as_bytes(), &[]).await.unwrap();
    served.publish(b"plain", &[]).await.unwrap();
    publish_frame(&served, &[event("two"), event("three")], Deduplicate::Event).await.unwrap();
    let mut pulled = served.pull(&ASK).await;
    let message = pulled.next().await;
    let framed = frame::read_placed(message.data.clone()).unwrap();
    let ids: Vec<_> = framed.iter().map(|framed| framed.event.as_ref().unwrap().id()).collect();
    assert_eq!((ids[0], &ids[2..]), ("one", &["two", "three"][..]));
    assert_eq!(framed[0].event.as_ref().unwrap().attribute("traceparent"), None, "an empty one says nothing");
    assert_eq!(
        (framed[1].event.as_ref().unwrap().ty(), framed[1].event.as_ref().unwrap().data()),
        (OPAQUE_TYPE, Some(Data::Text("plain")))
    );
    let places: Vec<_> = framed.iter().map(|framed| (framed.position.major, framed.attempt)).collect();
    assert_eq!(places, [(0, 1), (1, 1), (2, 1), (3, 1)]);
    pulled.ack(&message).await;
    assert!(pulled.is_quiet().await);
}

#[tokio::test]
async fn a_frame_closes_at_its_bytes_and_at_its_count() {
    let (_bus, served) = served().await;
    let events: Vec<_> = (0..5).map(|number| event(&number.to_string())).collect();
    publish_frame(&served, &events, Deduplicate::Event).await.unwrap();
    for cap in [("penstockFrameEvents", "2"), ("penstockFrameBytes", "300")] {
        let group = ("penstockGroup", cap.0);
        let mut pulled = served.pull(&[ASK[0], ASK[1], cap, group, ("penstockInFlight", "9")]).await;
        let frames = [pulled.next().await, pulled.next().await, pulled.next().await];
        assert_eq!(frames.map(|frame| frame_of(&frame)), [vec!["0", "1"], vec!["2", "3"], vec!["4"]], "{cap:?}");
    }
}

#[tokio::test]
async fn a_nacked_message_comes_again_and_an_acked_one_does_not() {
    let (_bus, served) = served().await;
    served.publish(b"one", &[]).await.unwrap();
    let mut pulled = served.pull(&[]).await;
    let message = pulled.next().await;
    pulled.nack(&message).await;
    let again = pulled.next().await;
    assert_eq!((&again.data, again.id == message.id), (&message.data, false));
    pulled.ack(&again).await;
    pulled.ack(&again).await;
    assert!(pulled.is_quiet().await);
}

#[tokio::test]
async fn what_passes_is_counted() {
    let (_bus, served) = served().await;
    publish_frame(&served, &[event("one"), event("two")], Deduplicate::Event).await.unwrap();
    served.publish(b"x", &[("ttlInSeconds", "soon")]).await.unwrap_err();
    let mut pulled = served.pull(&[ASK[0], ASK[1], ("penstockHeartbeatMs", "20")]).await;
    let frame = pulled.next().await;
    let check = |line: &str| {
        let text = served.metrics.encode();
        assert!(text.lines().any(|known| known == line), "{line} is not in\n{text}");
    };
    check(r#"penstock_component_in_flight{component="bus"} 2"#);
    pulled.ack(&frame).await;
    // The heartbeat shows that the answer has arrived.
    pulled.next().await;
    drop(pulled);
    check(r#"penstock_component_events_total{component="bus",outcome="published"} 2"#);
    check(r#"penstock_component_events_total{component="bus",outcome="refused"} 1"#);
    check(r#"penstock_component_events_total{component="bus",outcome="sent"} 2"#);
    check(r#"penstock_component_events_total{component="bus",outcome="acked"} 2"#);
    check(r#"penstock_component_messages_total{component="bus",form="frame"} 1"#);
    check(r#"penstock_component_messages_total{component="bus",form="heartbeat"} 1"#);
    check(r#"penstock_component_in_flight{component="bus"} 0"#);
    served.try_pull("bus", &[("penstockFrames", "perhaps")]).await.err().unwrap();
    check(r#"penstock_component_errors_total{component="bus"} 1"#);
}

#[tokio::test]
async fn a_frame_is_packed_for_those_who_can_unpack_it() {
    let (_bus, served) = served().await;
    let events: Vec<_> = (0..100).map(|number| event(&number.to_string())).collect();
    let plain = frame::write(&events);
    let packed = frame::pack(plain.clone());
    assert!(packed.len() < plain.len());
    let terms = terms(Deduplicate::Event);
    let terms: Vec<_> = terms.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    served.publish(&packed, &terms).await.unwrap();
    for (group, packing) in [("new", "zstd"), ("old", "")] {
        let asked = [ASK[0], ASK[1], ("penstockGroup", group), ("penstockPacking", packing)];
        let message = served.pull(&asked).await.next().await;
        assert_eq!((frame_of(&message).len(), frame::is_packed(&message.data)), (100, group == "new"));
    }
}

#[tokio::test]
async fn the_answer_to_a_frame_settles_every_event_of_it() {
    let (_bus, served) = served().await;
    publish_frame(&served, &[event("one"), event("two")], Deduplicate::Event).await.unwrap();
    let mut pulled = served.pull(&ASK).await;
    let message = pulled.next().await;
    pulled.nack(&message).await;
    let mut again = Vec::new();
    while again.len() < 2 {
        let message = pulled.next().await;
        let framed = frame::read_placed(message.data.clone()).unwrap();
        again.extend(framed.iter().map(|framed| (framed.event.as_ref().unwrap().id().to_owned(), framed.attempt)));
        pulled.ack(&message).await;
    }
    again.sort();
    assert_eq!(again, [("one".to_owned(), 2), ("two".to_owned(), 2)]);
    assert!(pulled.is_quiet().await);
}

#[tokio::test]
async fn a_stream_that_ends_hands_out_again_what_was_not_answered() {
    let (_bus, served) = served().await;
    for data in [&b"one"[..], b"two", b"three"] {
        served.publish(data, &[]).await.unwrap();
    }
    let mut first = served.pull(&[("penstockInFlight", "2")]).await;
    let one = first.next().await;
    first.next().await;
    first.ack(&one).await;
    // It shows that the answer has arrived.
    assert_eq!(first.next().await.data, &b"three"[..]);
    drop(first);
    let mut second = served.pull(&[]).await;
    let mut again = [second.next().await.data, second.next().await.data];
    again.sort();
    assert_eq!(again, [&b"three"[..], b"two"]);
    assert!(second.is_quiet().await);
}

#[tokio::test]
async fn no_more_is_in_flight_than_was_asked_for() {
    let (_bus, served) = served().await;
    for _ in 0..3 {
        served.publish(b"x", &[]).await.unwrap();
    }
    let mut pulled = served.pull(&[("penstockInFlight", "2")]).await;
    let first = pulled.next().await;
    pulled.next().await;
    assert!(pulled.is_quiet().await);
    pulled.ack(&first).await;
    pulled.next().await;
}

#[tokio::test]
async fn streams_of_one_consumer_share_and_others_get_their_own() {
    let (_bus, served) = served().await;
    let mut one = served.pull(&[("penstockInFlight", "1")]).await;
    let mut two = served.pull(&[("penstockInFlight", "1")]).await;
    let mut other = served.pull(&[("penstockGroup", "other")]).await;
    for data in [b"a", b"b"] {
        served.publish(data, &[]).await.unwrap();
    }
    let mut shared = [one.next().await.data, two.next().await.data];
    shared.sort();
    assert_eq!(shared, [&b"a"[..], b"b"]);
    assert_eq!([other.next().await.data, other.next().await.data], [&b"a"[..], b"b"]);
}

#[tokio::test]
async fn a_quiet_stream_of_frames_beats_and_one_of_messages_does_not() {
    let (_bus, served) = served().await;
    let mut pulled = served.pull(&[ASK[0], ASK[1], ("penstockHeartbeatMs", "20")]).await;
    for _ in 0..2 {
        let beat = pulled.next().await;
        assert!(frame_of(&beat).is_empty());
        pulled.ack(&beat).await;
    }
    let unanswered = pulled.next().await;
    assert!(pulled.is_quiet().await, "one that is not answered is followed by none");
    pulled.ack(&unanswered).await;
    assert!(served.pull(&[]).await.is_quiet().await);
}

#[tokio::test]
async fn a_frame_is_deduplicated_as_it_asks() {
    let (folder, served) = served().await;
    for deduplicate in [Deduplicate::Event, Deduplicate::Event, Deduplicate::Attempt(1), Deduplicate::Never] {
        publish_frame(&served, &[event("one")], deduplicate).await.unwrap();
    }
    let mut pulled = served.pull(&ASK).await;
    assert_eq!(frame_of(&pulled.next().await).len(), 3);
    assert!(folder.bus.ailment().is_none());
}

#[tokio::test]
async fn a_bulk_publish_tells_which_entries_failed() {
    let (_bus, served) = served().await;
    let entry = |id: &str, event: Vec<u8>, metadata: &[(&str, &str)]| BulkMessageEntry {
        entry_id: id.to_owned(),
        event: event.into(),
        metadata: map(metadata),
        ..BulkMessageEntry::default()
    };
    let entries = vec![
        entry("small", b"a".to_vec(), &[]),
        entry("large", vec![b'x'; MAX_MESSAGE + 1], &[]),
        entry("ttl", b"b".to_vec(), &[("ttlInSeconds", "soon")]),
        entry("frame", b"no frame".to_vec(), &[("penstockFrame", "true")]),
        entry("last", b"c".to_vec(), &[]),
    ];
    let request = BulkPublishRequest { entries, topic: "orders".to_owned(), ..BulkPublishRequest::default() };
    let response = served.pub_sub().bulk_publish(named("bus", request)).await.unwrap().into_inner();
    let failed: Vec<_> = response.failed_entries.iter().map(|failed| failed.entry_id.as_str()).collect();
    assert_eq!(failed, ["large", "ttl", "frame"]);
    assert!(response.failed_entries[0].error.contains("4128769 bytes"), "{response:?}");
    let mut pulled = served.pull(&[]).await;
    assert_eq!([pulled.next().await.data, pulled.next().await.data], [&b"a"[..], b"c"]);
}

#[tokio::test]
async fn a_message_that_daprd_could_not_hand_out_is_refused() {
    let (_bus, served) = served().await;
    let mut pulled = served.pull(&[]).await;
    served.publish(&vec![b'x'; MAX_MESSAGE], &[]).await.unwrap();
    assert_eq!(pulled.next().await.data.len(), MAX_MESSAGE);
    let status = served.publish(&vec![b'x'; MAX_MESSAGE + 1], &[]).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
}

#[tokio::test]
async fn an_event_whose_message_would_be_too_large_goes_to_the_dead_letters_alone() {
    let (folder, served) = served().await;
    // As JSON with base64 it is a third larger.
    let large = Draft::new("large", "/s", "t").data(Data::Binary(&vec![7; 3_500_000])).build().unwrap();
    publish_frame(&served, &[large, event("small")], Deduplicate::Event).await.unwrap();
    let mut pulled = served.pull(&[]).await;
    let message = pulled.next().await;
    assert!(String::from_utf8_lossy(&message.data).contains("\"id\":\"small\""));
    pulled.ack(&message).await;
    let subscription = flow::Subscription {
        topic: Topic::new("orders-dlq").unwrap(),
        group: flow::Group::new("test").unwrap(),
        start: flow::Start::Earliest,
        max_in_flight: 10,
    };
    let letters = folder.bus.subscribe(subscription).await.unwrap().next().await.unwrap();
    let letter = letters[0].event.as_ref().unwrap();
    assert_eq!(letter.id(), "large");
    assert!(flow::letter::text(letter, flow::letter::FAULT).unwrap().contains("daprd takes at most"));
    assert!(pulled.is_quiet().await, "the subscription lives on");
}

#[tokio::test]
async fn a_message_is_forgotten_after_its_time() {
    let (_bus, served) = served().await;
    for (data, ttl) in [(b"a", ("ttlInSeconds", "10")), (b"b", ("ttl", "1m30s")), (b"c", ("TTLInSeconds", "100"))] {
        served.publish(data, &[ttl]).await.unwrap();
    }
    served.clock.advance(Duration::from_secs(50));
    let mut pulled = served.pull(&[]).await;
    assert_eq!([pulled.next().await.data, pulled.next().await.data], [&b"b"[..], b"c"]);
    let status = served.publish(b"x", &[("ttlInSeconds", "soon")]).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn pause_holds_messages_back_and_can_be_asked_for_twice() {
    let (_bus, served) = served().await;
    let mut pulled = served.pull(&[]).await;
    for _ in 0..2 {
        served.pub_sub().pause(named("bus", PauseRequest {})).await.unwrap();
    }
    served.publish(b"one", &[]).await.unwrap();
    assert!(pulled.is_quiet().await);
    for _ in 0..2 {
        served.pub_sub().resume(named("bus", ResumeRequest {})).await.unwrap();
    }
    assert_eq!(pulled.next().await.data, &b"one"[..]);
}

#[tokio::test]
async fn a_pause_ends_when_daprd_initialises_again() {
    let (_bus, served) = served().await;
    served.pub_sub().pause(named("bus", PauseRequest {})).await.unwrap();
    served.publish(b"one", &[]).await.unwrap();
    served.init("bus").await;
    assert_eq!(served.pull(&[]).await.next().await.data, &b"one"[..]);
}

#[tokio::test]
async fn a_component_that_was_never_initialised_says_so() {
    let (_bus, served) = served().await;
    let request = PublishRequest { topic: "orders".to_owned(), ..PublishRequest::default() };
    let status = served.pub_sub().publish(named("other", request)).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().contains("restart daprd"), "{status}");
    let status = served.try_pull("other", &[]).await.err().unwrap();
    assert_eq!(status.code(), Code::FailedPrecondition);
}

#[tokio::test]
async fn the_factory_sees_the_metadata_without_what_is_daprs_own_and_again_when_it_changes() {
    let (folder, made) = bus().await;
    let again = Made::Bus { bus: folder.bus.clone(), store: folder.bus.clone() };
    let served = Served::start(vec![made, again]).await;
    let properties = [("consumerID", "app"), ("PublishingScopes", "a=b"), ("allowedTopics", "x"), ("color", "red")];
    served.init_with("bus", &properties).await.unwrap();
    served.init_with("bus", &properties).await.unwrap();
    served.init_with("bus", &[("color", "blue")]).await.unwrap();
    assert_eq!(*served.factory.asked.lock().unwrap(), [map(&[("color", "red")]), map(&[("color", "blue")])]);
    let status = served.init_with("bus", &[("color", "green")]).await.unwrap_err();
    assert_eq!((status.code(), status.message().contains("unknown field")), (Code::InvalidArgument, true));
}

#[tokio::test]
async fn a_bad_subscription_is_refused() {
    let (_bus, served) = served().await;
    let status = served.try_pull("bus", &[("penstockFrames", "yes")]).await.err().unwrap();
    assert_eq!(status.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_bus_tells_its_features() {
    let (_bus, served) = served().await;
    let features = served.pub_sub().features(named("bus", FeaturesRequest {})).await.unwrap().into_inner();
    assert_eq!(features.features, ["BULK_PUBSUB", "MESSAGE_TTL"]);
}

#[tokio::test]
async fn a_stop_waits_for_the_answers_to_what_was_sent() {
    let (_bus, served) = served().await;
    served.publish(b"one", &[]).await.unwrap();
    let mut pulled = served.pull(&[]).await;
    let message = pulled.next().await;
    served.shutdown.request();
    served.publish(b"two", &[]).await.unwrap();
    assert!(pulled.is_quiet().await, "nothing new is sent");
    pulled.ack(&message).await;
    assert_eq!(within(Duration::from_secs(5), pulled.messages.message()).await.unwrap().unwrap(), None);
}
