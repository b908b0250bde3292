//! What one statement asks of each table: the conditions an index could serve, and what its
//! placeholders stand for.

use std::collections::{BTreeMap, BTreeSet};

use speedwell_sql::{Dialect, known_row_locks};
use sqlparser::{
    ast::Statement,
    dialect::{PostgreSqlDialect, SQLiteDialect},
    parser::Parser,
};

use super::{error::AdviceError, walk::Walk};
use crate::{Schema, statement};

/// One statement, read for its indexes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// The statement with every placeholder written as `$n`.
    pub(crate) text: String,
    /// One for each appearance of a base table, and one more for each branch of an `OR`.
    pub(crate) searches: Vec<Search>,
    /// What each placeholder stands for, by its number.
    pub(crate) slots: BTreeMap<usize, Slot>,
    /// What it writes.
    pub(crate) write: Option<Write>,
}

/// How one appearance of a table is searched. Column names are as declared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Search {
    /// The table as declared.
    pub(crate) table: String,
    /// Columns compared with `=` to a value, or `IS NULL`.
    pub(crate) equal: BTreeSet<String>,
    /// Columns compared with a list of values.
    pub(crate) listed: BTreeSet<String>,
    /// Columns of which the text itself says what they hold: the condition, without qualifiers.
    /// A column of `equal` is compared with one constant, one of `listed` with several.
    pub(crate) constants: BTreeMap<String, String>,
    /// Columns compared with `=` to a column of another table.
    pub(crate) joined: BTreeSet<String>,
    /// Columns compared with `<` or `>`; of rows of values the first.
    pub(crate) ranges: BTreeSet<String>,
    /// Columns that are searched for a text in their middle.
    pub(crate) contains: BTreeSet<String>,
    /// Columns that are searched for texts that begin alike.
    pub(crate) prefixes: BTreeSet<String>,
    /// Documents, arrays and `tsvector`s that are searched by what they hold, and whether that is a
    /// document.
    pub(crate) holds: BTreeMap<String, bool>,
    /// Expressions of this table's columns that are compared with `=` to a value.
    pub(crate) expressions: BTreeSet<String>,
    /// What the rows are sorted by; `true` for descending.
    pub(crate) order: Vec<(String, bool)>,
    /// Whether only so many rows are wanted.
    pub(crate) limited: bool,
    /// Columns that are read; the flag says all of them.
    pub(crate) used: BTreeSet<String>,
    /// Whether every column is read.
    pub(crate) uses_all: bool,
}

/// What a placeholder stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Slot {
    /// A value compared with a column.
    Compared {
        /// The table as declared.
        table: String,
        /// The column as declared.
        column: String,
        /// The key of the document's member, if it is that which is compared.
        member: Option<String>,
        /// How.
        how: Compared,
    },
    /// A value stored in a column.
    Stored {
        /// The table as declared.
        table: String,
        /// The column as declared.
        column: String,
    },
    /// What a number is changed by.
    Amount,
    /// What a place in a text is compared with.
    Place,
    /// The rows of a page.
    Limit,
    /// The rows before a page.
    Offset,
    /// Something else.
    Other,
}

/// How a value is compared with a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compared {
    /// `=`, one of a list, part of an expression.
    Equal,
    /// An array of values.
    Array,
    /// `>` and the like: rows lie above it.
    Above,
    /// `<` and the like: rows lie below it.
    Below,
    /// A pattern, or the middle of one.
    Pattern,
    /// The beginning of a pattern.
    Prefix,
    /// A part of it, by itself.
    Middle,
}

/// What a statement writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Write {
    /// The table as declared.
    pub(crate) table: String,
    /// How.
    pub(crate) kind: WriteKind,
    /// Whether each index of the table takes part: PostgreSQL leaves the entries of rows that are
    /// deleted to `VACUUM`.
    pub(crate) keeps_up: bool,
}

/// How a statement writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WriteKind {
    /// New rows.
    Insert,
    /// The columns that are set.
    Update(BTreeSet<String>),
    /// Rows go, and with them or against them what refers to them.
    Delete,
}

impl Facts {
    /// The tables it reads or writes.
    pub(crate) fn tables(&self) -> BTreeSet<&str> {
        let written = self.write.iter().map(|write| write.table.as_str());
        let read = self.searches.iter().map(|search| search.table.as_str());
        read.chain(written).collect()
    }
}

/// Reads a statement.
///
/// # Errors
/// When it is not one statement, or not one that can be read.
pub(crate) fn facts(sql: &str, dialect: Dialect, schema: &Schema) -> Result<Facts, AdviceError> {
    let text = statement::numbered(sql, dialect)?;
    // Refuses what is too deep to be walked.
    speedwell_sql::structure(&text, dialect, &|table| schema.columns(table))
        .map_err(|error| AdviceError::Unreadable(error.to_string()))?;
    let statement = parse(&text, dialect)?;
    let mut facts = Walk::read(&statement, schema, dialect);
    facts.text = text;
    Ok(facts)
}

/// The one statement of a text.
pub(crate) fn parse(text: &str, dialect: Dialect) -> Result<Statement, AdviceError> {
    let parsed = match dialect {
        Dialect::Postgres => Parser::parse_sql(&PostgreSqlDialect {}, &known_row_locks(text)),
        _ => Parser::parse_sql(&SQLiteDialect {}, text),
    };
    // What the parser says may hold a value.
    let parsed =
        parsed.map_err(|_| AdviceError::Unreadable("its syntax is not known".to_owned()))?;
    let mut statements = parsed.into_iter();
    match (statements.next(), statements.next()) {
        (Some(statement), None) => Ok(statement),
        _ => Err(AdviceError::Unreadable(
            "it is not one statement".to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests;
