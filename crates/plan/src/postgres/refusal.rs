//! What a server says when it does not do what it is asked, in our words. No message holds a
//! password.

use sqlx::postgres::PgConnectOptions;

use crate::ExplainError;

/// SQLSTATEs that have a meaning of their own here
/// (https://www.postgresql.org/docs/current/errcodes-appendix.html).
mod state {
    pub(super) const INVALID_PASSWORD: &str = "28P01";
    pub(super) const INVALID_AUTHORIZATION: &str = "28000";
    pub(super) const NO_SUCH_DATABASE: &str = "3D000";
    pub(super) const PERMISSION: &str = "42501";
    pub(super) const LOCK_NOT_AVAILABLE: &str = "55P03";
    pub(super) const CANCELED: &str = "57014";
    /// Statements whose parameters have no certain type end in one of these: indeterminate type,
    /// ambiguous parameter, ambiguous function, undefined function, type mismatch.
    pub(super) const TYPES: [&str; 5] = ["42P18", "42P08", "42725", "42883", "42804"];
}

/// Where the server is, for messages.
pub(crate) fn server(options: &PgConnectOptions) -> String {
    match options.get_socket() {
        Some(socket) => socket.display().to_string(),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    }
}

/// Why there is no connection.
pub(crate) fn unreachable(error: sqlx::Error, options: &PgConnectOptions) -> ExplainError {
    let server = server(options);
    let user = options.get_username().to_owned();
    let database = options.get_database().unwrap_or(&user).to_owned();
    let code = code(&error);
    match (&error, code.as_deref()) {
        (_, Some(state::INVALID_PASSWORD)) => ExplainError::Password { server, user },
        // Without a password at hand, the driver gives up before the server does.
        (sqlx::Error::Configuration(_) | sqlx::Error::Protocol(_), None)
            if error.to_string().contains("password") =>
        {
            ExplainError::Password { server, user }
        }
        (_, Some(state::INVALID_AUTHORIZATION)) => ExplainError::NotLetIn {
            server,
            reason: words(&error),
        },
        (_, Some(state::NO_SUCH_DATABASE)) => ExplainError::NoSuchDatabase { server, database },
        (_, Some(state::PERMISSION)) => ExplainError::Permission(words(&error)),
        (sqlx::Error::Tls(_), _) => ExplainError::Tls {
            server,
            reason: error.to_string(),
        },
        _ => ExplainError::Unreachable {
            server,
            reason: words(&error),
        },
    }
}

/// Why a question got no answer.
pub(crate) fn refused(error: sqlx::Error) -> ExplainError {
    match code(&error).as_deref() {
        Some(state::LOCK_NOT_AVAILABLE) => ExplainError::TableLocked,
        Some(state::CANCELED) => ExplainError::TimedOut,
        Some(state::PERMISSION) => ExplainError::Permission(words(&error)),
        Some(_) => ExplainError::Refused(words(&error)),
        None => ExplainError::Connection(error),
    }
}

/// Why a statement cannot be prepared. `parameters`: whether it has any.
pub(super) fn of_statement(error: sqlx::Error, parameters: bool) -> ExplainError {
    let typed = code(&error).is_some_and(|code| state::TYPES.contains(&code.as_str()));
    match parameters && typed {
        true => ExplainError::UnknownType(words(&error)),
        false => refused(error),
    }
}

fn code(error: &sqlx::Error) -> Option<String> {
    Some(error.as_database_error()?.code()?.into_owned())
}

fn words(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => error.message().to_owned(),
        sqlx::Error::Io(error) => error.to_string(),
        other => other.to_string(),
    }
}
