//! The walk over a parsed statement that finds tables, predicates and order.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Assignment, Delete, Expr, FromTable, GroupByExpr, Ident, Insert, Join, JoinConstraint,
    JoinOperator, ObjectName, ObjectNamePart, OnConflictAction, OnInsert, OrderByExpr, OrderByKind,
    OrderBySort, Query, Select, SelectItem, SetExpr, Statement, TableAlias, TableFactor,
    TableObject, TableWithJoins, Update, UpdateTableFromKind, Value, Visit, Visitor, With,
};

use crate::Dialect;
use crate::predicate::{conditions, name_of};
use crate::structure::{Comparison, Operand, OrderColumn, Predicate, Structure};

/// A table, or something that takes its place, and the name it is called by.
#[derive(Debug, Clone)]
struct Binding {
    /// Alias, or the table's own name.
    name: String,
    /// The base table; none for a subquery, a function or a common table expression.
    table: Option<String>,
}

/// The tables that names can refer to: one block per query, the innermost last.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope {
    blocks: Vec<Vec<Binding>>,
    /// The number of the innermost query block, see `Predicate::block`.
    number: usize,
    /// Names of the common table expressions in sight.
    common: Vec<String>,
}

/// A column, resolved: where it was found (block and place in it), table and name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    /// Which appearance of the table, so that a self-join is told from `a.x = a.y`.
    pub(crate) place: (usize, usize),
    pub(crate) table: String,
    pub(crate) column: String,
}

pub(crate) struct Walk<'a> {
    dialect: Dialect,
    columns: &'a dyn Fn(&str) -> Vec<String>,
    found: Structure,
    blocks_entered: usize,
}

impl<'a> Walk<'a> {
    /// The structure of `statement`.
    pub(crate) fn of(
        statement: &Statement,
        dialect: Dialect,
        columns: &'a dyn Fn(&str) -> Vec<String>,
    ) -> Structure {
        let mut walk = Self {
            dialect,
            columns,
            found: Structure::default(),
            blocks_entered: 0,
        };
        walk.statement(statement, &Scope::default(), true);
        walk.found
    }

    fn statement(&mut self, statement: &Statement, scope: &Scope, outermost: bool) {
        match statement {
            Statement::Query(query) => self.query(query, scope, outermost),
            Statement::Insert(insert) => self.insert(insert, scope, outermost),
            Statement::Update(update) => self.update(update, scope),
            Statement::Delete(delete) => self.delete(delete, scope),
            Statement::Merge(merge) => {
                let tables =
                    [merge.table.clone(), merge.source.clone()].map(|relation| TableWithJoins {
                        relation,
                        joins: Vec::new(),
                    });
                let scope = self.block(&tables, scope);
                self.filter(&merge.on, &scope);
            }
            Statement::Explain { statement, .. } => self.statement(statement, scope, outermost),
            Statement::CreateView(view) => self.query(&view.query, scope, outermost),
            Statement::CreateTable(table) => {
                if let Some(query) = &table.query {
                    self.query(query, scope, outermost);
                }
            }
            _ => {}
        }
    }

    fn query(&mut self, query: &Query, scope: &Scope, outermost: bool) {
        let scope = self.with(query.with.as_ref(), scope);
        let inner = self.set_expr(&query.body, &scope, outermost);
        if let (true, SetExpr::Select(select), Some(inner)) = (outermost, &*query.body, inner) {
            self.order_of_query(query, select, &inner);
        }
    }

    /// Reads the common table expressions; the scope returned knows their names.
    fn with(&mut self, with: Option<&With>, scope: &Scope) -> Scope {
        let mut scope = scope.clone();
        for cte in with.iter().flat_map(|with| &with.cte_tables) {
            let name = folded(&cte.alias.name);
            let recursive = with.is_some_and(|with| with.recursive);
            if recursive {
                scope.common.push(name.clone());
            }
            self.query(&cte.query, &scope, false);
            if !recursive {
                scope.common.push(name);
            }
        }
        scope
    }

