//! One condition: which columns it narrows, and what its placeholders are compared with.

use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator as Op, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments,
    UnaryOperator, Value, Visit, visit_expressions, visit_expressions_mut,
};

use super::{
    facts::{Compared, Slot},
    walk::{Column, Scope, Walk, function_name},
};

/// Functions whose result depends on their arguments only, so that an index can be built on them.
const STEADY: [&str; 7] = ["lower", "upper", "trim", "length", "abs", "md5", "date"];

/// The numbers of the placeholders in a part of a statement.
pub(super) fn placeholders(part: &impl Visit) -> Vec<usize> {
    let mut found = Vec::new();
    let _ = visit_expressions(part, |expr: &Expr| {
        if let Expr::Value(value) = expr
            && let Value::Placeholder(text) = &value.value
            && let Some(number) = text.strip_prefix('$').and_then(|n| n.parse().ok())
        {
            found.push(number);
        }
        ControlFlow::<()>::Continue(())
    });
    found
}

/// Narrows the searches by what is AND-ed in the condition; gives back the branches of each `OR`.
pub(super) fn narrow(walk: &mut Walk<'_>, condition: &Expr, scope: &Scope) -> Vec<Vec<Expr>> {
    let mut ors = Vec::new();
    Narrowing {
        walk,
        scope,
        ors: &mut ors,
    }
    .read(condition);
    ors
}

/// Notes what the placeholders of a comparison stand for, wherever it stands: no index serves what
/// is inside of `(a <= $1) IS TRUE`, but `$1` is a value of `a` all the same.
pub(super) fn note_values(walk: &mut Walk<'_>, expr: &Expr, scope: &Scope) {
    let mut ors = Vec::new();
    Narrowing {
        walk,
        scope,
        ors: &mut ors,
    }
    .values(expr);
}

struct Narrowing<'n, 'w, 'a> {
    walk: &'n mut Walk<'a>,
    scope: &'w Scope,
    ors: &'n mut Vec<Vec<Expr>>,
}

