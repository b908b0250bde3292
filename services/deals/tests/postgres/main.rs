//! The service on PostgreSQL: everything that it does on SQLite.

// Clippy knows test functions, not the functions that they share.
#![allow(clippy::unwrap_used, clippy::panic)]

use service_kit::database::Dialect;

/// What the tests run on.
pub(crate) const DIALECT: Dialect = Dialect::Postgres;

#[path = "../service/bad_input.rs"]
mod bad_input;
#[path = "../service/caching.rs"]
mod caching;
#[path = "../service/collections.rs"]
mod collections;
#[path = "../service/command.rs"]
mod command;
#[path = "../service/deploy.rs"]
mod deploy;
#[path = "../service/links.rs"]
mod links;
#[path = "../service/listings.rs"]
mod listings;
#[path = "../service/running.rs"]
mod running;
#[path = "../service/seeding.rs"]
mod seeding;
#[path = "../service/sharing.rs"]
mod sharing;
#[path = "../service/statements.rs"]
mod statements;
#[path = "../service/views.rs"]
mod views;
