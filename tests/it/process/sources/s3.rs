//! Object storage with a real `MinIO`: what it posts, what is listened to, and whoever goes away in the middle.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use http::Method;
use serde_json::{Value as Json, json};

use super::{source, trigger};
use crate::support::{Client, Minio, Penstock, Receiver, Run, eventually, free_port, sink};

/// A flow from the event `objects` (the inside of a YAML flow mapping) to a receiver.
fn write_flow(folder: &Path, settings: &str, receiver: &Receiver) {
    let yaml = source("s3")
        + &format!("    objects: {{{settings}}}\n")
        + &trigger("all", &["objects"], &[sink(&receiver.uri("/"))]);
    std::fs::write(folder.join("flow.yaml"), yaml).unwrap();
}

fn run(folder: &Path) -> Run {
    Run::new(folder).env("S3_TOKEN", "hook-token").env("S3_KEY", Minio::ACCESS_KEY).env("S3_SECRET", Minio::SECRET_KEY)
}

async fn listening(process: &Penstock) {
    eventually("it listens", || async { process.log().contains("listening to the object storage") }).await;
}

/// The keys that events came for, as headers have them: with their escapes escaped.
fn keys(receiver: &Receiver) -> HashSet<String> {
    receiver.seen().iter().map(|seen| seen.header("ce-subject").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_storage_posts_is_an_event_for_each_record_though_the_process_is_killed() {
    const KILLS: usize = 5;
    let (folder, receiver, port) = (tempfile::tempdir().unwrap(), Receiver::start().await, free_port());
    let uri = format!("http://127.0.0.1:{port}/objects");
    let minio = Minio::posting(&uri, "hook-token").await;
    minio.make_bucket("photos").await;
    minio.notify("photos", &["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]).await;
    let settings = format!("mode: webhook, port: {port}, bearer: {{env: S3_TOKEN}}, filter: {{prefix: in/}}");
    write_flow(folder.path(), &settings, &receiver);
    let process = run(folder.path()).start().await;
    minio.put("photos", "in/a%20b.txt", "one").await;
    minio.put("photos", "out/a.txt", "not wanted").await;
    minio.delete("photos", "in/a%20b.txt").await;
    eventually("both are delivered", || async { receiver.count() >= 2 }).await;
    process.kill().await;
    let mut random = fastrand::Rng::with_seed(7);
    let mut wanted = HashSet::from(["in%252Fa+b.txt".to_owned()]);
    for round in 0..KILLS {
        let process = run(folder.path()).start().await;
        for number in 0..10 {
            let name = format!("{round}-{number}.txt");
            minio.put("photos", &format!("in/{name}"), "x").await;
            wanted.insert(format!("in%252F{name}"));
        }
        tokio::time::sleep(Duration::from_millis(random.u64(0..100))).await;
        process.kill().await;
    }
    let process = run(folder.path()).start().await;
    eventually("every object is told of", || async { wanted.is_subset(&keys(&receiver)) }).await;
    assert_eq!(keys(&receiver), wanted);
    let seen = receiver.seen();
    let of_first: Vec<_> = seen.iter().filter(|seen| seen.header("ce-subject") == "in%252Fa+b.txt").collect();
    let types: HashSet<&str> = of_first.iter().map(|seen| seen.header("ce-type")).collect();
    let expected = ["com.amazonaws.s3.ObjectCreated:Put", "com.amazonaws.s3.ObjectRemoved:Delete"];
    assert_eq!(types, HashSet::from(expected));
    assert_eq!(of_first[0].header("ce-source"), "minio:s3.photos");
    let record: Json = serde_json::from_slice(&of_first[0].body).unwrap();
    assert_eq!(
        (&record["s3"]["bucket"]["name"], &record["s3"]["object"]["key"]),
        (&json!("photos"), &json!("in%2Fa+b.txt"))
    );
    assert_eq!(process.stop().await, Some(0));
}

#[tokio::test]
async fn what_aws_posts_is_taken_and_what_is_no_notification_is_refused() {
    let (folder, receiver, port) = (tempfile::tempdir().unwrap(), Receiver::start().await, free_port());
    write_flow(folder.path(), &format!("mode: webhook, port: {port}, bearer: {{env: S3_TOKEN}}"), &receiver);
    let process = run(folder.path()).start().await;
    let (client, uri) = (Client::new(), format!("http://127.0.0.1:{port}/objects"));
    let sent = async |token: &str, body: Json| {
        let headers = [("authorization", token), ("content-type", "application/json")];
        client.send(Method::POST, &uri, &headers, body.to_string()).await.unwrap().code
    };
    let record = |key: &str| {
        json!({
            "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "eu-west-1",
            "eventTime": "2026-01-31T12:00:00.000Z", "eventName": "ObjectCreated:Put",
            "responseElements": {"x-amz-request-id": "R", "x-amz-id-2": "I"},
            "s3": {"bucket": {"name": "photos"}, "object": {"key": key, "sequencer": "1"}},
        })
    };
    let body = json!({"Records": [record("a.jpg"), record("b.jpg")]});
    assert_eq!(sent("Bearer hook-token", body.clone()).await, 202);
    // A second time it is recognised.
    assert_eq!(sent("Bearer hook-token", body.clone()).await, 202);
    assert_eq!(sent("Bearer hook-token", json!({"Event": "s3:TestEvent"})).await, 202);
    assert_eq!(sent("Bearer wrong", body).await, 401);
    assert_eq!(sent("Bearer hook-token", json!({"Type": "Notification", "Message": "{}"})).await, 400);
    eventually("both are delivered", || async { receiver.count() >= 2 }).await;
    assert_eq!(process.stop().await, Some(0));
    assert_eq!((receiver.count(), keys(&receiver)), (2, HashSet::from(["a.jpg".to_owned(), "b.jpg".to_owned()])));
    assert_eq!(receiver.seen()[0].header("ce-source"), "aws:s3.eu-west-1.photos");
}

/// Waits for so many events of an object. The pinned build of the server holds back what it writes until 4 KiB are
/// together, so there must be more to tell, of this object or of others.
async fn heard(minio: &Minio, receiver: &Receiver, key: &str, count: usize) {
    eventually("it hears of the object", || async {
        minio.put("photos", if count == 1 { key } else { "in/%C3%A4-more.txt" }, "x").await;
        receiver.seen().iter().filter(|seen| seen.header("ce-subject") == key).count() >= count
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storage_that_is_listened_to_may_go_away_and_come_back() {
    let mut minio = Minio::start().await;
    minio.make_bucket("photos").await;
    let (folder, receiver) = (tempfile::tempdir().unwrap(), Receiver::start().await);
    let keys_of = "accessKey: {env: S3_KEY}, secretKey: {env: S3_SECRET}";
    let more = "events: ['s3:ObjectCreated:*', 's3:ObjectRemoved:*'], filter: {prefix: 'in/ä', suffix: .txt}";
    let backoff = "connectionBackoff: {duration: 100ms, cap: 500ms}";
    let settings = format!("mode: listen, endpoint: \"{}\", bucket: photos, {keys_of}, {more}, {backoff}", minio.url());
    write_flow(folder.path(), &settings, &receiver);
    minio.kill();
    let process = run(folder.path()).start().await;
    eventually("it waits", || async { process.log().contains("no connection to the object storage; trying again") })
        .await;
    minio.run().await;
    listening(&process).await;
    minio.put("photos", "in/%C3%A4%20b.txt", "one").await;
    minio.put("photos", "in/%C3%A4.jpg", "not wanted").await;
    minio.delete("photos", "in/%C3%A4%20b.txt").await;
    heard(&minio, &receiver, "in/%C3%A4%20b.txt", 2).await;
    let seen = receiver.seen();
    assert!(!keys(&receiver).contains("in/%C3%A4.jpg"));
    let of_first: Vec<_> = seen.iter().filter(|seen| seen.header("ce-subject") == "in/%C3%A4%20b.txt").collect();
    let types: HashSet<&str> = of_first.iter().map(|seen| seen.header("ce-type")).collect();
    let expected = ["com.amazonaws.s3.ObjectCreated:Put", "com.amazonaws.s3.ObjectRemoved:Delete"];
    assert_eq!((of_first.len(), types), (2, HashSet::from(expected)));
    let first = of_first[0];
    assert_eq!((first.header("ce-source"), first.header("content-type")), ("minio:s3.photos", "application/json"));
    minio.kill();
    eventually("the loss is told", || async { process.log().contains("without a connection is not heard of") }).await;
    minio.run().await;
    // What happens before it listens again is not heard of.
    heard(&minio, &receiver, "in/%C3%A4-again.txt", 1).await;
    assert_eq!(process.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storage_whose_authority_is_named_is_listened_to_over_tls_and_no_other() {
    let (minio, authority) = Minio::start_tls().await;
    minio.make_bucket("photos").await;
    let (folder, receiver) = (tempfile::tempdir().unwrap(), Receiver::start().await);
    let other = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap().cert.pem();
    let start = |ca: &str| {
        let file = folder.path().join("ca.crt");
        std::fs::write(&file, ca).unwrap();
        let login = "accessKey: {env: S3_KEY}, secretKey: {env: S3_SECRET}";
        let ca = format!("caCert: {{file: \"{}\"}}", file.display());
        let settings = format!("mode: listen, endpoint: \"{}\", {ca}, bucket: photos, {login}", minio.url());
        write_flow(folder.path(), &settings, &receiver);
        run(folder.path())
    };
    let (code, log) = start(&other).spawn().log_when_ended().await;
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("TLS cannot be agreed on"), "{log}");
    let process = start(&authority).start().await;
    listening(&process).await;
    heard(&minio, &receiver, "in/%C3%A4.txt", 1).await;
    assert_eq!(process.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_storage_refuses_ends_the_process_with_the_reason() {
    let minio = Minio::start().await;
    let (folder, receiver) = (tempfile::tempdir().unwrap(), Receiver::start().await);
    let ends = async |bucket: &str, secret: &str, expected: &str| {
        let login = "accessKey: {env: S3_KEY}, secretKey: {env: S3_SECRET}";
        let settings = format!("mode: listen, endpoint: \"{}\", bucket: {bucket}, {login}", minio.url());
        write_flow(folder.path(), &settings, &receiver);
        let (code, log) = run(folder.path()).env("S3_SECRET", secret).spawn().log_when_ended().await;
        assert_eq!(code, Some(1), "{log}");
        assert!(log.contains(expected) && !log.contains("hunter2"), "{log}");
    };
    ends("photos", "hunter2", "the server refuses the keys, or does not permit it").await;
    ends("photos", Minio::SECRET_KEY, "there is no such bucket").await;
}
