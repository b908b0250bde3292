//! How many rows a part of a plan may deliver.

use speedwell_sql::{Comparison, Operand};

use super::LintContext;
use crate::{Operation, PlanNode};

/// How many rows may come, as far as plan and structure tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reach {
    /// A number that does not grow: unique keys, lists, capped subqueries, small tables.
    Bounded,
    /// A range of a growing table, or its rows for one row of the query around it.
    Range,
    /// All rows, or all rows of one value, of a growing table.
    Open,
}

/// The reach of one query block, and the table it comes from.
pub(super) struct Reached<'a> {
    pub(super) reach: Reach,
    pub(super) table: Option<&'a str>,
}

/// A subquery may contain itself only if it is recursive; deeper nesting than this is not read by
/// people either.
const DEPTH: usize = 16;

/// The reach of the steps of one query block. `correlated`: it runs for each row of another.
pub(super) fn reach<'a>(
    context: &'a LintContext<'_>,
    block: &'a [PlanNode],
    correlated: bool,
) -> Reached<'a> {
    Walk {
        context,
        block,
        correlated,
        listed: false,
        depth: 0,
    }
    .run()
}

struct Walk<'a> {
    context: &'a LintContext<'a>,
    block: &'a [PlanNode],
    correlated: bool,
    /// Whether rows are driven by a list: what is then found by equality belongs to the list.
    listed: bool,
    depth: usize,
}

