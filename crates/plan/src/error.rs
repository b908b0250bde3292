//! Why there is no plan, and what to do about it.

use std::path::PathBuf;

/// Why a database could not be asked, or would not answer.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// The address names a database that cannot be explained yet. Only the scheme is kept: the
    /// rest of an address may hold a password.
    #[error(
        "`{0}` databases cannot be explained yet; give a SQLite file (`sqlite:path`) or a PostgreSQL server (`postgres://user@host/name`)"
    )]
    NotYet(String),
    /// The address of a server cannot be read. It is not repeated: it may hold a password.
    #[error(
        "the address of the PostgreSQL database cannot be read; write `postgres://user@host:port/name`, with %-codes for special characters"
    )]
    BadAddress,
    /// There is no connection to the server.
    #[error("cannot reach PostgreSQL at {server}: {reason}; start it, or check host and port")]
    Unreachable {
        /// Host and port.
        server: String,
        /// The words of the system or the server.
        reason: String,
    },
    /// The server does not take the password, or there is none.
    #[error(
        "PostgreSQL at {server} does not take the password of user `{user}`; set PGPASSWORD, or put the password into the address"
    )]
    Password {
        /// Host and port.
        server: String,
        /// The user.
        user: String,
    },
    /// The server does not let this user in from here.
    #[error(
        "PostgreSQL at {server} does not let the user in: {reason}; check the user, and the server's pg_hba.conf"
    )]
    NotLetIn {
        /// Host and port.
        server: String,
        /// The server's words.
        reason: String,
    },
    /// There is no database of this name.
    #[error("PostgreSQL at {server} has no database `{database}`; create it, or check the address")]
    NoSuchDatabase {
        /// Host and port.
        server: String,
        /// The name in the address.
        database: String,
    },
    /// The connection cannot be encrypted as the address asks.
    #[error(
        "no TLS with PostgreSQL at {server}: {reason}; give `sslmode=disable` or `sslmode=prefer` in the address if that is safe here, or mend the server's certificate"
    )]
    Tls {
        /// Host and port.
        server: String,
        /// What failed.
        reason: String,
    },
    /// The user may not do this.
    #[error("PostgreSQL does not permit it: {0}; grant it to the user, or give another one")]
    Permission(String),
    /// A table of the statement is locked.
    #[error(
        "a table is locked by another session for longer than a second; end that session, or explain a copy"
    )]
    TableLocked,
    /// PostgreSQL cannot tell the type of a parameter from the statement alone.
    #[error(
        "PostgreSQL cannot tell the type of a parameter: {0}; cast it in the statement, such as `$1::text`"
    )]
    UnknownType(String),
    /// The address names no file.
    #[error("an in-memory database belongs to one process; give the path of a SQLite file")]
    InMemory,
    /// The file is not there.
    #[error("cannot open database `{}`: no such file; run the service once, or check the path", .0.display())]
    Missing(PathBuf),
    /// The file is there and is something else.
    #[error("`{}` is not a SQLite database; check the path", .0.display())]
    NotADatabase(PathBuf),
    /// Another process holds the database for itself.
    #[error("database `{}` is locked by another process for longer than a second; stop the writer, or explain a copy", .0.display())]
    Locked(PathBuf),
    /// Any other reason why the file cannot be opened.
    #[error("cannot open database `{}`: {reason}", .path.display())]
    CannotOpen {
        /// The file.
        path: PathBuf,
        /// The database's own words.
        reason: String,
    },
    /// The text holds no statement, or several.
    #[error("expected one statement, found {0}; explain them one at a time")]
    NotOneStatement(usize),
    /// The statement has no plan.
    #[error(
        "a statement that begins with `{0}` has no plan; give a SELECT, INSERT, UPDATE, DELETE or WITH statement, without EXPLAIN"
    )]
    NotExplainable(String),
    /// The database does not accept the statement.
    #[error("the database refuses the statement: {0}")]
    Refused(String),
    /// The database took too long.
    #[error("the database did not answer in time; explain a copy that is not under load")]
    TimedOut,
    /// The connection failed while it was being used.
    #[error("the connection to the database failed")]
    Connection(#[source] sqlx::Error),
}

/// SQLite's result codes that have a meaning of their own here (https://sqlite.org/rescode.html).
const BUSY: i32 = 5;
const LOCKED: i32 = 6;
const INTERRUPT: i32 = 9;
const NOT_A_DATABASE: i32 = 26;

impl ExplainError {
    /// What went wrong while the file at `path` was being used.
    pub(crate) fn from_sqlx(error: sqlx::Error, path: &std::path::Path) -> Self {
        match primary_code(&error) {
            Some(BUSY | LOCKED) => Self::Locked(path.to_owned()),
            Some(NOT_A_DATABASE) => Self::NotADatabase(path.to_owned()),
            Some(INTERRUPT) => Self::TimedOut,
            Some(_) => Self::Refused(words(&error)),
            None => Self::Connection(error),
        }
    }

    /// What went wrong while the file at `path` was being opened.
    pub(crate) fn opening(error: sqlx::Error, path: &std::path::Path) -> Self {
        match Self::from_sqlx(error, path) {
            Self::Refused(reason) => Self::CannotOpen {
                path: path.to_owned(),
                reason,
            },
            other => other,
        }
    }
}

/// The result code without its extension.
fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let code = error.as_database_error()?.code()?;
    code.parse::<i32>().ok().map(|code| code & 0xff)
}

fn words(error: &sqlx::Error) -> String {
    error
        .as_database_error()
        .map_or_else(|| error.to_string(), |error| error.message().to_owned())
}
