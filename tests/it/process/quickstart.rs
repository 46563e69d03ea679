//! The quickstart of the README, as its readers run it.

use std::path::{Path, PathBuf};

use http::Method;
use tempfile::TempDir;

use crate::support::{Client, Penstock, Receiver, Run, eventually, free_port};

/// The example in a folder of its own; only its ports become free ones.
pub struct Example {
    folder: TempDir,
    receiver: Receiver,
    port: u16,
}

impl Example {
    /// As it is.
    pub async fn copy() -> Self {
        Self::over("embedded: {}").await
    }

    /// Over a bus with these settings.
    pub async fn over(bus: &str) -> Self {
        let (folder, receiver, port) = (tempfile::tempdir().unwrap(), Receiver::start().await, free_port());
        let example = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/quickstart");
        let replace = |file: &str, changes: &[(&str, String)]| {
            let mut text = std::fs::read_to_string(example.join(file)).unwrap();
            for (old, new) in changes {
                assert!(text.contains(old), "{file} has no {old:?} any more:\n{text}");
                text = text.replace(old, new);
            }
            std::fs::write(folder.path().join(file), text).unwrap();
        };
        replace("bus.yaml", &[("embedded: {}", bus.to_owned())]);
        // 8080 is the default, so the file does not say it.
        let own_port = |event: &str| format!("{event}\n      port: {port}");
        replace(
            "sources.yaml",
            &[("    github:", own_port("    github:")), ("    orders: {}", own_port("    orders:"))],
        );
        replace("triggers.yaml", &[("http://127.0.0.1:9000", receiver.uri(""))]);
        let files = std::fs::read_dir(example).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_file());
        assert_eq!(files.count(), 3, "a file of the example is not run here");
        Self { folder, receiver, port }
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Sends what the README sends.
    pub async fn send(&self) {
        let client = Client::new();
        let send = async |path: &str, headers: &[(&str, &str)], body: &str| {
            let uri = format!("http://127.0.0.1:{}{path}", self.port);
            let answer = client.send(Method::POST, &uri, headers, body).await.unwrap();
            assert_eq!(answer.code, 202, "{answer:?}");
        };
        for (id, branch) in [("push-topic", "topic"), ("push-main", "main"), ("push-main2", "main2")] {
            let headers = [("content-type", "application/json"), ("x-github-event", "push"), ("x-github-delivery", id)];
            send("/github", &headers, &push(branch)).await;
        }
        // What `curl -d` says when it is told no content type.
        let curl = [("content-type", "application/x-www-form-urlencoded"), ("x-github-delivery", "push-curl")];
        send("/github", &curl, &push("main")).await;
        // Binary mode, structured mode, and a batch.
        for (id, total) in [("small", "20"), ("hundred", "100")] {
            let headers = [
                ("ce-specversion", "1.0"),
                ("ce-id", id),
                ("ce-source", "/shop"),
                ("ce-type", "com.shop.order.paid"),
                ("content-type", "application/json"),
            ];
            send("/orders", &headers, &format!("{{\"total\": {total}}}")).await;
        }
        let json = [("content-type", "application/cloudevents+json")];
        send("/orders", &json, &order("large", "com.shop.order.paid", "250")).await;
        let batch = [
            order("created-small", "com.shop.order.created", "30"),
            order("created-large", "com.shop.order.created", "100.5"),
            order("paid", "com.shop.order.paid", "\"unknown\""),
        ];
        let json = [("content-type", "application/cloudevents-batch+json")];
        send("/orders", &json, &format!("[{}]", batch.join(","))).await;
    }

    /// Waits until the process that delivers has told and done what the README shows.
    pub async fn is_told_by(&self, process: &Penstock) {
        for id in ["large", "created-large"] {
            let id = format!("id=\"{id}\"");
            let dead = logged(process, &["dead letter", &id]).await;
            assert!(dead.contains("subscriber=\"default/shop/review\""), "{dead}");
            assert!(dead.contains("attempts=1") && dead.contains("to=\"log:\""), "{dead}");
            let letter = logged(process, &[" event ", &id]).await;
            assert!(letter.contains("source=\"/shop\"") && letter.contains("total"), "{letter}");
        }
        for id in ["push-topic", "push-main2"] {
            let line = logged(process, &["filtered out", &format!("id=\"{id}\"")]).await;
            assert!(line.contains("trigger=\"default/deploy\" input=\"push\""), "{line}");
        }
        logged(process, &["filtered out", "id=\"created-small\"", "input=\"paid\""]).await;
        logged(process, &["filtered out", "id=\"created-small\"", "input=\"large\""]).await;
        eventually("six events are delivered", || async { self.receiver.count() >= 6 }).await;
    }

    /// Checks that nothing else came of it; with the log of the process that delivered.
    pub fn assert_arrived(&self, log: &str) {
        let mut seen: Vec<_> =
            self.receiver.seen().iter().map(|seen| format!("{} {}", seen.path, seen.header("ce-id"))).collect();
        seen.sort();
        assert_eq!(
            seen,
            ["/deploy push-curl", "/deploy push-main", "/ship hundred", "/ship large", "/ship paid", "/ship small"],
            "{log}"
        );
        let deploy = self.receiver.seen().into_iter().find(|seen| seen.header("ce-id") == "push-main").unwrap();
        let told = ["ce-type", "ce-source", "ce-subject", "content-type"].map(|name| deploy.header(name));
        assert_eq!(told, ["com.github.push", "/default/hooks/github", "push", "application/json"]);
        assert_eq!(deploy.body, push("main"));
        assert_eq!(log.lines().filter(|line| line.contains("dead letter")).count(), 2, "{log}");
    }
}

/// Waits for a line of the log that has all of `words`.
async fn logged(process: &Penstock, words: &[&str]) -> String {
    let find = || {
        let log = process.log();
        log.lines().find(|line| words.iter().all(|word| line.contains(word))).map(str::to_owned)
    };
    eventually(&format!("a line with {words:?} is logged"), || async { find().is_some() }).await;
    find().unwrap()
}

#[tokio::test]
async fn the_quickstart_does_what_the_readme_says() {
    play(&[]).await;
}

/// Runs the example with more arguments, sends what the README sends, and sees what it shows.
pub async fn play(arguments: &[&str]) {
    let example = Example::copy().await;
    let process = Run::new(example.folder()).with(arguments.iter().copied()).start().await;
    example.send().await;
    example.is_told_by(&process).await;
    let log = process.log();
    assert_eq!(process.stop().await, Some(0));
    example.assert_arrived(&log);
}

/// The part of GitHub's push payload that matters here.
fn push(branch: &str) -> String {
    format!("{{\"ref\": \"refs/heads/{branch}\", \"repository\": {{\"full_name\": \"octo/shop\"}}}}")
}

fn order(id: &str, ty: &str, total: &str) -> String {
    format!(
        "{{\"specversion\": \"1.0\", \"id\": \"{id}\", \"source\": \"/shop\", \"type\": \"{ty}\", \
         \"data\": {{\"total\": {total}}}}}"
    )
}
