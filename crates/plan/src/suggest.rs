//! Which index a statement's structure asks for.

use std::fmt;

use serde::Serialize;
use speedwell_sql::{Comparison, Operand, Predicate, Structure};

use crate::{Index, Schema, Table, schema::BTREE};

/// An index that should serve a statement. Derived from the statement's structure alone; nobody
/// has built it yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IndexSuggestion {
    /// The table.
    pub table: String,
    /// Columns in order; `true` for descending.
    pub columns: Vec<(String, bool)>,
    /// The statement that builds it.
    pub ddl: String,
    /// Why these columns in this order.
    pub reason: String,
    /// Whether it was built on a copy and measured.
    pub tried: bool,
}

/// `CREATE INDEX ... (not tried)`.
impl fmt::Display for IndexSuggestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tried = if self.tried { "tried" } else { "not tried" };
        write!(f, "{}; ({tried})", self.ddl)
    }
}

/// The index on `table` that the statement asks for: columns compared with `=`, then the columns
/// it is sorted by, or else one that is compared with `<` or `>`. `None` when there is nothing to
/// index, or an index or primary key already begins so. Of several query blocks, each of which
/// searches the table for itself, the first that no index serves decides.
pub fn suggest(structure: &Structure, table: &str, schema: &Schema) -> Option<IndexSuggestion> {
    let table = schema.table(table).filter(|table| !table.virtual_table)?;
    let searches = searches(structure, table);
    let wanted = searches.iter().find(|wanted| !wanted.is_served(table))?;
    Some(wanted.suggestion(table))
}

/// Whether each search of the table is served by an index, a partial one included if the
/// statement's own constants are what its condition is about: PostgreSQL then sees that it
/// matches, however it is written.
pub(crate) fn is_served(structure: &Structure, table: &str, schema: &Schema) -> bool {
    let Some(table) = schema.table(table) else {
        return false;
    };
    let by_partial = |wanted: &Wanted| {
        let indexes = table.indexes.iter();
        indexes
            .filter(|index| index.partial.is_some())
            .any(|index| wanted.begins_partial(index, table, structure))
    };
    searches(structure, table)
        .iter()
        .all(|wanted| wanted.is_served(table) || by_partial(wanted))
}

/// What each query block wants of the table; of one whose order is served already, the range too.
fn searches(structure: &Structure, table: &Table) -> Vec<Wanted> {
    let own = |name: &str| name.eq_ignore_ascii_case(&table.name);
    let mut blocks: Vec<usize> = structure
        .predicates
        .iter()
        .filter(|predicate| own(&predicate.table))
        .map(|predicate| predicate.block)
        .collect();
    if structure.order.iter().any(|column| own(&column.table)) {
        blocks.push(structure.order_block);
    }
    blocks.sort_unstable();
    blocks.dedup();
    let mut searches = Vec::new();
    for block in blocks {
        let predicates: Vec<&Predicate> = structure
            .predicates
            .iter()
            .filter(|predicate| own(&predicate.table) && predicate.block == block)
            .collect();
        let order = if block == structure.order_block {
            order(structure, table)
        } else {
            Vec::new()
        };
        if !order.is_empty() {
            searches.push(Wanted::of(&predicates, order, table));
        }
        searches.push(Wanted::of(&predicates, Vec::new(), table));
    }
    searches.retain(|wanted| !wanted.columns().is_empty());
    searches
}

/// What an index for one table of one query block has to offer.
struct Wanted {
    /// Compared with `=` or `IN`, in the order of the table's columns: the same set gives the
    /// same index, in whatever order a statement names it.
    equal: Vec<String>,
    /// Sorted by, behind the columns compared.
    sorted: Vec<(String, bool)>,
    /// Compared with `<` or `>`.
    range: Option<String>,
}

