//! The whole path: webhook component, daprd, intake, daprd, bus component; and on the other side of the bus,
//! component, daprd, router, HTTP sink. Beside it the same flow in one process without daprd.

use std::time::{Duration, Instant};

use http::Method;
use serde_json::json;
use tempfile::TempDir;

use super::harness::Effort;
use super::load::{Load, Round, Sink};
use super::pod::{component, listening};
use super::support::{Client, Daprd, NatsServer, Penstock, Process, Run, eventually, free_port};
use super::usage;

pub async fn measure(effort: Effort) {
    let nats = NatsServer::start("");
    let sink = Sink::start().await;
    let (direct, address) = direct(&nats, &sink).await;
    let sides = Sides::start(&nats, &sink).await;
    println!("\nThe whole path, over JetStream; idle RSS: {}", sides.memory());
    let time = effort.pick(Duration::from_secs(6), Duration::from_millis(200));
    let connections = effort.pick(64, 4);
    let round = Round { connections, per_second: None, time };
    let most = compare("as many as are taken", &address, &sides, &sink, round).await;
    println!("  RSS under load: {}", sides.memory());
    let half = (most.per_second() / 2.0) as u32;
    for (name, per_second) in [("100 events/s", 100), ("half of that", half.max(1))] {
        compare(name, &address, &sides, &sink, Round { connections, per_second: Some(per_second), time }).await;
    }
    sides.flow_comes_back(&sink).await;
    direct.kill().await;
}

/// Puts both under one round of load; what the way through daprd came to.
async fn compare(name: &str, direct: &str, sides: &Sides, sink: &Sink, round: Round) -> Load {
    let plain = Load::run(direct, sink, round).await;
    let before = sides.daprd_seconds();
    let routed = Load::run(&sides.address, sink, round).await;
    let cost = (sides.daprd_seconds() - before) / routed.delivered() as f64 * 1e6;
    println!("{name}, {} connections:\n  in one process  {plain}", round.connections);
    println!("  through daprd   {routed}; both daprds {cost:.0} µs an event");
    let added = |routed: Duration, plain: Duration| (routed.as_secs_f64() - plain.as_secs_f64()) * 1e3;
    let (p50, p99) = (added(routed.p50, plain.p50), added(routed.p99, plain.p99));
    println!("  added by daprd  p50 {p50:.1} ms, p99 {p99:.1} ms");
    routed
}

/// The flow in one process; it, and where it listens.
async fn direct(nats: &NatsServer, sink: &Sink) -> (Penstock, String) {
    let folder = tempfile::tempdir().unwrap();
    let (port, url, sink) = (free_port(), nats.url(), &sink.address);
    let documents = format!(
        "apiVersion: events.openfunction.io/v1alpha1\nkind: EventBus\nmetadata: {{name: default}}\nspec:\n  \
         jetstream: {{url: \"{url}\", stream: direct}}\n\
         ---\napiVersion: events.openfunction.io/v1alpha1\nkind: EventSource\nmetadata: {{name: bench}}\nspec:\n  \
         http: {{orders: {{path: /, port: {port}}}}}\n\
         ---\napiVersion: events.openfunction.io/v1alpha1\nkind: Trigger\nmetadata: {{name: bench}}\nspec:\n  \
         eventSources: [{{name: orders, eventSourceName: bench, eventName: orders}}]\n  \
         subscribers: [{{name: sink, sink: {{uri: \"http://{sink}/\"}}, concurrency: 256}}]\n"
    );
    std::fs::write(folder.path().join("flow.yaml"), documents).unwrap();
    let process = Run::new(folder.path()).with(["--quiet", "--log", "warn"]).start().await;
    (process, format!("127.0.0.1:{port}"))
}

/// A side that listens and a side that delivers, each a process and its daprd.
struct Sides {
    address: String,
    daprds: [(Daprd, Process); 2],
    workloads: [Penstock; 2],
    _folder: TempDir,
}