impl<'a> Walk<'a> {
    fn run(mut self) -> Reached<'a> {
        let mut worst = Reached {
            reach: Reach::Bounded,
            table: None,
        };
        if self.depth > DEPTH {
            return Reached {
                reach: Reach::Range,
                table: None,
            };
        }
        for node in self.block {
            let reached = self.node(node);
            if reached.reach > worst.reach {
                worst = reached;
            }
        }
        worst
    }

    fn inside(&self, block: &'a [PlanNode]) -> Reached<'a> {
        let Self {
            context,
            correlated,
            listed,
            depth,
            ..
        } = *self;
        Walk {
            context,
            block,
            correlated,
            listed,
            depth: depth + 1,
        }
        .run()
    }

    fn node(&mut self, node: &'a PlanNode) -> Reached<'a> {
        let bounded = Reached {
            reach: Reach::Bounded,
            table: None,
        };
        let of_table = |reach| Reached {
            reach,
            table: node.table.as_deref(),
        };
        match node.operation {
            Operation::Compound => self.inside(&node.children),
            Operation::Other if node.detail.contains("SUBQUERY") => bounded,
            // MULTI-INDEX OR and its INDEX n, SETUP, RECURSIVE STEP
            Operation::Other => self.inside(&node.children),
            Operation::Scan if node.table.is_none() => self.subquery(node),
            Operation::TableFunction if !self.grows(node) => {
                self.listed = true;
                bounded
            }
            Operation::TableFunction => of_table(Reach::Range),
            Operation::Scan
            | Operation::Search
            | Operation::IndexWalk
            | Operation::AutomaticIndex
                if !self.grows(node) =>
            {
                bounded
            }
            Operation::Scan | Operation::IndexWalk => of_table(Reach::Open),
            Operation::AutomaticIndex if self.listed => bounded,
            Operation::AutomaticIndex => of_table(Reach::Open),
            Operation::Search => {
                let reach = self.search(node);
                of_table(reach)
            }
            Operation::Sort(_)
            | Operation::Subquery { .. }
            | Operation::Materialize
            | Operation::Constant => bounded,
        }
    }

    fn grows(&self, node: &PlanNode) -> bool {
        node.table
            .as_deref()
            .is_some_and(|table| self.context.grows(table))
    }

    /// The rows of a subquery or common table expression.
    fn subquery(&mut self, node: &'a PlanNode) -> Reached<'a> {
        if self.is_capped() {
            self.listed = true;
            return Reached {
                reach: Reach::Bounded,
                table: None,
            };
        }
        let source =
            self.context.plan.walk().find(|other| {
                other.operation == Operation::Materialize && other.alias == node.alias
            });
        match source {
            Some(source) => {
                let reached = self.inside(&source.children);
                self.listed |= reached.reach == Reach::Bounded;
                reached
            }
            None => Reached {
                reach: Reach::Range,
                table: None,
            },
        }
    }

    /// Whether a `LIMIT` bounds the rows of a subquery that this block reads.
    fn is_capped(&self) -> bool {
        let shape = self.context.shape;
        if self.correlated {
            shape.nested_limit
        } else {
            shape.source_limit
        }
    }

    fn search(&mut self, node: &'a PlanNode) -> Reach {
        // Without conditions it is the first or last entry of an index, for min() or max().
        if node.constraints.is_empty() {
            return Reach::Bounded;
        }
        let fixed = fixed_columns(node);
        let all_fixed = fixed.len() == node.constraints.len();
        if let Some(reach) = self.list(node, &fixed) {
            self.listed |= reach == Reach::Bounded;
            return if all_fixed {
                reach
            } else {
                reach.max(Reach::Range)
            };
        }
        if self.is_unique(node, &fixed) {
            return Reach::Bounded;
        }
        match (all_fixed || has_skip(node), self.listed, self.correlated) {
            (true, true, _) => Reach::Bounded,
            (true, false, false) => Reach::Open,
            _ => Reach::Range,
        }
    }

    /// The reach of the list that a lookup is driven by: `id IN (1, 2)`, `id IN (SELECT ...)`.
    fn list(&self, node: &PlanNode, fixed: &[&str]) -> Option<Reach> {
        let subquery = || {
            let lists = self
                .block
                .iter()
                .filter(|other| other.detail.contains("LIST SUBQUERY"));
            lists.map(|list| self.inside(&list.children).reach).max()
        };
        let from_subquery = |reach: Reach| {
            if self.is_capped() {
                Reach::Bounded
            } else {
                reach
            }
        };
        let Some(structure) = self.context.structure else {
            return match subquery() {
                Some(reach) => Some(from_subquery(reach)),
                None => self.context.shape.batch.then_some(Reach::Bounded),
            };
        };
        let predicate = structure.predicates.iter().find(|predicate| {
            predicate.comparison == Comparison::In
                && node
                    .table
                    .as_deref()
                    .is_some_and(|t| t.eq_ignore_ascii_case(&predicate.table))
                && self.names_column(node, fixed, &predicate.column)
        })?;
        match (&predicate.operand, subquery()) {
            (Operand::Expression, Some(reach)) => Some(from_subquery(reach)),
            _ => Some(Reach::Bounded),
        }
    }

    /// Whether the lookup fixes the column; a lone integer key is called `rowid` in plans.
    fn names_column(&self, node: &PlanNode, fixed: &[&str], column: &str) -> bool {
        let is_key = |name: &str| {
            let table = node
                .table
                .as_deref()
                .and_then(|table| self.context.schema.table(table));
            let key = table.map(|table| table.primary_key.as_slice());
            name == "rowid" && matches!(key, Some([key]) if key.eq_ignore_ascii_case(column))
        };
        fixed
            .iter()
            .any(|name| name.eq_ignore_ascii_case(column) || is_key(name))
    }

    fn is_unique(&self, node: &PlanNode, fixed: &[&str]) -> bool {
        if fixed.contains(&"rowid") {
            return true;
        }
        let table = node
            .table
            .as_deref()
            .and_then(|table| self.context.schema.table(table));
        table.is_some_and(|table| table.is_unique(fixed))
    }
}

/// Columns that the lookup compares with `=`.
fn fixed_columns(node: &PlanNode) -> Vec<&str> {
    node.constraints
        .iter()
        .filter_map(|constraint| constraint.strip_suffix("=?"))
        .collect()
}

/// Whether leading columns of the index are skipped: then every value of them is visited.
fn has_skip(node: &PlanNode) -> bool {
    node.constraints
        .iter()
        .any(|constraint| constraint.starts_with("ANY("))
}
