//! The SQL dialects that the lexer knows.

/// The dialect a statement is written in. It decides what quotes, comments and
/// operators mean; a wrong one still lexes, with a coarser fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Dialect {
    /// SQLite.
    #[default]
    Sqlite,
    /// PostgreSQL.
    Postgres,
    /// MySQL and MariaDB: tolerated, so that a fingerprint exists.
    MySql,
}
