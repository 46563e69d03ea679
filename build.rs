//! Compiles the protos without a system protoc; the code goes to `OUT_DIR` only.

use std::error::Error;

const PROTOS: [&str; 6] = [
    "cloudevents/cloudevents.proto",
    "dapr/common/v1/common.proto",
    "dapr/components/v1/pubsub.proto",
    "dapr/components/v1/state.proto",
    "dapr/runtime/v1/dapr.proto",
    "penstock/frame.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(PROTOS, ["proto"])?;
    tonic_prost_build::configure().btree_map(".").bytes(".").compile_fds(descriptors)?;
    Ok(())
}
