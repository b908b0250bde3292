//! Slow: one statement that takes longer than the threshold.

use super::{Detector, View, wording::millis};
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
                cost: Cost { time: view.time(&slow), ..Cost::default() },
                summary: format!(
                    "One statement took {}; the limit is {}.",
                    millis(duration(slowest)),
                    millis(limit)
                ),
                evidence: vec![match rows {
                    Some(rows) => format!(
                        "{} of {} executions were over the limit; the slowest returned {rows} rows.",
                        slow.len(),
                        group.runs.len()
                    ),
                    None => format!(
                        "{} of {} executions were over the limit.",
                        slow.len(),
                        group.runs.len()
                    ),
                }],
                remedy: "Look at its plan: an index, a limit or fewer columns may mend it."
                    .to_owned(),
                ..view.finding(FindingKind::Slow, slowest, Proof::Proved)
            });
        }
    }
}
