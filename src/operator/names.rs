//! Names of what the operator makes. They must never change from version to version: what has another name is
//! another object.

/// The longest name of a workload: with `-dapr` and the suffixes of pods it is still a label.
const MAX_WORKLOAD: usize = 52;

/// The longest name of a Function: `OpenFunction` deletes what it made for it by the name's beginning, which must
/// survive `-serving-`, five letters, `-deployment-latest-` and five more in 63.
const MAX_FUNCTION: usize = 40;

/// The longest part of a Component's name that stands for an event.
const MAX_EVENT: usize = 100;

/// The longest name of a bus or of a consumer group; brokers put more beside it.
const MAX_BROKER: usize = 150;

/// A dash and the digits of the hash.
const HASH_SUFFIX: usize = 9;

/// The Deployment of an object, its plan, its Service and its Dapr app, such as `trigger-ship`.
pub fn workload(prefix: &str, name: &str) -> String {
    fit(&format!("{prefix}-{name}"), MAX_WORKLOAD, false)
}

/// The Function of a workload. `OpenFunction` makes a Service of the Function's name, which must not be the workload's.
pub fn function(workload: &str) -> String {
    fit(&format!("{workload}-fn"), MAX_FUNCTION, false)
}

/// The Component of an event. No workload has a dot in its name, so that nobody else's is called so.
pub fn event_component(workload: &str, event: &str) -> String {
    format!("{workload}.{}", fit(event, MAX_EVENT, false))
}

/// The Component of the bus beside a workload.
pub fn bus_component(workload: &str) -> String {
    format!("{workload}-bus")
}

/// The state store Component of the bus beside a workload.
pub fn state_component(workload: &str) -> String {
    format!("{workload}-state")
}

/// A copy of a Component that a workload may use.
pub fn copied_component(workload: &str, component: &str) -> String {
    format!("{workload}-sink.{}", fit(component, MAX_EVENT, false))
}

/// What every Component of a bus says, so that all are one bus. No namespace is called `_`.
pub fn bus(namespace: &str, name: &str) -> String {
    let namespace = if namespace.is_empty() { "_" } else { namespace };
    fit(&format!("{namespace}.{name}"), MAX_BROKER, true)
}

/// The consumer group of a Trigger. No namespace has a dot in its name.
pub fn group(namespace: &str, trigger: &str) -> String {
    fit(&format!("{namespace}.{trigger}"), MAX_BROKER, true)
}

/// The consumer group of a shared router. No Trigger is called `@`.
pub fn shared_group(namespace: &str, bus: &str) -> String {
    fit(&format!("{namespace}._.{bus}"), MAX_BROKER, true)
}

/// A label's value.
pub fn label(name: &str) -> String {
    fit(name, 63, false)
}

/// The text itself where it is legal and short enough; else what is legal of it, cut, and the hash of all of it.
fn fit(text: &str, longest: usize, for_broker: bool) -> String {
    let legal =
        |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || (for_broker && matches!(c, '.' | '_'));
    let ends_well = !text.ends_with('-') && !text.starts_with('-') && !text.is_empty();
    if text.len() <= longest && text.chars().all(legal) && ends_well {
        return text.to_owned();
    }
    let kept: String = text.chars().map(|c| if legal(c) { c } else { '-' }).collect();
    let kept = &kept[..kept.len().min(longest - HASH_SUFFIX)];
    let kept = kept.trim_matches('-');
    let hash = hash(text);
    if kept.is_empty() { format!("x-{hash:08x}") } else { format!("{kept}-{hash:08x}") }
}

/// FNV-1a, 64 bits, its upper half XOR its lower half.
fn hash(text: &str) -> u32 {
    let long = digest(text.as_bytes());
    u32::try_from((long >> 32) ^ (long & u64::from(u32::MAX))).unwrap_or_default()
}

/// FNV-1a, 64 bits.
pub fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kept_where_they_fit_and_hashed_where_they_do_not() {
        assert_eq!(workload("trigger", "ship"), "trigger-ship");
        let long = workload("eventsource", &"a".repeat(253));
        assert_eq!(long.len(), MAX_WORKLOAD);
        assert_ne!(long, workload("eventsource", &"a".repeat(252)));
        assert_eq!(function("trigger-ship"), "trigger-ship-fn");
        assert_eq!(function(&long).len(), MAX_FUNCTION);
        let dotted = workload("trigger", "a.b");
        assert!(dotted.starts_with("trigger-a-b-"), "{dotted}");
        assert_ne!(dotted, workload("trigger", "a-b"));
        assert_eq!(event_component("eventsource-shop", "orders"), "eventsource-shop.orders");
        let odd = event_component("eventsource-shop", "Big_Order");
        assert!(
            odd.starts_with("eventsource-shop.-ig--rder") || odd.starts_with("eventsource-shop.ig--rder-"),
            "{odd}"
        );
        assert_eq!(event_component("w", "___"), format!("w.x-{:08x}", hash("___")));
    }

    #[test]
    fn buses_and_groups_of_different_objects_never_meet() {
        assert_eq!(bus("default", "shop"), "default.shop");
        assert_ne!(bus("", "default.shop"), bus("default", "shop"));
        assert_ne!(group("a", "b"), shared_group("a", "b"));
        assert_eq!(shared_group("default", "shop"), "default._.shop");
    }
}
