//! CEL, the Common Expression Language, over the whole event: `event.type`, `event.data.total`.
//!
//! The variable `event` has every attribute, and `data` when the event has data that is JSON. Numbers in
//! the data are doubles, which compare with integers as numbers; attributes keep their types. An
//! error in one part may be decided by the other: `false && error` is false, `true || error` true.
//!
//! What may be written is bounded so that a run costs no more than the expression times the data: see
//! [`bound`]. There is no clock and no regular expression (those of CEL differ from RE2).

mod bound;
mod value;

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, LazyLock};

use cel::{Context, Env, ExecutionError, Program, Value};

use super::data::shortened;
use super::slip::Slip;
use super::{Cause, Payload, Subject, Values, Verdict};
use crate::api::{FieldPath, Problems};

/// The longest expression taken, in bytes; as for conditions.
pub const MAX_LEN: usize = 4096;

static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib().with_optional_support(false)));

/// A compiled expression.
#[derive(Clone, Debug)]
pub struct Cel {
    text: Box<str>,
    program: Arc<Program>,
    /// Where it looks, below `event`, in the order in which that is written.
    looks: Arc<[Box<[String]>]>,
    /// Whether it may look at the data.
    of_data: bool,
}

impl Cel {
    /// Compiles `text`, the value at `path`; nothing when a problem was found.
    pub(super) fn compile(text: &str, path: &FieldPath, problems: &mut Problems) -> Option<Self> {
        if text.len() > MAX_LEN {
            problems.push(path, format!("the expression is longer than {MAX_LEN} bytes"));
            return None;
        }
        read(text).map_err(|slip| slip.refuse(text, path, problems)).ok()
    }

    pub(super) fn judge(&self, subject: &Subject<'_>) -> Verdict {
        let payload = if self.of_data { subject.payload() } else { Payload::Absent };
        let json = match payload {
            Payload::Absent => None,
            Payload::Unusable(cause) => return Verdict::Error(cause),
            Payload::Json(json) => match serde_json::from_str(json) {
                Ok(json) => Some(json),
                // Strict JSON that serde does not take is nested deeper, or has numbers beyond all floats.
                Err(_) => return Verdict::Error(Cause::TooDeep),
            },
        };
        let mut context = Context::with_env(Arc::clone(&ENV));
        context.add_variable_from_value(bound::EVENT, value::event(subject.event(), json));
        match self.program.execute(&context) {
            Ok(Value::Bool(true)) => Verdict::Yes,
            Ok(Value::Bool(false)) => Verdict::No,
            Ok(_) => Verdict::Error(Cause::NotBool),
            Err(error) => Verdict::Error(cause(&error)),
        }
    }

    pub(super) fn explain(&self, subject: &Subject<'_>, values: Values) -> String {
        let text = self.text.split_whitespace().collect::<Vec<_>>().join(" ");
        let seen = self.looks.iter().map(|path| value::shown(subject, path, values));
        let seen: Vec<_> = seen.collect();
        let seen = if seen.is_empty() { "nothing is looked at".into() } else { seen.join(", ") };
        format!("cel {}, where {seen}", shortened(&text))
    }
}

/// By what went wrong; several kinds of the library are one cause here.
fn cause(error: &ExecutionError) -> Cause {
    match error {
        ExecutionError::NoSuchKey(_) | ExecutionError::IndexOutOfBounds(_) => Cause::MissingValue,
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) | ExecutionError::Overflow(..) => {
            Cause::Math
        }
        ExecutionError::FunctionError { .. } => Cause::Function,
        _ => Cause::WrongType,
    }
}

fn read(text: &str) -> Result<Cel, Slip> {
    // The generated parser has been seen to give up by panicking; then the text is no expression either.
    let parsed = std::panic::catch_unwind(AssertUnwindSafe(|| ENV.compile(text)));
    let program = match parsed {
        Ok(Ok(program)) => program,
        Ok(Err(errors)) => return Err(first(text, &errors)),
        Err(_) => return Err(Slip::new(0, "the expression cannot be read")),
    };
    let walk = bound::walk(text, &program)?;
    Ok(Cel { text: text.into(), looks: walk.looks.into(), of_data: walk.of_data, program: Arc::new(program) })
}

/// The first of the parser's complaints, without its long list of what it expected.
fn first(text: &str, errors: &cel::ParseErrors) -> Slip {
    let Some(error) = errors.errors.first() else {
        return Slip::new(0, "the expression cannot be read");
    };
    let message = error.msg.split(" expecting ").next().unwrap_or_default();
    let message = message.strip_prefix("Syntax error: ").unwrap_or(message).lines().next().unwrap_or_default();
    let (line, column) = (usize::try_from(error.pos.0).unwrap_or(1), usize::try_from(error.pos.1).unwrap_or(1));
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let rest = &text[start..];
    let at = rest.char_indices().nth(column.saturating_sub(1)).map_or(rest.len(), |(at, _)| at);
    Slip::new(start + at, message.to_owned())
}

#[cfg(test)]
mod tests;