impl Wanted {
    fn of(own: &[&Predicate], sorted: Vec<(String, bool)>, table: &Table) -> Self {
        let mut equal = columns(table, own, |predicate| {
            is_equality(predicate) && !is_join(predicate)
        });
        if equal.is_empty() && sorted.is_empty() {
            // The inner side of a join: found by what the outer side holds.
            equal = columns(table, own, |predicate| {
                is_equality(predicate) && is_join(predicate)
            });
        }
        if equal.is_empty() || sorted.is_empty() {
            // A list breaks the order of what follows it, so it is used where no order is wanted
            // or nothing else narrows the search.
            let lists = columns(table, own, |predicate| {
                predicate.comparison == Comparison::In
            });
            equal.extend(
                lists
                    .into_iter()
                    .filter(|name| !equal.contains(name))
                    .collect::<Vec<_>>(),
            );
            equal.sort_by_key(|name| position(table, name));
        }
        let sorted: Vec<_> = sorted
            .into_iter()
            .filter(|(name, _)| !equal.contains(name))
            .collect();
        // Not `LIKE`: SQLite serves it from an index of another collation only, and not when the
        // pattern is bound.
        let range = columns(table, own, |predicate| {
            predicate.comparison == Comparison::Range
        })
        .into_iter()
        .find(|name| !equal.contains(name))
        .filter(|_| sorted.is_empty());
        Self {
            equal,
            sorted,
            range,
        }
    }

    fn columns(&self) -> Vec<(String, bool)> {
        let up = |name: &String| (name.clone(), false);
        let mut columns: Vec<_> = self.equal.iter().map(up).collect();
        columns.extend(self.sorted.iter().cloned());
        columns.extend(self.range.iter().map(up));
        columns
    }

    fn is_served(&self, table: &Table) -> bool {
        let fixed: Vec<&str> = self.equal.iter().map(String::as_str).collect();
        if table.is_unique(&fixed) {
            return true;
        }
        let key = &table.primary_key;
        let by_key = Index {
            name: String::new(),
            columns: key
                .iter()
                .map(|name| crate::IndexColumn {
                    name: name.clone(),
                    expression: false,
                    descending: false,
                })
                .collect(),
            unique: true,
            partial: None,
            declared: false,
            included: Vec::new(),
            method: BTREE.to_owned(),
            valid: true,
        };
        let stored_in_key = table.without_rowid || key.len() == 1;
        table.indexes.iter().any(|index| self.begins(index))
            || stored_in_key && self.begins(&by_key)
    }

    /// Whether the index begins with the wanted columns: those compared with `=` in any order,
    /// then the others, all in the wanted direction or all in the other one.
    fn begins(&self, index: &Index) -> bool {
        let wanted = self.columns();
        let usable = index.partial.is_none() && index.is_ordered();
        if !usable || index.columns.len() < wanted.len() {
            return false;
        }
        let (first, then) = index.columns.split_at(self.equal.len());
        let equal = first.iter().all(|column| {
            !column.expression
                && self
                    .equal
                    .iter()
                    .any(|name| name.eq_ignore_ascii_case(&column.name))
        });
        let follows = |reversed: bool| {
            wanted[self.equal.len()..]
                .iter()
                .zip(then)
                .all(|((name, descending), column)| {
                    !column.expression
                        && column.name.eq_ignore_ascii_case(name)
                        && (self.range.is_some() || column.descending == (*descending != reversed))
                })
        };
        equal && (follows(false) || follows(true))
    }

    /// Whether the index begins with what is left to want once its condition is met.
    fn begins_partial(&self, index: &Index, table: &Table, structure: &Structure) -> bool {
        let condition = index.partial.as_deref().unwrap_or_default();
        let names: Vec<String> = crate::statement::tokens(condition)
            .iter()
            .filter_map(|token| token.name())
            .filter(|name| position(table, name).is_some())
            .collect();
        let is_constant = |name: &String| {
            structure.predicates.iter().any(|predicate| {
                predicate.table.eq_ignore_ascii_case(&table.name)
                    && predicate.column == *name
                    && matches!(predicate.operand, Operand::Literal(_))
            })
        };
        let rest = Self {
            equal: self
                .equal
                .iter()
                .filter(|name| !names.contains(name))
                .cloned()
                .collect(),
            sorted: self.sorted.clone(),
            range: self.range.clone(),
        };
        let whole = Index {
            partial: None,
            ..index.clone()
        };
        !names.is_empty() && names.iter().all(is_constant) && rest.begins(&whole)
    }

