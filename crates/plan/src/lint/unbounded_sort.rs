//! A set without bound is sorted in a temporary b-tree.

use speedwell_sql::Dialect;

use super::{
    Certainty, Fault, LintContext, LintKind,
    reach::{Reach, flat, reach},
};
use crate::{JoinMethod, Operation, PlanNode, SortReason, suggest::is_served};

/// The sort, and the table whose rows it sorts.
pub(super) struct UnboundedSort {
    table: String,
    reason: SortReason,
    reach: Reach,
    certainty: Certainty,
    detail: String,
}

impl Fault for UnboundedSort {
    const KIND: LintKind = LintKind::UnboundedSort;

    fn check(context: &LintContext<'_>) -> Vec<Self> {
        let mut found = Vec::new();
        match context.plan.system {
            Dialect::Postgres => {
                for node in &context.plan.nodes {
                    in_tree(context, node, false, &mut found);
                }
            }
            Dialect::Sqlite | Dialect::MySql => {
                in_block(context, &context.plan.nodes, false, &mut found);
            }
        }
        found
    }

    fn table(&self) -> &str {
        &self.table
    }

    fn certainty(&self) -> Certainty {
        self.certainty
    }

    fn sentence(&self) -> String {
        let rows = match self.reach {
            Reach::Open => format!("All matching rows of {}", self.table),
            Reach::Range | Reach::Bounded => format!("Some rows of {}", self.table),
        };
        let why = match self.reason {
            SortReason::Order => "are sorted before the first one is returned",
            SortReason::OrderTail => "are sorted where they tie in the first terms of the order",
            SortReason::Group => "are sorted to be grouped",
            SortReason::Distinct => "are kept aside to find duplicates",
            SortReason::Aggregate => "are sorted inside an aggregate",
            SortReason::Merge => "are sorted to be joined",
            SortReason::Window => "are sorted for a window function",
            SortReason::Other => "are put into a temporary b-tree",
        };
        format!("{rows} {why}.")
    }

    fn detail(&self) -> &str {
        &self.detail
    }
}

/// PostgreSQL's sorts hold what they sort.
fn in_tree(
    context: &LintContext<'_>,
    node: &PlanNode,
    repeated: bool,
    found: &mut Vec<UnboundedSort>,
) {
    if let Operation::Sort(reason) = node.operation {
        found.extend(sorted(context, &node.children, repeated, node, reason));
    }
    let loops = node.operation == Operation::Join(JoinMethod::NestedLoop);
    for (position, child) in node.children.iter().enumerate() {
        let repeated = match child.operation {
            Operation::Subquery { correlated } => correlated,
            Operation::Materialize => false,
            _ => repeated || loops && position > 0,
        };
        in_tree(context, child, repeated, found);
    }
}

fn in_block(
    context: &LintContext<'_>,
    block: &[PlanNode],
    correlated: bool,
    found: &mut Vec<UnboundedSort>,
) {
    // A second sort of one block sorts what the first one left.
    let sort = block.iter().find_map(|node| match node.operation {
        Operation::Sort(reason) => Some((node, reason)),
        _ => None,
    });
    if let Some((node, reason)) = sort {
        found.extend(sorted(context, block, correlated, node, reason));
    }
    for node in block {
        let correlated = match node.operation {
            Operation::Subquery { correlated } => correlated,
            _ => correlated,
        };
        in_block(context, &node.children, correlated, found);
    }
}

/// So many rows are sorted in well under a millisecond.
const FEW_ROWS: f64 = 1000.0;

/// Whether an index finds the rows of the table in the order that the statement asks for.
fn is_ordered_by_index(context: &LintContext<'_>, table: &str) -> bool {
    let own = |name: &str| name.eq_ignore_ascii_case(table);
    context.structure.is_some_and(|structure| {
        !structure.order.is_empty()
            && structure.order.iter().all(|column| own(&column.table))
            && is_served(structure, table, context.schema)
    })
}

fn sorted(
    context: &LintContext<'_>,
    block: &[PlanNode],
    correlated: bool,
    node: &PlanNode,
    reason: SortReason,
) -> Option<UnboundedSort> {
    let reached = reach(context, flat(block), correlated);
    let streams = context.plan.system != Dialect::Postgres && context.has_limit(false);
    let certainty = match (reached.reach, reason) {
        (Reach::Bounded, _) => return None,
        (Reach::Range, _) => Certainty::Possible,
        // Duplicates are dropped as rows come, so that a LIMIT may stop it early.
        (Reach::Open, SortReason::Distinct) if streams => Certainty::Possible,
        (
            Reach::Open,
            SortReason::OrderTail
            | SortReason::Aggregate
            | SortReason::Merge
            | SortReason::Window
            | SortReason::Other,
        ) => Certainty::Possible,
        (Reach::Open, SortReason::Order | SortReason::Group | SortReason::Distinct) => {
            Certainty::Likely
        }
    };
    let table = reached.table?.to_owned();
    let certainty = match (is_ordered_by_index(context, &table), node.estimate) {
        // The planner could have read the rows in order and expects so few that sorting them is
        // quicker.
        (true, Some(estimate)) if estimate.rows < FEW_ROWS => return None,
        (true, Some(_)) => Certainty::Possible,
        _ => certainty,
    };
    Some(UnboundedSort {
        table,
        reason,
        reach: reached.reach,
        certainty,
        detail: node.detail.clone(),
    })
}
