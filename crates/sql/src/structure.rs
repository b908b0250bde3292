//! Predicates, joins and order of a statement, from a full parse (off the hot path).
use crate::Dialect;

/// How a column is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Comparison {
    /// `=`, `IS`, bare boolean column.
    Equal,
    /// `IN (..)`, `= ANY(..)`.
    In,
    /// `<`, `<=`, `>`, `>=`, `BETWEEN`.
    Range,
    /// `LIKE`, `ILIKE`, `GLOB` with a pattern that may begin with a constant.
    Prefix,
    /// `LIKE '%…'`.
    Contains,
    /// `IS NULL`.
    IsNull,
    /// `<>`, `NOT IN`, `IS NOT NULL`, anything an index does not serve.
    Other,
}

/// What a column is compared with.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operand {
    /// A placeholder.
    Placeholder,
    /// A constant, as written.
    Literal(String),
    /// A column of another table: a join.
    Column {
        /// Table name (not alias).
        table: String,
        /// Column name.
        column: String,
    },
    /// A subquery or an expression.
    Expression,
}

/// One AND-ed condition on a column of a base table.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Predicate {
    /// Table name (not alias).
    pub table: String,
    /// Column name.
    pub column: String,
    /// How it is compared.
    pub comparison: Comparison,
    /// With what.
    pub operand: Operand,
}

/// One column of `ORDER BY` (or `GROUP BY`, when `Structure::grouped` says so).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OrderColumn {
    /// Table name (not alias).
    pub table: String,
    /// Column name.
    pub column: String,
    /// Descending?
    pub descending: bool,
}

/// The structure of one statement, names resolved to base tables.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Structure {
    /// Base tables in order of appearance, with their aliases.
    pub tables: Vec<(String, Option<String>)>,
    /// AND-ed predicates of every query block. Those under OR are left out.
    pub predicates: Vec<Predicate>,
    /// `ORDER BY` of the outermost query; empty if any term is not a plain column.
    pub order: Vec<OrderColumn>,
    /// Whether the outermost query groups.
    pub grouped: bool,
}

/// Why a statement has no [`Structure`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StructureError {
    /// The parser refused the text.
    #[error("cannot parse the statement: {0}")]
    Parse(String),
    /// More than one statement, or none.
    #[error("expected one statement, found {0}")]
    Count(usize),
}

/// The structure of `sql`. A column without a table name is resolved when only one table is in
/// scope, or by `columns(table) -> names` when given by the caller.
pub fn structure(
    _sql: &str,
    _dialect: Dialect,
    _columns: &dyn Fn(&str) -> Vec<String>,
) -> Result<Structure, StructureError> {
    todo!()
}
