//! The columns that are named in place of `*`: without those that hold most of the bytes. Whether the
//! program looks at them only its authors know; what they cost can be measured.

use std::collections::BTreeMap;

use sqlparser::ast::{
    JoinConstraint, JoinOperator, SelectItem, SelectItemQualifiedWildcardKind,
    WildcardAdditionalOptions,
};

use super::{
    Draft, Field, Measured, RewriteKind, Unfit,
    query::{Plain, expr, folded},
    rows, run, sum, with_values,
};
use crate::advice::{facts::Facts, ground::Ground, sample::PICKS};

/// Characters of a column on average from which on it may be worth leaving out: more than any
/// number, date, name or address has.
const WIDE: usize = 200;
/// Of the bytes of all rows so many must go, as a part.
const LEAST_SAVED: usize = 2;

/// Rows that are compared at most: they are held in memory, long texts and all.
const MOST_ROWS: f64 = 20_000.0;

/// An output of a query.
enum Star {
    /// No star.
    No,
    /// All columns of these tables, one after the other.
    Of(Vec<usize>),
    /// It leaves something out or puts columns together.
    Other,
}

/// The query with its columns named, and whether each of its outputs is kept.
pub(super) fn draft(
    statement: usize,
    query: &Plain,
    field: &Field<'_>,
) -> Option<(Draft, Vec<bool>)> {
    let select = query.select()?;
    let mut outputs = Vec::new();
    let mut projection = Vec::new();
    let (mut all, mut kept) = (0, 0);
    for item in &select.projection {
        let bindings = match starred(item, query) {
            Star::Of(bindings) => bindings,
            Star::Other => return None,
            Star::No => {
                outputs.push(true);
                projection.push(item.clone());
                continue;
            }
        };
        for binding in bindings {
            let table = query.table(binding)?;
            for column in &table.columns {
                let width = field.samples.width(&table.name, &column.name);
                let is_kept = width < WIDE;
                outputs.push(is_kept);
                all += width;
                if is_kept {
                    kept += width;
                    let written = query.written(binding, &column.name);
                    projection.push(SelectItem::UnnamedExpr(expr(&written, field.dialect)?));
                }
            }
        }
    }
    let is_wide = kept * LEAST_SAVED <= all && kept < all;
    if !is_wide || projection.is_empty() {
        return None;
    }
    let mut rewritten = query.clone();
    rewritten.select_mut()?.projection = projection;
    let draft = Draft {
        statement,
        kind: RewriteKind::Columns,
        sql: rewritten.query.to_string(),
        prepare: Vec::new(),
        undo: Vec::new(),
    };
    Some((draft, outputs))
}

fn starred(item: &SelectItem, query: &Plain) -> Star {
    let is_plain = |options: &WildcardAdditionalOptions| {
        *options
            == WildcardAdditionalOptions {
                wildcard_token: options.wildcard_token.clone(),
                ..WildcardAdditionalOptions::default()
            }
    };
    match item {
        SelectItem::Wildcard(options) if is_plain(options) && are_apart(query) => {
            let tables = (0..).take_while(|at| query.table(*at).is_some());
            Star::Of(tables.collect())
        }
        SelectItem::QualifiedWildcard(
            SelectItemQualifiedWildcardKind::ObjectName(name),
            options,
        ) if is_plain(options) => {
            let name = name.0.last().and_then(|part| part.as_ident());
            match name.and_then(|name| query.binding(&folded(name))) {
                Some(table) => Star::Of(vec![table]),
                None => Star::Other,
            }
        }
        SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) => Star::Other,
        _ => Star::No,
    }
}

/// Whether no join makes one column of two.
fn are_apart(query: &Plain) -> bool {
    let joins = query.select().map(|select| &select.from);
    let mut joins = joins.into_iter().flatten().flat_map(|from| &from.joins);
    joins.all(|join| match &join.join_operator {
        JoinOperator::CrossJoin(_) => true,
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint) => matches!(constraint, JoinConstraint::On(_)),
        _ => false,
    })
}

/// Executes both ways for every choice of values; what is kept must be the same.
pub(super) async fn measure<G: Ground>(
    draft: &Draft,
    outputs: &[bool],
    query: &Plain,
    facts: &Facts,
    field: &Field<'_>,
    ground: &mut G,
) -> Result<Measured, Unfit> {
    let (mut before, mut after) = (Vec::new(), Vec::new());
    let (mut old_bytes, mut new_bytes) = (0, 0);
    let text = query.query.to_string();
    for pick in PICKS {
        let fill = |text: &str| with_values(field, text, facts, pick, &BTreeMap::new());
        let whole = run(ground, &fill(&text)).await?;
        if whole.rows > MOST_ROWS {
            return Err("it reads too many rows to compare them".into());
        }
        let mut old = rows(ground, &fill(&text)).await?;
        let mut new = rows(ground, &fill(&draft.sql)).await?;
        old_bytes += bytes(&old);
        new_bytes += bytes(&new);
        for row in &mut old {
            let outputs = row.drain(..).zip(outputs);
            let kept: Vec<_> = outputs.filter(|(_, is_kept)| **is_kept).collect();
            row.extend(kept.into_iter().map(|(value, _)| value));
        }
        old.sort_unstable();
        new.sort_unstable();
        if old != new {
            return Err("its rows are others, or come in no certain order".into());
        }
        before.push(whole);
        after.push(run(ground, &fill(&draft.sql)).await?);
    }
    if old_bytes == 0 {
        return Err("no values could be chosen with which it reads anything".into());
    }
    let measured = Measured {
        price: None,
        before: sum(&before),
        after: sum(&after),
        statements: 1,
        tried_on: format!(
            "{} choices of values, {old_bytes} -> {new_bytes} bytes of rows",
            PICKS.len()
        ),
    };
    match new_bytes * LEAST_SAVED <= old_bytes {
        true => Ok(measured),
        false => Err(Unfit::NotCheaper(Box::new(measured))),
    }
}

fn bytes(rows: &[Vec<Option<String>>]) -> usize {
    let values = rows.iter().flatten().flatten();
    values.map(String::len).sum()
}
