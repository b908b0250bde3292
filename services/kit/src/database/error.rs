//! Why a database cannot be used, and what to do about it.

use std::path::PathBuf;

use sqlx::migrate::MigrateError;

/// Why a database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The folder of the file cannot be made.
    #[error(
        "cannot make the folder {path} for the database: {source}; set DATABASE_URL to a place that can be written"
    )]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The database cannot be opened.
    #[error("cannot open the database {url} (DATABASE_URL): {source}; {advice}", advice = open_advice(source))]
    Open {
        /// Which database, without its password.
        url: String,
        /// What the database says.
        source: sqlx::Error,
    },
    /// The schema cannot be brought up to date.
    #[error("cannot migrate the database: {0}; {advice}", advice = migrate_advice(.0))]
    Migrate(#[from] MigrateError),
    /// Another process brings the schema up to date and does not end.
    #[error(
        "another process has been migrating this database for {seconds} seconds; wait for it, or end it"
    )]
    MigratedByAnother {
        /// How long it was waited for.
        seconds: u64,
    },
}

/// What to do about a database that does not open.
pub(super) fn open_advice(error: &sqlx::Error) -> &'static str {
    if matches!(error, sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut) {
        return "check that the server runs there and lets this machine in";
    }
    match sqlstate(error).as_deref() {
        // invalid_password and invalid_authorization_specification; invalid_catalog_name.
        Some("28P01" | "28000") => return "check user and password",
        Some("3D000") => return "make it with createdb, or name one that exists",
        _ => {}
    }
    if is_busy(error) {
        return "another process holds it locked; stop that process, or wait until it is done";
    }
    match sqlite_code(error) {
        // SQLITE_READONLY, SQLITE_CANTOPEN, SQLITE_NOTADB.
        Some(8) => "the file or its folder cannot be written; change its permissions",
        Some(14) => "set DATABASE_URL to a file in a folder that can be written",
        Some(26) => "set DATABASE_URL to a SQLite file, or to a new one",
        _ => "set DATABASE_URL to another database",
    }
}

fn migrate_advice(error: &MigrateError) -> &'static str {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            match sqlstate(error).as_deref() {
                // insufficient_privilege; undefined_file: the extension is not installed.
                Some("42501") => "let the user of DATABASE_URL create tables and extensions",
                Some("0A000" | "58P01") => "install PostgreSQL's contrib extensions on the server",
                _ => open_advice(error),
            }
        }
        _ => "use the version of this program that made the database, or a new one",
    }
}

/// Whether another try may help: no connection in time, a lock held too long, a server that
/// is down, starting, or cuts off what takes too long.
pub(crate) fn is_busy(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::Io(_)
        | sqlx::Error::WorkerCrashed => true,
        // SQLITE_BUSY and SQLITE_LOCKED.
        _ => matches!(sqlite_code(error), Some(5 | 6)) || sqlstate(error).is_some_and(is_transient),
    }
}

/// Whether the state tells of the server and not of the statement (PostgreSQL, appendix A):
/// connection failures, too many connections, shutdown and start, a cancelled statement, a
/// lock not had in time, a deadlock or serialization failure.
fn is_transient(state: String) -> bool {
    state.starts_with("08")
        || matches!(
            state.as_str(),
            "53300" | "57014" | "57P01" | "57P02" | "57P03" | "55P03" | "40001" | "40P01"
        )
}

/// Whether the connection is gone: what died with it may have been the server.
pub(super) fn is_cut_off(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(_))
        || sqlstate(error).is_some_and(|state| {
            state.starts_with("08") || matches!(state.as_str(), "57P01" | "57P02" | "57P03")
        })
}

/// SQLite's error code; extended codes keep the primary one in the low byte.
fn sqlite_code(error: &sqlx::Error) -> Option<u32> {
    let database = error.as_database_error()?;
    database.try_downcast_ref::<sqlx::sqlite::SqliteError>()?;
    Some(database.code()?.parse::<u32>().ok()? & 0xff)
}

/// PostgreSQL's error code.
fn sqlstate(error: &sqlx::Error) -> Option<String> {
    let database = error.as_database_error()?;
    let postgres = database.try_downcast_ref::<sqlx::postgres::PgDatabaseError>()?;
    Some(postgres.code().to_owned())
}
