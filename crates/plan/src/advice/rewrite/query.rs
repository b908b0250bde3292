//! A plain query: one `SELECT` over tables, taken apart for a rewrite.

use std::collections::BTreeMap;

use speedwell_sql::Dialect;
use sqlparser::{
    ast::{
        BinaryOperator as Op, Expr, Function, GroupByExpr, Ident, JoinConstraint, JoinOperator,
        LimitClause, OrderByKind, OrderBySort, Query, Select, SelectItem, SetExpr, Statement,
        TableFactor, Value,
    },
    dialect::{PostgreSqlDialect, SQLiteDialect},
    parser::Parser,
};

use crate::{Schema, Table, advice::facts::parse};

/// Functions that make one row of many.
const AGGREGATES: [&str; 12] = [
    "count",
    "sum",
    "min",
    "max",
    "avg",
    "total",
    "string_agg",
    "group_concat",
    "array_agg",
    "json_agg",
    "jsonb_agg",
    "bool_or",
];

/// One `SELECT` over base tables, without grouping, set operations and the like.
#[derive(Debug, Clone)]
pub(super) struct Plain {
    pub(super) query: Query,
    /// What each table is called, and which it is.
    bindings: Vec<(String, Table)>,
    /// The largest number of a placeholder.
    pub(super) placeholders: usize,
}

/// A column of one of the tables.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) binding: usize,
    pub(super) name: String,
}

/// One term of an order.
#[derive(Debug, Clone)]
pub(super) struct Term {
    /// The column as it is written.
    pub(super) text: String,
    pub(super) binding: usize,
    pub(super) column: String,
    pub(super) descending: bool,
}

impl Plain {
    /// The query of this text; `None` if it is anything else.
    pub(super) fn read(text: &str, dialect: Dialect, schema: &Schema) -> Option<Self> {
        let Statement::Query(query) = parse(text, dialect).ok()? else {
            return None;
        };
        let simple = query.with.is_none() && query.fetch.is_none() && query.locks.is_empty();
        let SetExpr::Select(select) = &*query.body else {
            return None;
        };
        let ungrouped =
            matches!(&select.group_by, GroupByExpr::Expressions(groups, _) if groups.is_empty());
        if !simple || select.distinct.is_some() || !ungrouped || select.having.is_some() {
            return None;
        }
        let bindings = bindings(select, schema)?;
        let placeholders = super::super::condition::placeholders(&query);
        Some(Self {
            bindings,
            placeholders: placeholders.into_iter().max().unwrap_or(0),
            query: *query,
        })
    }

    pub(super) fn select(&self) -> Option<&Select> {
        match &*self.query.body {
            SetExpr::Select(select) => Some(select),
            _ => None,
        }
    }

    pub(super) fn select_mut(&mut self) -> Option<&mut Select> {
        match &mut *self.query.body {
            SetExpr::Select(select) => Some(select),
            _ => None,
        }
    }

    /// The rows before the page.
    pub(super) fn offset(&self) -> Option<&Expr> {
        match self.query.limit_clause.as_ref()? {
            LimitClause::LimitOffset { offset, .. } => offset.as_ref().map(|offset| &offset.value),
            LimitClause::OffsetCommaLimit { offset, .. } => Some(offset),
        }
    }

    pub(super) fn limit(&self) -> Option<&Expr> {
        match self.query.limit_clause.as_ref()? {
            LimitClause::LimitOffset { limit, .. } => limit.as_ref(),
            LimitClause::OffsetCommaLimit { limit, .. } => Some(limit),
        }
    }

    /// Whether it asks for a page by the number of rows before it.
    pub(super) fn has_offset(&self) -> bool {
        let zero = |expr: &Expr| expr.to_string() == "0";
        self.offset().is_some_and(|offset| !zero(offset)) && self.limit().is_some()
    }

    /// The query with another page; `None` leaves that part out.
    pub(super) fn with_page(&self, limit: Option<Expr>, offset: Option<Expr>) -> Query {
        let mut query = self.query.clone();
        query.limit_clause = limit.map(|limit| LimitClause::LimitOffset {
            limit: Some(limit),
            offset: offset.map(|value| sqlparser::ast::Offset {
                value,
                rows: sqlparser::ast::OffsetRows::None,
            }),
            limit_by: Vec::new(),
        });
        query
    }

    /// Whether every output is an aggregate.
    pub(super) fn is_aggregate(&self) -> bool {
        let items = self.select().map(|select| select.projection.as_slice());
        items.is_some_and(|items| !items.is_empty() && items.iter().all(is_aggregate))
    }

