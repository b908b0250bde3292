//! Unbounded list: a list is read without a limit.

use speedwell_sql::{Kind, Shape};

use super::{
    Detector, View,
    wording::{millis, rows as in_rows},
};
use crate::{Cost, Finding, FindingKind, Observation, Proof};

/// Lists without a limit that returned many rows. Growth shows whether they grow with the data.
pub(super) struct UnboundedList;

/// Whether a statement reads a list that nothing bounds: no limit, not one row of aggregates, not
/// a batch by a list of values, not joined to a limited page of rows. Its rows may still be few by nature; only growth can tell.
pub fn is_list_without_limit(shape: &Shape) -> bool {
    shape.kind == Kind::Select
        && shape.limit.is_none()
        && !shape.source_limit
        && !shape.single_row
        && !shape.batch
        && !shape.tables.is_empty()
}

impl Detector for UnboundedList {
    fn kind(&self) -> FindingKind {
        FindingKind::UnboundedList
    }

    fn inspect(&self, view: &View<'_>, out: &mut Observation) {
        for group in view.groups_of(is_list_without_limit) {
            let rows = |place: usize| view.runs[place].statement.rows_returned.unwrap_or(0);
            let Some(longest) = group.runs.iter().copied().max_by_key(|&place| rows(place)) else {
                continue;
            };
            let most = rows(longest);
            if most < view.thresholds.unbounded_rows {
                continue;
            }
            out.findings.push(Finding {
                count: group.runs.len() as u64,
                cost: Cost {
                    statements: 0,
                    rows: most,
                    time: view.time(&group.runs),
                },
                summary: format!(
                    "A list without LIMIT returned {} in {}.",
                    in_rows(most),
                    millis(view.runs[longest].statement.duration)
                ),
                evidence: vec![
                    "Nothing in the statement bounds its rows, so they may grow with the data."
                        .to_owned(),
                ],
                remedy: "Read it in pages: ORDER BY a unique key, LIMIT, and start after the last \
                         key of the page before."
                    .to_owned(),
                ..view.finding(FindingKind::UnboundedList, longest, Proof::Possible)
            });
        }
    }
}