impl Sides {
    async fn start(nats: &NatsServer, sink: &Sink) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (port, url) = (free_port(), nats.url());
        let bus = component("bus", "pubsub.eventbus.jetstream", &format!("{{name: url, value: \"{url}\"}}"));
        let webhook = format!("{{name: port, value: \"{port}\"}}, {{name: path, value: /}}");
        let plans = [
            (
                "intake",
                "eventbus.jetstream,eventsource.http",
                json!({
                    "bus": {"component": "bus"},
                    "feeds": [{
                        "from": {"component": "bench-orders", "streams": 4}, "topic": "orders", "to": "default-bench-orders",
                        "namespace": "default", "eventSource": "bench", "event": "orders",
                    }],
                }),
            ),
            (
                "router",
                "eventbus.jetstream",
                json!({
                    "bus": {"component": "bus"},
                    "group": "default-bench",
                    "triggers": [{"namespace": "default", "name": "bench", "spec": {
                        "eventSources": [{"name": "orders", "eventSourceName": "bench", "eventName": "orders"}],
                        "subscribers": [{
                            "name": "sink", "sink": {"uri": format!("http://{}/", sink.address)}, "concurrency": 256,
                        }],
                    }}],
                }),
            ),
        ];
        let mut sides = Vec::new();
        for (name, kinds, plan) in plans {
            let home = folder.path().join(name);
            let daprd = Daprd::new(&home.join("resources"), &home.join("s"));
            daprd.resource("bus", &bus);
            if name == "intake" {
                daprd.resource("webhook", &component("bench-orders", "pubsub.eventsource.http", &webhook));
            }
            std::fs::write(home.join("plan.json"), plan.to_string()).unwrap();
            let run = Run::command([name], &home)
                .with(["--kind", kinds, "--log", "warn", "--dapr", &format!("127.0.0.1:{}", daprd.grpc_port())])
                .with([format!("--plan={}", home.join("plan.json").display())])
                .with([format!("--sockets-dir={}", home.join("s").display())]);
            let starting = tokio::spawn(async move { run.start().await });
            for kind in kinds.split(',') {
                listening(&home.join("s").join(format!("{kind}.sock"))).await;
            }
            let process = daprd.start().await;
            sides.push(((daprd, process), starting.await.unwrap()));
        }
        let (daprds, workloads): (Vec<_>, Vec<_>) = sides.into_iter().unzip();
        let (daprds, workloads) = (daprds.try_into().ok().unwrap(), workloads.try_into().ok().unwrap());
        Self { address: format!("127.0.0.1:{port}"), daprds, workloads, _folder: folder }
    }

    /// What the processes hold.
    fn memory(&self) -> String {
        let [intake, router] = self.workloads.each_ref().map(|process| usage::rss_mb(process.pid()));
        let [first, second] = self.daprds.each_ref().map(|(_, process)| usage::rss_mb(process.pid()));
        format!("intake {intake:.0} MB, router {router:.0} MB, their daprds {first:.0} and {second:.0} MB")
    }

    fn daprd_seconds(&self) -> f64 {
        self.daprds.iter().map(|(_, process)| usage::cpu_seconds(process.pid())).sum()
    }

    /// Kills each daprd in turn, starts it again, and takes the time until the next event arrives.
    async fn flow_comes_back(self, sink: &Sink) {
        let Self { address, daprds, workloads, _folder } = self;
        let (client, uri) = (Client::new(), format!("http://{address}/"));
        let mut back = Vec::new();
        for (name, (daprd, process)) in ["listens", "delivers"].into_iter().zip(daprds) {
            process.kill().await;
            let (before, start) = (sink.received(), Instant::now());
            back.push(daprd.spawn());
            let mut posted = 0;
            eventually("an event arrives", || {
                posted += 1;
                let id = format!("{name}-{posted}");
                let (client, uri, sent) = (&client, &uri, sink.now_micros().to_string());
                async move {
                    let headers = [
                        ("ce-specversion", "1.0"),
                        ("ce-id", &id),
                        ("ce-source", "/bench"),
                        ("ce-type", "com.example.bench"),
                        ("ce-sent", &sent),
                    ];
                    // Refused while nothing takes it.
                    drop(
                        tokio::time::timeout(
                            Duration::from_millis(100),
                            client.send(Method::POST, uri, &headers, "{}"),
                        )
                        .await,
                    );
                    sink.received() > before
                }
            })
            .await;
            let took = start.elapsed().as_millis();
            println!("flow is back {took} ms after the daprd of the side that {name} was killed and started again");
        }
        for workload in workloads {
            workload.kill().await;
        }
    }
}
