//! Count per page: all matching rows are counted to show one page of them.

use speedwell_sql::{Kind, Limit, Shape};

use super::{
    Detector, Run, View,
    wording::{beginning, millis},
};
use crate::{Cost, Finding, FindingKind, Observation, Proof};

/// A count of a table beside a page of the same table.
pub(super) struct CountPerPage;

impl Detector for CountPerPage {
    fn kind(&self) -> FindingKind {
        FindingKind::CountPerPage
    }

    fn inspect(&self, view: &View<'_>, out: &mut Observation) {
        for group in view.groups_of(is_full_count) {
            let count = group.runs[0];
            let Some(page) = page_of_same_table(view, &view.runs[count]) else {
                continue;
            };
            let time = view.time(&group.runs);
            out.findings.push(Finding {
                parent: Some(view.text(page)),
                count: group.runs.len() as u64,
                cost: Cost {
                    statements: group.runs.len() as u64,
                    rows: 0,
                    time,
                },
                summary: format!(
                    "All matching rows were counted beside one page of them, in {}.",
                    millis(time)
                ),
                evidence: vec![format!(
                    "The page reads the same table with a limit: {}",
                    beginning(&view.text(page), 120)
                )],
                remedy: "Fetch one row more than the page to know whether there is a next one; \
                         count up to a cap (SELECT COUNT(*) FROM (SELECT 1 … LIMIT 1001)), or keep \
                         the number in a column."
                    .to_owned(),
                ..view.finding(FindingKind::CountPerPage, count, Proof::Likely)
            });
        }
    }
}

/// Counts without a cap.
fn is_full_count(shape: &Shape) -> bool {
    shape.kind == Kind::Select && shape.counts && shape.single_row && !shape.nested_limit
}

fn page_of_same_table(view: &View<'_>, count: &Run<'_>) -> Option<usize> {
    let is_page = |run: &Run<'_>| {
        let shape = &run.shape;
        shape.kind == Kind::Select
            && !shape.single_row
            && !matches!(shape.limit, None | Some(Limit::Literal(0 | 1)))
            && read_same_table(run, count)
    };
    view.work()
        .find(|(_, run)| is_page(run))
        .map(|(place, _)| place)
}

/// Whether both go through one table: the first that they name, because those joined to it only
/// add to its rows. If that is not known, any table that both name.
fn read_same_table(page: &Run<'_>, count: &Run<'_>) -> bool {
    if !(page.shape.tables.iter()).any(|table| count.shape.tables.contains(table)) {
        return false;
    }
    match (first_table(page), first_table(count)) {
        (Some(page), Some(count)) => page == count,
        _ => true,
    }
}

fn first_table<'a>(run: &'a Run<'_>) -> Option<&'a str> {
    let (name, _) = run.known.structure(run.statement)?.tables.first()?;
    Some(name)
}
