#![doc = include_str!("../README.md")]

mod account;
pub mod app;
mod cached;
mod caller;
mod challenge;
mod checkin;
mod day;
mod done;
mod friend;
mod habit;
mod hitch;
mod media;
mod membership;
mod notification;
mod page;
mod path;
mod profile;
pub mod seed;
mod stats;
mod web_address;
mod wording;

pub use self::media::referenced;
use service_kit::{
    config::{ConfigError, DatabaseUrl},
    database::{Migrations, Planning},
    storage::{Storage, StorageError, StorageUrl},
};
use twox_hash::XxHash3_64;

static SQLITE: sqlx::migrate::Migrator = sqlx_macros::migrate!("migrations/sqlite");
static POSTGRES: sqlx::migrate::Migrator = sqlx_macros::migrate!("migrations/postgres");

/// Statements join in the order in which they are written.
pub const PLANNING: Planning = Planning::AsWritten;

/// The schema, in plain SQL.
pub const MIGRATIONS: Migrations = Migrations {
    sqlite: &SQLITE,
    postgres: &POSTGRES,
};

/// Where files are unless `OBJECT_STORE_URL` says otherwise: beside the default database.
const DEFAULT_STORE: &str = "data/challenges-media";

/// Why files cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// The variable cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The place cannot be used.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// The store that `OBJECT_STORE_URL` names.
///
/// # Errors
/// The variable cannot be used, or the folder cannot.
pub fn storage_from_env(lookup: impl Fn(&str) -> Option<String>) -> Result<Storage, FilesError> {
    let url = lookup("OBJECT_STORE_URL").filter(|url| !url.trim().is_empty());
    let url = StorageUrl::parse(url.as_deref().unwrap_or(DEFAULT_STORE))?;
    Ok(Storage::open(&url)?)
}

/// The version of what is cached: of its meaning, and of the database that it comes from, so that
/// two services with one Redis never read each other's.
pub fn cache_version(database: &DatabaseUrl) -> u64 {
    XxHash3_64::oneshot_with_seed(cached::VERSION, database.to_string().as_bytes())
}
