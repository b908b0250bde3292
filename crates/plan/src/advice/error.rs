//! Why there is no advice, for a statement or at all.

use crate::ExplainError;

/// Why advice could not be given.
#[derive(Debug, thiserror::Error)]
pub enum AdviceError {
    /// The database, or its scratch copy, could not be asked.
    #[error(transparent)]
    Explain(#[from] ExplainError),
    /// The statement cannot be analysed.
    #[error("cannot read the statement: {0}")]
    Unreadable(String),
    /// No database could be made for the scratch copy.
    #[error(
        "cannot make a scratch database: {0}; name a server on which one may be made (`--on-scratch URL`)"
    )]
    NoScratch(#[source] ExplainError),
    /// The scratch copy could not be made.
    #[error("cannot make the scratch copy: {doing}: {source}")]
    Copy {
        /// What was being copied.
        doing: String,
        /// What failed.
        source: sqlx::Error,
    },
    /// The scratch copy could not be worked on.
    #[error("the scratch copy failed: {0}")]
    Scratch(#[source] sqlx::Error),
    /// A file of the scratch copy could not be made.
    #[error("cannot make a scratch file: {0}")]
    File(#[from] std::io::Error),
}
