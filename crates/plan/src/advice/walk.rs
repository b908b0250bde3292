//! The walk over a parsed statement that finds its searches.

mod lineage;
mod scope;
mod writes;

use std::ops::ControlFlow;

use speedwell_sql::Dialect;
use sqlparser::ast::{
    Expr, Function, GroupByExpr, Ident, Join, JoinConstraint, JoinOperator, LimitClause,
    ObjectName, ObjectNamePart, OrderByExpr, OrderByKind, OrderBySort, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, Statement, TableAlias, TableFactor, TableWithJoins,
    Value, Visit, Visitor, With,
};

pub(super) use self::scope::{Column, Scope};
use self::scope::{Inside, Outputs};
use super::{
    condition,
    facts::{Facts, Slot},
};
use crate::Schema;

/// An `OR` of more branches than this is a list, for which no index per branch is built.
const MOST_BRANCHES: usize = 8;

pub(super) struct Walk<'a> {
    pub(super) schema: &'a Schema,
    pub(super) dialect: Dialect,
    pub(super) found: Facts,
}

impl<'a> Walk<'a> {
    pub(super) fn read(statement: &Statement, schema: &'a Schema, dialect: Dialect) -> Facts {
        let mut walk = Self {
            schema,
            dialect,
            found: Facts::default(),
        };
        walk.placeholders(statement);
        walk.statement(statement, &Scope::default());
        walk.found
    }

    /// Every placeholder has a slot, even if nothing is known of it.
    fn placeholders(&mut self, statement: &Statement) {
        for number in condition::placeholders(statement) {
            self.found.slots.insert(number, Slot::Other);
        }
    }

    fn statement(&mut self, statement: &Statement, scope: &Scope) {
        match statement {
            Statement::Query(query) => {
                self.query(query, scope);
            }
            Statement::Insert(insert) => self.insert(insert, scope),
            Statement::Update(update) => self.update(update, scope),
            Statement::Delete(delete) => self.delete(delete, scope),
            _ => {}
        }
    }

    fn query(&mut self, query: &Query, scope: &Scope) -> Outputs {
        let scope = self.with(query.with.as_ref(), scope);
        let limited = self.limit(query);
        match &*query.body {
            SetExpr::Select(select) => {
                let (inner, own) = self.select(select, &scope);
                self.order(query, select, &inner, &own, limited);
                self.branches(&own);
                lineage::of_select(select, &inner)
            }
            body => {
                self.body(body, &scope);
                lineage::of_body(body)
            }
        }
    }

    fn with(&mut self, with: Option<&With>, scope: &Scope) -> Scope {
        let mut scope = scope.clone();
        for cte in with.iter().flat_map(|with| &with.cte_tables) {
            let name = folded(&cte.alias.name);
            if with.is_some_and(|with| with.recursive) {
                scope.common.push((name.clone(), Inside::default()));
            }
            let inside = self.inside(&cte.query, Some(&cte.alias), &scope);
            scope.common.push((name, inside));
        }
        scope
    }

    /// Reads a subquery.
    fn inside(&mut self, query: &Query, alias: Option<&TableAlias>, scope: &Scope) -> Inside {
        let first = self.found.searches.len();
        let mut outputs = self.query(query, scope);
        let names = alias.map(|alias| alias.columns.as_slice());
        for (output, column) in outputs.iter_mut().zip(names.unwrap_or_default()) {
            output.0 = folded(&column.name);
        }
        let searches = self.found.searches[first..].iter();
        Inside {
            tables: searches.map(|search| search.table.clone()).collect(),
            outputs,
        }
    }

    fn body(&mut self, body: &SetExpr, scope: &Scope) {
        match body {
            SetExpr::Select(select) => {
                let (_, own) = self.select(select, scope);
                self.branches(&own);
            }
            SetExpr::Query(query) => {
                self.query(query, scope);
            }
            SetExpr::SetOperation { left, right, .. } => {
                self.body(left, scope);
                self.body(right, scope);
            }
            SetExpr::Values(values) => self.parts(values, scope),
            SetExpr::Insert(statement)
            | SetExpr::Update(statement)
            | SetExpr::Delete(statement) => self.statement(statement, scope),
            _ => {}
        }
    }

