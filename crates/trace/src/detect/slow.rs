//! Slow: one statement that takes longer than the threshold.

use super::{
    Detector, View,
    wording::{millis, number, rows as in_rows},
};
use crate::{Cost, Finding, FindingKind, Observation, Proof};

/// Statements over the threshold, strictly.
pub(super) struct Slow;

impl Detector for Slow {
    fn kind(&self) -> FindingKind {
        FindingKind::Slow
    }

    fn inspect(&self, view: &View<'_>, out: &mut Observation) {
        let budget = view.budget.and_then(|budget| budget.statement_time);
        let limit = budget.unwrap_or(view.thresholds.slow);
        let duration = |place: usize| view.runs[place].statement.duration;
        for group in &view.groups {
            let slow: Vec<usize> = group
                .runs
                .iter()
                .copied()
                .filter(|&place| duration(place) > limit)
                .collect();
            let Some(slowest) = slow.iter().copied().max_by_key(|&place| duration(place)) else {
                continue;
            };
            let rows = view.runs[slowest].statement.rows_returned;
            out.findings.push(Finding {
                count: slow.len() as u64,
                cost: Cost {
                    time: view.time(&slow),
                    ..Cost::default()
                },
                summary: format!(
                    "One statement took {}; the limit is {}.",
                    millis(duration(slowest)),
                    millis(limit)
                ),
                evidence: vec![evidence(slow.len() as u64, group.runs.len() as u64, rows)],
                remedy: "Look at its plan: an index, a limit or fewer columns may mend it."
                    .to_owned(),
                ..view.finding(FindingKind::Slow, slowest, Proof::Proved)
            });
        }
    }
}

/// How many were slow, and how much the slowest returned.
fn evidence(slow: u64, all: u64, rows: Option<u64>) -> String {
    let returned = rows.map(|rows| format!(" returned {}", in_rows(rows)));
    match (all, returned) {
        (1, None) => "It ran once.".to_owned(),
        (1, Some(returned)) => format!("It ran once and{returned}."),
        (_, returned) => {
            let verb = if slow == 1 { "was" } else { "were" };
            let slowest = returned.map(|returned| format!("; the slowest{returned}"));
            format!(
                "{} of {} executions {verb} over the limit{}.",
                number(slow),
                number(all),
                slowest.unwrap_or_default()
            )
        }
    }
}