    fn suggestion(&self, table: &Table) -> IndexSuggestion {
        let columns = self.columns();
        let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
        let name = free_name(table, &format!("{}_{}_idx", table.name, names.join("_")));
        let terms: Vec<String> = columns
            .iter()
            .map(|(name, descending)| {
                format!("{}{}", quote(name), if *descending { " DESC" } else { "" })
            })
            .collect();
        IndexSuggestion {
            table: table.name.clone(),
            ddl: format!(
                "CREATE INDEX {} ON {} ({})",
                quote(&name),
                quote(&table.name),
                terms.join(", ")
            ),
            reason: self.reason(),
            tried: false,
            columns,
        }
    }

    /// `An index on (a, b) finds the rows by a and gives them in the order of b.`
    fn reason(&self) -> String {
        let columns: Vec<String> = self.columns().into_iter().map(|(name, _)| name).collect();
        let sorted: Vec<String> = self.sorted.iter().map(|(name, _)| name.clone()).collect();
        let mut duties = Vec::new();
        match (self.equal.as_slice(), &self.range) {
            ([], None) => {}
            ([], Some(range)) => duties.push(format!("finds the rows by a range of {range}")),
            (equal, None) => duties.push(format!("finds the rows by {}", and(equal))),
            (equal, Some(range)) => {
                duties.push(format!(
                    "finds the rows by {} and a range of {range}",
                    and(equal)
                ));
            }
        }
        if !sorted.is_empty() {
            let rows = if duties.is_empty() {
                "the rows"
            } else {
                "them"
            };
            duties.push(format!("gives {rows} in the order of {}", and(&sorted)));
        }
        format!(
            "An index on ({}) {}.",
            columns.join(", "),
            duties.join(" and ")
        )
    }
}

/// The columns of the table that a chosen predicate names, in the table's order.
fn columns(
    table: &Table,
    predicates: &[&Predicate],
    chosen: impl Fn(&Predicate) -> bool,
) -> Vec<String> {
    let is_chosen = |name: &str| {
        predicates
            .iter()
            .any(|predicate| predicate.column.eq_ignore_ascii_case(name) && chosen(predicate))
    };
    let names = table.columns.iter().map(|column| &column.name);
    names.filter(|name| is_chosen(name)).cloned().collect()
}

fn position(table: &Table, name: &str) -> Option<usize> {
    table.columns.iter().position(|column| column.name == name)
}

fn is_equality(predicate: &Predicate) -> bool {
    matches!(predicate.comparison, Comparison::Equal | Comparison::IsNull)
}

fn is_join(predicate: &Predicate) -> bool {
    matches!(predicate.operand, Operand::Column { .. })
}

/// The columns that the statement sorts by, if all of them are this table's.
fn order(structure: &Structure, table: &Table) -> Vec<(String, bool)> {
    let own = |column: &speedwell_sql::OrderColumn| {
        let name = table
            .columns
            .iter()
            .find(|own| own.name.eq_ignore_ascii_case(&column.column))?;
        column
            .table
            .eq_ignore_ascii_case(&table.name)
            .then(|| (name.name.clone(), column.descending))
    };
    structure
        .order
        .iter()
        .map(own)
        .collect::<Option<Vec<_>>>()
        .unwrap_or_default()
}

/// The name, with a number behind it if another index has it already.
fn free_name(table: &Table, name: &str) -> String {
    let taken = |name: &str| {
        table
            .indexes
            .iter()
            .any(|index| index.name.eq_ignore_ascii_case(name))
    };
    if !taken(name) {
        return name.to_owned();
    }
    (2..)
        .map(|number| format!("{name}{number}"))
        .find(|name| !taken(name))
        .unwrap_or_default()
}

/// Words that databases keep for themselves and people like as column names.
const RESERVED: [&str; 21] = [
    "order",
    "group",
    "user",
    "index",
    "table",
    "key",
    "values",
    "default",
    "check",
    "references",
    "primary",
    "from",
    "to",
    "select",
    "where",
    "limit",
    "offset",
    "end",
    "when",
    "desc",
    "asc",
];

pub(crate) fn quote(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !RESERVED.contains(&name);
    if plain {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

fn and(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}