    /// Reads the body of a query; the scope returned is that of a single `SELECT`.
    fn set_expr(&mut self, body: &SetExpr, scope: &Scope, outermost: bool) -> Option<Scope> {
        match body {
            SetExpr::Select(select) => return Some(self.select(select, scope)),
            SetExpr::Query(query) => self.query(query, scope, outermost),
            SetExpr::SetOperation { left, right, .. } => {
                self.set_expr(left, scope, false);
                self.set_expr(right, scope, false);
            }
            SetExpr::Values(values) => self.subqueries(values, scope),
            SetExpr::Insert(statement)
            | SetExpr::Update(statement)
            | SetExpr::Delete(statement)
            | SetExpr::Merge(statement) => self.statement(statement, scope, outermost),
            SetExpr::Table(table) => {
                let name = table
                    .table_name
                    .as_ref()
                    .map(|name| name.to_ascii_lowercase());
                if let Some(name) = name.filter(|name| !scope.common.contains(name)) {
                    self.appear(name, None);
                }
            }
        }
        None
    }

    fn select(&mut self, select: &Select, scope: &Scope) -> Scope {
        let scope = self.block(&select.from, scope);
        for item in &select.projection {
            self.subqueries(item, &scope);
        }
        if let Some(selection) = &select.selection {
            self.filter(selection, &scope);
        }
        if let Some(having) = &select.having {
            self.subqueries(having, &scope);
        }
        scope
    }

    fn insert(&mut self, insert: &Insert, scope: &Scope, outermost: bool) {
        let mut target = scope.clone();
        if let TableObject::TableName(name) = &insert.table {
            let alias = insert
                .table_alias
                .as_ref()
                .map(|alias| folded(&alias.alias));
            let binding = self.appear(last_name(name), alias);
            target.blocks.push(vec![binding]);
        }
        if let Some(source) = &insert.source {
            self.query(source, scope, outermost);
        }
        match &insert.on {
            Some(OnInsert::OnConflict(conflict)) => {
                if let OnConflictAction::DoUpdate(update) = &conflict.action {
                    self.assignments(&update.assignments, &target);
                    // The row is found by the conflict; the WHERE here finds nothing.
                    if let Some(selection) = &update.selection {
                        self.subqueries(selection, &target);
                    }
                }
            }
            Some(OnInsert::DuplicateKeyUpdate(assignments)) => {
                self.assignments(assignments, &target);
            }
            _ => {}
        }
    }

    fn update(&mut self, update: &Update, scope: &Scope) {
        let mut tables = vec![update.table.clone()];
        if let Some(UpdateTableFromKind::BeforeSet(from) | UpdateTableFromKind::AfterSet(from)) =
            &update.from
        {
            tables.extend(from.iter().cloned());
        }
        let scope = self.block(&tables, scope);
        self.assignments(&update.assignments, &scope);
        if let Some(selection) = &update.selection {
            self.filter(selection, &scope);
        }
    }

    fn delete(&mut self, delete: &Delete, scope: &Scope) {
        let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
        let tables: Vec<_> = from
            .iter()
            .chain(delete.using.iter().flatten())
            .cloned()
            .collect();
        let scope = self.block(&tables, scope);
        if let Some(selection) = &delete.selection {
            self.filter(selection, &scope);
        }
    }

    fn assignments(&mut self, assignments: &[Assignment], scope: &Scope) {
        for assignment in assignments {
            self.subqueries(&assignment.value, scope);
        }
    }

    /// Enters a query block: its tables come into scope, its joins are read.
    fn block(&mut self, tables: &[TableWithJoins], outer: &Scope) -> Scope {
        let mut scope = outer.clone();
        scope.blocks.push(Vec::new());
        scope.number = self.blocks_entered;
        self.blocks_entered += 1;
        for table in tables {
            self.bind(table, &mut scope);
        }
        for table in tables {
            self.joins(table, &scope);
        }
        scope
    }