impl Narrowing<'_, '_, '_> {
    fn values(&mut self, expr: &Expr) {
        match expr {
            Expr::Function(function) => {
                if let Some((text, part)) = sought(function) {
                    self.slot(text, part, Compared::Middle);
                }
            }
            Expr::BinaryOp { left, op, right } => {
                if let Expr::Function(function) = &**left
                    && sought(function).is_some()
                {
                    self.place(right);
                }
                let how = match op {
                    Op::Eq | Op::NotEq | Op::AtArrow | Op::PGOverlap => Compared::Equal,
                    _ => match side(op) {
                        Some(how) => how,
                        None => return,
                    },
                };
                if let (Expr::Tuple(lefts), Expr::Tuple(rights)) = (&**left, &**right) {
                    for (left, right) in lefts.iter().zip(rights) {
                        self.slot(left, right, how);
                    }
                    return;
                }
                self.slot(left, right, how);
                self.slot(right, left, opposite(how));
            }
            Expr::Between {
                expr, low, high, ..
            } => {
                self.slot(expr, low, Compared::Above);
                self.slot(expr, high, Compared::Below);
            }
            Expr::InList { expr, list, .. } => {
                for value in list {
                    self.slot(expr, value, Compared::Equal);
                }
            }
            Expr::Like { expr, pattern, .. } | Expr::ILike { expr, pattern, .. } => {
                self.slot(expr, pattern, pattern_of(pattern).1);
            }
            _ => {}
        }
    }

    fn read(&mut self, condition: &Expr) {
        match condition {
            Expr::Nested(inner) => self.read(inner),
            Expr::BinaryOp {
                left,
                op: Op::And,
                right,
            } => {
                self.read(left);
                self.read(right);
            }
            Expr::BinaryOp { op: Op::Or, .. } => {
                let mut branches = Vec::new();
                flatten(condition, &mut branches);
                self.ors.push(branches);
            }
            Expr::BinaryOp { left, op, right } => self.binary(left, op, right),
            Expr::UnaryOp {
                op: UnaryOperator::Not,
                expr,
            } => self.truth(expr, "NOT ", ""),
            Expr::IsNull(expr) => self.constant(expr, " IS NULL"),
            Expr::IsNotNull(expr) => self.fixed(expr, " IS NOT NULL"),
            Expr::IsTrue(expr) => self.truth(expr, "", " IS TRUE"),
            Expr::IsFalse(expr) => self.truth(expr, "", " IS FALSE"),
            Expr::InList {
                expr,
                list,
                negated: false,
            } => {
                for value in list {
                    self.slot(expr, value, Compared::Equal);
                }
                self.listed(expr);
                let constants: Option<Vec<String>> = list.iter().map(constant).collect();
                if let Some(constants) = constants {
                    self.fixed(expr, &format!(" IN ({})", constants.join(", ")));
                }
            }
            Expr::InSubquery {
                expr,
                negated: false,
                ..
            } => {
                if let Some(column) = self.walk.resolve(expr, self.scope) {
                    self.search(&column).joined.insert(column.name);
                }
            }
            Expr::AnyOp {
                left,
                compare_op: Op::Eq,
                right,
                ..
            } => {
                self.slot(left, right, Compared::Array);
                self.listed(left);
            }
            Expr::Between {
                expr,
                negated: false,
                low,
                high,
            } => {
                self.slot(expr, low, Compared::Above);
                self.slot(expr, high, Compared::Below);
                self.range(expr);
            }
            Expr::Like {
                negated: false,
                expr,
                pattern,
                ..
            } => self.pattern(expr, pattern, false),
            Expr::ILike {
                negated: false,
                expr,
                pattern,
                ..
            } => self.pattern(expr, pattern, true),
            // A bare boolean column is a condition by itself.
            other => self.truth(other, "", ""),
        }
    }

    /// What a place in a text is compared with.
    fn place(&mut self, value: &Expr) {
        for number in placeholders(value) {
            let slot = self.walk.found.slots.entry(number).or_insert(Slot::Other);
            if *slot == Slot::Other {
                *slot = Slot::Place;
            }
        }
    }

    fn search(&mut self, column: &Column) -> &mut super::facts::Search {
        &mut self.walk.found.searches[column.search]
    }

    fn binary(&mut self, left: &Expr, op: &Op, right: &Expr) {
        if let (Expr::Tuple(lefts), Expr::Tuple(rights)) = (left, right) {
            self.rows(lefts, op, rights);
            return;
        }
        match op {
            Op::Eq => {
                self.equal(left, right);
                self.equal(right, left);
            }
            Op::Lt | Op::LtEq | Op::Gt | Op::GtEq => {
                let how = side(op).unwrap_or(Compared::Above);
                for (this, other, how) in [(left, right, how), (right, left, opposite(how))] {
                    self.slot(this, other, how);
                    if self.is_value(other) || self.is_of_another(other, this) {
                        self.range(this);
                    }
                }
            }
            _ => {
                self.slot(left, right, Compared::Equal);
                self.slot(right, left, Compared::Equal);
                if matches!(op, Op::AtArrow | Op::PGOverlap | Op::AtAt) && self.is_value(right) {
                    self.holds(left);
                }
            }
        }
    }

    /// `payload @> …`, `tags && …`, `words @@ …`: an index of the parts serves it.
    fn holds(&mut self, this: &Expr) {
        let Some(column) = self.walk.resolve(this, self.scope) else {
            return;
        };
        let schema = self.walk.schema;
        let search = self.search(&column);
        let table = schema.table(&search.table);
        let mut columns = table.into_iter().flat_map(|table| &table.columns);
        let known = columns.find(|own| own.name == column.name);
        let is_document = known.is_some_and(|own| own.kind.eq_ignore_ascii_case("jsonb"));
        search.holds.insert(column.name, is_document);
    }

    /// `(a, b) < (1, 2)` is a range of a, within which b matters.
    fn rows(&mut self, lefts: &[Expr], op: &Op, rights: &[Expr]) {
        for (at, (left, right)) in lefts.iter().zip(rights).enumerate() {
            match op {
                Op::Eq => self.equal(left, right),
                _ => {
                    self.slot(left, right, side(op).unwrap_or(Compared::Above));
                    if at == 0 {
                        self.range(left);
                    }
                }
            }
        }
    }

    fn equal(&mut self, this: &Expr, other: &Expr) {
        self.slot(this, other, Compared::Equal);
        let Some(column) = self.walk.resolve(this, self.scope) else {
            self.expression(this, other);
            return;
        };
        match self.walk.resolve(other, self.scope) {
            Some(partner) if partner.search == column.search => {}
            Some(_) => {
                self.search(&column).joined.insert(column.name);
            }
            None if !self.is_value(other) => {
                // A column of a subquery, or an expression over the other tables.
                self.search(&column).joined.insert(column.name);
            }
            None => {
                if let Some(constant) = constant(other) {
                    let condition = format!("{} = {constant}", quoted(&column.name));
                    let constants = &mut self.search(&column).constants;
                    constants.insert(column.name.clone(), condition);
                }
                self.search(&column).equal.insert(column.name);
            }
        }
    }

    /// `lower(name) = …`, `payload ->> 'order' = …`: an index on the expression serves it.
    fn expression(&mut self, this: &Expr, other: &Expr) {
        if !is_steady(this) || !self.is_value(other) {
            return;
        }
        let Some(column) = self.only_column(this) else {
            return;
        };
        let mut plain = this.clone();
        let _ = visit_expressions_mut(&mut plain, |expr: &mut Expr| {
            if let Expr::CompoundIdentifier(parts) = expr
                && let Some(last) = parts.last().cloned()
            {
                *expr = Expr::Identifier(last);
            }
            ControlFlow::<()>::Continue(())
        });
        self.search(&column).expressions.insert(plain.to_string());
    }

    /// The one column that an expression is made of.
    fn only_column(&self, expr: &Expr) -> Option<Column> {
        let mut columns = self.columns(expr);
        columns.dedup();
        match columns.as_slice() {
            [one] => Some(one.clone()),
            _ => None,
        }
    }

    fn columns(&self, expr: &Expr) -> Vec<Column> {
        let mut found = Vec::new();
        let _ = visit_expressions(expr, |part: &Expr| {
            // Not what stands in brackets: it comes again without them.
            if !matches!(part, Expr::Nested(_)) {
                found.extend(self.walk.resolve(part, self.scope));
            }
            ControlFlow::<()>::Continue(())
        });
        found
    }

    /// Whether it is the same for all rows: no column stands in it, and no query.
    fn is_value(&self, expr: &Expr) -> bool {
        let flow = visit_expressions(expr, |part: &Expr| match part {
            Expr::Identifier(_)
            | Expr::CompoundIdentifier(_)
            | Expr::Subquery(_)
            | Expr::Exists { .. } => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        });
        flow.is_continue()
    }

    /// Whether it is a column of another appearance of a table: the same for all rows of one turn of
    /// a loop.
    fn is_of_another(&self, expr: &Expr, than: &Expr) -> bool {
        let column = |expr| self.walk.resolve(expr, self.scope);
        let pair = column(expr).zip(column(than));
        pair.is_some_and(|(one, other)| one.search != other.search)
    }

    fn listed(&mut self, expr: &Expr) {
        if let Some(column) = self.walk.resolve(expr, self.scope) {
            self.search(&column).listed.insert(column.name);
        }
    }

    fn range(&mut self, expr: &Expr) {
        if let Some(column) = self.walk.resolve(expr, self.scope) {
            self.search(&column).ranges.insert(column.name);
        }
    }

    fn constant(&mut self, expr: &Expr, condition: &str) {
        self.fixed(expr, condition);
        if let Some(column) = self.walk.resolve(expr, self.scope) {
            self.search(&column).equal.insert(column.name);
        }
    }

    /// A condition that a partial index can have.
    fn fixed(&mut self, expr: &Expr, condition: &str) {
        if let Some(column) = self.walk.resolve(expr, self.scope) {
            let condition = format!("{}{condition}", quoted(&column.name));
            let search = self.search(&column);
            search.constants.insert(column.name, condition);
        }
    }

    fn truth(&mut self, expr: &Expr, before: &str, behind: &str) {
        if let Some(column) = self.walk.resolve(expr, self.scope) {
            let condition = format!("{before}{}{behind}", quoted(&column.name));
            let search = self.search(&column);
            search.constants.insert(column.name.clone(), condition);
            search.equal.insert(column.name);
        }
    }

    /// `ignores_case`: what begins alike but for its case does not stand together.
    fn pattern(&mut self, expr: &Expr, pattern: &Expr, ignores_case: bool) {
        let (begins, how) = pattern_of(pattern);
        self.slot(expr, pattern, how);
        let Some(column) = self.walk.resolve(expr, self.scope) else {
            return;
        };
        let search = self.search(&column);
        let of_its_kind = match begins && !ignores_case {
            true => &mut search.prefixes,
            false => &mut search.contains,
        };
        of_its_kind.insert(column.name);
    }

    /// The placeholders of `other` are compared with the one column of `this`.
    fn slot(&mut self, this: &Expr, other: &Expr, how: Compared) {
        let numbers = self.walk.carried(other, self.scope);
        if numbers.is_empty() {
            return;
        }
        let own = self.only_column(this).map(|column| {
            let table = self.search(&column).table.clone();
            (table, column.name)
        });
        let Some((table, name)) = own.or_else(|| self.walk.behind(this, self.scope)) else {
            return;
        };
        for number in numbers {
            let slot = self.walk.found.slots.entry(number).or_insert(Slot::Other);
            if *slot == Slot::Other {
                *slot = Slot::Compared {
                    table: table.clone(),
                    column: name.clone(),
                    member: member(this),
                    how,
                };
            }
        }
    }
}

