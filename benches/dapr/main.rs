//! The way through daprd: frames beside daprd's built-in `JetStream` component, one event per message
//! beside a component that does nothing, and the whole path beside the same flow without daprd.
//!
//! `make bench` measures, with a daprd that has all components (`PENSTOCK_DAPRD`); without `--bench` (as
//! `cargo test --benches` runs it) a tiny load goes through the daprd of the tests, without the built-in
//! component, and only completeness is checked. What is compared is measured in turns, in one run.

#![allow(clippy::print_stdout, reason = "a bench prints its results")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a bench that cannot go on ends by panicking")]
#![allow(clippy::disallowed_methods, reason = "the load and the sink are no part of the product")]
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rates and percentiles need no 53 bits"
)]

mod events;
#[path = "../harness/mod.rs"]
mod harness;
mod idle;
#[path = "../path/load.rs"]
mod load;
mod path;
mod pod;
mod pubsub;
mod start;
mod streams;
#[allow(dead_code, unused_imports, reason = "the tests need more of it")]
#[path = "../../tests/it/support/mod.rs"]
mod support;
#[path = "../path/usage.rs"]
mod usage;

use std::path::Path;

use harness::Effort;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    // The component that does nothing runs in a process of its own, as Penstock does: this binary is
    // started again.
    if let [_, role, socket] = &arguments[..]
        && role == idle::ROLE
    {
        return runtime.block_on(idle::serve(Path::new(socket)));
    }
    let effort = Effort::from_arguments();
    let named = std::env::var_os("PENSTOCK_DAPRD").is_some();
    assert!(effort == Effort::Try || named, "PENSTOCK_DAPRD must name a daprd with all components: use `make bench`");
    runtime.block_on(async {
        start::measure(effort).await;
        pubsub::measure(effort).await;
        path::measure(effort).await;
    });
}
