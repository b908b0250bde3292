//! One statement for a list of values in place of one statement for each (N+1).

use std::collections::{BTreeMap, BTreeSet};

use speedwell_sql::Dialect;
use sqlparser::ast::{BinaryOperator as Op, Expr, GroupByExpr, Ident, SelectItem};

use super::{
    Draft, Field, Measured, RewriteKind, Unfit, judged,
    query::{Plain, expr, parts, placeholder},
    rows, run, sum, with_values,
};
use crate::advice::{
    facts::{Compared, Facts, Slot},
    ground::Ground,
    sample::Pick,
};

/// Statements that are put together in a trial, at most.
const MOST_VALUES: u64 = 20;

/// The part of the condition that changes from one statement to the next.
struct Varying {
    part: Expr,
    /// The column as it is written.
    column: String,
    number: usize,
}

/// The batched statement, if the statement is of a form that can be batched.
pub(super) fn draft(
    statement: usize,
    query: &Plain,
    facts: &Facts,
    field: &Field<'_>,
) -> Option<Draft> {
    let varying = varying(query, facts)?;
    Some(Draft {
        statement,
        kind: RewriteKind::Batch,
        sql: text(query, &varying, field.dialect)?,
        prepare: Vec::new(),
        undo: Vec::new(),
    })
}

/// The one comparison with the one placeholder.
fn varying(query: &Plain, facts: &Facts) -> Option<Varying> {
    if facts.write.is_some() || query.offset().is_some() {
        return None;
    }
    // Some outputs would need a group for each value and some would not.
    if query.looks_across_rows() && !query.is_aggregate() {
        return None;
    }
    let (number, slot) = facts.slots.iter().next()?;
    let compared = matches!(
        slot,
        Slot::Compared {
            how: Compared::Equal,
            ..
        }
    );
    let selection = query.select()?.selection.as_ref()?;
    let part = parts(selection).into_iter().find(|part| {
        matches!(part, Expr::BinaryOp { op: Op::Eq, left, right }
            if placeholder(left) == Some(*number) || placeholder(right) == Some(*number))
    })?;
    let Expr::BinaryOp { left, right, .. } = part else {
        return None;
    };
    let column = match placeholder(left) {
        Some(_) => right,
        None => left,
    };
    query.column(column)?;
    compared.then(|| Varying {
        part: part.clone(),
        column: column.to_string(),
        number: *number,
    })
}

/// The one placeholder beside that of a limit.
fn only_slot(facts: &Facts) -> Option<(&usize, &Slot)> {
    let mut slots = facts.slots.iter().filter(|(_, slot)| **slot != Slot::Limit);
    let only = slots.next()?;
    slots.next().is_none().then_some(only)
}

/// The text for all values; a limit becomes one of each value.
fn text(query: &Plain, varying: &Varying, dialect: Dialect) -> Option<String> {
    let mut batched = batched(query, varying, dialect)?;
    let Some(limit) = query.limit() else {
        return Some(batched.query.to_string());
    };
    let order = query.query.order_by.as_ref()?;
    let place = format!(
        "ROW_NUMBER() OVER (PARTITION BY {} {order})",
        varying.column
    );
    batched.query.order_by = None;
    batched.query.limit_clause = None;
    batched
        .select_mut()?
        .projection
        .push(SelectItem::ExprWithAlias {
            expr: expr(&place, dialect)?,
            alias: Ident::new("place"),
        });
    Some(format!(
        "SELECT * FROM ({}) AS ranked WHERE place <= {limit}",
        batched.query
    ))
}

/// The same for all values, each row with the value it belongs to.
fn batched(query: &Plain, varying: &Varying, dialect: Dialect) -> Option<Plain> {
    let mut batched = query.clone();
    let (column, number) = (&varying.column, varying.number);
    let list = match dialect {
        Dialect::Postgres => format!("{column} = ANY(${number})"),
        _ => format!("{column} IN (SELECT value FROM json_each(${number}))"),
    };
    if !batched.replace(&varying.part, expr(&list, dialect)?) {
        return None;
    }
    let aggregate = query.is_aggregate();
    with_column(&mut batched, &varying.column, dialect)?;
    if aggregate {
        let group = expr(column, dialect)?;
        batched.select_mut()?.group_by = GroupByExpr::Expressions(vec![group], Vec::new());
        batched.query.order_by = None;
    }
    Some(batched)
}

/// The column in front of the outputs, if it is none of them.
fn with_column(query: &mut Plain, column: &str, dialect: Dialect) -> Option<()> {
    let item = SelectItem::UnnamedExpr(expr(column, dialect)?);
    let outputs = &mut query.select_mut()?.projection;
    let is_there = |output: &SelectItem| {
        let all = matches!(output, SelectItem::Wildcard(_));
        all || output.to_string().eq_ignore_ascii_case(column)
    };
    if !outputs.iter().any(is_there) {
        outputs.insert(0, item);
    }
    Some(())
}

