//! The database builds an index for one statement and throws it away.

use super::{Certainty, Fault, LintContext, LintKind};
use crate::Operation;

/// The step that builds the index.
pub(super) struct AutomaticIndex {
    table: String,
    columns: String,
    detail: String,
}

impl Fault for AutomaticIndex {
    const KIND: LintKind = LintKind::AutomaticIndex;

    fn check(context: &LintContext<'_>) -> Vec<Self> {
        context
            .plan
            .walk()
            .filter(|node| node.operation == Operation::AutomaticIndex)
            .filter_map(|node| {
                // An index on the rows of a subquery cannot be declared.
                let table = node.table.clone().filter(|table| context.grows(table))?;
                let columns: Vec<&str> = node
                    .constraints
                    .iter()
                    .map(|c| c.trim_end_matches("=?"))
                    .collect();
                Some(Self {
                    table,
                    columns: columns.join(", "),
                    detail: node.detail.clone(),
                })
            })
            .collect()
    }

    fn table(&self) -> &str {
        &self.table
    }

    fn certainty(&self) -> Certainty {
        Certainty::Likely
    }

    fn sentence(&self) -> String {
        let Self { table, columns, .. } = self;
        format!("An index on {table} ({columns}) is built for this statement and thrown away.")
    }

    fn detail(&self) -> &str {
        &self.detail
    }
}
