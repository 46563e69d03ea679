//! The whole path of an event through the release binary: HTTP in, bus, filter, HTTP sink; beside
//! a proxy that does nothing but forward, in one run on one machine.
//!
//! `cargo bench --bench path` measures; without `--bench` (as `cargo test --benches` runs it) a tiny
//! load goes through, and only its completeness is checked. Latency is from just before the client
//! sends to just after the sink has read the request, on one clock.

#![allow(clippy::print_stdout, reason = "a bench prints its results")]
#![allow(clippy::unwrap_used, reason = "a bench that cannot go on ends by panicking")]
#![allow(clippy::disallowed_methods, reason = "the client, the proxy and the sink are no part of the product")]
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rates and percentiles need no 53 bits"
)]

mod load;
mod proxy;
mod target;
mod usage;

use std::time::Duration;

use load::{Load, Round, Sink};
use target::Target;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    // The proxy runs in a process of its own, as Penstock does: this binary is started again.
    if let [_, role, port, to] = &arguments[..]
        && role == "proxy"
    {
        return proxy::run(port.parse().unwrap(), to);
    }
    let full = arguments.iter().any(|argument| argument == "--bench");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(measure(full));
}

async fn measure(full: bool) {
    let rounds: &[Round] = if full {
        &[
            Round { connections: 16, per_second: None, time: Duration::from_secs(5) },
            Round { connections: 256, per_second: None, time: Duration::from_secs(6) },
        ]
    } else {
        &[Round { connections: 4, per_second: None, time: Duration::from_millis(200) }]
    };
    let sink = Sink::start().await;
    let (ready, mut penstock) = Target::penstock(&sink, 1).await;
    println!("start to ready: {} ms", ready.as_millis());
    println!("binary: {:.1} MB", target::binary_size() as f64 / 1e6);
    println!("RSS idle: {:.1} MB", penstock.rss_mb());
    let proxy = Target::proxy(&sink).await;
    for round in rounds {
        let (forwarded, proxy_cpu) = put(&proxy, &sink, *round).await;
        let (routed, cpu) = put(&penstock, &sink, *round).await;
        let rss = penstock.rss_mb();
        println!("{} connections:", round.connections);
        println!("  proxy    {forwarded}, {proxy_cpu:.1} µs of CPU an event");
        println!("  penstock {routed}, {cpu:.1} µs of CPU an event, RSS {rss:.1} MB");
        println!("  ratio    {:.2} of the events", routed.per_second() / forwarded.per_second());
    }
    penstock.stop().await;
    growth(&sink, full).await;
}

/// Puts a target under one round of load; also what that cost the process in microseconds of processor time an event: the
/// number that other work on the machine disturbs least.
async fn put(target: &Target, sink: &Sink, round: Round) -> (Load, f64) {
    let before = target.cpu_seconds();
    let load = Load::run(&target.address, sink, round).await;
    let cpu = (target.cpu_seconds() - before) / load.delivered() as f64 * 1e6;
    (load, cpu)
}

/// How the cost of an event grows with the number of Triggers on its topic.
async fn growth(sink: &Sink, full: bool) {
    let (counts, round) = if full {
        (&[1, 10, 100, 1000][..], Round { connections: 64, per_second: None, time: Duration::from_secs(4) })
    } else {
        (&[1, 20][..], Round { connections: 4, per_second: None, time: Duration::from_millis(200) })
    };
    let mut first = None;
    for count in counts {
        let (_, mut penstock) = Target::penstock(sink, *count).await;
        let (routed, cpu) = put(&penstock, sink, round).await;
        let first = *first.get_or_insert(cpu);
        println!("{count} triggers on one topic: {routed}, {cpu:.1} µs of CPU an event, {:.2} × one", cpu / first);
        penstock.stop().await;
    }
}
