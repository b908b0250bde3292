//! The common form of what a database says it will do with a statement.

use std::fmt;

use serde::{Serialize, Serializer};
use speedwell_sql::Dialect;

/// What one step of a plan does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// A table, or the result of a subquery, is read from end to end.
    Scan,
    /// Some rows are looked up by index or primary key.
    Search,
    /// A table is read in the order of an index; a `LIMIT` may stop it early.
    IndexWalk,
    /// Rows are looked up in an index that is built for this statement and thrown away.
    AutomaticIndex,
    /// Rows are sorted, in SQLite by a temporary b-tree.
    Sort(SortReason),
    /// The entries of one or more indexes are collected; the table's rows are then read in the
    /// order in which they are stored. The lookups are its children.
    Bitmap,
    /// Two inputs are joined; the outer one comes first. SQLite's joins are loops that stand side
    /// by side instead.
    Join(JoinMethod),
    /// No more than some rows of what is inside are asked for.
    Limit,
    /// Rows are grouped or counted.
    Aggregate(Grouping),
    /// Neighbours that are equal become one.
    Unique,
    /// Rows are put into a hash table, or kept to be read again.
    Store(Store),
    /// Rows are changed.
    Write,
    /// A subquery; its own steps are its children.
    Subquery {
        /// Whether it runs again for each row of the query around it.
        correlated: bool,
    },
    /// A part of `UNION`, `INTERSECT` or `EXCEPT`.
    Compound,
    /// A subquery or common table expression whose rows are read by a later step.
    Materialize,
    /// Rows that stand in the text itself.
    Constant,
    /// A table-valued function or virtual table: `json_each`, full-text search.
    TableFunction,
    /// Anything else; its words are in [`PlanNode::detail`].
    Other,
}

/// How two inputs are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum JoinMethod {
    /// The inner input runs once for each row of the outer one.
    NestedLoop,
    /// The inner input is put into a hash table first.
    Hash,
    /// Both are read in the same order.
    Merge,
}

/// How rows are grouped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Grouping {
    /// All rows become one.
    Plain,
    /// Rows arrive in the order of their groups.
    Sorted,
    /// Groups are kept in a hash table.
    Hashed,
}

/// Why rows are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Store {
    /// For a hash join.
    Hash,
    /// To be read again.
    Again,
}

/// What a planner expects of one step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// Rows that come out of it each time it runs, those of parallel workers together.
    pub rows: f64,
    /// Its whole cost in the planner's own unit.
    pub cost: f64,
}

/// Why rows are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SortReason {
    /// `ORDER BY`.
    Order,
    /// The last terms of `ORDER BY`: rows arrive sorted by the first, only ties are sorted.
    OrderTail,
    /// `GROUP BY`.
    Group,
    /// `DISTINCT`.
    Distinct,
    /// Inside an aggregate: `count(DISTINCT x)`, `group_concat(x ORDER BY y)`.
    Aggregate,
    /// For a merge join.
    Merge,
    /// For a window function.
    Window,
    /// A reason this version does not know.
    Other,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlanNode {
    /// What it does.
    pub operation: Operation,
    /// Base table that it reads, alias resolved. `None` for the rows of a subquery.
    pub table: Option<String>,
    /// The name that the database used, when it is not the table's own: an alias, or the name of
    /// a subquery or common table expression.
    pub alias: Option<String>,
    /// Index used; `None` for primary keys of rowid tables and for automatic indexes.
    pub index: Option<String>,
    /// Whether the index alone answers, so that the table itself is not read.
    pub covering: bool,
    /// Conditions that the lookup serves, with their operators: `creator_id=?`, `created_at<?`,
    /// `ANY(category)` for a skip-scan.
    pub constraints: Vec<String>,
    /// Condition by which rows are thrown away after they were read, values left out. SQLite does
    /// not tell it.
    pub filter: Option<String>,
    /// What the planner expects; SQLite does not tell it.
    pub estimate: Option<Estimate>,
    /// The database's own words, values left out.
    pub detail: String,
    /// Steps inside this one.
    pub children: Vec<PlanNode>,
}

/// What a database says it will do with one statement.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// Which database said so.
    #[serde(serialize_with = "system_name")]
    pub system: Dialect,
    /// Outermost steps, in the order in which they run.
    pub nodes: Vec<PlanNode>,
}

// The signature is serde's.
fn system_name<S: Serializer>(system: &Dialect, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(match system {
        Dialect::Sqlite => "sqlite",
        Dialect::Postgres => "postgresql",
        Dialect::MySql => "mysql",
    })
}

impl Plan {
    /// All steps, each before the steps inside it.
    pub fn walk(&self) -> impl Iterator<Item = &PlanNode> {
        let mut rest: Vec<&PlanNode> = self.nodes.iter().rev().collect();
        std::iter::from_fn(move || {
            let node = rest.pop()?;
            rest.extend(node.children.iter().rev());
            Some(node)
        })
    }

    /// The plan in one line: `flyers by feed_live, flyer_images by flyer_images_flyer`.
    /// Each way to a table is named once, in the order of the plan.
    pub fn summary(&self) -> String {
        let mut parts: Vec<String> = Vec::new();
        for part in self.walk().filter_map(PlanNode::summary) {
            if !parts.contains(&part) {
                parts.push(part);
            }
        }
        if parts.is_empty() {
            return "no table".to_owned();
        }
        parts.join(", ")
    }
}

impl PlanNode {
    /// The name to show for what this step reads.
    pub(crate) fn name(&self) -> &str {
        self.table
            .as_deref()
            .or(self.alias.as_deref())
            .unwrap_or("?")
    }

    fn summary(&self) -> Option<String> {
        let name = self.name();
        match self.operation {
            Operation::Scan if self.table.is_some() => Some(format!("{name} scanned")),
            Operation::Search | Operation::IndexWalk => Some(match &self.index {
                Some(index) => format!("{name} by {index}"),
                None if self.detail.starts_with("Tid") => format!("{name} by row address"),
                None => format!("{name} by primary key"),
            }),
            Operation::AutomaticIndex => Some(format!("{name} by automatic index")),
            Operation::TableFunction => Some(name.to_owned()),
            Operation::Sort(reason) => Some(
                match reason {
                    SortReason::Order => "sorted",
                    SortReason::OrderTail => "ties sorted",
                    SortReason::Group => "grouped by sorting",
                    SortReason::Distinct => "made distinct by sorting",
                    SortReason::Aggregate => "sorted in an aggregate",
                    SortReason::Merge => "sorted for a merge join",
                    SortReason::Window => "sorted for a window",
                    SortReason::Other => "temporary b-tree",
                }
                .to_owned(),
            ),
            _ => None,
        }
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        write!(f, "{:indent$}{}", "", self.detail, indent = depth * 2)?;
        if let (Some(table), Some(_)) = (&self.table, &self.alias) {
            write!(f, "  [{table}]")?;
        }
        writeln!(f)?;
        self.children
            .iter()
            .try_for_each(|child| child.write(f, depth + 1))
    }
}

/// An indented tree in the database's own words; a table behind an alias stands in brackets.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.nodes.iter().try_for_each(|node| node.write(f, 0))
    }
}
