//! Values as SQL, and statements with them in place of their placeholders.

use std::collections::BTreeMap;

use speedwell_sql::{Dialect, TokenKind};

use crate::Table;

/// A text that nobody stores.
pub(super) const NOWHERE: &str = "speedwell: no such value";

/// The declared type of a column; empty if there is none.
pub(super) fn kind<'t>(table: Option<&'t Table>, column: &str) -> &'t str {
    let mut columns = table.into_iter().flat_map(|table| &table.columns);
    let found = columns.find(|own| own.name == column);
    found.map_or("", |own| own.kind.as_str())
}

/// A part of the middle of a value, without what patterns are made of.
pub(super) fn middle(value: &str) -> String {
    let inner: String = value.chars().skip(2).take(6).collect();
    inner.replace(['%', '_', '\\'], "")
}

/// What people type of a text before they look at what is offered.
pub(super) fn beginning(value: &str) -> String {
    let first = value.chars().take(4);
    first.filter(|c| !['%', '_', '\\'].contains(c)).collect()
}

/// A value that rows hardly have.
pub(super) fn absent(kind: &str) -> &'static str {
    let kind = kind.to_lowercase();
    let is = |words: &[&str]| words.iter().any(|word| kind.starts_with(word));
    if kind.ends_with("[]") {
        "{2147483629}"
    } else if is(&["smallint"]) {
        "32761"
    } else if is(&["bool"]) {
        "true"
    } else if is(&["int", "bigint", "numeric", "real", "double", "decimal"]) {
        "2147483629"
    } else if is(&["uuid"]) {
        "ffffffff-ffff-4fff-bfff-fffffffffff1"
    } else if is(&["date", "timestamp"]) {
        "1900-01-02"
    } else if is(&["json"]) {
        "{}"
    } else {
        NOWHERE
    }
}

/// A value as SQL. PostgreSQL finds the type of a quoted one; SQLite takes it as it is written.
pub(super) fn written(value: &str, kind: &str, dialect: Dialect) -> String {
    let number = !value.is_empty()
        && value.parse::<f64>().is_ok()
        && value
            .chars()
            .all(|c| c.is_ascii_digit() || "+-.e".contains(c));
    let textual = ["text", "char", "varchar", "date", "time"]
        .iter()
        .any(|word| kind.to_lowercase().starts_with(word));
    match dialect {
        Dialect::Postgres => quote(value),
        _ if number && !textual => value.to_owned(),
        _ => quote(value),
    }
}

pub(super) fn quote(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

/// The statement with these texts in place of its placeholders.
pub(super) fn filled(
    statement: &str,
    dialect: Dialect,
    literals: &BTreeMap<usize, String>,
) -> String {
    let mut text = String::with_capacity(statement.len() + 64);
    let mut copied = 0;
    for token in speedwell_sql::tokens(statement, dialect) {
        if token.kind != TokenKind::Placeholder {
            continue;
        }
        let number = token.text.strip_prefix('$').and_then(|n| n.parse().ok());
        let Some(literal) = number.and_then(|number: usize| literals.get(&number)) else {
            continue;
        };
        text.push_str(&statement[copied..token.start]);
        text.push_str(literal);
        copied = token.end();
    }
    text.push_str(&statement[copied..]);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_give_way_to_values_and_nothing_else_does() {
        let literals = BTreeMap::from([(1, "'a'".to_owned()), (2, "7".to_owned())]);
        assert_eq!(
            filled(
                "SELECT '$1', $2 /* $1 */ FROM t WHERE a = $1",
                Dialect::Postgres,
                &literals
            ),
            "SELECT '$1', 7 /* $1 */ FROM t WHERE a = 'a'"
        );
    }
}
