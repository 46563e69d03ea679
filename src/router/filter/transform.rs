//! Changes the data of an event before filters see it: what passes then is delivered as changed.

use std::sync::Arc;

use super::script::cause;
use super::{Cause, Payload, Subject};
use crate::api::trigger::TransformSpec;
use crate::api::{FieldPath, Problems};
use crate::event::{Data, Event};
use crate::router::lua::Script;

/// A compiled transform: a script that returns the new data, a JSON object.
#[derive(Clone, Debug)]
pub struct Transform(Arc<Script>);

impl Transform {
    /// Compiles the transform at `path`; nothing when a problem was found, or it cannot be run yet.
    pub fn compile(raw: &TransformSpec, path: &FieldPath, problems: &mut Problems) -> Option<Self> {
        // As in Argo Events, jq wins over a script beside it.
        if let Some(jq) = &raw.jq {
            let path = path.field("jq");
            if jq.trim().is_empty() {
                problems.push(&path, "must not be empty");
            } else {
                problems.unsupported(&path, "changing the data by jq");
            }
            return None;
        }
        let Some(text) = &raw.script else {
            problems.push(path, "needs \"jq\" or \"script\"");
            return None;
        };
        let script = Script::compile(text).map_err(|refused| problems.push(&path.field("script"), refused.to_string()));
        script.ok().map(|script| Self(Arc::new(script)))
    }

    /// The event with its data changed; an event without data is the same. Attributes are not
    /// touched, the id and the content type among them.
    ///
    /// # Errors
    /// When the data is no JSON object, or the script does not make another one of it.
    pub fn apply(&self, event: &Event) -> Result<Event, Cause> {
        let json = match Subject::new(event).payload() {
            Payload::Absent => return Ok(event.clone()),
            Payload::Unusable(cause) => return Err(cause),
            Payload::Json(json) => self.0.transform(json).map_err(|halt| match cause(&halt) {
                // No truth was wanted here.
                Cause::NotBool => Cause::WrongType,
                cause => cause,
            })?,
        };
        event.draft().data(Data::Text(&json)).build().map_err(|_| Cause::TooCostly)
    }
}
