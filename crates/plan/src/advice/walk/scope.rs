//! The tables in sight at a place of a statement, and the columns that names mean there.

use sqlparser::ast::{Expr, TableFactor, TableWithJoins};

use super::{Walk, folded, last_name};
use crate::advice::facts::Search;

/// A table in sight: what it is called, and which search it is (none for a subquery).
#[derive(Debug, Clone, Default)]
pub(super) struct Binding {
    pub(super) name: String,
    pub(super) search: Option<usize>,
    /// What a subquery reads and gives.
    pub(super) inside: Inside,
}

/// What is known of a subquery.
#[derive(Debug, Clone, Default)]
pub(super) struct Inside {
    /// The tables that it reads.
    pub(super) tables: Vec<String>,
    pub(super) outputs: Outputs,
}

/// The outputs of a query by their names, in order, each with the placeholders that it is.
pub(super) type Outputs = Vec<(String, Vec<usize>)>;

/// The tables that names can refer to, the innermost query's last.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope {
    pub(super) blocks: Vec<Vec<Binding>>,
    /// Common table expressions.
    pub(super) common: Vec<(String, Inside)>,
}

impl Scope {
    pub(super) fn common(&self, name: &str) -> Option<&Inside> {
        let mut all = self.common.iter().rev();
        all.find(|(own, _)| own == name).map(|(_, inside)| inside)
    }
}

/// A column of a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) search: usize,
    pub(crate) name: String,
}

impl Walk<'_> {
    pub(super) fn bind_all(&mut self, table: &TableWithJoins, scope: &mut Scope) {
        self.bind(&table.relation, scope);
        for join in &table.joins {
            self.bind(&join.relation, scope);
        }
    }

    fn bind(&mut self, factor: &TableFactor, scope: &mut Scope) {
        let binding = match factor {
            TableFactor::Table {
                name,
                alias,
                args: None,
                ..
            } => {
                let table = last_name(name);
                let common = scope.common(&table).filter(|_| name.0.len() == 1);
                let known = self.schema.table(&table).filter(|_| common.is_none());
                let inside = common.cloned().unwrap_or_default();
                let search = known.map(|known| {
                    self.found.searches.push(Search {
                        table: known.name.clone(),
                        ..Search::default()
                    });
                    self.found.searches.len() - 1
                });
                let alias = alias.as_ref().map(|alias| folded(&alias.name));
                Binding {
                    name: alias.unwrap_or(table),
                    search,
                    inside,
                }
            }
            TableFactor::Derived {
                subquery, alias, ..
            } => {
                let inside = self.inside(subquery, alias.as_ref(), scope);
                let alias = alias.as_ref().map(|alias| folded(&alias.name));
                Binding {
                    name: alias.unwrap_or_default(),
                    search: None,
                    inside,
                }
            }
            TableFactor::NestedJoin {
                table_with_joins, ..
            } => {
                self.bind_all(table_with_joins, scope);
                return;
            }
            _ => Binding::default(),
        };
        if let Some(block) = scope.blocks.last_mut() {
            block.push(binding);
        }
    }

    /// The column that an expression is, if it is one and nothing else.
    pub(crate) fn resolve(&self, expr: &Expr, scope: &Scope) -> Option<Column> {
        match expr {
            Expr::Nested(inner) => self.resolve(inner, scope),
            Expr::Identifier(column) => self.bare(&folded(column), scope),
            Expr::CompoundIdentifier(parts) => {
                let [.., table, column] = parts.as_slice() else {
                    return None;
                };
                let name = folded(table);
                let mut blocks = scope.blocks.iter().rev();
                let binding = blocks.find_map(|block| block.iter().find(|b| b.name == name))?;
                let search = binding.search?;
                let name = self.declared(search, &folded(column))?;
                Some(Column { search, name })
            }
            _ => None,
        }
    }

    /// The table and column behind an output of a subquery, if it goes by the column's own name.
    pub(crate) fn behind(&self, expr: &Expr, scope: &Scope) -> Option<(String, String)> {
        let (owner, column) = match expr {
            Expr::Nested(inner) => return self.behind(inner, scope),
            Expr::Identifier(column) => (None, folded(column)),
            Expr::CompoundIdentifier(parts) => {
                let [.., owner, column] = parts.as_slice() else {
                    return None;
                };
                (Some(folded(owner)), folded(column))
            }
            _ => return None,
        };
        let mut bindings = scope.blocks.iter().rev().flatten();
        bindings.find_map(|binding| {
            let named = owner.as_ref().is_none_or(|owner| *owner == binding.name);
            let mut tables = binding.inside.tables.iter().filter(|_| named);
            tables.find_map(|table| {
                let mut columns = self.schema.table(table)?.columns.iter();
                let found = columns.find(|own| own.name.eq_ignore_ascii_case(&column))?;
                Some((table.clone(), found.name.clone()))
            })
        })
    }

    fn bare(&self, column: &str, scope: &Scope) -> Option<Column> {
        scope.blocks.iter().rev().find_map(|block| {
            let mut known = block.iter().filter_map(|binding| {
                let search = binding.search?;
                let name = self.declared(search, column)?;
                Some(Column { search, name })
            });
            known.next()
        })
    }

    /// The column's name as declared.
    pub(super) fn declared(&self, search: usize, column: &str) -> Option<String> {
        let table = self.schema.table(&self.found.searches[search].table)?;
        let mut columns = table.columns.iter();
        let found = columns.find(|own| own.name.eq_ignore_ascii_case(column))?;
        Some(found.name.clone())
    }
}