    /// Whether any output is an aggregate, or looks at other rows.
    pub(super) fn looks_across_rows(&self) -> bool {
        let items = self.select().map(|select| select.projection.as_slice());
        items.unwrap_or_default().iter().any(|item| {
            let over = function(item).is_some_and(|function| function.over.is_some());
            is_aggregate(item) || over
        })
    }

    pub(super) fn table(&self, binding: usize) -> Option<&Table> {
        self.bindings.get(binding).map(|(_, table)| table)
    }

    /// The table that is called so.
    pub(super) fn binding(&self, name: &str) -> Option<usize> {
        self.bindings.iter().position(|(known, _)| known == name)
    }

    /// A column of one of the tables as it must be written.
    pub(super) fn written(&self, binding: usize, column: &str) -> String {
        let column = crate::advice::candidate::quoted(column);
        match self.bindings.as_slice() {
            [_] => column,
            all => match all.get(binding) {
                Some((name, _)) => {
                    format!("{}.{column}", crate::advice::candidate::quoted(name))
                }
                None => column,
            },
        }
    }

    /// The column that an expression is.
    pub(super) fn column(&self, expr: &Expr) -> Option<Found> {
        match expr {
            Expr::Nested(inner) => self.column(inner),
            Expr::Identifier(name) => {
                let mut found = self
                    .bindings
                    .iter()
                    .enumerate()
                    .filter_map(|(binding, (_, table))| found(binding, table, name));
                let first = found.next()?;
                found.next().is_none().then_some(first)
            }
            Expr::CompoundIdentifier(parts) => {
                let [.., owner, name] = parts.as_slice() else {
                    return None;
                };
                let owner = folded(owner);
                let mut all = self.bindings.iter().enumerate();
                let (binding, (_, table)) = all.find(|(_, (known, _))| *known == owner)?;
                found(binding, table, name)
            }
            _ => None,
        }
    }

    /// What the query is sorted by, if that is columns in the usual order of nulls.
    pub(super) fn order(&self) -> Option<Vec<Term>> {
        let OrderByKind::Expressions(terms) = &self.query.order_by.as_ref()?.kind else {
            return None;
        };
        let read = |term: &sqlparser::ast::OrderByExpr| {
            let expr = self.unaliased(&term.expr);
            let found = self.column(expr)?;
            if term.options.nulls_first.is_some() {
                return None;
            }
            Some(Term {
                text: expr.to_string(),
                binding: found.binding,
                column: found.name,
                descending: match term.options.sort {
                    Some(OrderBySort::Desc) => true,
                    Some(OrderBySort::Using(_)) => return None,
                    _ => false,
                },
            })
        };
        terms.iter().map(read).collect()
    }

    /// The output that an expression names, or the expression.
    fn unaliased<'e>(&'e self, expr: &'e Expr) -> &'e Expr {
        let Expr::Identifier(name) = expr else {
            return expr;
        };
        let items = self.select().map(|select| select.projection.as_slice());
        let named = items
            .unwrap_or_default()
            .iter()
            .find_map(|item| match item {
                SelectItem::ExprWithAlias { expr, alias } if folded(alias) == folded(name) => {
                    Some(expr)
                }
                _ => None,
            });
        named.unwrap_or(expr)
    }

    /// Whether every joined table gives at most one row for each row of the first.
    pub(super) fn joins_to_one(&self) -> bool {
        let Some(select) = self.select() else {
            return false;
        };
        let [from] = select.from.as_slice() else {
            return false;
        };
        from.joins.iter().enumerate().all(|(at, join)| {
            let on = match &join.join_operator {
                JoinOperator::Join(JoinConstraint::On(on))
                | JoinOperator::Inner(JoinConstraint::On(on))
                | JoinOperator::Left(JoinConstraint::On(on))
                | JoinOperator::LeftOuter(JoinConstraint::On(on)) => on,
                _ => return false,
            };
            let mut equal = BTreeMap::new();
            self.equalities(on, at + 1, &mut equal);
            let names: Vec<&str> = equal.keys().map(String::as_str).collect();
            self.table(at + 1)
                .is_some_and(|table| table.is_unique(&names))
        })
    }

    /// The columns of one table that a condition makes equal to something else.
    fn equalities(&self, on: &Expr, binding: usize, equal: &mut BTreeMap<String, ()>) {
        match on {
            Expr::Nested(inner) => self.equalities(inner, binding, equal),
            Expr::BinaryOp {
                left,
                op: Op::And,
                right,
            } => {
                self.equalities(left, binding, equal);
                self.equalities(right, binding, equal);
            }
            Expr::BinaryOp {
                left,
                op: Op::Eq,
                right,
            } => {
                for (this, other) in [(left, right), (right, left)] {
                    let same = |found: &Found| found.binding == binding;
                    let own = self.column(this).filter(same);
                    if let Some(found) = own
                        && !self.column(other).is_some_and(|found| same(&found))
                    {
                        equal.insert(found.name, ());
                    }
                }
            }
            _ => {}
        }
    }

