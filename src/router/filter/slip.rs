//! What is wrong in the text of an expression, and at which byte.

use crate::api::problem::pointed;
use crate::api::{FieldPath, Problems};

/// One thing to repair in an expression.
#[derive(Clone, Debug)]
pub(super) struct Slip {
    /// A byte of the text at which a character begins, or its end.
    pub at: usize,
    /// What is wrong; the column follows it, so it reads on to "at column 7".
    message: String,
    help: Option<String>,
}

impl Slip {
    pub fn new(at: usize, message: impl Into<String>) -> Self {
        Self { at, message: message.into(), help: None }
    }

    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Refuses `text`, the value at `path`, for this.
    pub fn refuse(self, text: &str, path: &FieldPath, problems: &mut Problems) {
        let message = pointed(text, self.at, &self.message);
        match self.help {
            Some(help) => problems.push_help(path, message, help),
            None => problems.push(path, message),
        }
    }

    /// Takes `text` as it is, and says this to its author.
    pub fn warn(self, text: &str, path: &FieldPath, problems: &mut Problems) {
        let help = self.help.map(|help| format!(" ({help})")).unwrap_or_default();
        problems.warn(path, pointed(text, self.at, &self.message) + &help);
    }
}
