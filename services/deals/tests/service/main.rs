//! The service as a client meets it, over a SQLite file.

// Clippy knows test functions, not the functions that they share.
#![allow(clippy::unwrap_used, clippy::panic)]

use service_kit::database::Dialect;

/// What the tests run on.
pub(crate) const DIALECT: Dialect = Dialect::Sqlite;

mod seeding;
