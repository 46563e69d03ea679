//! A script in Lua that says true or false of the data.

use std::sync::Arc;

use super::data::shortened;
use super::{Cause, Payload, Subject, Values, Verdict};
use crate::api::{FieldPath, Problems};
use crate::router::lua::{Halt, Script};

/// A compiled script.
#[derive(Clone, Debug)]
pub struct ScriptTest(Arc<Script>);

impl ScriptTest {
    /// Compiles `text`, the value at `path`; nothing when a problem was found.
    pub(super) fn compile(text: &str, path: &FieldPath, problems: &mut Problems) -> Option<Self> {
        Script::compile(text)
            .map(|script| Self(Arc::new(script)))
            .map_err(|refused| problems.push(path, refused.to_string()))
            .ok()
    }

    pub(super) fn judge(&self, subject: &Subject<'_>) -> Verdict {
        let json = match subject.payload() {
            Payload::Absent => return Verdict::Yes,
            Payload::Unusable(cause) => return Verdict::Error(cause),
            Payload::Json(json) => json,
        };
        match self.0.decide(json) {
            Ok(true) => Verdict::Yes,
            Ok(false) => Verdict::No,
            Err(halt) => Verdict::Error(cause(&halt)),
        }
    }

    pub(super) fn explain(&self, subject: &Subject<'_>, values: Values) -> String {
        let text = self.0.text().split_whitespace().collect::<Vec<_>>().join(" ");
        let text = shortened(&text);
        let json = match subject.payload() {
            Payload::Absent => return format!("script {text}, where nothing is looked at: the event has no data"),
            Payload::Unusable(_) => return format!("script {text}, where the data is no JSON that can be read"),
            Payload::Json(json) => json,
        };
        let show = values.shower();
        let halted = match (self.0.decide(json), values) {
            (Ok(_), _) => String::new(),
            // The words of a script may quote the data.
            (Err(Halt::Failed(_)), Values::Redacted) => "; it failed".to_owned(),
            (Err(halt), _) => format!("; {halt}"),
        };
        format!("script {text}, where event is {}{halted}", show(json))
    }
}

pub(super) fn cause(halt: &Halt) -> Cause {
    match halt {
        Halt::Failed(_) => Cause::Script,
        Halt::TooCostly => Cause::TooCostly,
        Halt::WrongType(_) => Cause::NotBool,
        Halt::NoObject => Cause::WrongType,
        Halt::Unreadable => Cause::TooDeep,
    }
}
