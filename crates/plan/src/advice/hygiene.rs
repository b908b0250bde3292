//! Indexes of a database that are needless beside others.

use serde::Serialize;

use crate::{Index, Schema, Table};

/// Why an index is needless.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Needless {
    /// The other one is the same.
    Duplicate,
    /// The other one begins with its columns.
    Prefix,
    /// A unique key begins with its columns.
    BesideKey,
    /// The other one holds all rows, and serves as well as this part of them.
    Implied,
    /// No statement is dearer without it, and the database has not seen it used.
    Unused,
    /// Its building failed: it costs and serves nobody.
    Invalid,
}

/// An index that can go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NeedlessIndex {
    /// The index.
    pub index: String,
    /// Its table.
    pub table: String,
    /// Why.
    pub why: Needless,
    /// The index that does its work.
    pub beside: Option<String>,
}

/// The indexes of the database that may be needless beside others, sorted by table and name.
/// Those that stand for a constraint are never among them.
pub(crate) fn needless(schema: &Schema) -> Vec<NeedlessIndex> {
    let tables = schema.tables.values();
    tables.flat_map(of_table).collect()
}

fn of_table(table: &Table) -> Vec<NeedlessIndex> {
    let found = |index: &Index, why, beside: Option<&Index>| NeedlessIndex {
        index: index.name.clone(),
        table: table.name.clone(),
        why,
        beside: beside.map(|other| other.name.clone()),
    };
    let droppable = table.indexes.iter().filter(|index| index.declared);
    droppable
        .filter_map(|index| {
            if !index.valid {
                return Some(found(index, Needless::Invalid, None));
            }
            let others = table
                .indexes
                .iter()
                .filter(|other| other.name != index.name);
            others
                .filter_map(|other| Some((why(index, other)?, other)))
                .next()
                .map(|(why, other)| found(index, why, Some(other)))
        })
        .collect()
}

/// Why the index is needless beside the other, if it is.
fn why(index: &Index, other: &Index) -> Option<Needless> {
    let comparable = other.valid && index.is_ordered() && other.is_ordered();
    // What forbids duplicates must stay, whatever else there is.
    if !comparable || index.unique {
        return None;
    }
    let begins = other.columns.starts_with(&index.columns)
        && index
            .included
            .iter()
            .all(|name| names(other).any(|own| own == name));
    if !begins {
        return None;
    }
    let same_length = other.columns.len() == index.columns.len();
    match (&index.partial, &other.partial) {
        (own, its) if own == its && other.unique => Some(Needless::BesideKey),
        (own, its) if own == its && same_length && index.included == other.included => {
            // Of two equals the second by name goes.
            (index.name > other.name || !other.declared).then_some(Needless::Duplicate)
        }
        (own, its) if own == its => {
            let longer = other.columns.len() > index.columns.len()
                || other.included.len() > index.included.len();
            longer.then_some(Needless::Prefix)
        }
        // It may well be worth having, being smaller: the trial decides.
        (Some(_), None) => Some(Needless::Implied),
        _ => None,
    }
}

/// All columns that an index holds.
fn names(index: &Index) -> impl Iterator<Item = &String> {
    let sorted = index.columns.iter().map(|column| &column.name);
    sorted.chain(&index.included)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{IndexColumn, schema::BTREE};

    fn index(name: &str, columns: &[&str]) -> Index {
        let column = |name: &&str| IndexColumn {
            name: (*name).to_owned(),
            expression: false,
            descending: false,
        };
        Index {
            name: name.to_owned(),
            columns: columns.iter().map(column).collect(),
            unique: false,
            partial: None,
            declared: true,
            included: Vec::new(),
            method: BTREE.to_owned(),
            valid: true,
        }
    }

    #[test]
    fn what_another_index_does_too_is_needless() {
        let mut key = index("t_key", &["c", "d"]);
        key.unique = true;
        key.declared = false;
        let mut partial = index("partial", &["a", "b"]);
        partial.partial = Some("a > 1".to_owned());
        let mut broken = index("broken", &["e"]);
        broken.valid = false;
        let table = Table {
            name: "t".to_owned(),
            indexes: vec![
                index("a", &["a"]),
                index("ab", &["a", "b"]),
                index("ab2", &["a", "b"]),
                broken,
                index("c", &["c"]),
                index("d", &["d"]),
                partial,
                key,
            ],
            ..Table::default()
        };
        let found: Vec<(String, Needless)> = of_table(&table)
            .into_iter()
            .map(|needless| (needless.index, needless.why))
            .collect();
        let expected = [
            ("a", Needless::Prefix),
            ("ab2", Needless::Duplicate),
            ("broken", Needless::Invalid),
            ("c", Needless::BesideKey),
            ("partial", Needless::Implied),
        ];
        assert_eq!(found, expected.map(|(name, why)| (name.to_owned(), why)));
    }
}
