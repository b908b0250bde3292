//! What a statement does, read from its tokens alone, so that it never fails.
use crate::Dialect;

/// What kind of statement this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `SELECT`, `VALUES`, `TABLE`, and `WITH` that ends in one of them.
    Select,
    /// `INSERT`, `REPLACE`.
    Insert,
    /// `UPDATE`.
    Update,
    /// `DELETE`.
    Delete,
    /// `BEGIN`, `COMMIT`, `ROLLBACK`, `SAVEPOINT`, `RELEASE`.
    Transaction,
    /// `CREATE`, `ALTER`, `DROP`, ...
    Definition,
    /// `PRAGMA`, `SET`, `SHOW`, `EXPLAIN`, `ANALYZE`, `VACUUM`, ...
    Utility,
    /// Anything else, truncated text included.
    Other,
}

/// A table that the statement names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableUse {
    /// Name, folded if unquoted, without schema.
    pub name: String,
    /// Whether the statement writes to it.
    pub written: bool,
}

/// How a `LIMIT` or `OFFSET` is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limit {
    /// A number in the text.
    Literal(u64),
    /// A placeholder or an expression: the value is not in the text.
    Unknown,
}

/// What a statement does, as far as its tokens tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// Kind of statement (of the main one, behind a `WITH`).
    pub kind: Kind,
    /// Tables, sorted, without the names of common table expressions.
    pub tables: Vec<TableUse>,
    /// `LIMIT` / `FETCH FIRST` of the outermost query.
    pub limit: Option<Limit>,
    /// `OFFSET` of the outermost query.
    pub offset: Option<Limit>,
    /// Whether any nested query has a `LIMIT`.
    pub nested_limit: bool,
    /// Number of placeholders (occurrences).
    pub placeholders: usize,
    /// Whether the outermost select list is only aggregates without `GROUP BY`: one row.
    pub single_row: bool,
    /// Whether the outermost select list holds `COUNT(...)` without `GROUP BY`.
    pub counts: bool,
    /// Whether it holds `IN (list)`, `= ANY(..)`, `json_each(..)`, `unnest(..)` or several `VALUES` rows: a batch.
    pub batch: bool,
    /// Whether a `LIKE`/`ILIKE`/`GLOB` pattern begins with a wildcard: `Some(true)` it does,
    /// `Some(false)` it does not, `None` no pattern match or the pattern is a bare placeholder.
    pub leading_wildcard: Option<bool>,
    /// Whether there is a `WHERE` in the outermost query.
    pub filtered: bool,
    /// Whether the outermost select list is or contains `*`.
    pub star: bool,
}

/// The shape of `sql`. Total: text that is not SQL gives [`Kind::Other`] and nothing else.
pub fn shape(_sql: &str, _dialect: Dialect) -> Shape { todo!() }
