//! The steps that the server takes as one: Lua scripts, and the names of what they touch.

use std::sync::LazyLock;

use crate::flow::{Group, Topic};

/// A script; the server knows it by its digest after the first time.
pub(super) struct Script {
    pub text: &'static str,
    pub hash: LazyLock<String>,
}

macro_rules! script {
    ($name:ident, $file:literal) => {
        pub(super) static $name: Script = Script {
            text: concat!(include_str!("lua/prelude.lua"), include_str!($file)),
            hash: LazyLock::new(|| redis::Script::new($name.text).get_hash().to_owned()),
        };
    };
}

script!(PUBLISH, "lua/publish.lua");
script!(JOIN, "lua/join.lua");
script!(FETCH, "lua/fetch.lua");
script!(SETTLE, "lua/settle.lua");
script!(KEEP, "lua/keep.lua");
script!(LEAVE, "lua/leave.lua");
script!(LAG, "lua/lag.lua");
script!(TRIM, "lua/trim.lua");
script!(WRITE, "lua/write.lua");
script!(SCAN, "lua/scan.lua");
script!(READ, "lua/read.lua");
script!(END, "lua/end.lua");
script!(BEHIND, "lua/behind.lua");

/// The keys of one topic. The topic in braces is their hash tag: a cluster keeps them in one slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Keys {
    pub stream: String,
    /// Events whose time has not come, by the time.
    pub delayed: String,
    /// Counts delayed events.
    pub number: String,
}

impl Keys {
    pub(super) fn new(prefix: &str, topic: &Topic) -> Self {
        let stream = format!("{prefix}:{{{topic}}}");
        Self { delayed: format!("{stream}:delayed"), number: format!("{stream}:number"), stream }
    }

    /// Entries that a group gets again, by the time.
    pub(super) fn again(&self, group: &Group) -> String {
        format!("{}:again:{group}", self.stream)
    }

    /// What says that an event is known already.
    pub(super) fn seen(&self, digest: &str) -> String {
        format!("{}:seen:{digest}", self.stream)
    }
}

/// The keys of the store: values with their revisions, the keys in order, the last revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StoreKeys {
    pub values: String,
    pub keys: String,
    pub revision: String,
}

impl StoreKeys {
    pub(super) fn new(prefix: &str) -> Self {
        let values = format!("{{{prefix}:state}}");
        Self { keys: format!("{values}:keys"), revision: format!("{values}:revision"), values }
    }
}
