//! Over-fetch: many more rows are fetched than the answer shows.

use std::cmp::Reverse;

use speedwell_sql::Kind;

use super::{
    Detector, View,
    wording::{beginning, millis, number, rows as in_rows},
};
use crate::{Cost, Finding, FindingKind, Observation, Proof};

/// Requests whose answer is small beside what was fetched for it. Needs the rows of the answer.
pub(super) struct OverFetch;

impl Detector for OverFetch {
    fn kind(&self) -> FindingKind {
        FindingKind::OverFetch
    }

    fn inspect(&self, view: &View<'_>, out: &mut Observation) {
        out.findings.extend(finding(view));
    }
}

fn finding(view: &View<'_>) -> Option<Finding> {
    let shown = view.request.rows_answered?;
    // One object is an answer too.
    let answered = shown.max(1);
    let budget = view.budget.and_then(|budget| budget.rows_per_row);
    let ratio = budget.unwrap_or(view.thresholds.over_fetch_ratio);
    let reads: Vec<(u64, usize, &[usize])> = view
        .groups_of(|shape| shape.kind == Kind::Select)
        .map(|group| (view.rows(&group.runs), group.runs[0], &*group.runs))
        .collect();
    let fetched = reads
        .iter()
        .map(|(rows, ..)| *rows)
        .fold(0, u64::saturating_add);
    let excess = fetched.saturating_sub(answered);
    if fetched as f64 <= ratio * answered as f64 || excess < view.thresholds.over_fetch_excess {
        return None;
    }
    let (rows, place, positions) = reads
        .into_iter()
        .min_by_key(|&(rows, place, _)| (Reverse(rows), place))?;
    Some(Finding {
        count: positions.len() as u64,
        cost: Cost {
            statements: 0,
            rows: excess,
            time: view.time(positions),
        },
        summary: format!(
            "{} were fetched for an answer of {}; {ratio:.1} per row is the limit.",
            in_rows(fetched),
            in_rows(shown),
        ),
        evidence: vec![format!(
            "{} of the {} rows came from this statement, in {}: {}",
            number(rows),
            number(fetched),
            millis(view.time(positions)),
            beginning(&view.text(place), 120)
        )],
        remedy: "Fetch only what the answer shows: a LIMIT per list, an aggregate in SQL in place \
                 of counting rows in code, no joined collection that nobody reads."
            .to_owned(),
        ..view.finding(FindingKind::OverFetch, place, Proof::Proved)
    })
}
