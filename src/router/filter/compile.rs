//! Raw filters to an expression, refusing everything that can be wrong.

use std::collections::BTreeMap;

use super::attribute::{self, AttributeTest, Want};
use super::data::{Comparator, DataTest, Wanted, shortened};
use super::path::Path;
use super::pattern::Pattern;
use super::template::Template;
use super::{Cel, Cesql, ExprTest, Expression, ScriptTest, json, time};
use crate::api::filter::{ContextFilter, DataFilter, Dialect, Filters, Kinds};
use crate::api::{FieldPath, Problems};

const DATA_TYPES: &[&str] = &["string", "number", "bool"];

pub(super) fn filters(
    filters: &Filters,
    operator: Option<&str>,
    input: &FieldPath,
    problems: &mut Problems,
) -> Expression {
    let operator_path = input.field("filtersLogicalOperator");
    let any = is_or(operator, &operator_path, problems);
    let path = input.field("filters");
    let parts = match filters {
        Filters::Malformed(value) => {
            Filters::parse(value, &path, problems);
            return Expression::All(Vec::new());
        }
        Filters::Kinds(raw) => kinds(raw, &path, problems),
        Filters::Dialects(raw) if raw.is_empty() => Vec::new(),
        Filters::Dialects(raw) => vec![Expression::All(dialects(raw, &path, problems))],
    };
    if any && parts.is_empty() && problems.is_empty() {
        problems.push_help(&operator_path, "or between no filters lets nothing pass", "write and, or leave it out");
    }
    join(parts, any)
}

/// `and` or `or`, in lower case only.
fn is_or(operator: Option<&str>, path: &FieldPath, problems: &mut Problems) -> bool {
    match operator {
        None | Some("" | "and") => false,
        Some("or") => true,
        Some(other) => {
            problems.push_help(path, format!("unknown operator {other:?}"), "and, or; in lower case");
            false
        }
    }
}

fn join(mut parts: Vec<Expression>, any: bool) -> Expression {
    match parts.len() {
        1 => parts.remove(0),
        _ if any => Expression::Any(parts),
        _ => Expression::All(parts),
    }
}

fn kinds(raw: &Kinds, path: &FieldPath, problems: &mut Problems) -> Vec<Expression> {
    let mut parts = Vec::new();
    let list = path.field("exprs");
    let any = is_or(raw.expr_logical_operator.as_deref(), &path.field("exprLogicalOperator"), problems);
    let exprs = raw.exprs.iter().enumerate();
    let exprs: Vec<_> = exprs.filter_map(|(index, raw)| ExprTest::compile(raw, &list.index(index), problems)).collect();
    if !raw.exprs.is_empty() {
        parts.push(join(exprs.into_iter().map(|test| Expression::Expr(Box::new(test))).collect(), any));
    }
    let any = is_or(raw.data_logical_operator.as_deref(), &path.field("dataLogicalOperator"), problems);
    let list = path.field("data");
    let tests: Vec<_> = raw
        .data
        .iter()
        .enumerate()
        .filter_map(|(index, raw)| data(raw, &list.index(index), problems))
        .map(|test| Expression::Data(Box::new(test)))
        .collect();
    if !raw.data.is_empty() {
        parts.push(join(tests, any));
    }
    if let Some(raw) = &raw.context {
        parts.push(context(raw, &path.field("context"), problems));
    }
    if let Some(raw) = &raw.time {
        parts.extend(time::Span::compile(raw, &path.field("time"), problems).map(Box::new).map(Expression::Time));
    }
    if let Some(raw) = &raw.attributes {
        parts.push(legacy(raw, &path.field("attributes"), problems));
    }
    if let Some(text) = &raw.cel {
        parts.extend(Cel::compile(text, &path.field("cel"), problems).map(Box::new).map(Expression::Cel));
    }
    // The dearest kind comes last: under `and` and `or` it runs only when nothing else has decided.
    if let Some(text) = &raw.script {
        parts.extend(ScriptTest::compile(text, &path.field("script"), problems).map(Expression::Script));
    }
    parts
}