    /// Whether the query wants only so many rows.
    fn limit(&mut self, query: &Query) -> bool {
        let (limit, offset) = match &query.limit_clause {
            Some(LimitClause::LimitOffset { limit, offset, .. }) => {
                (limit.as_ref(), offset.as_ref().map(|offset| &offset.value))
            }
            Some(LimitClause::OffsetCommaLimit { offset, limit }) => (Some(limit), Some(offset)),
            None => (None, None),
        };
        let fetch = query
            .fetch
            .as_ref()
            .and_then(|fetch| fetch.quantity.as_ref());
        for (part, slot) in [(limit.or(fetch), Slot::Limit), (offset, Slot::Offset)] {
            for number in part.map(condition::placeholders).unwrap_or_default() {
                self.found.slots.insert(number, slot.clone());
            }
        }
        limit.is_some() || query.fetch.is_some()
    }

    /// The scope of the query, and its own searches with the `OR`s of its condition.
    fn select(&mut self, select: &Select, scope: &Scope) -> (Scope, Block) {
        let (scope, mut block) = self.block(&select.from, scope);
        for item in &select.projection {
            self.output(item, &scope);
        }
        if let Some(selection) = &select.selection {
            self.condition(selection, &scope, &mut block);
        }
        if let Some(having) = &select.having {
            self.parts(having, &scope);
        }
        if let GroupByExpr::Expressions(groups, _) = &select.group_by {
            for group in groups {
                self.parts(group, &scope);
            }
        }
        (scope, block)
    }

    fn output(&mut self, item: &SelectItem, scope: &Scope) {
        let own = scope.blocks.last().map(Vec::as_slice).unwrap_or_default();
        match item {
            SelectItem::Wildcard(_) => {
                for search in own.iter().filter_map(|binding| binding.search) {
                    self.found.searches[search].uses_all = true;
                }
            }
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                let name = last_name(name);
                let found = own.iter().find(|binding| binding.name == name);
                if let Some(search) = found.and_then(|binding| binding.search) {
                    self.found.searches[search].uses_all = true;
                }
            }
            other => self.parts(other, scope),
        }
    }

    /// Enters a query: its tables come into sight, its joins are read.
    fn block(&mut self, tables: &[TableWithJoins], outer: &Scope) -> (Scope, Block) {
        let mut scope = outer.clone();
        scope.blocks.push(Vec::new());
        for table in tables {
            self.bind_all(table, &mut scope);
        }
        let own = scope.blocks.last().map(Vec::as_slice).unwrap_or_default();
        let mut block = Block {
            searches: own.iter().filter_map(|binding| binding.search).collect(),
            alternatives: Vec::new(),
        };
        for table in tables {
            self.joins(table, &scope, &mut block);
        }
        (scope, block)
    }

    fn joins(&mut self, table: &TableWithJoins, scope: &Scope, block: &mut Block) {
        if let TableFactor::NestedJoin {
            table_with_joins, ..
        } = &table.relation
        {
            self.joins(table_with_joins, scope, block);
        }
        for join in &table.joins {
            match constraint(join) {
                Some(JoinConstraint::On(on)) => self.condition(on, scope, block),
                Some(JoinConstraint::Using(columns)) => {
                    for column in columns {
                        self.using(&last_name(column), scope);
                    }
                }
                _ => {}
            }
        }
    }

    /// `USING (c)`: every table of the block that has the column is joined by it.
    fn using(&mut self, column: &str, scope: &Scope) {
        let own = scope.blocks.last().map(Vec::as_slice).unwrap_or_default();
        for search in own.iter().filter_map(|binding| binding.search) {
            if let Some(name) = self.declared(search, column) {
                let search = &mut self.found.searches[search];
                search.used.insert(name.clone());
                search.joined.insert(name);
            }
        }
    }

    /// Reads a condition of the block: what is AND-ed narrows its searches, an `OR` is kept.
    fn condition(&mut self, condition: &Expr, scope: &Scope, block: &mut Block) {
        self.parts(condition, scope);
        let ors = condition::narrow(self, condition, scope);
        block
            .alternatives
            .extend(ors.into_iter().map(|branches| (branches, scope.clone())));
    }

    /// One more search for each branch of an `OR` in which the table is narrowed further.
    fn branches(&mut self, block: &Block) {
        for (branches, scope) in &block.alternatives {
            for branch in branches.iter().take(MOST_BRANCHES) {
                let before = self.found.searches.clone();
                condition::narrow(self, branch, scope);
                let after = std::mem::replace(&mut self.found.searches, before);
                for &search in &block.searches {
                    if after[search] != self.found.searches[search] {
                        let mut narrowed = after[search].clone();
                        narrowed.order.clear();
                        self.found.searches.push(narrowed);
                    }
                }
            }
        }
    }

    /// Notes the columns of any part of a statement and reads the queries inside it.
    pub(super) fn parts(&mut self, part: &impl Visit, scope: &Scope) {
        let mut visitor = Parts {
            walk: self,
            scope,
            depth: 0,
        };
        let _ = part.visit(&mut visitor);
    }

    fn order(
        &mut self,
        query: &Query,
        select: &Select,
        scope: &Scope,
        block: &Block,
        limited: bool,
    ) {
        for &search in &block.searches {
            self.found.searches[search].limited = limited;
        }
        let Some(OrderByKind::Expressions(terms)) = query.order_by.as_ref().map(|by| &by.kind)
        else {
            return;
        };
        for term in terms {
            self.parts(&term.expr, scope);
        }
        let columns: Option<Vec<(Column, bool)>> = terms
            .iter()
            .map(|term| self.order_term(term, select, scope))
            .collect();
        let Some(columns) = columns else { return };
        let Some(search) = columns.first().map(|(column, _)| column.search) else {
            return;
        };
        // An order that begins with this table's columns; the rest is sorted within it.
        let own = columns
            .into_iter()
            .take_while(|(column, _)| column.search == search)
            .map(|(column, descending)| (column.name, descending));
        self.found.searches[search].order = own.collect();
    }

    /// A column in the database's usual order of nulls.
    fn order_term(
        &self,
        term: &OrderByExpr,
        select: &Select,
        scope: &Scope,
    ) -> Option<(Column, bool)> {
        let descending = match term.options.sort {
            Some(OrderBySort::Desc) => true,
            Some(OrderBySort::Using(_)) => return None,
            _ => false,
        };
        let usual = (self.dialect == Dialect::Postgres) == descending;
        if term.options.nulls_first.is_some_and(|first| first != usual) {
            return None;
        }
        let expr = match &term.expr {
            Expr::Value(value) => match &value.value {
                Value::Number(position, _) => {
                    let position = position.parse::<usize>().ok()?.checked_sub(1)?;
                    match select.projection.get(position)? {
                        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                            expr
                        }
                        _ => return None,
                    }
                }
                _ => return None,
            },
            Expr::Identifier(name) => named(select, &folded(name)).unwrap_or(&term.expr),
            other => other,
        };
        Some((self.resolve(expr, scope)?, descending))
    }

    /// The placeholders that an expression is: its own, or those of an output of a subquery.
    pub(super) fn carried(&self, expr: &Expr, scope: &Scope) -> Vec<usize> {
        let mut numbers = condition::placeholders(expr);
        numbers.extend(lineage::carried(expr, scope));
        numbers
    }
}

