//! The predicates of one condition: which columns it compares, how and with what.

use sqlparser::ast::{BinaryOperator, Expr, Ident, UnaryOperator, Value};

use crate::rewrite::place_of;
use crate::structure::{Comparison, Operand, Predicate};
use crate::walk::Column;

/// Tells which column of a base table an expression is, if it is one.
type Resolve<'r> = dyn Fn(&Expr) -> Option<Column> + 'r;

/// A name, folded if it is not quoted.
pub(crate) fn name_of(name: &Ident) -> String {
    match name.quote_style {
        None => name.value.to_ascii_lowercase(),
        Some(_) => name.value.clone(),
    }
}

/// The AND-ed predicates of `condition` in query block `block`. Those under `OR` are left out.
pub(crate) fn conditions(condition: &Expr, block: usize, resolve: &Resolve<'_>) -> Vec<Predicate> {
    let mut found = Vec::new();
    Conditions {
        block,
        resolve,
        found: &mut found,
    }
    .read(condition);
    found
}

struct Conditions<'c, 'r> {
    block: usize,
    resolve: &'c Resolve<'r>,
    found: &'c mut Vec<Predicate>,
}

impl Conditions<'_, '_> {
    fn read(&mut self, condition: &Expr) {
        match condition {
            Expr::Nested(inner) => self.read(inner),
            Expr::BinaryOp {
                left,
                op: BinaryOperator::And,
                right,
            } => {
                self.read(left);
                self.read(right);
            }
            Expr::BinaryOp { left, op, right } => self.binary(left, op, right),
            Expr::UnaryOp {
                op: UnaryOperator::Not,
                expr,
            } => self.negated(expr),
            Expr::IsNull(expr) => self.constant(expr, Comparison::IsNull, "NULL"),
            Expr::IsNotNull(expr) => self.constant(expr, Comparison::Other, "NULL"),
            Expr::IsTrue(expr) => self.constant(expr, Comparison::Equal, "TRUE"),
            Expr::IsFalse(expr) => self.constant(expr, Comparison::Equal, "FALSE"),
            Expr::IsNotTrue(expr) => self.constant(expr, Comparison::Other, "TRUE"),
            Expr::IsNotFalse(expr) => self.constant(expr, Comparison::Other, "FALSE"),
            Expr::IsNotDistinctFrom(left, right) => {
                self.compare(left, Comparison::Equal, right);
            }
            Expr::IsDistinctFrom(left, right) => self.compare(left, Comparison::Other, right),
            Expr::InList {
                expr,
                list,
                negated,
            } => {
                self.in_list(expr, list, unless(*negated, Comparison::In));
            }
            Expr::InSubquery { expr, negated, .. } | Expr::InUnnest { expr, negated, .. } => {
                self.in_expression(expr, unless(*negated, Comparison::In));
            }
            Expr::Between {
                expr,
                negated,
                low,
                high,
            } => {
                let operand = self.operand(low);
                let comparison = unless(*negated, Comparison::Range);
                self.one(expr, comparison, operand, &[low, high]);
            }
            Expr::Like {
                negated,
                expr,
                pattern,
                ..
            }
            | Expr::ILike {
                negated,
                expr,
                pattern,
                ..
            } => {
                self.pattern(expr, pattern, &['%', '_'], *negated);
            }
            Expr::AnyOp {
                left,
                compare_op: BinaryOperator::Eq,
                right,
                ..
            } => {
                let operand = self.operand(right);
                self.one(left, Comparison::In, operand, &[right]);
            }
            Expr::AnyOp { left, right, .. } | Expr::AllOp { left, right, .. } => {
                let operand = self.operand(right);
                self.one(left, Comparison::Other, operand, &[right]);
            }
            // A bare column is a condition by itself.
            other => self.constant(other, Comparison::Equal, "TRUE"),
        }
    }

    fn binary(&mut self, left: &Expr, op: &BinaryOperator, right: &Expr) {
        use BinaryOperator as Op;
        match op {
            Op::Or | Op::Xor => {}
            Op::Eq | Op::Spaceship => self.compare(left, Comparison::Equal, right),
            Op::Lt | Op::LtEq | Op::Gt | Op::GtEq => self.compare(left, Comparison::Range, right),
            Op::PGLikeMatch | Op::PGILikeMatch => self.pattern(left, right, &['%', '_'], false),
            Op::Glob => self.pattern(left, right, &['*', '?', '['], false),
            _ => self.compare(left, Comparison::Other, right),
        }
    }

    /// What stands behind `NOT`: a bare boolean column, or a predicate no index serves.
    fn negated(&mut self, inner: &Expr) {
        if (self.resolve)(inner).is_some() {
            self.constant(inner, Comparison::Equal, "FALSE");
            return;
        }
        let mut inside = inner;
        while let Expr::Nested(nested) = inside {
            inside = nested;
        }
        // NOT (a AND b) is an OR.
        if matches!(
            inside,
            Expr::BinaryOp {
                op: BinaryOperator::And,
                ..
            }
        ) {
            return;
        }
        let from = self.found.len();
        self.read(inside);
        for predicate in &mut self.found[from..] {
            predicate.comparison = Comparison::Other;
        }
    }

    /// `left` compared with `right`: columns, values or rows of them.
    fn compare(&mut self, left: &Expr, comparison: Comparison, right: &Expr) {
        if let (Expr::Tuple(lefts), Expr::Tuple(rights)) = (left, right) {
            for (at, (left, right)) in lefts.iter().zip(rights).enumerate() {
                // (a, b) < (1, 2) bounds a; b matters only where a is equal.
                let bounded = at == 0 || comparison == Comparison::Equal;
                self.compare(left, unless(!bounded, comparison), right);
            }
            return;
        }
        let operand = self.operand_beside(left, right);
        self.one(left, comparison, operand, &[right]);
        let operand = self.operand_beside(right, left);
        self.one(right, comparison, operand, &[left]);
    }

