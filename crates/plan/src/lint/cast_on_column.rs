//! A column is cast before it is compared, so that no index on it helps.

use super::{Certainty, Fault, LintContext, LintKind};
use crate::{Operation, PlanNode, postgres::casts};

/// The comparison with the cast in it.
pub(super) struct CastOnColumn {
    table: String,
    column: String,
    kind: String,
    certainty: Certainty,
    detail: String,
}

impl Fault for CastOnColumn {
    const KIND: LintKind = LintKind::CastOnColumn;

    fn check(context: &LintContext<'_>) -> Vec<Self> {
        context
            .plan
            .walk()
            .flat_map(|node| of_node(context, node))
            .collect()
    }

    fn table(&self) -> &str {
        &self.table
    }

    fn certainty(&self) -> Certainty {
        self.certainty
    }

    fn sentence(&self) -> String {
        let Self {
            table,
            column,
            kind,
            ..
        } = self;
        format!(
            "Column {column} of {table} is cast to {kind} in every row before it is compared: \
             send the value in the column's own type."
        )
    }

    fn detail(&self) -> &str {
        &self.detail
    }
}

/// Whether a cast is why the step reads everything.
pub(super) fn is_cause(context: &LintContext<'_>, node: &PlanNode) -> bool {
    of_node(context, node)
        .iter()
        .any(|fault| fault.certainty == Certainty::Likely)
}

fn of_node(context: &LintContext<'_>, node: &PlanNode) -> Vec<CastOnColumn> {
    let reads = matches!(
        node.operation,
        Operation::Scan | Operation::Search | Operation::IndexWalk | Operation::Bitmap
    );
    let grows = |table: &&str| context.grows(table);
    let table = node.table.as_deref().filter(grows);
    let (true, Some(table), Some(filter)) = (reads, table, &node.filter) else {
        return Vec::new();
    };
    let indexed = |column: &str| {
        let table = context.schema.table(table);
        table.is_some_and(|table| {
            table.indexes.iter().any(|index| {
                let first = index.columns.first();
                index.is_ordered() && first.is_some_and(|first| first.name == column)
            })
        })
    };
    casts(filter)
        .into_iter()
        // PostgreSQL keeps no operators for these of their own and shows them as text; an index
        // serves them as they are.
        .filter(|(_, kind)| kind != "text")
        .map(|(column, kind)| CastOnColumn {
            certainty: match indexed(&column) {
                true => Certainty::Likely,
                false => Certainty::Possible,
            },
            table: table.to_owned(),
            column,
            kind,
            detail: node.detail.clone(),
        })
        .collect()
}
