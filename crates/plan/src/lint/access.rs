//! Where a plan reads a table, and what the steps around make of it.

use speedwell_sql::Dialect;

use super::LintContext;
use crate::{Grouping, JoinMethod, Operation, Plan, PlanNode, SortReason, Store};

/// One step that reads the rows of a base table.
#[derive(Clone, Copy)]
pub(super) struct Access<'a> {
    pub(super) node: &'a PlanNode,
    /// Whether a `LIMIT` may end it before all rows are read.
    pub(super) stops: bool,
    /// Whether it runs once for each row of another step.
    pub(super) repeated: bool,
}

/// All of them, in the order of the plan.
pub(super) fn accesses<'a>(context: &LintContext<'a>) -> Vec<Access<'a>> {
    let mut found = match context.plan.system {
        Dialect::Postgres => {
            let mut found = Vec::new();
            for node in &context.plan.nodes {
                descend(node, false, false, &mut found);
            }
            found
        }
        Dialect::Sqlite | Dialect::MySql => side_by_side(context),
    };
    found.retain(|access| access.node.table.is_some());
    found
}

/// The steps that PostgreSQL's tree holds: each gives its rows to the one around it.
fn descend<'a>(node: &'a PlanNode, stops: bool, repeated: bool, found: &mut Vec<Access<'a>>) {
    if reads_rows(node) || node.operation == Operation::Bitmap {
        found.push(Access {
            node,
            stops,
            repeated,
        });
    }
    let mut inputs = 0;
    for child in &node.children {
        let (stops, repeated) = match (node.operation, child.operation) {
            (_, Operation::Materialize) => (false, false),
            (_, Operation::Subquery { correlated }) => (false, correlated),
            (operation, _) => {
                inputs += 1;
                input(operation, inputs, stops, repeated)
            }
        };
        descend(child, stops, repeated, found);
    }
}

/// What a step makes of its first or second input: whether it may stop early, whether it is run
/// again and again.
fn input(operation: Operation, number: usize, stops: bool, repeated: bool) -> (bool, bool) {
    match operation {
        Operation::Limit => (true, repeated),
        // Rows arrive nearly in order: what ties is sorted, then given on.
        Operation::Sort(SortReason::OrderTail) => (stops, repeated),
        Operation::Sort(_) | Operation::Store(Store::Hash) | Operation::Write => (false, repeated),
        Operation::Aggregate(Grouping::Sorted) => (stops, repeated),
        Operation::Aggregate(_) => (false, repeated),
        Operation::Join(JoinMethod::NestedLoop) if number > 1 => (false, true),
        // Rows that are kept are read once, however often they are asked for.
        Operation::Store(Store::Again) => (stops, false),
        Operation::Subquery { correlated } => (false, repeated || correlated),
        _ => (stops, repeated),
    }
}

/// The steps of SQLite's query blocks, which stand side by side: each later one runs for each
/// row of the earlier ones, and what sorts them stands last. The parts of a `MULTI-INDEX OR`
/// count as blocks too: they hold lookups only.
fn side_by_side<'a>(context: &LintContext<'a>) -> Vec<Access<'a>> {
    let mut found = Vec::new();
    for (block, outermost) in blocks(context.plan) {
        let sorts = |node: &PlanNode| {
            use SortReason::{Group, Order};
            matches!(node.operation, Operation::Sort(Order | Group))
        };
        // A sort needs all rows before it gives the first, so that no LIMIT stops the walk below.
        let stops = context.has_limit(outermost) && !block.iter().any(sorts);
        for (position, node) in block.iter().enumerate() {
            let repeated = block[..position].iter().any(reads_rows);
            found.push(Access {
                node,
                stops,
                repeated,
            });
        }
    }
    found
}

/// The steps of each query block, and whether it is the outermost one.
fn blocks(plan: &Plan) -> Vec<(&[PlanNode], bool)> {
    let inner = plan.walk().map(|node| (node.children.as_slice(), false));
    std::iter::once((plan.nodes.as_slice(), true))
        .chain(inner)
        .filter(|(nodes, _)| !nodes.is_empty())
        .collect()
}

fn reads_rows(node: &PlanNode) -> bool {
    matches!(
        node.operation,
        Operation::Scan
            | Operation::Search
            | Operation::IndexWalk
            | Operation::AutomaticIndex
            | Operation::TableFunction
    )
}
