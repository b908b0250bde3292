#![doc = include_str!("../README.md")]

pub mod alerts;
pub mod app;
mod cached;
mod collection;
mod envelope;
mod listing;
#[cfg(feature = "naive")]
mod naive;
mod notification;
mod search;
pub mod seed;
mod share;
mod token;
mod user_share;
pub mod views;

pub use self::share::warm_up;
use service_kit::{
    config::DatabaseUrl,
    database::{Migrations, Planning},
};
use twox_hash::XxHash3_64;

static SQLITE: sqlx::migrate::Migrator = sqlx_macros::migrate!("migrations/sqlite");
static POSTGRES: sqlx::migrate::Migrator = sqlx_macros::migrate!("migrations/postgres");

/// Listings come with the eight things that they point at.
pub const PLANNING: Planning = Planning::AsWritten;

/// The schema, in plain SQL.
pub const MIGRATIONS: Migrations = Migrations {
    sqlite: &SQLITE,
    postgres: &POSTGRES,
};

/// The version of what is cached: of its meaning, and of the database that it comes from, so that
/// two services with one Redis never read each other's.
pub fn cache_version(database: &DatabaseUrl) -> u64 {
    XxHash3_64::oneshot_with_seed(cached::VERSION, database.to_string().as_bytes())
}