/// Executes one statement for each value, and the one for all.
pub(super) async fn measure<G: Ground>(
    draft: &Draft,
    query: &Plain,
    facts: &Facts,
    field: &Field<'_>,
    times: u64,
    ground: &mut G,
) -> Result<Measured, Unfit> {
    let varying = varying(query, facts).ok_or("it has no form that could be batched")?;
    let values = values(facts, field, times);
    if values.len() < 2 {
        return Err("its column holds fewer than two values to try".into());
    }
    let aggregate = query.is_aggregate();
    let mut one_by_one = query.clone();
    if !aggregate {
        with_column(&mut one_by_one, &varying.column, field.dialect)
            .ok_or("its outputs cannot be read")?;
    }
    let (mut before, mut expected) = (Vec::new(), Vec::new());
    for value in &values {
        let given = BTreeMap::from([(varying.number, value.clone())]);
        let fill = |text: &str| with_values(field, text, facts, Pick::Frequent(0), &given);
        before.push(run(ground, &fill(&facts.text)).await?);
        let mut found = rows(ground, &fill(&one_by_one.query.to_string())).await?;
        if aggregate {
            let value = Some(unquoted(value));
            found
                .iter_mut()
                .for_each(|row| row.insert(0, value.clone()));
        }
        expected.extend(found);
    }
    let given = BTreeMap::from([(varying.number, list(&values, field.dialect))]);
    let all = with_values(field, &draft.sql, facts, Pick::Frequent(0), &given);
    let after = run(ground, &all).await?;
    let mut found = rows(ground, &all).await?;
    if query.limit().is_some() {
        // The place among the rows of one value.
        found.iter_mut().for_each(|row| drop(row.pop()));
    }
    if !same(expected, found, aggregate) {
        return Err("its rows differ from those of the single statements".into());
    }
    judged(Measured {
        price: None,
        before: sum(&before),
        after,
        statements: values.len() as u64,
        tried_on: format!("{} values", values.len()),
    })
}

/// Values of the column as literals, frequent ones first.
fn values(facts: &Facts, field: &Field<'_>, times: u64) -> Vec<String> {
    let Some((number, _)) = only_slot(facts) else {
        return Vec::new();
    };
    let text = format!("${number}");
    let wanted = usize::try_from(times.min(MOST_VALUES)).unwrap_or(2);
    let mut seen = BTreeSet::new();
    let mut values = Vec::new();
    // Beyond the last value the choices repeat an absent one.
    for at in 0..wanted {
        let value = with_values(field, &text, facts, Pick::Frequent(at), &BTreeMap::new());
        if seen.insert(value.clone()) {
            values.push(value);
        }
    }
    values
}

/// The values as one parameter.
fn list(values: &[String], dialect: Dialect) -> String {
    match dialect {
        Dialect::Postgres => {
            let quoted = |value: &String| {
                let plain = unquoted(value).replace('\\', "\\\\").replace('"', "\\\"");
                format!("\"{plain}\"")
            };
            let all: Vec<String> = values.iter().map(quoted).collect();
            format!("'{{{}}}'", all.join(",").replace('\'', "''"))
        }
        _ => {
            let json = |value: &String| match value.starts_with('\'') {
                true => serde_json::Value::String(unquoted(value)).to_string(),
                false => value.clone(),
            };
            let all: Vec<String> = values.iter().map(json).collect();
            format!("'[{}]'", all.join(",").replace('\'', "''"))
        }
    }
}

fn unquoted(literal: &str) -> String {
    match literal
        .strip_prefix('\'')
        .and_then(|rest| rest.strip_suffix('\''))
    {
        Some(inner) => inner.replace("''", "'"),
        None => literal.to_owned(),
    }
}

/// The same rows in any order; a group that has no row is an aggregate of nothing.
fn same(
    mut expected: Vec<Vec<Option<String>>>,
    mut found: Vec<Vec<Option<String>>>,
    aggregate: bool,
) -> bool {
    if aggregate {
        let nothing = |row: &Vec<Option<String>>| {
            let mut outputs = row.iter().skip(1);
            outputs.all(|value| value.as_deref().is_none_or(|value| value == "0"))
        };
        expected.retain(|row| !nothing(row));
        found.retain(|row| !nothing(row));
    }
    expected.sort();
    found.sort();
    expected == found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_values_is_one_literal() {
        let values = ["'a''b'".to_owned(), "'c\"d'".to_owned()];
        assert_eq!(list(&values, Dialect::Postgres), r#"'{"a''b","c\"d"}'"#);
        assert_eq!(list(&values, Dialect::Sqlite), r#"'["a''b","c\"d"]'"#);
        let numbers = ["7".to_owned(), "8".to_owned()];
        assert_eq!(list(&numbers, Dialect::Sqlite), "'[7,8]'");
    }

    #[test]
    fn an_aggregate_of_nothing_is_a_group_that_is_missing() {
        let row = |key: &str, count: &str| vec![Some(key.to_owned()), Some(count.to_owned())];
        let single = || vec![row("1", "4"), row("2", "0")];
        assert!(same(single(), vec![row("1", "4")], true));
        assert!(!same(single(), vec![row("1", "4")], false));
        assert!(!same(single(), vec![row("1", "5")], true));
    }
}
