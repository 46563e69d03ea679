use super::rig::{Rig, workloads};

#[tokio::test(flavor = "multi_thread")]
async fn an_event_passes_every_process_and_arrives_as_it_was_sent() {
    let rig = Rig::new().await;
    let components = rig.components.start().await;
    let daprd = rig.daprd.start().await;
    let (intake, router) = workloads(&rig).await;
    rig.post_all(0..200).await;
    rig.all_arrive(0..200).await;
    let seen = rig.receiver.seen();
    assert_eq!(seen.len(), 200, "nothing went wrong, so nothing comes twice");
    let first = seen.iter().find(|seen| seen.header("ce-id") == "7").unwrap();
    assert_eq!(&*first.body, br#"{"order":7,"big":12345678901234567890}"#, "no number went through a double");
    let header = |name| first.header(name);
    assert_eq!(
        (header("ce-source"), header("ce-type"), header("content-type")),
        ("/tests", "order", "application/json")
    );
    let ours: Vec<_> = first.headers.keys().filter(|name| name.as_str().starts_with("ce-penstock")).collect();
    assert!(ours.is_empty(), "{ours:?}");
    assert_eq!((router.stop().await, intake.stop().await), (Some(0), Some(0)));
    assert_eq!(daprd.stop().await, Some(0), "no stream is open that holds it up");
    assert_eq!(components.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn daprd_may_listen_on_a_unix_domain_socket() {
    let rig = Rig::on_a_socket().await;
    let _components = rig.components.start().await;
    let _daprd = rig.daprd.spawn();
    let (intake, router) = workloads(&rig).await;
    rig.post_all(0..20).await;
    rig.all_arrive(0..20).await;
    assert_eq!((router.stop().await, intake.stop().await), (Some(0), Some(0)));
}
