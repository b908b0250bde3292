//! Plans with values in place of placeholders, and which value each placeholder asks for.

use std::{collections::BTreeMap, fmt};

use serde::{Serialize, Serializer};
use speedwell_sql::{Comparison, Dialect, Token, TokenKind, structure};

use crate::Plan;

/// Which values a statement was planned with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Label {
    /// Values that many rows have; of a range the recent end.
    Hot,
    /// Values that few rows have; of a range the early end.
    Cold,
    /// Values that no row has.
    Absent,
}

/// All of them, in the order in which they are shown.
pub(crate) const LABELS: [Label; 3] = [Label::Hot, Label::Cold, Label::Absent];

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hot => "hot",
            Self::Cold => "cold",
            Self::Absent => "absent",
        })
    }
}

/// A plan of a statement with values from the database.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sampled {
    /// Which values.
    pub label: Label,
    /// The plan with them. It does not show them.
    pub plan: Plan,
    /// The values, one for each distinct placeholder.
    #[serde(serialize_with = "only_count")]
    pub values: SampledValues,
}

/// Values of the database, which may be people's. They are neither serialized nor shown by
/// `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct SampledValues(pub(crate) Vec<String>);

impl SampledValues {
    /// The values as SQL texts, for someone who asked to see them.
    pub fn reveal(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Debug for SampledValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} values", self.0.len())
    }
}

// The signature is serde's.
fn only_count<S: Serializer>(values: &SampledValues, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{values:?}"))
}

/// What a placeholder stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Slot {
    /// A value that a column is compared with.
    Column {
        table: String,
        column: String,
        comparison: Comparison,
        /// The how-manieth placeholder of its predicate, from 0.
        position: usize,
    },
    /// The rows of a page.
    Limit,
    /// The rows before a page.
    Offset,
    /// Something else: a value to be written, part of an expression.
    Other,
}

/// What each placeholder of `statement` stands for, by its number. The statement is one whose
/// placeholders are written `$n`.
pub(crate) fn slots(
    statement: &str,
    dialect: Dialect,
    columns: &dyn Fn(&str) -> Vec<String>,
) -> BTreeMap<usize, Slot> {
    let tokens: Vec<Token<'_>> = speedwell_sql::tokens(statement, dialect).collect();
    let number = |token: &Token<'_>| token.text.strip_prefix('$')?.parse::<usize>().ok();
    let mut slots = BTreeMap::new();
    let mut numbers = Vec::new();
    for (position, token) in tokens.iter().enumerate() {
        if token.kind != TokenKind::Placeholder {
            continue;
        }
        let Some(number) = number(token) else {
            numbers.push(0);
            continue;
        };
        numbers.push(number);
        let before = tokens[..position]
            .iter()
            .rev()
            .find(|token| token.kind != TokenKind::LeftParen);
        let is = |word: &str| before.is_some_and(|token| token.is_word(word));
        let slot = if is("LIMIT") || is("FIRST") || is("NEXT") {
            Slot::Limit
        } else if is("OFFSET") {
            Slot::Offset
        } else {
            Slot::Other
        };
        let known = slots.entry(number).or_insert(Slot::Other);
        if *known == Slot::Other {
            *known = slot;
        }
    }
    let predicates = structure(statement, dialect, columns).map(|found| found.predicates);
    for predicate in predicates.unwrap_or_default() {
        for (position, place) in predicate.placeholders.iter().enumerate() {
            let slot = numbers.get(*place).and_then(|number| slots.get_mut(number));
            if let Some(slot @ Slot::Other) = slot {
                *slot = Slot::Column {
                    table: predicate.table.clone(),
                    column: predicate.column.clone(),
                    comparison: predicate.comparison,
                    position,
                };
            }
        }
    }
    slots
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_placeholder_is_known_by_what_it_is_compared_with() {
        let columns = |_: &str| vec!["id".to_owned(), "name".to_owned()];
        let sql = "UPDATE users SET name = $1 WHERE id BETWEEN $2 AND $3 AND name IN ($4, $1) \
                   AND lower(name) = $6";
        let column = |name: &str, comparison, position| Slot::Column {
            table: "users".to_owned(),
            column: name.to_owned(),
            comparison,
            position,
        };
        let found = slots(sql, Dialect::Postgres, &columns);
        let expected = [
            (1, column("name", Comparison::In, 1)),
            (2, column("id", Comparison::Range, 0)),
            (3, column("id", Comparison::Range, 1)),
            (4, column("name", Comparison::In, 0)),
            (6, Slot::Other),
        ];
        assert_eq!(found, BTreeMap::from(expected));
        let page = "SELECT id FROM users ORDER BY id LIMIT ($1) OFFSET $2";
        let found = slots(page, Dialect::Sqlite, &columns);
        assert_eq!(found, BTreeMap::from([(1, Slot::Limit), (2, Slot::Offset)]));
    }

    #[test]
    fn values_show_in_no_debug_text_and_no_json() {
        let sampled = Sampled {
            label: Label::Hot,
            plan: Plan {
                system: Dialect::Postgres,
                nodes: Vec::new(),
            },
            values: SampledValues(vec!["'ann@example.org'".to_owned()]),
        };
        assert!(!format!("{sampled:?}").contains("ann"));
        assert_eq!(sampled.values.reveal(), ["'ann@example.org'"]);
    }
}
