//! Generated protobuf messages and gRPC services, and nothing else; lints are off here alone.
#![allow(clippy::all, clippy::pedantic, missing_docs, unused_qualifications)]

/// The CloudEvents protobuf format.
pub mod cloudevents {
    include!(concat!(env!("OUT_DIR"), "/io.cloudevents.v1.rs"));
}

/// Dapr: what a pluggable component serves, and the calls of the sidecar's API that we make. The
/// modules nest as the proto packages do, because the generated code names them by that path.
pub mod dapr {
    pub mod proto {
        pub mod common {
            pub mod v1 {
                include!(concat!(env!("OUT_DIR"), "/dapr.proto.common.v1.rs"));
            }
        }
        pub mod components {
            pub mod v1 {
                include!(concat!(env!("OUT_DIR"), "/dapr.proto.components.v1.rs"));
            }
        }
        pub mod runtime {
            pub mod v1 {
                include!(concat!(env!("OUT_DIR"), "/dapr.proto.runtime.v1.rs"));
            }
        }
    }
}

pub use dapr::proto::{common::v1 as dapr_common, components::v1 as dapr_components, runtime::v1 as dapr_runtime};

/// Messages of our own.
pub mod penstock {
    include!(concat!(env!("OUT_DIR"), "/penstock.v1.rs"));
}
