//! Events that sinks answer with.

use super::*;
use crate::event::Draft;

fn answering(reply: Event) -> TestSink {
    TestSink::new("http://function", Answer::Reply(reply))
}

fn replying() -> Policy {
    Policy { reply: true, ..slow_policy() }
}

fn answer(id: &str) -> Event {
    Draft::new(id, "/function", "answer").with("subject", "orders/1").build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_answer_goes_back_to_the_topic_that_its_event_came_from() {
    let desk = desk();
    let to = desk.destination(&answering(answer("a")), replying());
    desk.deliver(&to).await.unwrap();
    let replies = desk.bus.published("shop");
    assert_eq!(replies.len(), 1);
    for (name, value) in [("id", "a"), ("source", "/function"), ("subject", "orders/1"), ("penstockhops", "1")] {
        assert_eq!(text(&replies[0], name), value, "{name}");
    }
    assert_eq!((to.metrics.replied.get(), to.metrics.delivered.get()), (1, 1));
    // Many functions answer with the id and source of the event: that is no duplicate of it.
    let echo = desk.destination(&answering(ORDER.clone()), replying());
    desk.deliver(&echo).await.unwrap();
    desk.deliver(&echo).await.unwrap();
    assert_eq!(desk.bus.published("shop").len(), 3);
}

#[tokio::test(start_paused = true)]
async fn without_reply_an_answer_is_success_and_nothing_else() {
    let desk = desk();
    desk.deliver(&desk.destination(&answering(answer("a")), slow_policy())).await.unwrap();
    assert!(desk.bus.published("shop").is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_the_bus_does_not_take_has_its_event_delivered_again() {
    let desk = desk();
    desk.bus.fail("shop", Some(Fault::new(FaultKind::Unavailable, "publish", "as told")));
    let sink = answering(answer("a"));
    let to = desk.destination(&sink, replying());
    desk.deliver(&to).await.unwrap();
    let parked = desk.parked();
    assert_eq!((sink.attempts(), parked.history.attempts, to.metrics.replied.get()), (1, 1, 0));
    desk.bus.fail("shop", None);
    desk.delivery.deliver(&to, &parked.event, parked.history).await.unwrap();
    assert_eq!((sink.attempts(), desk.bus.published("shop").len()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_too_large_makes_its_event_a_dead_letter() {
    let desk = desk();
    let large = "x".repeat(1 << 20);
    let large = answer("a").draft().data(crate::event::Data::Text(&large)).build().unwrap();
    desk.deliver(&desk.destination(&answering(large), replying())).await.unwrap();
    let letters = desk.bus.published("shop-dlq");
    assert_eq!((letters.len(), letters[0].id()), (1, "1"));
    assert!(text(&letters[0], letter::FAULT).contains("larger than"), "{letters:?}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_an_own_answer_becomes_a_dead_letter() {
    let desk = desk();
    let sink = answering(answer("a"));
    let (one, two) = (desk.destination(&sink, replying()), desk.destination(&sink, replying()));
    desk.deliver(&one).await.unwrap();
    let first = desk.bus.published("shop").remove(0);
    desk.delivery.deliver(&two, &first, fresh()).await.unwrap();
    assert_eq!((sink.attempts(), desk.bus.published("shop").len()), (2, 1), "delivered, but not answered");
    let letters = desk.bus.published("shop-dlq");
    assert_eq!((letters.len(), text(&letters[0], letter::REASON)), (1, "loop".to_owned()));
    assert_eq!(text(&letters[0], "id"), "a");
    let single = desk.destination(&sink, Policy { at_most_once: true, attempts: 1, ..replying() });
    desk.delivery.deliver(&single, &first, fresh()).await.unwrap();
    assert_eq!((single.metrics.dropped.get(), desk.bus.published("shop-dlq").len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_chain_of_answers_ends_after_eight() {
    let desk = desk();
    let sink = answering(answer("a"));
    let mut last = event("1");
    for place in 0..10 {
        let id = format!("default/func1/s{place}");
        let to = Destination::new(&id, "sink", Arc::new(sink.clone()), Vec::new(), replying(), &desk.metrics);
        desk.delivery.deliver(&to, &last, fresh()).await.unwrap();
        let replies = desk.bus.published("shop");
        last = replies.last().unwrap().clone();
        assert_eq!(replies.len(), 8.min(place + 1));
    }
    assert_eq!(text(&last, "penstockhops"), "8");
    assert!(last.attributes().all(|(name, _)| name.len() <= 20));
    assert_eq!(desk.bus.published("shop-dlq").len(), 2);
}
