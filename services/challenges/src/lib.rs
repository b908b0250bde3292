#![doc = include_str!("../README.md")]

pub mod seed;

use service_kit::database::{Migrations, Planning};

static SQLITE: sqlx::migrate::Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES: sqlx::migrate::Migrator = sqlx::migrate!("migrations/postgres");

/// Statements join in the order in which they are written.
pub const PLANNING: Planning = Planning::AsWritten;

/// The schema, in plain SQL.
pub const MIGRATIONS: Migrations = Migrations {
    sqlite: &SQLITE,
    postgres: &POSTGRES,
};
