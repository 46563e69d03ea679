//! Compiles the protos without a system protoc; the code goes to `OUT_DIR` only.

use std::env;
use std::error::Error;
use std::fs;
use std::path::PathBuf;

const PROTOS: [&str; 7] = [
    "cloudevents/cloudevents.proto",
    "dapr/common/v1/common.proto",
    "dapr/components/v1/pubsub.proto",
    "dapr/components/v1/state.proto",
    "dapr/runtime/v1/dapr.proto",
    "google/rpc/error.proto",
    "penstock/frame.proto",
];

/// What a component tells daprd about itself by reflection.
const REFLECTED: [&str; 2] = ["dapr/components/v1/pubsub.proto", "dapr/components/v1/state.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(PROTOS, ["proto"])?;
    tonic_prost_build::configure().btree_map(".").bytes(".").compile_fds(descriptors)?;
    let mut reflected = protox::Compiler::new(["proto"])?;
    reflected.include_imports(true).open_files(REFLECTED)?;
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    fs::write(out.join("components.bin"), reflected.encode_file_descriptor_set())?;
    Ok(())
}
