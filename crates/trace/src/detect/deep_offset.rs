//! Deep offset: a page is found by skipping all rows before it.

use speedwell_sql::{Kind, Limit};

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
        remedy: "Start after the last key of the page before: WHERE (key, id) > ($1, $2) ORDER BY \
                 key, id LIMIT n, with an index on (key, id)."
            .to_owned(),
        ..view.finding(FindingKind::DeepOffset, place, Proof::Proved)
    }
}
