//! Judges a value by the structural schema of its kind: the one that the API server gets.
//!
//! Everything that is wrong is reported at once: unknown fields, wrong types, missing fields,
//! unknown words, numbers out of range. The value is repaired on the way, so that it can be read
//! into the raw shapes and the parsers behind them can go on to find what only they know.

use serde_json::{Map, Value as Json};

use super::problem::alternatives;
use super::{FieldPath, Problems};

/// A value that has the shape of its schema.
#[derive(Debug)]
pub struct Walked {
    /// The value without what is unknown; empty values stand where something was wrong or missing.
    pub value: Json,
    /// Where empty values stand. What anybody says about these parts is beside the point.
    pub repaired: Vec<FieldPath>,
}

/// Judges and repairs `value`, which stands at `path`.
pub fn walk(value: Json, schema: &Json, path: &FieldPath, problems: &mut Problems) -> Walked {
    let mut walk = Walk { problems, repaired: Vec::new() };
    let value = walk.node(value, schema, path);
    Walked { value, repaired: walk.repaired }
}

/// What a value is, in the words of messages.
pub const fn kind_of(value: &Json) -> &'static str {
    match value {
        Json::Null => "nothing",
        Json::Bool(_) => "true or false",
        Json::Number(_) => "a number",
        Json::String(_) => "text",
        Json::Array(_) => "a list",
        Json::Object(_) => "an object",
    }
}

struct Walk<'a> {
    problems: &'a mut Problems,
    repaired: Vec<FieldPath>,
}

impl Walk<'_> {
    fn node(&mut self, value: Json, schema: &Json, path: &FieldPath) -> Json {
        if is_set(schema, "x-kubernetes-int-or-string") {
            return if value.is_string() || value.is_i64() { value } else { self.wrong_type(&value, schema, path) };
        }
        let value = match (type_of(schema), value) {
            ("object", Json::Object(members)) => return Json::Object(self.object(members, schema, path)),
            ("array", Json::Array(items)) => return self.list(items, schema, path),
            ("integer", value @ Json::Number(_)) if value.is_i64() || value.is_u64() => value,
            ("number", value @ Json::Number(_))
            | ("string", value @ Json::String(_))
            | ("boolean", value @ Json::Bool(_)) => value,
            ("", value) => return value,
            (_, value) => return self.wrong_type(&value, schema, path),
        };
        self.limits(value, schema, path)
    }

    fn object(&mut self, members: Map<String, Json>, schema: &Json, path: &FieldPath) -> Map<String, Json> {
        if let Some(every) = schema.get("additionalProperties").filter(|every| every.is_object()) {
            return self.named(members, schema, every, path);
        }
        let none = Map::new();
        let properties = schema.get("properties").and_then(Json::as_object).unwrap_or(&none);
        let open = is_set(schema, "x-kubernetes-preserve-unknown-fields");
        let mut kept = Map::new();
        for (name, value) in members {
            match properties.get(&name) {
                // As the API server has it: nothing is the same as absent.
                Some(schema) if value.is_null() && !type_of(schema).is_empty() => {}
                Some(schema) => {
                    let value = self.node(value, schema, &path.field(&name));
                    kept.insert(name, value);
                }
                None if open => {
                    kept.insert(name, value);
                }
                None => {
                    let known: Vec<&str> = properties.keys().map(String::as_str).collect();
                    self.problems.unknown_field(path, &name, &known);
                }
            }
        }
        let required = schema.get("required").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str);
        for name in required {
            if let Some(schema) = properties.get(name)
                && !kept.contains_key(name)
            {
                let path = path.field(name);
                self.problems.push(&path, format!("required ({}) and missing", expected(schema)));
                kept.insert(name.to_owned(), self.repair(schema, &path));
            }
        }
        kept
    }

    /// A map of names that the user chose.
    fn named(
        &mut self,
        members: Map<String, Json>,
        schema: &Json,
        every: &Json,
        path: &FieldPath,
    ) -> Map<String, Json> {
        self.most(members.len(), schema, "maxProperties", "members", path);
        let judge = |(name, value): (String, Json)| {
            let value = self.node(value, every, &path.field(&name));
            (name, value)
        };
        members.into_iter().map(judge).collect()
    }

    fn list(&mut self, items: Vec<Json>, schema: &Json, path: &FieldPath) -> Json {
        self.most(items.len(), schema, "maxItems", "items", path);
        let Some(every) = schema.get("items") else { return Json::Array(items) };
        let judge = |(index, item)| self.node(item, every, &path.index(index));
        Json::Array(items.into_iter().enumerate().map(judge).collect())
    }

    /// Refuses more than a schema allows.
    fn most(&mut self, found: usize, schema: &Json, keyword: &str, of: &str, path: &FieldPath) {
        if let Some(most) = schema.get(keyword).and_then(Json::as_u64)
            && found as u64 > most
        {
            self.problems.push(path, format!("has {found} {of}, more than {most}"));
        }
    }

    fn wrong_type(&mut self, value: &Json, schema: &Json, path: &FieldPath) -> Json {
        let message = format!("expected {}, found {}", expected(schema), kind_of(value));
        match (type_of(schema), value) {
            ("string", Json::Bool(_) | Json::Number(_)) => {
                self.problems.push_help(path, message, format!("quote it: \"{value}\""));
            }
            ("object", Json::Null) => self.problems.push_help(path, message, "an object without settings is {}"),
            _ => self.problems.push(path, message),
        }
        self.repair(schema, path)
    }

    fn limits(&mut self, value: Json, schema: &Json, path: &FieldPath) -> Json {
        if let Some(words) = schema.get("enum").and_then(Json::as_array)
            && !words.contains(&value)
        {
            let word = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let known: Vec<&str> = words.iter().filter_map(Json::as_str).collect();
            self.problems.push_help(path, format!("unknown value {word:?}"), alternatives(&word, &known));
            return self.repair(schema, path);
        }
        if let Some(text) = value.as_str() {
            self.most(text.chars().count(), schema, "maxLength", "characters", path);
        }
        let Some(number) = value.as_f64() else { return value };
        let (least, most) = range(schema);
        if least.is_some_and(|least| number < least) || most.is_some_and(|most| number > most) {
            let message = match (least, most) {
                (Some(least), Some(most)) => format!("{value} is not in the range {least} to {most}"),
                (Some(least), None) => format!("{value} is less than {least}"),
                _ => format!("{value} is more than {}", most.unwrap_or_default()),
            };
            self.problems.push(path, message);
            return self.repair(schema, path);
        }
        value
    }

    /// An empty value of the right shape, noted as such.
    fn repair(&mut self, schema: &Json, path: &FieldPath) -> Json {
        self.repaired.push(path.clone());
        empty(schema)
    }
}

