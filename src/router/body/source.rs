//! Where the value of a parameter comes from.

use super::view::{Seen, View};
use crate::api::trigger::ParameterSource;
use crate::api::{FieldPath, Problems};
use crate::router::filter::json;
use crate::router::filter::path::{Found, Path};
use crate::router::filter::template::{Input, Template};

/// The `src` of a parameter.
#[derive(Clone, Debug)]
pub(super) struct Source {
    /// The input whose event is looked at.
    input: String,
    /// Asked in this order.
    ways: Vec<Way>,
    /// When none of them has a value.
    default: Option<String>,
    /// JSON stays JSON; else it becomes text.
    raw: bool,
}

#[derive(Clone, Debug)]
enum Way {
    Template(Part, Template),
    Path(Part, Path),
}

#[derive(Clone, Copy, Debug)]
enum Part {
    Data,
    /// The attributes.
    Context,
}

/// A value, found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    /// JSON that was checked.
    Json(String),
}

impl Value {
    pub fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Json(raw) => as_text(&raw),
        }
    }
}

/// As Argo writes values into texts: null as such, too.
fn as_text(raw: &str) -> String {
    if raw == "null" { raw.to_owned() } else { json::text(raw).into_owned() }
}

impl Source {
    pub fn compile(spec: &ParameterSource, path: &FieldPath, problems: &mut Problems) -> Option<Self> {
        let before = problems.len();
        // The data beats the context, and a template a key.
        let data = (&spec.data_template, "dataTemplate", &spec.data_key, "dataKey", Part::Data);
        let context = (&spec.context_template, "contextTemplate", &spec.context_key, "contextKey", Part::Context);
        let set = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.is_empty());
        let uses_data = set(data.0) || set(data.2);
        let mut ways = Vec::new();
        for (template, template_field, key, key_field, part) in [data, context] {
            let unused = uses_data && matches!(part, Part::Context);
            if let Some(text) = template.as_deref().filter(|text| !text.is_empty()) {
                let path = path.field(template_field);
                let way = Template::compile(text, &path, problems).map(|template| Way::Template(part, template));
                ways.extend(way.filter(|_| !unused));
                warn_unused(unused, &path, problems);
            }
            if let Some(text) = key.as_deref().filter(|text| !text.is_empty()) {
                let path = path.field(key_field);
                let compiled = Path::compile(text).map_err(|refused| match refused.help {
                    Some(help) => problems.push_help(&path, refused.message, help),
                    None => problems.push(&path, refused.message),
                });
                ways.extend(compiled.ok().filter(|_| !unused).map(|key| Way::Path(part, key)));
                warn_unused(unused, &path, problems);
            }
        }
        let raw = spec.use_raw_data == Some(true);
        (problems.len() == before).then(|| Self {
            input: spec.dependency_name.clone(),
            ways,
            default: spec.value.clone(),
            raw,
        })
    }

    /// The value; nothing when the event that it is of is not there, and it has no default.
    ///
    /// # Errors
    /// When the event is there and the value is not.
    pub fn find(&self, view: &View<'_>) -> Result<Option<Value>, String> {
        let default = || self.default.clone().map(Value::Text);
        let Some(seen) = view.of(&self.input) else { return Ok(default()) };
        if self.ways.is_empty() {
            return default().map_or_else(|| self.value(seen.whole()?).map(Some), |value| Ok(Some(value)));
        }
        let mut why = String::new();
        for way in &self.ways {
            match self.ask(way, &seen) {
                Ok(value) => return Ok(Some(value)),
                Err(reason) => why = reason,
            }
        }
        default().map(Some).ok_or_else(|| format!("there is no value: {why}"))
    }

    fn ask(&self, way: &Way, seen: &Seen<'_>) -> Result<Value, String> {
        let (Way::Template(part, _) | Way::Path(part, _)) = way;
        let json = match part {
            Part::Data => seen.data()?,
            Part::Context => seen.context(),
        };
        match way {
            Way::Template(_, template) => {
                template.render(Input::Json(&json)).map(Value::Text).map_err(|halt| format!("the template: {halt}"))
            }
            Way::Path(_, path) => match path.find(&json) {
                Found::Value(raw) => self.value(raw.into_owned()),
                Found::Missing => Err(format!("{:?} finds nothing", path.as_str())),
                Found::TooCostly => Err(format!("{:?} costs too much to read", path.as_str())),
            },
        }
    }

    fn value(&self, raw: String) -> Result<Value, String> {
        if !self.raw {
            return Ok(Value::Text(as_text(&raw)));
        }
        // Literals of a path may be what JSON has no word for.
        json::check(&raw).map_err(|_| "the value is no JSON".to_owned())?;
        Ok(Value::Json(raw))
    }
}

fn warn_unused(unused: bool, path: &FieldPath, problems: &mut Problems) {
    if unused {
        problems.warn(path, "is not used: the data is asked instead");
    }
}