fn data(raw: &DataFilter, path: &FieldPath, problems: &mut Problems) -> Option<DataTest> {
    let before = problems.len();
    let template = raw.template.as_deref().filter(|template| !template.is_empty());
    let template = template.and_then(|text| Template::compile(text, &path.field("template"), problems));
    let compiled = self::path(&raw.path, &path.field("path"), problems);
    let written = raw.comparator.as_deref().filter(|text| !text.is_empty()).unwrap_or("=");
    let comparator = Comparator::parse(written);
    if comparator.is_none() {
        let help = format!("known: {}", Comparator::KNOWN.join(", "));
        problems.push_help(&path.field("comparator"), format!("unknown comparator {written:?}"), help);
    }
    let values = path.field("value");
    if raw.value.is_empty() {
        problems.push(&values, "at least one value is needed");
    }
    for (index, _) in raw.value.iter().enumerate().filter(|(_, value)| value.is_empty()) {
        problems.push(&values.index(index), "a value must not be empty");
    }
    let comparator = comparator.unwrap_or(Comparator::Equal);
    let wanted = match raw.kind.as_str() {
        "string" => texts(raw, comparator, path, problems),
        "number" => numbers(raw, comparator, &values, problems),
        "bool" => truths(raw, comparator, path, problems),
        other => {
            let help = crate::api::problem::alternatives(other, DATA_TYPES);
            problems.push_help(&path.field("type"), format!("unknown type {other:?}"), help);
            return None;
        }
    };
    (problems.len() == before).then_some(())?;
    let by = template.as_ref().map(|template| format!(" by {}", shortened(template.text()))).unwrap_or_default();
    let written = format!("{} {written} {}{by}", raw.kind, raw.value.join(" or "));
    Some(DataTest { path: compiled?, wanted, slot: None, template, written })
}

/// The path `text`, which is the value at `at`.
pub(super) fn path(text: &str, at: &FieldPath, problems: &mut Problems) -> Option<Path> {
    Path::compile(text)
        .map_err(|refused| match refused.help {
            Some(help) => problems.push_help(at, refused.message, help),
            None => problems.push(at, refused.message),
        })
        .ok()
}

fn texts(raw: &DataFilter, comparator: Comparator, path: &FieldPath, problems: &mut Problems) -> Wanted {
    equality_only(raw, comparator, path, problems);
    let values = path.field("value");
    let patterns = raw.value.iter().enumerate().filter_map(|(index, value)| match Pattern::compile(value) {
        Ok(pattern) => Some(pattern),
        Err(reason) => {
            problems.push(&values.index(index), format!("{value:?} is no regular expression: {reason}"));
            None
        }
    });
    Wanted::Text { patterns: patterns.collect(), negated: comparator == Comparator::NotEqual }
}

fn numbers(raw: &DataFilter, comparator: Comparator, values: &FieldPath, problems: &mut Problems) -> Wanted {
    let numbers = raw.value.iter().enumerate().filter_map(|(index, value)| {
        let number = json::number_of_text(value);
        match number {
            Some(number) if !number.is_nan() => return Some(number),
            Some(_) => problems.push(&values.index(index), "NaN equals no number, not even itself"),
            None if value.is_empty() => {}
            None => {
                let message = format!("{value:?} is no number");
                problems.push_help(&values.index(index), message, "digits with a dot or exponent, as in 50.0 or 1e3");
            }
        }
        None
    });
    Wanted::Number { comparator, values: numbers.collect() }
}

fn truths(raw: &DataFilter, comparator: Comparator, path: &FieldPath, problems: &mut Problems) -> Wanted {
    equality_only(raw, comparator, path, problems);
    let values = path.field("value");
    let (mut of_true, mut of_false) = (false, false);
    for (index, value) in raw.value.iter().enumerate() {
        match value.as_str() {
            "1" | "t" | "T" | "TRUE" | "true" | "True" => of_true = true,
            "0" | "f" | "F" | "FALSE" | "false" | "False" => of_false = true,
            "" => {}
            other => problems.push_help(&values.index(index), format!("{other:?} is no bool"), "true or false"),
        }
    }
    let negated = comparator == Comparator::NotEqual;
    Wanted::Truth { of_true: of_true != negated, of_false: of_false != negated }
}

/// Text and truths have no order; Argo Events lets such a filter never pass.
fn equality_only(raw: &DataFilter, comparator: Comparator, path: &FieldPath, problems: &mut Problems) {
    if !matches!(comparator, Comparator::Equal | Comparator::NotEqual) {
        let message = format!("a {} has no order", raw.kind);
        problems.push_help(&path.field("comparator"), message, "= or !=; type number compares by size");
    }
}

