use jiff::Timestamp;
use tonic::Status;

use super::daprd::Session;
use super::*;
use crate::fault::{Fault, FaultKind};
use crate::flow::{Bus as _, Position, Received, Subscriber};
use crate::frame::{Ask, Frame, Framed};
use crate::proto::dapr_runtime::TopicEventRequest;
use crate::task::Shutdown;

const SUCCESS: i32 = 0;
const RETRY: i32 = 1;

fn frame(ids: &[&str]) -> bytes::Bytes {
    let mut frame = Frame::default();
    for id in ids {
        let position = Position { major: id.parse().unwrap(), minor: 0 };
        frame.push(&Framed { event: event(id), position, appended: Timestamp::UNIX_EPOCH, attempt: 2 });
    }
    frame.finish()
}

/// A member, and the first of its streams after a heartbeat.
async fn join(daprd: &Daprd, bus: &Bus) -> (Box<dyn Subscriber>, Session) {
    let accept = async {
        let mut session = daprd.session().await;
        session.send("heartbeat", "").await;
        assert_eq!(session.answer().await.unwrap(), ("heartbeat".to_owned(), SUCCESS));
        session
    };
    let (member, session) = tokio::join!(bus.subscribe(subscription()), accept);
    (member.unwrap(), session)
}

fn ids(received: &[Received]) -> Vec<&str> {
    received.iter().map(|received| received.event.as_ref().unwrap().id()).collect()
}

fn settle(received: Vec<Received>) {
    for Received { receipt, .. } in received {
        receipt.ack();
    }
}

fn fault() -> Fault {
    Fault::new(FaultKind::Unavailable, "deliver", "no")
}

#[tokio::test]
async fn a_frame_is_answered_once_when_all_of_its_events_are_settled() {
    let daprd = Daprd::start();
    let bus = bus(&daprd, Frames::On);
    let (mut member, mut session) = join(&daprd, &bus).await;
    let ask = Ask::read(&session.initial.metadata).unwrap();
    assert_eq!((ask.group.as_deref(), ask.frames.unwrap().events), (Some("router"), 100));
    session.send("a", frame(&["1", "2"])).await;
    let received = member.next().await.unwrap();
    assert_eq!(ids(&received), ["1", "2"]);
    assert_eq!((received[1].position.major, received[1].attempt), (2, 2));
    let mut receipts = received.into_iter().map(|received| received.receipt);
    receipts.next().unwrap().ack();
    session.send("heartbeat", "").await;
    assert_eq!(session.answer().await.unwrap(), ("heartbeat".to_owned(), SUCCESS), "one event of two is no answer");
    receipts.next().unwrap().ack();
    assert_eq!(session.answer().await.unwrap(), ("a".to_owned(), SUCCESS));
}

#[tokio::test]
async fn a_frame_that_comes_again_brings_only_what_was_not_settled() {
    let daprd = Daprd::start();
    let bus = bus(&daprd, Frames::On);
    let (mut member, mut session) = join(&daprd, &bus).await;
    session.send("a", frame(&["1", "2", "3"])).await;
    let mut received = member.next().await.unwrap().into_iter();
    received.next().unwrap().receipt.ack();
    received.next().unwrap().receipt.nack(fault());
    // Dropped without a word.
    drop(received.next());
    assert_eq!(session.answer().await.unwrap(), ("a".to_owned(), RETRY));
    session.send("b", frame(&["1", "2", "3"])).await;
    let received = member.next().await.unwrap();
    assert_eq!(ids(&received), ["2", "3"]);
    settle(received);
    assert_eq!(session.answer().await.unwrap(), ("b".to_owned(), SUCCESS));
    // Settled as a whole: what comes after that is somebody's wish to have it again.
    session.send("c", frame(&["1"])).await;
    assert_eq!(ids(&member.next().await.unwrap()), ["1"]);
}

#[tokio::test]
async fn what_is_no_event_is_poison_and_costs_only_itself() {
    let daprd = Daprd::start();
    let bus = bus(&daprd, Frames::On);
    let (mut member, mut session) = join(&daprd, &bus).await;
    session.send("a", "\u{1}garbage").await;
    let received = member.next().await.unwrap().pop().unwrap();
    assert_eq!(received.event.unwrap_err().fault.kind(), FaultKind::Malformed);
    received.receipt.ack();
    assert_eq!(session.answer().await.unwrap(), ("a".to_owned(), SUCCESS));
}

#[tokio::test]
async fn a_stream_that_ends_or_falls_silent_is_opened_again() {
    let daprd = Daprd::start();
    let bus = bus(&daprd, Frames::On);
    let (mut member, session) = join(&daprd, &bus).await;
    session.fail(Status::unknown("stream closed")).await;
    let silent = daprd.session().await;
    silent.send("1", "").await;
    // It stays open, and nothing more comes.
    let session = daprd.session().await;
    session.send("a", frame(&["1"])).await;
    assert_eq!(ids(&member.next().await.unwrap()), ["1"]);
    drop(silent);
}

