//! As on a cluster: an event source's side and a trigger's side have a daprd and a process each, and
//! share nothing but a bus on `JetStream`.

use std::path::Path;
use std::time::Duration;

use super::chaos::again;
use super::rig::{Rig, Supervised, sides, sockets_are_served};
use crate::process::quickstart::Example;
use crate::supervised::flow::through_daprd;
use crate::support::{NatsServer, Penstock, Run};

/// Kills of one run.
const KILLS: usize = 15;

/// Both sides; daprd only once its sockets are served.
async fn start(rig: &Rig) -> (Penstock, Penstock, Supervised, Supervised) {
    let (intake, router) = (rig.intake.spawn(), rig.router.spawn());
    rig.sockets_are_served().await;
    (intake, router, Supervised::start(&rig.daprd).await, Supervised::start(&rig.router_daprd).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn events_pass_two_sides_and_arrive_as_they_were_sent() {
    let server = NatsServer::start("");
    let rig = Rig::apart(&server.url()).await;
    let (intake, router, _daprd, _router_daprd) = start(&rig).await;
    rig.post_all(0..200).await;
    rig.all_arrive(0..200).await;
    let seen = rig.receiver.seen();
    let first = seen.iter().find(|seen| seen.header("ce-id") == "7").unwrap();
    assert_eq!(&*first.body, br#"{"order":7,"big":12345678901234567890}"#, "no number went through a double");
    assert_eq!((first.header("ce-source"), first.header("ce-type")), ("/tests", "order"));
    assert_eq!((router.stop().await, intake.stop().await), (Some(0), Some(0)));
}

/// Hands both sides what `run --dapr` wrote into `told` for one machine: to the side that delivers the bus alone.
fn hand_out(told: &Path, home: &Path) {
    for name in ["intake", "router"] {
        let plan = format!("{name}.json");
        std::fs::copy(told.join("plans").join(&plan), home.join(&plan)).unwrap();
        for file in std::fs::read_dir(told.join("resources")).unwrap().map(|entry| entry.unwrap().path()) {
            let is_bus = std::fs::read_to_string(&file).unwrap().contains("type: pubsub.eventbus.jetstream");
            if is_bus || name == "intake" {
                std::fs::copy(&file, home.join(name).join("resources").join(file.file_name().unwrap())).unwrap();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_quickstart_runs_unchanged_on_two_sides_of_a_broker() {
    let (server, home) = (NatsServer::start(""), tempfile::tempdir().unwrap());
    let example = Example::over(&format!("jetstream: {{url: \"{}\"}}", server.url())).await;
    let machine = Run::new(example.folder()).with(through_daprd()).start().await;
    assert_eq!(machine.stop().await, Some(0));
    let [(daprd, intake), (router_daprd, router)] = sides(home.path());
    hand_out(&example.folder().join("data/dapr"), home.path());
    let (intake, router) = (intake.spawn(), router.spawn());
    sockets_are_served(home.path()).await;
    let _daprds = tokio::join!(daprd.start(), router_daprd.start());
    tokio::join!(intake.ready(), router.ready());
    example.send().await;
    example.is_told_by(&router).await;
    let log = router.log();
    assert_eq!((router.stop().await, intake.stop().await), (Some(0), Some(0)));
    example.assert_arrived(&log);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_killed_on_either_side_or_between_no_order_that_was_taken_is_lost() {
    let mut server = NatsServer::start("");
    let rig = Rig::apart(&server.url()).await;
    let (intake, router, daprd, router_daprd) = start(&rig).await;
    let (mut intake, mut router) = (Some(intake), Some(router));
    let stop = tokio::sync::Notify::new();
    let killing = async {
        for kill in 0..KILLS {
            // In no step with anything that goes on inside.
            tokio::time::sleep(Duration::from_millis(300 + u64::try_from(kill * 37 % 300).unwrap())).await;
            match kill % 5 {
                0 => daprd.kill().await,
                1 => router_daprd.kill().await,
                2 => again(&mut intake, &rig.intake).await,
                3 => again(&mut router, &rig.router).await,
                _ => {
                    server.kill();
                    server.run();
                }
            }
        }
        stop.notify_one();
    };
    let (taken, ()) = tokio::join!(rig.post_until(&stop), killing);
    rig.post_all(1_000_000..1_000_001).await;
    rig.all_arrive(1_000_000..1_000_001).await;
    rig.all_of_arrive(&taken).await;
    let seen = rig.receiver.seen();
    let known = |id: &str| id.parse().is_ok_and(|id: usize| id == 1_000_000 || id <= taken.len());
    assert!(seen.iter().all(|seen| known(seen.header("ce-id"))), "an event came under an id that nobody sent");
}
