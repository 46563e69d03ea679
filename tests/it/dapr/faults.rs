//! Processes that go away, and what is left.

use std::collections::BTreeSet;

use http::Method;
use rustix::process::Signal;

use super::Pod;
use crate::support::{Client, Reply, eventually};

async fn publish(pod: &Pod, numbers: std::ops::Range<usize>) -> Vec<usize> {
    let mut confirmed = Vec::new();
    for number in numbers {
        let body = format!("{{\"n\": {number}}}");
        let uri = pod.daprd.http("/v1.0/publish/bus/orders");
        let json = [("content-type", "application/json")];
        // No answer is no promise.
        if Client::new().send(Method::POST, &uri, &json, body).await.is_ok_and(|answer| answer.code == 204) {
            confirmed.push(number);
        }
    }
    confirmed
}

fn numbers(pod: &Pod) -> BTreeSet<usize> {
    let events = pod.events("/orders");
    events.iter().map(|event| usize::try_from(event["data"]["n"].as_u64().unwrap()).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daprd_that_is_killed_in_the_middle_loses_nothing() {
    // Every other event is refused at first, so that some are unanswered when daprd goes.
    let pod = Pod::new(|number, _| Reply::code(if number % 2 == 0 { 500 } else { 200 })).await;
    pod.subscribe("bus", "orders");
    let (component, daprd) = pod.start().await;
    let confirmed = publish(&pod, 0..20).await;
    daprd.kill().await;
    let _daprd = pod.daprd.start().await;
    eventually("every event came", || async { confirmed.iter().all(|number| numbers(&pod).contains(number)) }).await;
    assert!(component.log().contains("initialised again"), "{}", component.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daprd_that_reloads_itself_goes_on() {
    let pod = Pod::new(|_, _| Reply::code(200)).await;
    pod.subscribe("bus", "orders");
    let (component, daprd) = pod.start().await;
    publish(&pod, 0..1).await;
    pod.received("/orders", 1).await;
    daprd.signal(Signal::HUP);
    eventually("it initialised the bus again", || async { component.log().contains("initialised again") }).await;
    eventually("an event came", || async {
        publish(&pod, 1..2).await;
        numbers(&pod).contains(&1)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_was_restarted_alone_says_so_until_daprd_is_restarted() {
    let pod = Pod::new(|_, _| Reply::code(200)).await;
    pod.subscribe("bus", "orders");
    let (component, daprd) = pod.start().await;
    publish(&pod, 0..3).await;
    component.kill().await;
    let component = pod.component().start().await;
    eventually("the new process is reached", || async {
        let (code, body) = pod.daprd.publish("bus", "orders", "application/json", b"{\"n\": 3}").await;
        assert_ne!(code, 204, "nobody initialised it");
        component.log().contains("was not initialised in this process") && body.contains("FailedPrecondition")
    })
    .await;
    assert!(component.log().contains("restart daprd"), "{}", component.log());
    daprd.kill().await;
    let _daprd = pod.daprd.start().await;
    assert_eq!(publish(&pod, 4..5).await, [4]);
    eventually("every event came", || async { [0, 1, 2, 4].iter().all(|number| numbers(&pod).contains(number)) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn components_and_daprd_can_be_killed_again_and_again() {
    const ROUNDS: usize = 6;
    let pod = Pod::new(|number, _| Reply::code(if number % 3 == 0 { 500 } else { 200 })).await;
    pod.subscribe("bus", "orders");
    let mut confirmed = Vec::new();
    for round in 0..ROUNDS {
        let (component, daprd) = pod.start().await;
        let last = round * 100;
        // Killed while events are on their way in and out.
        let ((), kept) = tokio::join!(
            async {
                let before = pod.events("/orders").len();
                eventually("events come", || async { pod.events("/orders").len() > before + 2 }).await;
                if round % 2 == 0 {
                    component.kill().await;
                    daprd.kill().await;
                } else {
                    daprd.kill().await;
                    component.kill().await;
                }
            },
            publish(&pod, last..last + 40),
        );
        confirmed.extend(kept);
    }
    let (_component, _daprd) = pod.start().await;
    assert!(confirmed.len() >= ROUNDS, "{confirmed:?}");
    eventually("every event came", || async { confirmed.iter().all(|number| numbers(&pod).contains(number)) }).await;
}