#[tokio::test]
async fn what_was_settled_after_its_stream_was_lost_is_not_handed_out_again() {
    let daprd = Daprd::start();
    let bus = bus(&daprd, Frames::On);
    let (mut member, session) = join(&daprd, &bus).await;
    session.send("a", frame(&["1"])).await;
    let received = member.next().await.unwrap();
    session.fail(Status::unavailable("killed")).await;
    let mut session = daprd.session().await;
    settle(received);
    session.send("b", frame(&["1", "2"])).await;
    let received = member.next().await.unwrap();
    assert_eq!(ids(&received), ["2"]);
    settle(received);
    assert_eq!(session.answer().await.unwrap(), ("b".to_owned(), SUCCESS));
}

#[tokio::test]
async fn a_stream_is_not_silent_while_an_answer_is_owed() {
    let daprd = Daprd::start();
    let bus = bus(&daprd, Frames::On);
    let (mut member, mut session) = join(&daprd, &bus).await;
    session.send("a", frame(&["1"])).await;
    let received = member.next().await.unwrap();
    // Far longer than the silence that counts as dead.
    let reopened = task::within(Duration::from_millis(600), daprd.session()).await;
    assert!(reopened.is_none());
    settle(received);
    assert_eq!(session.answer().await.unwrap(), ("a".to_owned(), SUCCESS));
}

#[tokio::test]
async fn a_subscription_that_is_refused_is_told_and_not_tried_for_ever() {
    let daprd = Daprd::start();
    *daprd.state.refuse_subscribe.lock().unwrap() = Some(Status::permission_denied("not your topic"));
    let Err(fault) = bus(&daprd, Frames::On).subscribe(subscription()).await else { panic!("it was not refused") };
    assert_eq!(fault.kind(), FaultKind::Denied);
}

#[tokio::test]
async fn a_member_that_leaves_lets_its_answers_arrive() {
    let daprd = Daprd::start();
    let bus = bus(&daprd, Frames::On);
    let (mut member, mut session) = join(&daprd, &bus).await;
    session.send("a", frame(&["1"])).await;
    let received = member.next().await.unwrap().pop().unwrap();
    drop(member);
    received.receipt.ack();
    assert_eq!(session.answer().await.unwrap(), ("a".to_owned(), SUCCESS));
    assert!(session.answer().await.is_none(), "the way back is closed once everything is answered");
    drop(session);
    bus.close().await.unwrap();
}

#[tokio::test]
async fn a_component_that_was_never_initialised_makes_daprd_shut_down_after_the_streams_are_closed() {
    let daprd = Daprd::start();
    daprd.state.stubborn.store(true, std::sync::atomic::Ordering::SeqCst);
    let connection = daprd.connect();
    let mut tasks = task::Group::new(&Shutdown::new());
    tasks.spawn(connection.clone().keep(tasks.shutdown().clone()));
    let settings = Settings { heartbeat: Duration::from_millis(50), ..Settings::new(Frames::On) };
    let bus = Bus::new(connection, "bus", settings, task::Clock::system());
    let text = "error when publishing: rpc error: code = FailedPrecondition desc = never initialised";
    *daprd.state.refuse_publish.lock().unwrap() = Some(Status::internal(text));
    let mut asked = std::pin::pin!(bus.subscribe(subscription()));
    let closed = async {
        // No sign of life comes on this stream; it is closed from the other side.
        let mut session = daprd.session().await;
        assert!(session.answer().await.is_none());
        drop(session);
        loop {
            let told = daprd.state.shut_down.lock().unwrap().clone();
            if told.len() == 2 {
                return told;
            }
            task::sleep(Duration::from_millis(10)).await;
        }
    };
    let told = tokio::select! {
        _ = &mut asked => panic!("nothing to join"),
        told = closed => told,
    };
    assert_eq!(told, [(0, false), (0, true)], "first asked without open streams, then forced");
    tasks.abort().await;
}

#[tokio::test]
async fn without_frames_each_message_is_an_event() {
    let daprd = Daprd::start();
    let bus = bus(&daprd, Frames::Off);
    let (member, session) = tokio::join!(bus.subscribe(subscription()), daprd.session());
    let (mut member, mut session) = (member.unwrap(), session);
    assert!(!session.initial.metadata.contains_key("rawPayload"));
    let message = TopicEventRequest {
        id: "1".into(),
        source: "/shop".into(),
        r#type: "order".into(),
        spec_version: "1.0".into(),
        data_content_type: "application/json".into(),
        data: bytes::Bytes::from_static(b"{\"a\":1}"),
        ..TopicEventRequest::default()
    };
    let again = message.clone();
    session.send_message(message).await;
    let received = member.next().await.unwrap().pop().unwrap();
    assert_eq!(received.event.unwrap(), event("1").draft().without("subject").build().unwrap());
    received.receipt.nack(fault());
    assert_eq!(session.answer().await.unwrap(), ("1".to_owned(), RETRY));
    // Nobody else counts its attempts, and without the number it would come for ever. What was only dropped was not tried.
    let mut attempts = Vec::new();
    for outcome in 0..4 {
        session.send_message(again.clone()).await;
        let Received { receipt, attempt, .. } = member.next().await.unwrap().pop().unwrap();
        attempts.push(attempt);
        match outcome {
            0 => receipt.nack(fault()),
            1 => drop(receipt),
            _ => receipt.ack(),
        }
        session.answer().await.unwrap();
    }
    assert_eq!(attempts, [2, 3, 3, 1]);
}
