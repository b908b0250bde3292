//! The service on PostgreSQL: everything that it does on SQLite.

// Clippy knows test functions, not the functions that they share.
#![allow(clippy::unwrap_used, clippy::panic)]

use service_kit::database::Dialect;

/// What the tests run on.
pub(crate) const DIALECT: Dialect = Dialect::Postgres;
/// What `CACHE` says.
pub(crate) const CACHE: &str = "on";

#[path = "../service/accounts.rs"]
mod accounts;
#[path = "../service/bad_input.rs"]
mod bad_input;
#[path = "../service/caching.rs"]
mod caching;
#[path = "../service/challenges.rs"]
mod challenges;
#[path = "../service/checkins.rs"]
mod checkins;
#[path = "../service/command.rs"]
mod command;
#[path = "../service/friends.rs"]
mod friends;
#[path = "../service/hitches.rs"]
mod hitches;
#[path = "../service/notifications.rs"]
mod notifications;
#[path = "../service/pictures.rs"]
mod pictures;
#[path = "../service/pool.rs"]
mod pool;
#[path = "../service/profiles.rs"]
mod profiles;
#[path = "../service/races.rs"]
mod races;
#[path = "../service/running.rs"]
mod running;
#[path = "../service/seeding.rs"]
mod seeding;
#[path = "../service/statements.rs"]
mod statements;
#[path = "../service/statistics.rs"]
mod statistics;