    fn bind(&mut self, table: &TableWithJoins, scope: &mut Scope) {
        self.bind_factor(&table.relation, scope);
        for join in &table.joins {
            self.bind_factor(&join.relation, scope);
        }
    }

    fn bind_factor(&mut self, factor: &TableFactor, scope: &mut Scope) {
        let alias_name = |alias: &Option<TableAlias>| alias.as_ref().map(|a| folded(&a.name));
        let binding = match factor {
            TableFactor::Table {
                name,
                alias,
                args: None,
                ..
            } => {
                let plain = name.0.len() == 1;
                let table = last_name(name);
                let alias = alias_name(alias);
                if plain && scope.common.contains(&table) {
                    Binding {
                        name: alias.unwrap_or(table),
                        table: None,
                    }
                } else {
                    self.appear(table, alias)
                }
            }
            TableFactor::Derived {
                subquery, alias, ..
            } => {
                self.query(subquery, scope, false);
                Binding {
                    name: alias_name(alias).unwrap_or_default(),
                    table: None,
                }
            }
            TableFactor::NestedJoin {
                table_with_joins, ..
            } => {
                self.bind(table_with_joins, scope);
                return;
            }
            TableFactor::Table { name, alias, .. } => Binding {
                name: alias_name(alias).unwrap_or_else(|| last_name(name)),
                table: None,
            },
            TableFactor::Function { alias, .. }
            | TableFactor::UNNEST { alias, .. }
            | TableFactor::TableFunction { alias, .. }
            | TableFactor::JsonTable { alias, .. } => Binding {
                name: alias_name(alias).unwrap_or_default(),
                table: None,
            },
            _ => Binding {
                name: String::new(),
                table: None,
            },
        };
        if let Some(block) = scope.blocks.last_mut() {
            block.push(binding);
        }
    }

    /// Notes that a base table appears, and returns what it is called by.
    fn appear(&mut self, table: String, alias: Option<String>) -> Binding {
        let name = alias.clone().unwrap_or_else(|| table.clone());
        let appearance = (table.clone(), alias);
        if !self.found.tables.contains(&appearance) {
            self.found.tables.push(appearance);
        }
        Binding {
            name,
            table: Some(table),
        }
    }

    fn joins(&mut self, table: &TableWithJoins, scope: &Scope) {
        if let TableFactor::NestedJoin {
            table_with_joins, ..
        } = &table.relation
        {
            self.joins(table_with_joins, scope);
        }
        for join in &table.joins {
            if let TableFactor::NestedJoin {
                table_with_joins, ..
            } = &join.relation
            {
                self.joins(table_with_joins, scope);
            }
            match constraint(join) {
                Some(JoinConstraint::On(on)) => self.filter(on, scope),
                Some(JoinConstraint::Using(columns)) => {
                    for column in columns {
                        self.join_using(&last_name(column), join, scope);
                    }
                }
                _ => {}
            }
        }
    }

    /// `JOIN b USING (c)`: the column of `b` equals that of a table before it.
    fn join_using(&mut self, column: &str, join: &Join, scope: &Scope) {
        let TableFactor::Table { name, alias, .. } = &join.relation else {
            return;
        };
        let called = alias
            .as_ref()
            .map_or_else(|| last_name(name), |alias| folded(&alias.name));
        let Some(block) = scope.blocks.last() else {
            return;
        };
        let Some(at) = block.iter().position(|binding| binding.name == called) else {
            return;
        };
        let Some(right) = block[at].table.clone() else {
            return;
        };
        let mut before = block[..at]
            .iter()
            .filter_map(|binding| binding.table.clone());
        let left = if at == 1 {
            before.next()
        } else {
            before.find(|t| self.has(t, column))
        };
        let Some(left) = left else { return };
        for (table, other) in [(right.clone(), left.clone()), (left, right)] {
            self.found.predicates.push(Predicate {
                table,
                column: column.to_owned(),
                comparison: Comparison::Equal,
                operand: Operand::Column {
                    table: other,
                    column: column.to_owned(),
                },
                placeholders: Vec::new(),
                block: scope.number,
            });
        }
    }

