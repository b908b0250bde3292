//! A page that begins behind the last row of the page before, in place of an `OFFSET`.

use std::collections::BTreeMap;

use speedwell_sql::Dialect;
use sqlparser::ast::{
    Expr, OrderBy, OrderByExpr, OrderByKind, OrderByOptions, OrderBySort, SelectItem,
};

use super::{
    Draft, Field, Measured, RewriteKind, Unfit, judged,
    query::{Plain, Term, expr, placeholder},
    rows, run, with_values,
};
use crate::advice::{facts::Facts, ground::Ground, sample::Pick};

/// Rows before the page that is tried: the deepest that has rows.
const DEPTHS: [usize; 6] = [100_000, 10_000, 2_000, 500, 100, 20];
/// Choices of values that are tried for a page that deep.
const PICKS: [Pick; 4] = [
    Pick::Frequent(0),
    Pick::Frequent(1),
    Pick::Row(30),
    Pick::Rare,
];

/// What the next page begins behind.
pub(super) struct Keys {
    terms: Vec<Term>,
    /// The query sorted by all of them.
    sorted: Plain,
    /// Number of the first placeholder that takes a key.
    first: usize,
    /// That of the others.
    next: usize,
}

/// The statement with its keys in place of the offset; the error is why it has none.
pub(super) fn draft(
    statement: usize,
    query: &Plain,
    field: &Field<'_>,
) -> Result<(Draft, Keys), String> {
    let keys = keys(query, field.dialect)?;
    let numbers: Vec<String> = (0..keys.terms.len())
        .map(|at| format!("${}", keys.number(at)))
        .collect();
    let behind = behind(&keys, &numbers, field.dialect).ok_or("its condition cannot be written")?;
    Ok((
        Draft {
            statement,
            kind: RewriteKind::Keyset,
            sql: behind.query.to_string(),
            prepare: Vec::new(),
            undo: Vec::new(),
        },
        keys,
    ))
}

impl Keys {
    /// The offset's own placeholder is free; the others come behind the last one.
    fn number(&self, at: usize) -> usize {
        match at {
            0 => self.first,
            at => self.next + at - 1,
        }
    }
}

fn keys(query: &Plain, dialect: Dialect) -> Result<Keys, String> {
    if query.looks_across_rows() {
        return Err("its outputs look across rows".to_owned());
    }
    let mut terms = query
        .order()
        .filter(|terms| !terms.is_empty())
        .ok_or("it is not sorted by columns alone, so that no row says where a page ends")?;
    if !query.joins_to_one() {
        return Err("a join may repeat a row, and no column tells the copies apart".to_owned());
    }
    let table = query.table(0).ok_or("it reads no table")?;
    let own: Vec<&str> = terms
        .iter()
        .filter(|term| term.binding == 0)
        .map(|term| term.column.as_str())
        .collect();
    if !table.is_unique(&own) {
        let descending = terms.last().is_some_and(|term| term.descending);
        if table.primary_key.is_empty() {
            return Err(format!(
                "rows of {} that are equal in its order cannot be told apart: the table has no primary key",
                table.name
            ));
        }
        let missing: Vec<Term> = table
            .primary_key
            .iter()
            .filter(|name| !own.contains(&name.as_str()))
            .map(|name| Term {
                text: query.written(0, name),
                binding: 0,
                column: name.clone(),
                descending,
            })
            .collect();
        terms.extend(missing);
    }
    let mut sorted = query.clone();
    sorted.query.order_by = Some(order(&terms, dialect).ok_or("its order cannot be written")?);
    let next = query.placeholders + 1;
    let freed = query.offset().and_then(placeholder);
    Ok(Keys {
        terms,
        sorted,
        first: freed.unwrap_or(next),
        next: if freed.is_some() { next } else { next + 1 },
    })
}

fn order(terms: &[Term], dialect: Dialect) -> Option<OrderBy> {
    let term = |term: &Term| {
        Some(OrderByExpr {
            expr: expr(&term.text, dialect)?,
            options: OrderByOptions {
                sort: term.descending.then_some(OrderBySort::Desc),
                nulls_first: None,
            },
            with_fill: None,
        })
    };
    Some(OrderBy {
        kind: OrderByKind::Expressions(terms.iter().map(term).collect::<Option<_>>()?),
        interpolate: None,
    })
}

/// The sorted query from behind these values on.
fn behind(keys: &Keys, values: &[String], dialect: Dialect) -> Option<Plain> {
    let mut query = keys.sorted.clone();
    query.and(&condition(&keys.terms, values), dialect)?;
    let limit = query.limit().cloned();
    query.query = query.with_page(limit, None);
    Some(query)
}

