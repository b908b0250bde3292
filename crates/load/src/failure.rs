//! The ways a request can fail, one word each.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a request did not count as answered well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// No connection could be opened.
    Connect,
    /// No complete answer within the time limit.
    Timeout,
    /// The connection ended, or broke the protocol, before the answer was complete.
    Reset,
    /// The answer was longer than the limit for bodies.
    TooLarge,
    /// A status from 400 to 499 that the step does not expect.
    Status4xx,
    /// A status from 500 to 599 that the step does not expect.
    Status5xx,
    /// Any other status that the step does not expect.
    UnexpectedStatus,
    /// The status was right and the body was not what the step requires.
    Check,
    /// A value that the step captures was not in the answer.
    Capture,
    /// The request could not be written: a value that it needs is missing. Nothing was sent.
    Template,
    /// Still unanswered, or never begun though due, when the time for it was over: that to drain,
    /// or that for the setup.
    OpenAtEnd,
}

impl ErrorKind {
    /// The name used in files: `status5xx`, `open_at_end`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Reset => "reset",
            Self::TooLarge => "too_large",
            Self::Status4xx => "status4xx",
            Self::Status5xx => "status5xx",
            Self::UnexpectedStatus => "unexpected_status",
            Self::Check => "check",
            Self::Capture => "capture",
            Self::Template => "template",
            Self::OpenAtEnd => "open_at_end",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "no connection could be opened",
            Self::Timeout => "no complete answer within the time limit",
            Self::Reset => "the connection ended before the answer was complete",
            Self::TooLarge => "the answer is longer than the limit for bodies",
            Self::Status4xx => "answered with a 4xx status",
            Self::Status5xx => "answered with a 5xx status",
            Self::UnexpectedStatus => "answered with a status that was not expected",
            Self::Check => "the body lacks what the step requires",
            Self::Capture => "the answer lacks a value to capture",
            Self::Template => "the request needs a value that is missing",
            Self::OpenAtEnd => "still open when the run ended",
        })
    }
}

impl std::error::Error for ErrorKind {}