    /// Reads a condition: its predicates, and the queries inside it.
    fn filter(&mut self, condition: &Expr, scope: &Scope) {
        let resolve = |expr: &Expr| self.resolve(expr, scope);
        let found = conditions(condition, scope.number, &resolve);
        self.found.predicates.extend(found);
        self.subqueries(condition, scope);
    }

    /// Reads the queries inside any part of a statement.
    fn subqueries(&mut self, part: &impl Visit, scope: &Scope) {
        let mut visitor = Subqueries {
            walk: self,
            scope,
            depth: 0,
        };
        let _ = part.visit(&mut visitor);
    }

    fn has(&self, table: &str, column: &str) -> bool {
        (self.columns)(table)
            .iter()
            .any(|known| known.eq_ignore_ascii_case(column))
    }

    /// The base table's column that an expression is, if it is one and nothing else.
    fn resolve(&self, expr: &Expr, scope: &Scope) -> Option<Column> {
        match expr {
            Expr::Nested(inner) => self.resolve(inner, scope),
            Expr::Identifier(column) => self.resolve_bare(&folded(column), scope),
            Expr::CompoundIdentifier(parts) => {
                let [.., table, column] = parts.as_slice() else {
                    return None;
                };
                let name = folded(table);
                let (place, binding) = scope.find(|binding| binding.name == name)?;
                let table = binding.table.clone()?;
                Some(Column {
                    place,
                    table,
                    column: folded(column),
                })
            }
            _ => None,
        }
    }

    /// A column without its table, looked for from the innermost block outwards.
    fn resolve_bare(&self, column: &str, scope: &Scope) -> Option<Column> {
        for (depth, block) in scope.blocks.iter().enumerate().rev() {
            let known: Vec<_> = block
                .iter()
                .enumerate()
                .filter_map(|(at, binding)| Some((at, binding.table.as_ref()?)))
                .filter(|(_, table)| self.has(table, column))
                .collect();
            let (at, table) = match (known.as_slice(), block.as_slice()) {
                ([one], _) => *one,
                (
                    [],
                    [
                        Binding {
                            table: Some(table), ..
                        },
                    ],
                ) if (self.columns)(table).is_empty() || scope.blocks.len() == 1 => (0, table),
                ([], block) if self.lacks(block, column) => continue,
                _ => return None,
            };
            return Some(Column {
                place: (depth, at),
                table: table.clone(),
                column: column.to_owned(),
            });
        }
        None
    }

    /// Whether it is certain that no table of the block has the column.
    fn lacks(&self, block: &[Binding], column: &str) -> bool {
        block.iter().all(|binding| match &binding.table {
            Some(table) => !(self.columns)(table).is_empty() && !self.has(table, column),
            None => false,
        })
    }

    fn order_of_query(&mut self, query: &Query, select: &Select, scope: &Scope) {
        self.found.order_block = scope.number;
        let (groups, modifiers) = match &select.group_by {
            GroupByExpr::Expressions(groups, modifiers) => (groups.as_slice(), modifiers.len()),
            GroupByExpr::All(_) => (&[][..], 1),
        };
        if !groups.is_empty() || modifiers > 0 {
            self.found.grouped = true;
            let columns: Option<Vec<_>> = groups
                .iter()
                .map(|group| self.order_column(group, false, select, scope))
                .filter(|column| !matches!(column, Some(Term::Constant)))
                .map(|term| term.and_then(Term::column))
                .collect();
            self.found.order = columns.filter(|_| modifiers == 0).unwrap_or_default();
            return;
        }
        if let Some(OrderByKind::Expressions(terms)) = query.order_by.as_ref().map(|by| &by.kind) {
            let columns: Option<Vec<_>> = terms
                .iter()
                .map(|term| self.order_term(term, select, scope))
                .filter(|column| !matches!(column, Some(Term::Constant)))
                .map(|term| term.and_then(Term::column))
                .collect();
            self.found.order = columns.unwrap_or_default();
        }
    }