/// What comes behind a row in the order: one comparison of rows if all terms go one way.
fn condition(terms: &[Term], values: &[String]) -> String {
    let texts: Vec<&str> = terms.iter().map(|term| term.text.as_str()).collect();
    let sign = |term: &Term| if term.descending { "<" } else { ">" };
    let one_way = terms
        .iter()
        .all(|term| term.descending == terms[0].descending);
    match terms {
        [only] => format!("{} {} {}", only.text, sign(only), values[0]),
        _ if one_way => format!(
            "({}) {} ({})",
            texts.join(", "),
            sign(&terms[0]),
            values.join(", ")
        ),
        _ => {
            let branch = |at: usize| {
                let equal = (0..at).map(|before| format!("{} = {}", texts[before], values[before]));
                let last = format!("{} {} {}", texts[at], sign(&terms[at]), values[at]);
                let all: Vec<String> = equal.chain([last]).collect();
                format!("({})", all.join(" AND "))
            };
            let branches: Vec<String> = (0..terms.len()).map(branch).collect();
            // The first term by itself is what an index can be searched by.
            let first = format!("{} {}= {}", texts[0], sign(&terms[0]), values[0]);
            format!("{first} AND ({})", branches.join(" OR "))
        }
    }
}

/// Reads a deep page both ways.
pub(super) async fn measure<G: Ground>(
    query: &Plain,
    keys: &Keys,
    facts: &Facts,
    field: &Field<'_>,
    ground: &mut G,
) -> Result<Measured, Unfit> {
    let at = |plain: &Plain, depth: usize, pick: Pick| {
        let offset = expr(&depth.to_string(), field.dialect);
        let page = plain.with_page(plain.limit().cloned(), offset);
        with_values(field, &page.to_string(), facts, pick, &BTreeMap::new())
    };
    for depth in DEPTHS {
        for pick in PICKS {
            let old = at(query, depth, pick);
            if rows(ground, &old).await?.is_empty() {
                continue;
            }
            let border = border(keys, facts, field, depth, pick, ground).await?;
            let new =
                behind(keys, &border, field.dialect).ok_or("its condition cannot be written")?;
            let new = with_values(field, &new.query.to_string(), facts, pick, &BTreeMap::new());
            let expected = rows(ground, &at(&keys.sorted, depth, pick)).await?;
            if expected != rows(ground, &new).await? {
                return Err("its rows differ from those of the page with an OFFSET".into());
            }
            return judged(Measured {
                price: None,
                before: run(ground, &old).await?,
                after: run(ground, &new).await?,
                statements: 1,
                tried_on: format!("the page behind {depth} rows"),
            });
        }
    }
    Err("no choice of values has a second page to try".into())
}

/// The keys of the row before the page, as literals.
async fn border<G: Ground>(
    keys: &Keys,
    facts: &Facts,
    field: &Field<'_>,
    depth: usize,
    pick: Pick,
    ground: &mut G,
) -> Result<Vec<String>, Unfit> {
    let mut query = keys.sorted.clone();
    let outputs: Option<Vec<SelectItem>> = keys
        .terms
        .iter()
        .map(|term| {
            let text = format!("CAST({} AS TEXT)", term.text);
            expr(&text, field.dialect).map(SelectItem::UnnamedExpr)
        })
        .collect();
    let select = query.select_mut().ok_or("it is not one query")?;
    select.projection = outputs.ok_or("its keys cannot be read")?;
    let number = |number: usize| -> Option<Expr> { expr(&number.to_string(), field.dialect) };
    let page = query.with_page(number(1), number(depth - 1));
    let text = with_values(field, &page.to_string(), facts, pick, &BTreeMap::new());
    let found = rows(ground, &text).await?;
    let row = found.first().ok_or("the row before the page is missing")?;
    let literal = |(term, value): (&Term, &Option<String>)| {
        let value = value.as_ref()?;
        let table = keys.sorted.table(term.binding)?;
        Some(
            field
                .samples
                .written(value, table, &term.column, field.dialect),
        )
    };
    let literals: Option<Vec<String>> = keys.terms.iter().zip(row).map(literal).collect();
    literals.ok_or_else(|| "a column of its order holds NULL, behind which nothing is".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn term(column: &str, descending: bool) -> Term {
        Term {
            text: column.to_owned(),
            binding: 0,
            column: column.to_owned(),
            descending,
        }
    }

    #[test]
    fn what_comes_behind_a_row_follows_the_directions() {
        let values = ["$1".to_owned(), "$2".to_owned()];
        let of = |first, second| condition(&[term("a", first), term("b", second)], &values);
        assert_eq!(of(true, true), "(a, b) < ($1, $2)");
        assert_eq!(of(false, false), "(a, b) > ($1, $2)");
        assert_eq!(
            of(true, false),
            "a <= $1 AND ((a < $1) OR (a = $1 AND b > $2))"
        );
        assert_eq!(condition(&[term("a", true)], &values), "a < $1");
    }
}
