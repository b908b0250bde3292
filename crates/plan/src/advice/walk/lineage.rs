//! Which outputs of subqueries are nothing but placeholders: `VALUES ($1, $2)` with a name, joined to
//! tables and compared with their columns.

use sqlparser::ast::{Expr, Select, SelectItem, SetExpr};

use super::{Outputs, Scope, condition, folded, is_bare};

/// The outputs of a `SELECT`; `scope` is what is in sight inside of it.
pub(super) fn of_select(select: &Select, scope: &Scope) -> Outputs {
    let mut outputs = Outputs::new();
    for item in &select.projection {
        match item {
            SelectItem::UnnamedExpr(expr) => outputs.push((name_of(expr), carried(expr, scope))),
            SelectItem::ExprWithAlias { expr, alias } => {
                outputs.push((folded(alias), carried(expr, scope)));
            }
            _ => {
                let own = scope.blocks.last().into_iter().flatten();
                outputs.extend(own.flat_map(|binding| binding.inside.outputs.iter().cloned()));
            }
        }
    }
    outputs
}

/// The outputs of anything else: those of `VALUES`, which have no names of their own.
pub(super) fn of_body(body: &SetExpr) -> Outputs {
    let SetExpr::Values(values) = body else {
        return Outputs::new();
    };
    let mut outputs = Outputs::new();
    for row in &values.rows {
        for (at, value) in row.content.iter().enumerate() {
            if outputs.len() <= at {
                outputs.push((format!("column{}", at + 1), Vec::new()));
            }
            outputs[at].1.extend(own(value));
        }
    }
    outputs
}

/// The placeholders that an expression is, directly or as an output of a subquery in sight.
pub(super) fn carried(expr: &Expr, scope: &Scope) -> Vec<usize> {
    let (owner, name) = match expr {
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => return carried(inner, scope),
        Expr::Identifier(name) => (None, folded(name)),
        Expr::CompoundIdentifier(parts) => match parts.as_slice() {
            [.., owner, name] => (Some(folded(owner)), folded(name)),
            _ => return Vec::new(),
        },
        other => return own(other),
    };
    let bindings = scope.blocks.iter().rev().flatten();
    let mut named = bindings.filter(|each| owner.as_ref().is_none_or(|own| *own == each.name));
    let found = named.find_map(|binding| {
        let mut outputs = binding.inside.outputs.iter();
        outputs.find(|(own, _)| *own == name)
    });
    found
        .map(|(_, numbers)| numbers.clone())
        .unwrap_or_default()
}

fn own(expr: &Expr) -> Vec<usize> {
    match is_bare(expr) {
        true => condition::placeholders(expr),
        false => Vec::new(),
    }
}

/// What an output is called that has no alias.
fn name_of(expr: &Expr) -> String {
    match expr {
        Expr::Identifier(name) => folded(name),
        Expr::CompoundIdentifier(parts) => parts.last().map(folded).unwrap_or_default(),
        _ => String::new(),
    }
}
