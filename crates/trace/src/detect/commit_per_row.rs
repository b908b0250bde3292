//! Commit per row: each write of a loop is committed on its own.

use speedwell_sql::Kind;

use super::{
    Detector, View,
    wording::{millis, number, times},
    write_loop::{is_single_write, name},
};
use crate::{Cost, Finding, FindingKind, Observation, Proof};

/// Loops of writes with a COMMIT in between, where the source shows transaction control.
pub(super) struct CommitPerRow;

impl Detector for CommitPerRow {
    fn kind(&self) -> FindingKind {
        FindingKind::CommitPerRow
    }

    fn inspect(&self, view: &View<'_>, out: &mut Observation) {
        for group in view.groups_of(is_single_write) {
            let commits: Vec<usize> = group
                .runs
                .windows(2)
                .filter_map(|pair| (pair[0] + 1..pair[1]).find(|&place| is_commit(view, place)))
                .collect();
            let count = group.runs.len() as u64;
            // One gap has no commit when the loop's last write shares its transaction.
            if count < view.thresholds.write_loop || (commits.len() as u64) + 2 < count {
                continue;
            }
            let time = view.time(&commits).saturating_add(view.time(&group.runs));
            out.findings.push(Finding {
                count,
                cost: Cost {
                    statements: commits.len() as u64,
                    rows: 0,
                    time,
                },
                summary: format!(
                    "One {} ran {}, and {} of the {} gaps between them hold a COMMIT; {} in all.",
                    name(view, group.runs[0]),
                    times(count),
                    number(commits.len() as u64),
                    number(count - 1),
                    millis(time)
                ),
                evidence: vec![
                    "Every COMMIT waits for the disk, and a failure half-way leaves half the rows."
                        .to_owned(),
                ],
                remedy: "Open one transaction around the loop, or write all rows in one statement."
                    .to_owned(),
                ..view.finding(FindingKind::CommitPerRow, group.runs[0], Proof::Proved)
            });
        }
    }
}

fn is_commit(view: &View<'_>, place: usize) -> bool {
    let run = &view.runs[place];
    let word = run
        .statement
        .text
        .split(|c: char| !c.is_ascii_alphabetic())
        .next()
        .unwrap_or("");
    run.shape.kind == Kind::Transaction
        && (word.eq_ignore_ascii_case("COMMIT") || word.eq_ignore_ascii_case("END"))
}
