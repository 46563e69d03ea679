use super::rig::{Rig, workloads};
use crate::support::{Client, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_plan_is_applied_and_a_bad_one_is_kept_out() {
    let rig = Rig::new().await;
    let _components = rig.components.start().await;
    let _daprd = rig.daprd.start().await;
    let (intake, router) = workloads(&rig).await;
    let client = Client::new();
    rig.post_all(0..10).await;
    rig.all_arrive(0..10).await;

    rig.plan_router("/elsewhere");
    rig.plan_intake(&[("subject", "mine")]);
    eventually("both are applied", || async {
        [&router, &intake].iter().all(|process| process.log().matches("the plan is applied").count() == 2)
    })
    .await;
    rig.post_all(10..20).await;
    rig.all_arrive(0..20).await;
    let seen = rig.receiver.seen();
    let last = seen.iter().find(|seen| seen.header("ce-id") == "19").unwrap();
    assert_eq!((last.path.as_str(), last.header("ce-subject")), ("/elsewhere", "mine"));

    rig.write_text("router", r#"{"bus": {"component": "bus"}, "group": "g", "triggers": 3}"#);
    let note = || async { client.get(&router.admin("/readyz")).await.unwrap() };
    eventually("the bad plan is told of", || async { note().await.body.contains("the plan is refused") }).await;
    let answer = note().await;
    assert_eq!(answer.code, 200, "the old one runs on: {}", answer.body);
    assert!(answer.body.contains("invalid type: integer `3`"), "{}", answer.body);
    let metrics = client.get(&router.admin("/metrics")).await.unwrap().body;
    assert!(metrics.contains("penstock_plan_refused 1"), "{metrics}");
    rig.post_all(20..30).await;
    rig.all_arrive(0..30).await;

    rig.plan_router("/");
    eventually("it is good again", || async { note().await.body == "ok\n" }).await;
}
