//! Placeholder until the filter shapes land.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which events count.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct Filters(pub serde_json::Value);

impl JsonSchema for Filters {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Filters".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"x-kubernetes-preserve-unknown-fields": true})
    }
}
