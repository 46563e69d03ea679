//! What streams and consumers are called: for whoever looks at the server from outside, such as an autoscaler.

use ring::digest::{Context, SHA256};

/// The consumer of the stream of delayed events.
pub const MOVER: &str = "mover";

/// The longest consumer name that is written in full; the server takes 255 characters.
const MAX_CONSUMER: usize = 200;
/// Bytes of a digest that stand for what they were made of: collisions are out of reach.
const DIGEST: usize = 16;

/// The stream of the bus `name`, of a cluster's bus when `namespace` is empty. Two buses never share one: Kubernetes'
/// names have no underscore, and those of namespaces no dot.
pub fn stream(namespace: &str, name: &str) -> String {
    format!("penstock_{namespace}_{}", name.replace('.', "_"))
}

/// The stream of events whose time has not come.
pub fn delayed_stream(stream: &str) -> String {
    format!("{stream}_delayed")
}

/// The durable consumer of a group on a topic: `group@topic`, dots written as `=`. A long name is cut
/// and told apart by a digest.
pub fn consumer(topic: &str, group: &str) -> String {
    let name = format!("{group}@{topic}").replace('.', "=");
    if name.len() <= MAX_CONSUMER {
        return name;
    }
    let digest = digest([name.as_str()]);
    format!("{}@{digest}", &name[..MAX_CONSUMER - digest.len() - 1])
}

/// What stands for a list of texts where it would be too long.
pub fn digest<const N: usize>(parts: [&str; N]) -> String {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    data_encoding::HEXLOWER.encode(&context.finish().as_ref()[..DIGEST])
}
