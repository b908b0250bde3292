//! Predicates, joins and order of a statement, from a full parse (off the hot path).

use sqlparser::dialect::{Dialect as Grammar, MySqlDialect, PostgreSqlDialect, SQLiteDialect};
use sqlparser::parser::Parser;

use crate::Dialect;
use crate::rewrite::readable_by_parser;
use crate::walk::Walk;

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
    /// `ORDER BY` of the outermost query, or its `GROUP BY` if it groups. Constants are left
    /// out; empty if any other term is not a plain column in the database's own order of nulls.
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
///
/// Placeholders of every spelling are read, and SQLite's `INDEXED BY` is passed over.
///
/// # Errors
///
/// [`StructureError::Parse`] if the parser refuses the text, or if the text nests or chains
/// more operators than can be walked safely; [`StructureError::Count`] if it is not one statement.
pub fn structure(
    sql: &str,
    dialect: Dialect,
    columns: &dyn Fn(&str) -> Vec<String>,
) -> Result<Structure, StructureError> {
    let text = readable_by_parser(sql, dialect).map_err(StructureError::Parse)?;
    let statements = Parser::parse_sql(grammar(dialect), &text)
        .map_err(|error| StructureError::Parse(error.to_string()))?;
    match statements.as_slice() {
        [statement] => Ok(Walk::of(statement, dialect, columns)),
        other => Err(StructureError::Count(other.len())),
    }
}

fn grammar(dialect: Dialect) -> &'static dyn Grammar {
    match dialect {
        Dialect::Sqlite => &SQLiteDialect {},
        Dialect::Postgres => &PostgreSqlDialect {},
        Dialect::MySql => &MySqlDialect {},
    }
}