fn context(raw: &ContextFilter, path: &FieldPath, problems: &mut Problems) -> Expression {
    let members = [
        ("type", &raw.ty),
        ("subject", &raw.subject),
        ("source", &raw.source),
        ("datacontenttype", &raw.datacontenttype),
    ];
    let tests: Vec<_> = members
        .into_iter()
        .filter_map(|(name, text)| Some((name, text.as_deref().filter(|text| !text.is_empty())?)))
        .map(|(name, text)| Expression::Attribute(AttributeTest::new(name, Want::Equal(text.into()))))
        .collect();
    if tests.is_empty() {
        problems.push(path, "one of type, subject, source and datacontenttype is needed");
    }
    join(tests, false)
}

/// Knative's legacy filter; an empty text means that the attribute is there.
fn legacy(raw: &BTreeMap<String, String>, path: &FieldPath, problems: &mut Problems) -> Expression {
    let tests = raw.iter().filter_map(|(name, text)| {
        let known = match name.as_str() {
            "schemaurl" => "dataschema",
            attribute::MEDIA_TYPE => attribute::MEDIA_TYPE,
            name => attribute_name(name, path, problems)?,
        };
        let want = if text.is_empty() { Want::Present } else { Want::Equal(text.as_str().into()) };
        Some(Expression::Attribute(AttributeTest::new(known, want)))
    });
    let tests = tests.collect();
    join(tests, false)
}

fn attribute_name<'n>(name: &'n str, path: &FieldPath, problems: &mut Problems) -> Option<&'n str> {
    let valid = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if !valid {
        let message = format!("{name:?} is no attribute name");
        problems.push_help(&path.field(name), message, "lower-case letters and digits, beginning with a letter");
        return None;
    }
    if name == "data" {
        problems.push_help(&path.field(name), "data is no attribute", "filters: {data: [...]} looks into the payload");
        return None;
    }
    Some(name)
}

fn dialects(raw: &[Dialect], path: &FieldPath, problems: &mut Problems) -> Vec<Expression> {
    raw.iter().enumerate().map(|(index, raw)| dialect(raw, &path.index(index), problems)).collect()
}

fn cesql(text: &str, path: &FieldPath, problems: &mut Problems) -> Expression {
    match Cesql::compile(text, path, problems) {
        Some(compiled) => Expression::Cesql(Box::new(compiled)),
        None => Expression::All(Vec::new()),
    }
}

fn dialect(raw: &Dialect, path: &FieldPath, problems: &mut Problems) -> Expression {
    match raw {
        Dialect::Empty => Expression::All(Vec::new()),
        Dialect::All(parts) => {
            let path = path.field("all");
            at_least_one(parts.is_empty(), &path, problems);
            Expression::All(dialects(parts, &path, problems))
        }
        Dialect::Any(parts) => {
            let path = path.field("any");
            at_least_one(parts.is_empty(), &path, problems);
            Expression::Any(dialects(parts, &path, problems))
        }
        Dialect::Not(part) => Expression::Not(Box::new(dialect(part, &path.field("not"), problems))),
        Dialect::Exact(map) => attributes(map, &path.field("exact"), Want::Equal, problems),
        Dialect::Prefix(map) => attributes(map, &path.field("prefix"), Want::Prefix, problems),
        Dialect::Suffix(map) => attributes(map, &path.field("suffix"), Want::Suffix, problems),
        Dialect::Cesql(text) => cesql(text, &path.field("cesql"), problems),
        Dialect::Sql(text) => cesql(text, &path.field("sql"), problems),
    }
}

fn at_least_one(empty: bool, path: &FieldPath, problems: &mut Problems) {
    if empty {
        problems.push_help(path, "an empty list says nothing", "remove it, or write at least one filter");
    }
}

fn attributes(
    map: &BTreeMap<String, String>,
    path: &FieldPath,
    want: fn(Box<str>) -> Want,
    problems: &mut Problems,
) -> Expression {
    at_least_one(map.is_empty(), path, problems);
    let tests = map.iter().filter_map(|(name, text)| {
        let name = attribute_name(name, path, problems)?;
        if text.is_empty() {
            problems.push_help(&path.field(name), "an empty text fits everything", "remove it, or write the text");
            return None;
        }
        Some(Expression::Attribute(AttributeTest::new(name, want(text.as_str().into()))))
    });
    let tests = tests.collect();
    join(tests, false)
}
