//! The service as a client meets it: the real application on a free port over a SQLite file.

// Clippy knows test functions, not the functions that they share.
#![allow(clippy::unwrap_used, clippy::panic)]

use service_kit::database::Dialect;

/// What the tests run on. The same ones run on PostgreSQL from the folder beside.
pub(crate) const DIALECT: Dialect = Dialect::Sqlite;

mod bad_input;
mod caching;
mod collections;
mod command;
mod deploy;
mod links;
mod listings;
mod running;
mod seeding;
mod sharing;
mod statements;
mod views;
