//! A growing table is read from end to end to find some of its rows.

use speedwell_sql::Operand;

use super::{Certainty, Fault, LintContext, LintKind};
use crate::{Operation, Plan, PlanNode, SortReason};

/// The step that reads the whole table.
pub(super) struct FullScan {
    table: String,
    index: Option<String>,
    certainty: Certainty,
    detail: String,
}

impl Fault for FullScan {
    const KIND: LintKind = LintKind::FullScan;

    fn check(context: &LintContext<'_>) -> Vec<Self> {
        blocks(context.plan)
            .into_iter()
            .flat_map(|block| {
                (0..block.nodes.len()).filter_map(move |at| in_block(context, block, at))
            })
            .collect()
    }

    fn table(&self) -> &str {
        &self.table
    }

    fn index(&self) -> Option<&str> {
        self.index.as_deref()
    }

    fn certainty(&self) -> Certainty {
        self.certainty
    }

    fn sentence(&self) -> String {
        match &self.index {
            None => format!("Every row of {} is read to find some of them.", self.table),
            Some(index) => format!(
                "Every entry of {index} is read to find some rows of {}.",
                self.table
            ),
        }
    }

    fn detail(&self) -> &str {
        &self.detail
    }
}

/// The steps of each query block. The parts of a `MULTI-INDEX OR` count as blocks too: they hold
/// lookups only.
fn blocks(plan: &Plan) -> Vec<Block<'_>> {
    let inner = plan.walk().map(|node| Block {
        nodes: &node.children,
        outermost: false,
    });
    let outermost = Block {
        nodes: &plan.nodes,
        outermost: true,
    };
    std::iter::once(outermost)
        .chain(inner)
        .filter(|block| !block.nodes.is_empty())
        .collect()
}

/// The steps of one query block.
#[derive(Clone, Copy)]
struct Block<'a> {
    nodes: &'a [PlanNode],
    outermost: bool,
}

fn in_block(context: &LintContext<'_>, block: Block<'_>, position: usize) -> Option<FullScan> {
    let node = &block.nodes[position];
    let table = node.table.as_deref().filter(|table| context.grows(table))?;
    let certainty = certainty(context, block, node)?;
    let inner = block.nodes[..position].iter().any(reads_rows);
    filters(context, table, inner).then(|| FullScan {
        table: table.to_owned(),
        index: node.index.clone(),
        certainty,
        detail: node.detail.clone(),
    })
}

/// How sure it is that the step reads everything; `None` if it does not.
fn certainty(context: &LintContext<'_>, block: Block<'_>, node: &PlanNode) -> Option<Certainty> {
    let sorts = |node: &PlanNode| {
        use SortReason::{Group, Order};
        matches!(node.operation, Operation::Sort(Order | Group))
    };
    // A sort needs all rows before it gives the first, so that no LIMIT stops the walk below it.
    let stops = context.has_limit(block.outermost) && !block.nodes.iter().any(sorts);
    match node.operation {
        Operation::IndexWalk if stops => None,
        Operation::IndexWalk if node.covering => Some(Certainty::Possible),
        Operation::IndexWalk => Some(Certainty::Likely),
        // A walk in the order of the primary key is called a scan too.
        Operation::Scan if stops && ordered_by_key(context, node) => Some(Certainty::Possible),
        Operation::Scan => Some(Certainty::Likely),
        _ => None,
    }
}

fn ordered_by_key(context: &LintContext<'_>, node: &PlanNode) -> bool {
    let first = context
        .structure
        .and_then(|structure| structure.order.first());
    let key = node
        .table
        .as_deref()
        .and_then(|table| context.schema.table(table))
        .and_then(|table| Some((table, table.primary_key.first()?)));
    first.zip(key).is_some_and(|(order, (table, key))| {
        order.table.eq_ignore_ascii_case(&table.name) && order.column.eq_ignore_ascii_case(key)
    })
}

/// Whether the statement wants some rows of the table only. `inner`: the step runs once for each
/// row of an earlier one.
fn filters(context: &LintContext<'_>, table: &str, inner: bool) -> bool {
    let Some(structure) = context.structure else {
        return inner || context.shape.filtered;
    };
    let constant = structure
        .predicates
        .iter()
        .filter(|p| !matches!(p.operand, Operand::Column { .. }));
    let on_this = |name: &str| name.eq_ignore_ascii_case(table);
    let mut constant = constant.peekable();
    let any = constant.peek().is_some();
    let own = constant.any(|predicate| on_this(&predicate.table));
    // Predicates under OR and on expressions are not in the structure; the WHERE around them is
    // in the shape. A WHERE that only says something of other tables counts where a join makes
    // this table follow.
    let joined = structure.predicates.iter().any(|predicate| {
        let other = match &predicate.operand {
            Operand::Column { table, .. } => Some(table.as_str()),
            _ => None,
        };
        other.is_some_and(|other| on_this(other) || on_this(&predicate.table))
    });
    own || inner && joined || joined && any || !any && context.shape.filtered
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
