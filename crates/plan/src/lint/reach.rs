//! How many rows a part of a plan may deliver.

use speedwell_sql::{Comparison, Dialect, Operand};

use super::LintContext;
use crate::{Grouping, JoinMethod, Operation, PlanNode, postgres::parts};

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
    block: Vec<&'a PlanNode>,
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

/// The steps that read rows, in the order in which they run. SQLite's stand side by side already;
/// PostgreSQL's stand inside those that take their rows.
pub(super) fn flat(nodes: &[PlanNode]) -> Vec<&PlanNode> {
    let mut flat = Vec::new();
    for node in nodes {
        flatten(node, &mut flat);
    }
    flat
}

fn flatten<'a>(node: &'a PlanNode, flat: &mut Vec<&'a PlanNode>) {
    match node.operation {
        // A hash join reads the input that it hashes first.
        Operation::Join(method) => {
            let mut inputs: Vec<&PlanNode> = node.children.iter().collect();
            if method == JoinMethod::Hash {
                inputs.reverse();
            }
            inputs.into_iter().for_each(|input| flatten(input, flat));
        }
        Operation::Aggregate(Grouping::Plain) => flat.push(node),
        Operation::Aggregate(_)
        | Operation::Unique
        | Operation::Bitmap
        | Operation::Store(_)
        | Operation::Write => {
            node.children.iter().for_each(|child| flatten(child, flat));
        }
        // A sort of SQLite has nothing inside.
        Operation::Sort(_) if !node.children.is_empty() => {
            node.children.iter().for_each(|child| flatten(child, flat));
        }
        _ => flat.push(node),
    }
}

struct Walk<'a> {
    context: &'a LintContext<'a>,
    block: Vec<&'a PlanNode>,
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
        for node in self.block.clone() {
            let reached = self.node(node);
            if reached.reach > worst.reach {
                worst = reached;
            }
        }
        worst
    }

    fn inside(&self, block: &'a [PlanNode]) -> Reached<'a> {
        let &Self {
            context,
            correlated,
            listed,
            depth,
            ..
        } = self;
        Walk {
            context,
            block: flat(block),
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
            Operation::Compound => self.apart(&node.children),
            // Its rows are as many as were asked for, and everything that follows them too.
            Operation::Limit | Operation::Aggregate(Grouping::Plain) => {
                self.listed = true;
                bounded
            }
            Operation::Scan | Operation::IndexWalk
                if node.table.is_some() && self.system() == Dialect::Postgres =>
            {
                let reach = match self.grows(node) {
                    true => self.filtered(node),
                    false => Reach::Bounded,
                };
                of_table(reach)
            }
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
            // In PostgreSQL's plans these only pass on what is inside, which `flat` has put beside.
            Operation::Join(_)
            | Operation::Aggregate(_)
            | Operation::Unique
            | Operation::Bitmap
            | Operation::Store(_)
            | Operation::Write
            | Operation::Sort(_)
            | Operation::Subquery { .. }
            | Operation::Materialize
            | Operation::Constant => bounded,
        }
    }

    fn system(&self) -> Dialect {
        self.context.plan.system
    }

    /// Parts that are read one after the other: each for itself.
    fn apart(&self, parts: &'a [PlanNode]) -> Reached<'a> {
        let parts = parts.chunks(1).map(|part| self.inside(part));
        let none = Reached {
            reach: Reach::Bounded,
            table: None,
        };
        parts.fold(none, |worst, part| match part.reach > worst.reach {
            true => part,
            false => worst,
        })
    }

    /// What PostgreSQL reads from end to end and keeps by a filter, which may be as good a bound
    /// as that of a lookup.
    fn filtered(&mut self, node: &'a PlanNode) -> Reach {
        let constraints: Vec<String> = node
            .filter
            .iter()
            .flat_map(|filter| parts(filter))
            .collect();
        let fixed: Vec<&str> = constraints
            .iter()
            .filter_map(|constraint| constraint.strip_suffix("=?"))
            .collect();
        if let Some(reach) = self.list(node, &fixed) {
            self.listed |= reach == Reach::Bounded;
            return reach;
        }
        // A join with a list by hashing or merging.
        if self.is_unique(node, &fixed) || self.listed && self.is_joined(node) {
            return Reach::Bounded;
        }
        Reach::Open
    }

    fn is_joined(&self, node: &PlanNode) -> bool {
        let own = |table: &str| {
            let own = node.table.as_deref();
            own.is_some_and(|own| own.eq_ignore_ascii_case(table))
        };
        let Some(structure) = self.context.structure else {
            return true;
        };
        // An `IN (SELECT ..)` is carried out as a join too.
        structure.predicates.iter().any(|predicate| {
            own(&predicate.table)
                && (matches!(predicate.operand, Operand::Column { .. })
                    || predicate.comparison == Comparison::In)
        })
    }

    fn grows(&self, node: &PlanNode) -> bool {
        node.table
            .as_deref()
            .is_some_and(|table| self.context.grows(table))
    }

    /// The rows of a subquery or common table expression.
    fn subquery(&mut self, node: &'a PlanNode) -> Reached<'a> {
        if self.system() != Dialect::Postgres && self.is_capped() {
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
            // PostgreSQL joins what a subquery lists.
            (Operand::Expression, None) if self.system() == Dialect::Postgres => None,
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
