//! What went wrong at an I/O seam, in a form that callers can act on.
//!
//! Every client, server and store error becomes a [`Fault`] at the seam where it happens: a
//! [`FaultKind`] to branch on, a [`Retry`] class that says whether another attempt can help, the
//! operation that failed and its context. Text is for people: nobody branches on it, and
//! `Display` states this layer only (the cause is in `source()`, the chain is printed once).
//!
//! This room never does I/O and imports no other room.

mod excerpt;

pub use excerpt::excerpt;

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The class of a failure; the only thing to branch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// The other side cannot be reached, or went away in the middle.
    Unavailable,
    /// No answer within the time allowed.
    Timeout,
    /// The other side asks to slow down, or a local limit is reached.
    Throttled,
    /// The other side understood and refuses: another attempt would be refused too.
    Rejected,
    /// Credentials are missing, wrong, or not sufficient.
    Denied,
    /// What was addressed does not exist.
    NotFound,
    /// The state that was expected is not the state that is (compare-and-swap, a held lock).
    Conflict,
    /// Larger than a limit.
    TooLarge,
    /// Bytes that cannot be read as what they claim to be.
    Malformed,
    /// No room left to keep the event (disk, quota).
    Full,
    /// Shutting down: nothing more is taken.
    Closed,
    /// What was asked for is not implemented by this kind.
    Unsupported,
    /// A broken invariant on our side.
    Internal,
}

impl FaultKind {
    /// The stable word for metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::Throttled => "throttled",
            Self::Rejected => "rejected",
            Self::Denied => "denied",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::TooLarge => "too_large",
            Self::Malformed => "malformed",
            Self::Full => "full",
            Self::Closed => "closed",
            Self::Unsupported => "unsupported",
            Self::Internal => "internal",
        }
    }

    /// The retry class that holds when nothing more is known.
    const fn default_retry(self) -> Retry {
        match self {
            Self::Unavailable
            | Self::Timeout
            | Self::Throttled
            | Self::NotFound
            | Self::Conflict
            | Self::Full
            | Self::Closed
            | Self::Internal => Retry::Backoff,
            Self::Rejected | Self::Denied | Self::TooLarge | Self::Malformed | Self::Unsupported => Retry::Never,
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether another attempt can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// No: the same attempt fails the same way.
    Never,
    /// Yes, at the caller's own pace.
    Backoff,
    /// Yes, and the other side named the earliest moment (`Retry-After`).
    After(Duration),
}

/// One failed operation. Cheap to clone: a failed group commit hands the same fault to many.
#[derive(Clone)]
pub struct Fault(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: FaultKind,
    retry: Retry,
    operation: &'static str,
    message: String,
    context: Vec<(&'static str, String)>,
    code: Option<u16>,
    body: Option<String>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Fault {
    /// A fault of `kind` in `operation` (a verb phrase, such as "publish"). The retry class is
    /// the kind's own until [`Fault::with_retry`] says otherwise.
    pub fn new(kind: FaultKind, operation: &'static str, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            retry: kind.default_retry(),
            operation,
            message: message.into(),
            context: Vec::new(),
            code: None,
            body: None,
            source: None,
        }))
    }

    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.0.retry = retry;
        self
    }

    /// Adds one fact about the attempt, such as the address. Never a secret.
    #[must_use]
    pub fn with_context(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.0.context.push((key, value.into()));
        self
    }

    /// The answer's status code (HTTP), for dead letters.
    #[must_use]
    pub fn with_code(mut self, code: u16) -> Self {
        self.0.code = Some(code);
        self
    }

    /// The beginning of the answer's body, for dead letters; the caller truncates it ([`excerpt`]).
    #[must_use]
    pub fn with_body(mut self, body: impl Into<String>) -> Self {
        self.0.body = Some(body.into());
        self
    }

    /// Keeps the cause for the error chain.
    #[must_use]
    pub fn with_source(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.0.source = Some(Arc::new(source));
        self
    }

    pub fn kind(&self) -> FaultKind {
        self.0.kind
    }

    pub fn retry(&self) -> Retry {
        self.0.retry
    }

    /// Whether another attempt can help.
    pub fn is_retryable(&self) -> bool {
        self.0.retry != Retry::Never
    }

    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    pub fn message(&self) -> &str {
        &self.0.message
    }

    pub fn code(&self) -> Option<u16> {
        self.0.code
    }

    pub fn body(&self) -> Option<&str> {
        self.0.body.as_deref()
    }

    /// This layer and all causes on one line, for logs and dead letters.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "failed to {}: {}", self.0.operation, self.0.message)?;
        for (index, (key, value)) in self.0.context.iter().enumerate() {
            let separator = if index == 0 { " (" } else { ", " };
            write!(f, "{separator}{key} {value}")?;
        }
        if self.0.context.is_empty() { Ok(()) } else { f.write_str(")") }
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fault")
            .field("kind", &self.0.kind)
            .field("retry", &self.0.retry)
            .field("chain", &self.chain())
            .finish_non_exhaustive()
    }
}

impl StdError for Fault {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests;