/// The text and the part of it whose place a function finds.
fn sought(function: &Function) -> Option<(&Expr, &Expr)> {
    if !["strpos", "instr"].contains(&function_name(function).as_str()) {
        return None;
    }
    let FunctionArguments::List(list) = &function.args else {
        return None;
    };
    match list.args.as_slice() {
        [
            FunctionArg::Unnamed(FunctionArgExpr::Expr(text)),
            FunctionArg::Unnamed(FunctionArgExpr::Expr(part)),
        ] => Some((text, part)),
        _ => None,
    }
}

/// Where the rows lie that `column op value` finds, seen from the value.
fn side(op: &Op) -> Option<Compared> {
    match op {
        Op::Gt | Op::GtEq => Some(Compared::Above),
        Op::Lt | Op::LtEq => Some(Compared::Below),
        _ => None,
    }
}

/// The same with the sides exchanged.
fn opposite(how: Compared) -> Compared {
    match how {
        Compared::Above => Compared::Below,
        Compared::Below => Compared::Above,
        other => other,
    }
}

fn flatten(condition: &Expr, branches: &mut Vec<Expr>) {
    match condition {
        Expr::Nested(inner) if matches!(**inner, Expr::BinaryOp { op: Op::Or, .. }) => {
            flatten(inner, branches);
        }
        Expr::BinaryOp {
            left,
            op: Op::Or,
            right,
        } => {
            flatten(left, branches);
            flatten(right, branches);
        }
        other => branches.push(other.clone()),
    }
}

