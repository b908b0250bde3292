//! A declared index that no plan of the workload uses.

use std::collections::BTreeSet;

use super::{Certainty, Lint, LintKind};
use crate::{Index, Plan, Schema, Table};

/// Declared indexes that none of the plans uses, in the order of their tables and names. Possible
/// at most: a statement that was not observed may need them.
///
/// Left out are unique indexes (they are rules, not only ways to find rows) and those that a
/// foreign key begins with: deleting or changing a parent row looks the children up in them, and
/// no plan shows it. Without any plan nothing is said.
pub fn unused_indexes(schema: &Schema, plans: &[&Plan]) -> Vec<Lint> {
    if plans.is_empty() {
        return Vec::new();
    }
    let used: BTreeSet<&str> = plans
        .iter()
        .flat_map(|plan| plan.walk())
        .filter_map(|node| node.index.as_deref())
        .collect();
    let unused =
        |index: &&Index| index.declared && !index.unique && !used.contains(index.name.as_str());
    schema
        .tables
        .values()
        .flat_map(|table| {
            let indexes = table.indexes.iter().filter(unused);
            indexes
                .filter(|index| !serves_foreign_key(table, index))
                .map(|index| lint(table, index, plans.len()))
        })
        .collect()
}

fn serves_foreign_key(table: &Table, index: &Index) -> bool {
    table.foreign_keys.iter().any(|key| {
        index.columns.len() >= key.columns.len()
            && index.columns[..key.columns.len()].iter().all(|column| {
                key.columns
                    .iter()
                    .any(|name| name.eq_ignore_ascii_case(&column.name))
            })
    })
}

fn lint(table: &Table, index: &Index, plans: usize) -> Lint {
    let columns: Vec<&str> = index
        .columns
        .iter()
        .map(|column| column.name.as_str())
        .collect();
    let mut evidence = vec![
        match plans {
            1 => "It is not in the plan of the one observed statement.".to_owned(),
            _ => format!("It is not in any of the {plans} plans of the observed statements."),
        },
        "Every insert and many updates of the table write to it.".to_owned(),
    ];
    if let Some(condition) = &index.partial {
        evidence.push(format!(
            "It holds only rows WHERE {condition}, and only statements that say exactly that can use it."
        ));
    }
    Lint {
        kind: LintKind::UnusedIndex,
        table: table.name.clone(),
        index: Some(index.name.clone()),
        certainty: Certainty::Possible,
        summary: format!(
            "Index {} on {} ({}) is used by no observed statement.",
            index.name,
            table.name,
            columns.join(", ")
        ),
        evidence,
        suggestion: None,
    }
}
