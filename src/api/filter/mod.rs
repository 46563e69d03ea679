//! The filters of a Trigger's input, as people write them.
//!
//! A mapping is in the words of Argo Events (`data`, `exprs`, `context`, `time`, `script`), plus
//! `cel` and the legacy `attributes` of Knative; a sequence is in Knative's dialects (`all`, `any`,
//! `not`, `exact`, `prefix`, `suffix`, `cesql`). Only shapes are judged here: what a path, a
//! pattern or a number means is judged where filters are compiled.

mod read;

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::{FieldPath, Problems};

/// The filters of one input.
#[derive(Clone, Debug, PartialEq)]
pub enum Filters {
    /// A mapping: every kind that is present.
    Kinds(Box<Kinds>),
    /// A sequence: all of the dialects.
    Dialects(Vec<Dialect>),
    /// Neither, kept as written. A cluster hands over whatever was applied, and the object must
    /// be readable for its status to say what is wrong; it is refused when it is compiled.
    Malformed(Value),
}

impl Filters {
    /// Reads filters and reports everything about their shape that is wrong; the result is
    /// [`Filters::Malformed`] when anything is.
    pub fn parse(value: &Value, path: &FieldPath, problems: &mut Problems) -> Self {
        let before = problems.len();
        let filters = read::filters(value, path, problems);
        match filters {
            Some(filters) if problems.len() == before => filters,
            _ => Self::Malformed(value.clone()),
        }
    }
}

/// Filters by kind, in the words of Argo Events.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Kinds {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub data: Vec<DataFilter>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_logical_operator: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exprs: Vec<ExprFilter>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expr_logical_operator: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<ContextFilter>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<TimeFilter>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cel: Option<String>,
    /// Knative's legacy attribute filter: every attribute equals its text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attributes: Option<BTreeMap<String, String>>,
}

/// One value inside the payload, compared.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct DataFilter {
    /// Where in the payload, in the path syntax of gjson.
    pub path: String,
    /// `string`, `number` or `bool`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `=` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comparator: Option<String>,
    /// What it is compared with; one of several suffices.
    pub value: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
}

/// An expression over named values of the payload.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ExprFilter {
    pub expr: String,
    pub fields: Vec<ExprField>,
}

/// A name of an expression and the path of its value.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ExprField {
    pub name: String,
    pub path: String,
}

/// Attributes that must be equal; an absent or empty member is not checked.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ContextFilter {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub ty: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub datacontenttype: Option<String>,
}

/// A span of the day, on the `time` attribute of the event.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TimeFilter {
    /// `HH:MM:SS`, included.
    pub start: String,
    /// `HH:MM:SS`, excluded; before `start` when the span reaches over midnight.
    pub stop: String,
    /// An IANA name; UTC when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
}

/// One object of a sequence of filters: exactly one dialect of the Knative Trigger.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Dialect {
    All(Vec<Dialect>),
    Any(Vec<Dialect>),
    Not(Box<Dialect>),
    Exact(BTreeMap<String, String>),
    Prefix(BTreeMap<String, String>),
    Suffix(BTreeMap<String, String>),
    Cesql(String),
    /// `cesql` as the Subscriptions API spells it.
    Sql(String),
    /// The empty object, which says nothing and lets everything pass.
    #[serde(untagged, serialize_with = "empty_object")]
    Empty,
}

fn empty_object<S: Serializer>(serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(std::iter::empty::<(&str, &str)>())
}

/// Never fails: what is no filter becomes [`Filters::Malformed`].
impl<'de> Deserialize<'de> for Filters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Ok(Self::parse(&value, &FieldPath::root(), &mut Problems::new()))
    }
}

impl Serialize for Filters {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Kinds(kinds) => kinds.serialize(serializer),
            Self::Dialects(dialects) => dialects.serialize(serializer),
            Self::Malformed(value) => value.serialize(serializer),
        }
    }
}

/// A structural schema cannot say "mapping or list", so the API server keeps whatever is written
/// and the reader here judges it.
impl JsonSchema for Filters {
    fn schema_name() -> Cow<'static, str> {
        "Filters".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Which events this input takes. A mapping: data, exprs, context, time, script, cel, attributes. A sequence: all, any, not, exact, prefix, suffix, cesql.",
            "x-kubernetes-preserve-unknown-fields": true
        })
    }
}

#[cfg(test)]
mod tests;
