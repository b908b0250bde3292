//! A growing table is read from end to end to find some of its rows.

use speedwell_sql::{Comparison, Dialect, Operand};

use super::{
    Certainty, Fault, LintContext, LintKind,
    access::{Access, accesses},
};
use crate::{Operation, PlanNode, Table, suggest};

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
        let accesses = accesses(context).into_iter();
        accesses
            .filter_map(|access| of_access(context, access))
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

fn of_access(context: &LintContext<'_>, access: Access<'_>) -> Option<FullScan> {
    let node = access.node;
    let table = node.table.as_deref().filter(|table| context.grows(table))?;
    let certainty = match context.plan.system {
        Dialect::Postgres => of_postgres(context, access, table)?,
        Dialect::Sqlite | Dialect::MySql => of_sqlite(context, access)?,
    };
    filters(context, table, access.repeated).then(|| FullScan {
        table: table.to_owned(),
        index: node.index.clone(),
        certainty,
        detail: node.detail.clone(),
    })
}

/// How sure it is that the step reads everything; `None` if it does not.
fn of_sqlite(context: &LintContext<'_>, access: Access<'_>) -> Option<Certainty> {
    let Access { node, stops, .. } = access;
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

/// PostgreSQL tells what it expects to keep, and reads everything too where that is right.
fn of_postgres(context: &LintContext<'_>, access: Access<'_>, table: &str) -> Option<Certainty> {
    let Access {
        node,
        stops,
        repeated,
    } = access;
    let rows = context.schema.table(table).and_then(|table| table.rows);
    if rows.is_some_and(|rows| rows < SMALL_ROWS) {
        return None;
    }
    let kept = kept(context, node, table);
    match node.operation {
        // The walk ends when enough rows are found, which takes long only if hardly any are.
        Operation::IndexWalk if stops => {
            (kept.is_some_and(|kept| kept < RARE)).then_some(Certainty::Possible)
        }
        Operation::IndexWalk if node.covering => Some(Certainty::Possible),
        // Joined by hashing, where an index is there and more rows than it is good for are wanted.
        Operation::Scan if node.filter.is_none() && !repeated && has_join_index(context, table) => {
            None
        }
        // The whole table was asked for, in an order or for a join.
        Operation::IndexWalk | Operation::Scan if node.filter.is_none() && !repeated => {
            Some(Certainty::Possible)
        }
        Operation::IndexWalk => Some(Certainty::Likely),
        // What is cast is another fault.
        Operation::Scan if super::cast_on_column::is_cause(context, node) => None,
        Operation::Scan if repeated => Some(Certainty::Likely),
        Operation::Scan if kept.is_some_and(|kept| kept >= MOST) => Some(Certainty::Possible),
        Operation::Scan if stops && kept.is_some_and(|kept| kept >= RARE) => {
            Some(Certainty::Possible)
        }
        // An index is there and would be slower, as far as the planner knows: for so many rows, or
        // because the first ones are found soon.
        Operation::Scan
            if (stops || kept.is_some_and(|kept| kept >= MANY)) && is_served(context, table) =>
        {
            Some(Certainty::Possible)
        }
        Operation::Scan => Some(Certainty::Likely),
        _ => None,
    }
}

/// A table of fewer rows fills so few pages that reading them all is quicker than an index.
pub(crate) const SMALL_ROWS: u64 = 1000;
/// Who keeps this share of what is read asked for most of the table.
const MOST: f64 = 0.5;
/// An index for this share of a table saves hardly a page: rows lie on nearly all of them.
const MANY: f64 = 0.05;
/// A `LIMIT` of 20 rows that are this rare reads some 2,000 rows.
const RARE: f64 = 0.01;

/// The share of the table's rows that the planner expects to keep.
fn kept(context: &LintContext<'_>, node: &PlanNode, table: &str) -> Option<f64> {
    let rows = context.schema.table(table)?.rows?;
    Some(node.estimate?.rows / (rows.max(1) as f64))
}

/// Whether an index begins with a column that the statement joins the table by.
fn has_join_index(context: &LintContext<'_>, table: &str) -> bool {
    let (Some(structure), Some(table)) = (context.structure, context.schema.table(table)) else {
        return false;
    };
    structure.predicates.iter().any(|predicate| {
        predicate.table.eq_ignore_ascii_case(&table.name)
            && matches!(predicate.comparison, Comparison::Equal | Comparison::In)
            && begins_index(table, &predicate.column, true)
    })
}

/// Whether an index of the table begins with the column. `ordered`: whether it must be sorted.
fn begins_index(table: &Table, column: &str, ordered: bool) -> bool {
    table.indexes.iter().any(|index| {
        let first = index.columns.first();
        index.is_ordered() == ordered
            && index.valid
            && first.is_some_and(|first| first.name.eq_ignore_ascii_case(column))
    })
}

/// Whether there is an index for what the statement compares.
fn is_served(context: &LintContext<'_>, table: &str) -> bool {
    let Some(structure) = context.structure else {
        return false;
    };
    // Indexes on parts of texts serve what no sorted one does.
    let by_parts = context.schema.table(table).is_some_and(|table| {
        structure.predicates.iter().any(|predicate| {
            predicate.table.eq_ignore_ascii_case(&table.name)
                && begins_index(table, &predicate.column, false)
        })
    });
    let compared = structure.predicates.iter().any(|predicate| {
        predicate.table.eq_ignore_ascii_case(table)
            && matches!(
                predicate.comparison,
                Comparison::Equal | Comparison::In | Comparison::Range | Comparison::IsNull
            )
    });
    by_parts || compared && suggest(structure, table, context.schema).is_none()
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
