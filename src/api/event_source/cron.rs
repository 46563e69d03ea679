//! Settings of a schedule.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::EventCommon;
use crate::api::any::Any;

/// One schedule.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CronEvent {
    #[serde(flatten)]
    pub common: EventCommon,
    /// Five or six fields, `@hourly` and its like, or `@every 5s`.
    pub schedule: String,
    /// An IANA time zone; UTC when absent.
    pub timezone: Option<String>,
    /// Ticks missed while stopped: `none` (default), `last` or `all`.
    pub catch_up: Option<String>,
    /// The data of every event: any YAML value.
    pub data: Option<Any>,
}
