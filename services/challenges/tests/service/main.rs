//! The service as a client meets it: the real application on a free port over a SQLite file.

// Clippy knows test functions, not the functions that they share.
#![allow(clippy::unwrap_used, clippy::panic)]

use service_kit::database::Dialect;

/// What the tests run on. The same ones run on PostgreSQL, and without a cache, from the folders
/// beside.
pub(crate) const DIALECT: Dialect = Dialect::Sqlite;
/// What `CACHE` says.
pub(crate) const CACHE: &str = "on";

mod accounts;
mod bad_input;
mod caching;
mod challenges;
mod checkins;
mod command;
mod friends;
mod hitches;
mod notifications;
mod pictures;
mod pool;
mod profiles;
mod races;
mod running;
mod seeding;
mod speed;
mod statements;
mod statistics;
