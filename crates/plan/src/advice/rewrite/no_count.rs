//! A row more than the page has, in place of a count of all rows.

use std::collections::BTreeMap;

use speedwell_sql::Dialect;

use super::{
    Draft, Field, Measured, RewriteKind, Unfit, judged,
    query::{Plain, expr},
    rows, run, sum, with_values,
};
use crate::advice::{facts::Facts, ground::Ground, sample::PICKS};

/// The page that the count belongs to: asked for with a limit one higher, it makes the count
/// needless.
pub(super) fn draft(
    statement: usize,
    count: &Plain,
    all: &[Option<Plain>],
    field: &Field<'_>,
) -> Option<(usize, Draft)> {
    let items = &count.select()?.projection;
    let counts = items.len() == 1
        && count.is_aggregate()
        && items[0].to_string().to_lowercase().starts_with("count(");
    if !counts || count.limit().is_some() {
        return None;
    }
    let wanted = searched(count, field.dialect)?;
    let page = all.iter().position(|other| {
        other.as_ref().is_some_and(|other| {
            other.limit().is_some() && searched(other, field.dialect).as_ref() == Some(&wanted)
        })
    })?;
    let text = all[page].as_ref()?.query.to_string();
    Some((
        page,
        Draft {
            statement,
            kind: RewriteKind::NoCount,
            sql: text,
            prepare: Vec::new(),
            undo: Vec::new(),
        },
    ))
}

/// What a query searches, whatever its placeholders are numbered. A join that neither adds nor
/// takes rows is left out with everything behind it, for a count needs none.
fn searched(query: &Plain, dialect: Dialect) -> Option<String> {
    let select = query.select()?;
    let [from] = select.from.as_slice() else {
        return None;
    };
    let left = from.joins.iter().all(|join| {
        let text = join.to_string().trim_start().to_uppercase();
        text.starts_with("LEFT")
    });
    let tables = match left && query.joins_to_one() {
        true => from.relation.to_string(),
        false => from.to_string(),
    };
    let condition = select.selection.as_ref().map(ToString::to_string);
    let text = format!("{tables} WHERE {}", condition.unwrap_or_default());
    Some(speedwell_sql::normalize(&without_numbers(&text), dialect))
}

fn without_numbers(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut numbered = false;
    for c in text.chars() {
        if !(numbered && c.is_ascii_digit()) {
            plain.push(c);
            numbered = c == '$';
            if numbered {
                plain.push('0');
            }
        }
    }
    plain
}

/// The page with a row more.
fn longer(page: &Plain, dialect: Dialect) -> Option<String> {
    let limit = expr(&format!("{} + 1", page.limit()?), dialect)?;
    Some(
        page.with_page(Some(limit), page.offset().cloned())
            .to_string(),
    )
}

/// Executes the count and the page, and the longer page, for every choice of values.
pub(super) async fn measure<G: Ground>(
    (count, count_facts): (&Plain, &Facts),
    (page, page_facts): (&Plain, &Facts),
    field: &Field<'_>,
    ground: &mut G,
) -> Result<Measured, Unfit> {
    let longer = longer(page, field.dialect).ok_or("its limit cannot be written")?;
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for pick in PICKS {
        let fill =
            |text: &str, facts: &Facts| with_values(field, text, facts, pick, &BTreeMap::new());
        let counting = fill(&count.query.to_string(), count_facts);
        let short = fill(&page.query.to_string(), page_facts);
        let long = fill(&longer, page_facts);
        let all = rows(ground, &counting).await?;
        let all = all.first().and_then(|row| row.first().cloned().flatten());
        let all: usize = all
            .and_then(|text| text.parse().ok())
            .ok_or("its count is not a number")?;
        let shown = rows(ground, &short).await?.len();
        let found = rows(ground, &long).await?.len();
        if (all > shown) != (found > shown) {
            return Err("the row more does not tell whether there are further ones".into());
        }
        before.push(run(ground, &counting).await?);
        before.push(run(ground, &short).await?);
        after.push(run(ground, &long).await?);
    }
    judged(Measured {
        price: None,
        before: sum(&before),
        after: sum(&after),
        statements: 2,
        tried_on: format!("{} choices of values", after.len()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_alike_whatever_their_numbers() {
        assert_eq!(without_numbers("a = $12 AND b = $3"), "a = $0 AND b = $0");
    }
}