    /// One term of `ORDER BY`; none if it is no plain column in the usual order of nulls.
    fn order_term(&self, term: &OrderByExpr, select: &Select, scope: &Scope) -> Option<Term> {
        let descending = match term.options.sort {
            Some(OrderBySort::Desc) => true,
            Some(OrderBySort::Using(_)) => return None,
            _ => false,
        };
        // PostgreSQL sorts nulls as the greatest values, SQLite and MySQL as the least.
        let usual = if self.dialect == Dialect::Postgres {
            descending
        } else {
            !descending
        };
        if term.options.nulls_first.is_some_and(|first| first != usual) {
            return None;
        }
        self.order_column(&term.expr, descending, select, scope)
    }

    fn order_column(
        &self,
        expr: &Expr,
        descending: bool,
        select: &Select,
        scope: &Scope,
    ) -> Option<Term> {
        let expr = match expr {
            Expr::Value(value) => match &value.value {
                Value::Number(position, _) => {
                    output_at(select, position.parse::<usize>().ok()?.checked_sub(1)?)?
                }
                _ => return Some(Term::Constant),
            },
            Expr::Identifier(name) => output_named(select, &folded(name)).unwrap_or(expr),
            other => other,
        };
        let Column { table, column, .. } = self.resolve(expr, scope)?;
        Some(Term::Column(OrderColumn {
            table,
            column,
            descending,
        }))
    }
}

/// One term of an order.
enum Term {
    /// The same for all rows: it orders nothing.
    Constant,
    Column(OrderColumn),
}

impl Term {
    fn column(self) -> Option<OrderColumn> {
        match self {
            Self::Column(column) => Some(column),
            Self::Constant => None,
        }
    }
}

impl Scope {
    /// The nearest binding that `wanted` says yes to, and its place.
    fn find(&self, wanted: impl Fn(&Binding) -> bool) -> Option<((usize, usize), &Binding)> {
        self.blocks
            .iter()
            .enumerate()
            .rev()
            .find_map(|(depth, block)| {
                let at = block.iter().position(&wanted)?;
                Some(((depth, at), &block[at]))
            })
    }
}

/// Finds the outermost queries inside a part of a statement and walks them.
struct Subqueries<'w, 'a> {
    walk: &'w mut Walk<'a>,
    scope: &'w Scope,
    depth: usize,
}

impl Visitor for Subqueries<'_, '_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if self.depth == 0 {
            self.walk.query(query, self.scope, false);
        }
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }
}

fn constraint(join: &Join) -> Option<&JoinConstraint> {
    match &join.join_operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint)
        | JoinOperator::CrossJoin(constraint)
        | JoinOperator::StraightJoin(constraint) => Some(constraint),
        _ => None,
    }
}

/// The output column at a position, counted from 0.
fn output_at(select: &Select, position: usize) -> Option<&Expr> {
    match select.projection.get(position)? {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
        _ => None,
    }
}

/// The output column with an alias.
fn output_named<'s>(select: &'s Select, name: &str) -> Option<&'s Expr> {
    select.projection.iter().find_map(|item| match item {
        SelectItem::ExprWithAlias { expr, alias } if folded(alias) == name => Some(expr),
        _ => None,
    })
}

/// A name, folded if it is not quoted.
fn folded(name: &Ident) -> String {
    name_of(name)
}

/// The last part of a qualified name.
fn last_name(name: &ObjectName) -> String {
    match name.0.last() {
        Some(ObjectNamePart::Identifier(name)) => folded(name),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}
