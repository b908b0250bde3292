//! Chatty: more statements, or more rows, than the route's budget allows.

use std::cmp::Reverse;

use super::{
    Detector, View,
    wording::{beginning, number, rows as in_rows, times},
};
use crate::{Cost, Finding, FindingKind, Observation, Proof};

/// Requests over their budget of statements or rows. Says nothing without a budget.
pub(super) struct Chatty;

impl Detector for Chatty {
    fn kind(&self) -> FindingKind {
        FindingKind::Chatty
    }

    fn inspect(&self, view: &View<'_>, out: &mut Observation) {
        let findings = [statements(view), rows(view)].into_iter().flatten();
        for finding in findings {
            // One statement can break both limits: that is one finding with two sentences.
            match out.findings.iter_mut().find(|known| known.id == finding.id) {
                Some(known) => {
                    known.summary = format!("{} {}", known.summary, finding.summary);
                    known.evidence.extend(finding.evidence);
                    known.cost.rows = finding.cost.rows;
                }
                None => out.findings.push(finding),
            }
        }
    }
}

fn statements(view: &View<'_>) -> Option<Finding> {
    let limit = view.budget?.statements?;
    let work: Vec<usize> = view.work().map(|(place, _)| place).collect();
    let count = work.len() as u64 + view.request.statements_dropped;
    if count <= limit {
        return None;
    }
    let mut shapes: Vec<(usize, u64)> = view
        .groups_of(|_| true)
        .map(|group| (group.runs[0], group.runs.len() as u64))
        .collect();
    shapes.sort_by_key(|&(place, executions)| (Reverse(executions), place));
    let &(most, _) = shapes.first()?;
    Some(Finding {
        count,
        cost: Cost {
            statements: count - limit,
            rows: 0,
            time: view.time(&work),
        },
        summary: format!(
            "{} statements ran; the budget is {}.",
            number(count),
            number(limit)
        ),
        evidence: shapes
            .iter()
            .take(3)
            .map(|&(place, executions)| {
                format!(
                    "{} ran {}.",
                    beginning(&view.text(place), 80),
                    times(executions)
                )
            })
            .collect(),
        remedy: "Join what belongs together, read lists in one statement, and leave out what the \
                 answer does not show."
            .to_owned(),
        ..view.finding(FindingKind::Chatty, most, Proof::Proved)
    })
}

fn rows(view: &View<'_>) -> Option<Finding> {
    let limit = view.budget?.rows?;
    let fetched = view.request.rows_fetched()?;
    if fetched <= limit {
        return None;
    }
    let most = view
        .groups_of(|_| true)
        .map(|group| (view.rows(&group.runs), group.runs[0]))
        .min_by_key(|&(rows, place)| (Reverse(rows), place))?;
    let (rows, place) = most;
    Some(Finding {
        count: view.work().count() as u64,
        cost: Cost {
            statements: 0,
            rows: fetched - limit,
            time: view.request.database_time(),
        },
        summary: format!(
            "{} rows were fetched; the budget is {}.",
            number(fetched),
            number(limit)
        ),
        evidence: vec![format!(
            "{} came from: {}",
            in_rows(rows),
            beginning(&view.text(place), 120)
        )],
        remedy: "Limit the list, or let the database count or add up what the answer shows only \
                 as a number."
            .to_owned(),
        ..view.finding(FindingKind::Chatty, place, Proof::Proved)
    })
}