fn empty(schema: &Json) -> Json {
    match type_of(schema) {
        "object" => {
            let required = schema.get("required").and_then(Json::as_array).into_iter().flatten();
            let member = |name: &Json| {
                let name = name.as_str()?;
                Some((name.to_owned(), empty(schema.get("properties")?.get(name)?)))
            };
            Json::Object(required.filter_map(member).collect())
        }
        "array" => Json::Array(Vec::new()),
        "boolean" => Json::Bool(false),
        "integer" | "number" => schema.get("minimum").cloned().unwrap_or_else(|| 0.into()),
        "string" => match schema.get("enum").and_then(|words| words.get(0)) {
            Some(word) => word.clone(),
            None => Json::String(String::new()),
        },
        _ => Json::String(String::new()),
    }
}

/// The largest float below 2^63.
const MOST_I64: f64 = 9_223_372_036_854_774_784.0;

/// The least and the most that a number may be: its own limits, else those of its format.
fn range(schema: &Json) -> (Option<f64>, Option<f64>) {
    let own = |name: &str| schema.get(name).and_then(Json::as_f64);
    let by_format = match schema.get("format").and_then(Json::as_str) {
        Some("int32") => (Some(f64::from(i32::MIN)), Some(f64::from(i32::MAX))),
        Some("int64") => (None, Some(MOST_I64)),
        _ => (None, None),
    };
    (own("minimum").or(by_format.0), own("maximum").or(by_format.1))
}

fn type_of(schema: &Json) -> &str {
    schema.get("type").and_then(Json::as_str).unwrap_or_default()
}

fn is_set(schema: &Json, name: &str) -> bool {
    schema.get(name).and_then(Json::as_bool) == Some(true)
}

fn expected(schema: &Json) -> &'static str {
    match type_of(schema) {
        "object" => "an object",
        "array" => "a list",
        "string" => "text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        _ if is_set(schema, "x-kubernetes-int-or-string") => "text or a whole number",
        _ => "a value",
    }
}

#[cfg(test)]
mod tests;