/// One query's own searches, and the `OR`s of its conditions.
pub(super) struct Block {
    searches: Vec<usize>,
    alternatives: Vec<(Vec<Expr>, Scope)>,
}

struct Parts<'w, 'a> {
    walk: &'w mut Walk<'a>,
    scope: &'w Scope,
    depth: usize,
}

impl Visitor for Parts<'_, '_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if self.depth == 0 {
            self.walk.query(query, self.scope);
        }
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if self.depth == 0
            && let Some(column) = self.walk.resolve(expr, self.scope)
        {
            self.walk.found.searches[column.search]
                .used
                .insert(column.name);
        }
        if self.depth == 0 {
            condition::note_values(self.walk, expr, self.scope);
        }
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
        | JoinOperator::FullOuter(constraint) => Some(constraint),
        _ => None,
    }
}

/// The output column with an alias.
fn named<'s>(select: &'s Select, name: &str) -> Option<&'s Expr> {
    select.projection.iter().find_map(|item| match item {
        SelectItem::ExprWithAlias { expr, alias } if folded(alias) == name => Some(expr),
        _ => None,
    })
}

/// The name of a function, folded.
pub(super) fn function_name(function: &Function) -> String {
    last_name(&function.name)
}

/// A placeholder, in brackets or cast perhaps.
pub(super) fn is_bare(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => is_bare(inner),
        Expr::Value(value) => matches!(value.value, Value::Placeholder(_)),
        _ => false,
    }
}

/// A name, folded if it is not quoted.
fn folded(name: &Ident) -> String {
    match name.quote_style {
        None => name.value.to_ascii_lowercase(),
        Some(_) => name.value.clone(),
    }
}

fn last_name(name: &ObjectName) -> String {
    match name.0.last() {
        Some(ObjectNamePart::Identifier(name)) => folded(name),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}
