//! Deep offset: a page is found by skipping all rows before it.

use speedwell_sql::{Dialect, Kind, Limit, structure};

use super::{
    Detector, View,
    wording::{millis, number, rows},
};
use crate::{Cost, Finding, FindingKind, Observation, Proof};

/// Reads with an `OFFSET` over the threshold. One given by placeholder is shown by growth only.
pub(super) struct DeepOffset;

impl Detector for DeepOffset {
    fn kind(&self) -> FindingKind {
        FindingKind::DeepOffset
    }

    fn inspect(&self, view: &View<'_>, out: &mut Observation) {
        for group in view.groups_of(|shape| shape.kind == Kind::Select && shape.offset.is_some()) {
            let literal = |place: usize| match view.runs[place].shape.offset {
                Some(Limit::Literal(rows)) => Some(rows),
                Some(Limit::Unknown) | None => None,
            };
            let deepest = group
                .runs
                .iter()
                .filter_map(|&place| literal(place).map(|rows| (rows, place)))
                .max_by_key(|&(rows, place)| (rows, std::cmp::Reverse(place)));
            let count = group.runs.len() as u64;
            match deepest {
                None => out.suppressed.push(view.suppressed(
                    FindingKind::DeepOffset,
                    group.runs[0],
                    count,
                    "offset value hidden",
                )),
                Some((skipped, place)) if skipped >= view.thresholds.deep_offset => {
                    out.findings.push(report(view, &group.runs, skipped, place));
                }
                Some(_) => {}
            }
        }
    }
}

fn report(view: &View<'_>, runs: &[usize], skipped: u64, place: usize) -> Finding {
    let statement = view.runs[place].statement;
    let kept = match statement.rows_returned {
        Some(kept) => format!(" to return {}", number(kept)),
        None => String::new(),
    };
    Finding {
        count: runs.len() as u64,
        cost: Cost {
            statements: 0,
            rows: skipped,
            time: view.time(runs),
        },
        summary: format!(
            "The database read and threw away {}{kept}, in {}.",
            rows(skipped),
            millis(statement.duration)
        ),
        evidence: vec![format!(
            "OFFSET {skipped} makes it walk past that many rows, and every further page costs more."
        )],
        remedy: keyset_remedy(&statement.text, statement.dialect),
        ..view.finding(FindingKind::DeepOffset, place, Proof::Proved)
    }
}

/// How the page of a statement is found by key instead: in the statement's own order if it is an
/// order of plain columns that all run the same way, else in words.
pub fn keyset_remedy(text: &str, dialect: Dialect) -> String {
    let order = structure(text, dialect, &|_| Vec::new())
        .map(|found| found.order)
        .unwrap_or_default();
    let Some(first) = order.first() else {
        return "Start after the last key of the page before: order by a unique key, and ask for the rows behind \
                the last one shown, with an index on that key."
            .to_owned();
    };
    let columns: Vec<&str> = order.iter().map(|by| by.column.as_str()).collect();
    if order.iter().any(|by| by.descending != first.descending) {
        return format!(
            "Start after the last key of the page before: compare ({}) with that of the last row shown, with an \
             index in the same order; columns that run different ways need one comparison each, joined by OR.",
            columns.join(", ")
        );
    }
    let mark = |at: usize| match dialect {
        Dialect::Postgres => format!("${}", at + 1),
        Dialect::Sqlite | Dialect::MySql => "?".to_owned(),
    };
    let marks: Vec<String> = (0..columns.len()).map(mark).collect();
    let direction = if first.descending { " DESC" } else { "" };
    let sorted: Vec<String> = columns
        .iter()
        .map(|column| format!("{column}{direction}"))
        .collect();
    format!(
        "Start after the last row of the page before, with an index on ({columns}); the last column must be unique:\n\
         WHERE ({columns}) {operator} ({marks})\nORDER BY {sorted}\nLIMIT {limit}",
        columns = columns.join(", "),
        operator = if first.descending { "<" } else { ">" },
        marks = marks.join(", "),
        sorted = sorted.join(", "),
        limit = mark(columns.len()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_by_key_keeps_the_order_of_the_statement() {
        let text = "SELECT id FROM items ORDER BY created_at DESC, id DESC LIMIT $1 OFFSET $2";
        assert_eq!(
            keyset_remedy(text, Dialect::Sqlite),
            "Start after the last row of the page before, with an index on (created_at, id); the last column must be unique:\n\
             WHERE (created_at, id) < (?, ?)\nORDER BY created_at DESC, id DESC\nLIMIT ?"
        );
        assert!(
            keyset_remedy(
                "SELECT id FROM t ORDER BY a, b LIMIT 9 OFFSET 9",
                Dialect::Postgres
            )
            .contains("WHERE (a, b) > ($1, $2)\nORDER BY a, b\nLIMIT $3")
        );
    }

    #[test]
    fn an_order_that_one_comparison_cannot_follow_is_said_in_words() {
        let mixed = keyset_remedy(
            "SELECT id FROM t ORDER BY a DESC, b LIMIT 9 OFFSET 9",
            Dialect::Sqlite,
        );
        assert!(mixed.contains("one comparison each"), "{mixed}");
        let none = keyset_remedy("SELECT id FROM t LIMIT 9 OFFSET 9", Dialect::Sqlite);
        assert!(none.contains("order by a unique key"), "{none}");
    }
}