    /// Replaces a part that is AND-ed in the condition.
    pub(super) fn replace(&mut self, part: &Expr, by: Expr) -> bool {
        let selection = self
            .select_mut()
            .and_then(|select| select.selection.as_mut());
        selection.is_some_and(|selection| replace(selection, part, by))
    }

    /// Adds a condition.
    pub(super) fn and(&mut self, condition: &str, dialect: Dialect) -> Option<()> {
        let select = self.select_mut()?;
        let text = match &select.selection {
            Some(selection @ Expr::BinaryOp { op: Op::Or, .. }) => {
                format!("({selection}) AND {condition}")
            }
            Some(selection) => format!("{selection} AND {condition}"),
            None => condition.to_owned(),
        };
        select.selection = Some(expr(&text, dialect)?);
        Some(())
    }
}

/// The parts of a condition that are AND-ed.
pub(super) fn parts(condition: &Expr) -> Vec<&Expr> {
    match condition {
        Expr::Nested(inner) => match &**inner {
            Expr::BinaryOp { op: Op::And, .. } => parts(inner),
            _ => vec![condition],
        },
        Expr::BinaryOp {
            left,
            op: Op::And,
            right,
        } => {
            let mut all = parts(left);
            all.extend(parts(right));
            all
        }
        other => vec![other],
    }
}

fn replace(condition: &mut Expr, part: &Expr, by: Expr) -> bool {
    if condition == part {
        *condition = by;
        return true;
    }
    match condition {
        Expr::Nested(inner) => replace(inner, part, by),
        Expr::BinaryOp {
            left,
            op: Op::And,
            right,
        } => replace(left, part, by.clone()) || replace(right, part, by),
        _ => false,
    }
}

/// An expression of this text.
pub(super) fn expr(text: &str, dialect: Dialect) -> Option<Expr> {
    let parsed = match dialect {
        Dialect::Postgres => Parser::new(&PostgreSqlDialect {})
            .try_with_sql(text)
            .and_then(|mut parser| parser.parse_expr()),
        _ => Parser::new(&SQLiteDialect {})
            .try_with_sql(text)
            .and_then(|mut parser| parser.parse_expr()),
    };
    parsed.ok()
}

/// The number of a placeholder, if the expression is one.
pub(super) fn placeholder(expr: &Expr) -> Option<usize> {
    match expr {
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => placeholder(inner),
        Expr::Value(value) => match &value.value {
            Value::Placeholder(text) => text.strip_prefix('$')?.parse().ok(),
            _ => None,
        },
        _ => None,
    }
}

fn function(item: &SelectItem) -> Option<&Function> {
    match item {
        SelectItem::UnnamedExpr(Expr::Function(function))
        | SelectItem::ExprWithAlias {
            expr: Expr::Function(function),
            ..
        } => Some(function),
        _ => None,
    }
}

fn is_aggregate(item: &SelectItem) -> bool {
    let name = function(item)
        .filter(|function| function.over.is_none())
        .map(|function| function.name.to_string().to_lowercase());
    name.is_some_and(|name| AGGREGATES.contains(&name.as_str()))
}

fn bindings(select: &Select, schema: &Schema) -> Option<Vec<(String, Table)>> {
    let mut all = Vec::new();
    for from in &select.from {
        all.push(binding(&from.relation, schema)?);
        for join in &from.joins {
            all.push(binding(&join.relation, schema)?);
        }
    }
    (!all.is_empty()).then_some(all)
}

fn binding(factor: &TableFactor, schema: &Schema) -> Option<(String, Table)> {
    let TableFactor::Table {
        name,
        alias,
        args: None,
        ..
    } = factor
    else {
        return None;
    };
    let own = name.0.last()?.as_ident().map(folded)?;
    let table = schema.table(&own)?.clone();
    let called = alias.as_ref().map(|alias| folded(&alias.name));
    Some((called.unwrap_or(own), table))
}

fn found(binding: usize, table: &Table, name: &Ident) -> Option<Found> {
    let name = folded(name);
    let mut columns = table.columns.iter();
    let column = columns.find(|own| own.name.eq_ignore_ascii_case(&name))?;
    Some(Found {
        binding,
        name: column.name.clone(),
    })
}

pub(super) fn folded(name: &Ident) -> String {
    match name.quote_style {
        None => name.value.to_ascii_lowercase(),
        Some(_) => name.value.clone(),
    }
}
