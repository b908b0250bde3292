//! The service as a client meets it: the real application on a free port over a SQLite file.

// Clippy knows test functions, not the functions that they share.
#![allow(clippy::unwrap_used, clippy::panic)]

use service_kit::database::Dialect;

/// What the tests run on. The same ones run on PostgreSQL from the folder beside.
pub(crate) const DIALECT: Dialect = Dialect::Sqlite;

mod accounts;
mod agreement;
mod availability;
mod bad_input;
mod bulk;
mod clients;
mod combining;
mod command;
mod crash;
mod create;
mod delete;
mod edit;
mod engagement;
mod expire;
mod faults;
mod feed;
mod file;
mod flyers;
mod forms;
mod gallery;
mod lists;
mod operation;
mod plans;
mod profile;
mod relations;
mod rules;
mod running;
mod schema;
mod seeding;
mod speed;
mod statements;
