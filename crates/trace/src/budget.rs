//! The limits of one request.

use std::time::Duration;

/// What a request may cost at most. `None` means "not limited".
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Budget {
    /// Statements, transaction control and utility statements not counted.
    pub statements: Option<u64>,
    /// Rows fetched per row answered.
    pub rows_per_row: Option<f64>,
    /// Rows fetched.
    pub rows: Option<u64>,
    /// Time in the database, all statements together.
    pub database_time: Option<Duration>,
    /// Time of any single statement.
    pub statement_time: Option<Duration>,
}
