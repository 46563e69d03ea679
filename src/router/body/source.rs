//! Where the value of a parameter comes from.

use std::borrow::Cow;

use crate::api::trigger::ParameterSource;
use crate::api::{FieldPath, Problems};
use crate::event::codec::json::write;
use crate::event::{self, Event};
use crate::router::filter::path::{Found, Path};
use crate::router::filter::template::{Input, Template};
use crate::router::filter::{Payload, Subject, json};

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
    pub fn find(&self, event: &Event, input: Option<&str>) -> Result<Option<Value>, String> {
        let default = || self.default.clone().map(Value::Text);
        let Some(seen) = Seen::find(event, input, &self.input) else { return Ok(default()) };
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

/// The event that a parameter looks at.
enum Seen<'e> {
    Event(&'e Event),
    /// One of several, in the `CloudEvents` JSON format.
    Member(&'e str),
}

impl<'e> Seen<'e> {
    /// The event of the input `wanted`, in one that `input` accepted or that holds several by their inputs.
    fn find(event: &'e Event, input: Option<&str>, wanted: &str) -> Option<Self> {
        if let Some(input) = input {
            return (input == wanted).then_some(Self::Event(event));
        }
        let Payload::Json(text) = Subject::new(event).payload() else { return None };
        let member = json::members(text).find(|(name, _)| json::text(name) == wanted);
        member.map(|(_, event)| Self::Member(event))
    }

    /// The data as JSON.
    fn data(&self) -> Result<Cow<'e, str>, String> {
        let no_json = || "the data is no JSON".to_owned();
        match self {
            Self::Event(event) => match Subject::new(event).payload() {
                Payload::Json(text) => Ok(Cow::Borrowed(text)),
                Payload::Absent => Err("the event has no data".to_owned()),
                Payload::Unusable(_) => Err(no_json()),
            },
            Self::Member(event) => {
                let member = |wanted: &str| json::members(event).find(|(name, _)| json::text(name) == wanted);
                if let Some((_, raw)) = member("data") {
                    return Ok(Cow::Borrowed(raw));
                }
                let (_, raw) = member("data_base64").ok_or("the event has no data")?;
                let bytes = data_encoding::BASE64.decode(json::text(raw).as_bytes()).map_err(|_| no_json())?;
                let text = String::from_utf8(bytes).map_err(|_| no_json())?;
                json::check(&text).map_err(|_| no_json())?;
                Ok(Cow::Owned(text))
            }
        }
    }

    /// The attributes, as a JSON object.
    fn context(&self) -> Cow<'e, str> {
        match self {
            Self::Event(event) => Cow::Owned(attributes(event)),
            Self::Member(event) => Cow::Borrowed(event),
        }
    }

    /// All of it, in the `CloudEvents` JSON format.
    fn whole(&self) -> Result<String, String> {
        match self {
            Self::Event(event) => {
                let mut bytes = Vec::new();
                write(event, &mut bytes);
                String::from_utf8(bytes).map_err(|error| error.to_string())
            }
            Self::Member(event) => Ok((*event).to_owned()),
        }
    }
}

fn attributes(event: &Event) -> String {
    let mut out = String::from("{\"specversion\":\"1.0\"");
    for (name, text) in [("id", event.id()), ("source", event.source()), ("type", event.ty())] {
        out.extend([",", &json::quote(name), ":", &json::quote(text)]);
    }
    for (name, value) in event.attributes() {
        let text = value.text();
        let raw = match value {
            event::Value::Boolean(_) | event::Value::Integer(_) => text.into_owned(),
            _ => json::quote(&text),
        };
        out.extend([",", &json::quote(name), ":", &raw]);
    }
    out.push('}');
    out
}
