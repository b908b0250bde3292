//! Tables, columns and indexes of a database, and how many rows it holds.

use std::collections::BTreeMap;

use serde::Serialize;

/// The tables of a database by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Schema {
    /// Base tables and virtual tables, as declared.
    pub tables: BTreeMap<String, Table>,
}

/// One table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Rows, counted; if counting took too long PostgreSQL's estimate, or `None`. `None` for
    /// virtual tables.
    pub rows: Option<u64>,
    /// Whether the planner knows nothing of the table's values, because PostgreSQL never
    /// analyzed it.
    pub never_analyzed: bool,
    /// Columns in declared order.
    pub columns: Vec<Column>,
    /// Indexes by name.
    pub indexes: Vec<Index>,
    /// Foreign keys from this table.
    pub foreign_keys: Vec<ForeignKey>,
    /// Whether the table is stored in its primary key.
    pub without_rowid: bool,
    /// Whether it is a virtual or foreign table.
    pub virtual_table: bool,
    /// Columns of the primary key in its order.
    pub primary_key: Vec<String>,
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its declared type, empty if none.
    #[serde(rename = "type")]
    pub kind: String,
    /// Distinct values, as PostgreSQL estimated them when it analyzed the table.
    pub distinct: Option<u64>,
}

/// One index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Index {
    /// Its name.
    pub name: String,
    /// What it is sorted by.
    pub columns: Vec<IndexColumn>,
    /// Whether it forbids duplicates.
    pub unique: bool,
    /// The condition of a partial index.
    pub partial: Option<String>,
    /// Whether `CREATE INDEX` made it, rather than a `UNIQUE` or `PRIMARY KEY` of the table.
    pub declared: bool,
    /// Columns that are stored beside, and are not sorted by (`INCLUDE`).
    pub included: Vec<String>,
    /// How it is built: `btree`, `hash`, `gin`, ...
    pub method: String,
    /// Whether it can be used; one whose building failed cannot.
    pub valid: bool,
}

impl Index {
    /// Whether it finds rows by the order of its columns.
    pub(crate) fn is_ordered(&self) -> bool {
        self.valid && self.method == BTREE
    }
}

/// The method of indexes that are sorted.
pub(crate) const BTREE: &str = "btree";

/// One term of an index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IndexColumn {
    /// Column name or expression.
    pub name: String,
    /// Whether `name` is an expression.
    pub expression: bool,
    /// Whether it is sorted downwards.
    pub descending: bool,
}

/// One foreign key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ForeignKey {
    /// Columns that refer.
    pub columns: Vec<String>,
    /// Table that is referred to.
    pub table: String,
}

impl Schema {
    /// The table of this name, in any case.
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.get(name).or_else(|| {
            self.tables
                .values()
                .find(|table| table.name.eq_ignore_ascii_case(name))
        })
    }

    /// Column names of a table: what [`speedwell_sql::structure()`] asks for.
    pub fn columns(&self, table: &str) -> Vec<String> {
        self.table(table)
            .map(|table| {
                table
                    .columns
                    .iter()
                    .map(|column| column.name.clone())
                    .collect()
            })
            .unwrap_or_default()
    }
}

impl Table {
    /// Whether fixing these columns leaves at most one row.
    pub(crate) fn is_unique(&self, fixed: &[&str]) -> bool {
        let fixes = |name: &str| fixed.iter().any(|fixed| fixed.eq_ignore_ascii_case(name));
        let key = !self.primary_key.is_empty() && self.primary_key.iter().all(|name| fixes(name));
        key || self.indexes.iter().any(|index| {
            index.unique
                && index.valid
                && index.partial.is_none()
                && index
                    .columns
                    .iter()
                    .all(|column| !column.expression && fixes(&column.name))
        })
    }
}
