//! Why no data was made.

use std::path::PathBuf;

/// Why nothing was made.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// There are users.
    #[error(
        "the database has {users} users already; use an empty one, or --replace to throw them away"
    )]
    NotEmpty {
        /// How many.
        users: i64,
    },
    /// The database failed.
    #[error("the database failed while seeding: {0}")]
    Database(#[from] sqlx::Error),
    /// The CSV file cannot be written.
    #[error("cannot write {path} (--users-csv): {source}")]
    Csv {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A bearer token cannot be signed.
    #[error("cannot sign the token of user {user}")]
    Token {
        /// The id of the user.
        user: String,
    },
    /// The password cannot be hashed.
    #[error("cannot hash the password of the seeded users")]
    Password,
}
