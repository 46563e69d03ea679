//! `penstock dlq` on a flow that runs through daprd.

use rustix::process::Signal;

use super::children;
use super::flow::through_daprd;
use crate::process::dlq::{Sink, dlq, post, write};
use crate::support::{Client, NatsServer, Run, eventually, free_port};

async fn are_worked_on(bus: &str) {
    let (folder, sink, port) = (tempfile::tempdir().unwrap(), Sink::start().await, free_port());
    write(folder.path(), port, &sink, bus);
    let process = Run::new(folder.path()).with(through_daprd()).start().await;
    post(port, &process, &["e1", "e2", "e3"]).await;
    let admin = process.admin("").replace("http://", "");
    let (code, told) = dlq(&["list", "--admin", &admin]).await;
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("  e1  type.e1  default/one/bad  rejected, 1 attempts  default-clients-post-dlq/"), "{told}");
    assert!(told.ends_with("3 dead letters\n"), "{told}");
    let (code, told) = dlq(&["list", "--admin", &admin, "--topic", "elsewhere"]).await;
    assert!(code == Some(1) && told.contains("404") && told.contains("(known: default-clients-post-dlq)"), "{told}");

    // A letter that was handed back may be on its way to a reader that just left: a broker hands it out again later.
    let tells = async |arguments: &[&str], end: &str| {
        let (_, told) = dlq(&[arguments, &["--admin", &admin]].concat()).await;
        told.ends_with(end)
    };
    let shown = || async {
        let (_, told) = dlq(&["show", "--admin", &admin, "e2"]).await;
        told.contains("\"secret\": 7") && told.contains("\"penstocktrigger\": \"default/one\"")
    };
    eventually("one is shown", shown).await;
    eventually("nothing changes in a dry run", || {
        tells(&["replay", "--dry-run"], "3 dead letters: 3 would be sent again, 0 not\n")
    })
    .await;
    sink.mend();
    eventually("one is sent again", || tells(&["replay", "e1"], "1 dead letter: 1 sent again, 0 not\n")).await;
    eventually("it is delivered", || async { sink.ids("/bad").len() == 4 }).await;
    let seen = sink.receiver.seen();
    let again = seen.iter().rfind(|seen| seen.path == "/bad").unwrap();
    assert_eq!((again.header("ce-id"), again.header("ce-penstockreplays")), ("e1", "1"));
    assert_eq!(sink.ids("/good").len(), 3, "the other subscriber had it already");
    eventually("one is dropped", || tells(&["drop", "e2"], "1 dead letter: 1 dropped\n")).await;

    // The next component process has the letters, too. Killed, it might not have noted yet which ones are settled.
    children::find(process.pid(), "component").unwrap().signal(Signal::TERM);
    eventually("the last one is told", || tells(&["list"], "1 dead letter\n")).await;
    assert_eq!(process.stop().await, Some(0));
    let files = [folder.path(), &folder.path().join("data")].map(|path| path.display().to_string());
    eventually("it is told while nobody runs", || async {
        let (_, told) = dlq(&["list", "-f", &files[0], "--data-dir", &files[1], "--dapr"]).await;
        told.ends_with("1 dead letter\n")
    })
    .await;

    let process = Run::new(folder.path()).with(through_daprd()).start().await;
    let admin = process.admin("").replace("http://", "");
    let tells = async |arguments: &[&str], end: &str| {
        let (_, told) = dlq(&[arguments, &["--admin", &admin]].concat()).await;
        told.ends_with(end)
    };
    eventually("it is sent to all", || tells(&["replay", "--all", "--to", "topic"], ": 1 sent again, 0 not\n")).await;
    eventually("all who read the topic get it", || async {
        [sink.ids("/good"), sink.ids("/bad")].iter().all(|ids| ids.last().is_some_and(|id| id == "e3"))
    })
    .await;
    assert_eq!(dlq(&["list", "--admin", &admin]).await.1, "no dead letter\n");
    let plain = Client::new().get(&process.admin("/dlq")).await.unwrap();
    assert_eq!(plain.code, 405, "a page of a browser must not do this by a link");
    assert_eq!(process.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_behind_daprd_are_told_sent_again_and_dropped() {
    are_worked_on("embedded: {}").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_are_those_of_a_bus_on_a_broker() {
    let nats = NatsServer::start("");
    are_worked_on(&format!("jetstream: {{url: \"{}\"}}", nats.url())).await;
}