/// Whether an index can be built on the expression.
fn is_steady(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) => is_steady(inner),
        Expr::Function(function) => STEADY.contains(&function_name(function).as_str()),
        other => member(other).is_some(),
    }
}

/// The key of a member that is taken out of a document as a text: `payload ->> 'order'`.
fn member(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Nested(inner) => member(inner),
        Expr::BinaryOp {
            op: Op::LongArrow,
            right,
            ..
        } => leading_text(right),
        _ => None,
    }
}

/// A constant as it is written.
fn constant(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Nested(inner) => constant(inner),
        Expr::Value(value) => match &value.value {
            Value::Placeholder(_) | Value::Null => None,
            other => Some(other.to_string()),
        },
        Expr::Cast { expr: inner, .. } => constant(inner).map(|_| expr.to_string()),
        _ => None,
    }
}

/// Whether a pattern says how a text begins, and what its placeholder stands for.
fn pattern_of(pattern: &Expr) -> (bool, Compared) {
    match pattern {
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => pattern_of(inner),
        Expr::BinaryOp {
            left,
            op: Op::StringConcat,
            ..
        } if !placeholders(&**left).is_empty() && leading_text(left).is_none() => {
            (true, Compared::Prefix)
        }
        _ => {
            // A bound pattern may begin with anything.
            let text = leading_text(pattern);
            let begins = text.is_some_and(|text| !text.is_empty() && !text.starts_with(['%', '_']));
            (begins, Compared::Pattern)
        }
    }
}

/// The constant text that a pattern begins with.
fn leading_text(pattern: &Expr) -> Option<String> {
    match pattern {
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => leading_text(inner),
        Expr::BinaryOp {
            left,
            op: Op::StringConcat,
            ..
        } => leading_text(left),
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Some(text.clone()),
            _ => None,
        },
        _ => None,
    }
}

fn quoted(name: &str) -> String {
    super::candidate::quoted(name)
}