    fn in_list(&mut self, expr: &Expr, list: &[Expr], comparison: Comparison) {
        if let Expr::Tuple(columns) = expr {
            for (at, column) in columns.iter().enumerate() {
                let values: Option<Vec<_>> = list
                    .iter()
                    .map(|row| match row {
                        Expr::Tuple(values) => values.get(at),
                        _ => None,
                    })
                    .collect();
                let values = values.unwrap_or_default();
                let operand = match values.is_empty() {
                    true => Operand::Expression,
                    false => self.joined(&values),
                };
                self.one(column, comparison, operand, &values);
            }
        } else {
            let values: Vec<&Expr> = list.iter().collect();
            let operand = self.joined(&values);
            self.one(expr, comparison, operand, &values);
        }
    }

    /// The operand that a list is: a placeholder if it holds any, its constants otherwise.
    fn joined(&self, list: &[&Expr]) -> Operand {
        let mut constants = Vec::with_capacity(list.len());
        let mut operand = None;
        for value in list {
            match self.operand(value) {
                Operand::Literal(constant) => constants.push(constant),
                Operand::Placeholder => operand = operand.or(Some(Operand::Placeholder)),
                _ => operand = Some(Operand::Expression),
            }
        }
        operand.unwrap_or_else(|| Operand::Literal(constants.join(", ")))
    }

    /// Columns that must be in the result of a query.
    fn in_expression(&mut self, expr: &Expr, comparison: Comparison) {
        if let Expr::Tuple(columns) = expr {
            for column in columns {
                self.one(column, comparison, Operand::Expression, &[]);
            }
        } else {
            self.one(expr, comparison, Operand::Expression, &[]);
        }
    }

    fn pattern(&mut self, expr: &Expr, pattern: &Expr, wildcards: &[char], negated: bool) {
        let comparison = match leading_text(pattern) {
            Some(text) if text.starts_with(wildcards) => Comparison::Contains,
            _ => Comparison::Prefix,
        };
        let operand = self.operand(pattern);
        self.one(expr, unless(negated, comparison), operand, &[pattern]);
    }

    fn constant(&mut self, expr: &Expr, comparison: Comparison, constant: &str) {
        let operand = Operand::Literal(constant.to_owned());
        self.one(expr, comparison, operand, &[]);
    }

    /// Notes a predicate if `expr` is a column. `values`: what it is compared with.
    fn one(&mut self, expr: &Expr, comparison: Comparison, operand: Operand, values: &[&Expr]) {
        if let Some(Column { table, column, .. }) = (self.resolve)(expr) {
            self.found.push(Predicate {
                table,
                column,
                comparison,
                operand,
                placeholders: values.iter().filter_map(|value| place(value)).collect(),
                block: self.block,
            });
        }
    }

    /// The operand `other` beside `column`: a column of the same appearance of a table is
    /// an expression, for it joins nothing.
    fn operand_beside(&self, column: &Expr, other: &Expr) -> Operand {
        let same = match ((self.resolve)(column), (self.resolve)(other)) {
            (Some(one), Some(two)) => one.place == two.place,
            _ => false,
        };
        if same {
            Operand::Expression
        } else {
            self.operand(other)
        }
    }

    fn operand(&self, expr: &Expr) -> Operand {
        if let Some(Column { table, column, .. }) = (self.resolve)(expr) {
            return Operand::Column { table, column };
        }
        match expr {
            Expr::Value(value) => match &value.value {
                Value::Placeholder(_) => Operand::Placeholder,
                Value::Boolean(truth) => Operand::Literal(truth.to_string().to_uppercase()),
                constant => Operand::Literal(constant.to_string()),
            },
            Expr::TypedString(_) => Operand::Literal(expr.to_string()),
            Expr::UnaryOp {
                op: UnaryOperator::Minus | UnaryOperator::Plus,
                expr: inner,
            } => match self.operand(inner) {
                Operand::Literal(_) => Operand::Literal(expr.to_string()),
                other => keep_placeholder(other),
            },
            Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => {
                match self.operand(inner) {
                    // A column in a cast is no longer a column.
                    Operand::Column { .. } => Operand::Expression,
                    other => other,
                }
            }
            _ => Operand::Expression,
        }
    }
}

/// Which placeholder an expression is, if it is one in brackets, casts and signs.
fn place(expr: &Expr) -> Option<usize> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Placeholder(text) => place_of(text),
            _ => None,
        },
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => place(inner),
        _ => None,
    }
}

fn keep_placeholder(operand: Operand) -> Operand {
    if operand == Operand::Placeholder {
        operand
    } else {
        Operand::Expression
    }
}

fn unless(negated: bool, comparison: Comparison) -> Comparison {
    if negated {
        Comparison::Other
    } else {
        comparison
    }
}

/// The text a pattern begins with, if it is constant: of `'%' || $1` it is `%`.
fn leading_text(pattern: &Expr) -> Option<&str> {
    match pattern {
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => leading_text(inner),
        Expr::BinaryOp {
            left,
            op: BinaryOperator::StringConcat,
            ..
        } => leading_text(left),
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text)
            | Value::DoubleQuotedString(text)
            | Value::EscapedStringLiteral(text)
            | Value::NationalStringLiteral(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}
