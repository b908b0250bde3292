//! Why there is no advice, for a statement or at all.

use sqlx::error::DatabaseError;

use crate::ExplainError;

/// `SQLITE_FULL`.
const SQLITE_FULL: &str = "13";
/// PostgreSQL's `disk_full`.
const DISK_FULL: &str = "53100";

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
    /// Its disk is full.
    #[error("the scratch copy and the indexes to try do not fit on its disk: {source}; {instead}")]
    Full {
        /// What the database said.
        source: sqlx::Error,
        /// How to name another disk.
        instead: &'static str,
    },
    /// The scratch copy could not be worked on.
    #[error("the scratch copy failed: {0}")]
    Scratch(#[source] sqlx::Error),
    /// The scratch copy is still there.
    #[error("the scratch database `{name}` could not be dropped, and should be: {reason}")]
    NotDropped {
        /// The database.
        name: String,
        /// Why.
        reason: ExplainError,
    },
    /// There is no advice, and the scratch copy is still there.
    #[error("{first}; besides, {left}")]
    Left {
        /// Why there is no advice.
        first: Box<AdviceError>,
        /// Why the copy is there.
        left: Box<AdviceError>,
    },
    /// A file of the scratch copy could not be made.
    #[error("cannot make a scratch file: {0}")]
    File(#[from] std::io::Error),
}

/// What the database refuses for reasons of the statement. Whatever else fails ends the trials: a full
/// disk would have every index look useless.
pub(crate) fn refusal(error: sqlx::Error) -> Result<Box<dyn DatabaseError>, AdviceError> {
    let instead = match error.as_database_error().and_then(DatabaseError::code) {
        Some(code) if code == SQLITE_FULL => "TMPDIR names another folder for it",
        Some(code) if code == DISK_FULL => "`--on-scratch URL` names another server for it",
        _ => {
            return match error {
                sqlx::Error::Database(error) => Ok(error),
                other => Err(AdviceError::Scratch(other)),
            };
        }
    };
    Err(AdviceError::Full {
        source: error,
        instead,
    })
}
